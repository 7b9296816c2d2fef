"""Groups and one group: what is seen of them, which of them are seen, where one gets from there. The figures are said by the test."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from textual.pilot import Pilot

from ev_cli.model.lag import Verdict
from ev_cli.model.rates import Rate
from ev_cli.model.snapshot import GroupPartitionRow, GroupRow, MemberRow
from ev_tui import group_cells
from ev_tui.app import EvApp
from ev_tui.screens.group import next_record
from support.hostile import values
from support.terminal_ui import SaidModel, check_screen, connected, group, options, run_app, text_of

DAY_MS = 86_400_000
CLOCK = ((r"\d\d:\d\d:\d\d(?=\n)", "HH:MM:SS"),)
RISING = tuple(float(number) for number in range(60))
FALLING = RISING[::-1]


def part(topic: str, index: int, **parts: Any) -> GroupPartitionRow:
    row: GroupPartitionRow = values(GroupPartitionRow, topic=topic, index=index, history=(None,) * 60, **parts)
    return row


PAYMENTS = (
    part("payments", 0, committed=7_340_100, start=12, end=7_340_112, lag=12, eta_s=0.4, time_lag_ms=0, member="worker-1", host="10.0.3.5"),
    dataclasses.replace(
        part("payments", 3, committed=18_701_783, start=12, end=19_882_004, lag=1_180_221, eta_s=math.inf, time_lag_ms=1_300_000),
        drain=Rate(-840.0, 10.0),
        verdict=Verdict.GROWING,
        history=RISING,
        member="worker-2",
        host="10.0.3.7",
    ),
    part("payments", 4, start=0, end=0, member="worker-2", host="10.0.3.7"),
)
MEMBERS = (
    MemberRow("worker-1-5f0c", "worker-1", None, "10.0.3.5", (("payments", 0),), 12),
    MemberRow("worker-2-77aa", "worker-2", "blue", "10.0.3.7", (("payments", 3), ("payments", 4)), 1_180_221),
)


def some_groups() -> SaidModel:
    rows: list[GroupRow] = [
        group(
            "payments-sync",
            state="Stable",
            members=6,
            topics=("payments",),
            partitions=3,
            lag=1_180_233,
            drain=Rate(-840.0, 10.0),
            eta_s=math.inf,
            time_lag_ms=1_300_000,
            verdict=Verdict.GROWING,
            verdict_about=(("payments", 3),),
            history=RISING,
            rebalances=2,
        ),
        group(
            "search-index",
            state="Stable",
            members=3,
            topics=("a", "b", "c", "d"),
            partitions=20,
            lag=311_000,
            drain=Rate(2105.0, 10.0),
            eta_s=148.0,
            time_lag_ms=190_000,
            verdict=Verdict.DRAINING,
            verdict_about=tuple(("a", index) for index in range(20)),
            history=FALLING,
        ),
        group(
            "audit-sink",
            topics=("audit", "orders"),
            partitions=5,
            lag=88_000,
            drain=Rate(0.0, 10.0),
            eta_s=math.inf,
            time_lag_ms=2 * DAY_MS + 3_660_000,
            verdict=Verdict.DEAD,
            verdict_about=(("audit", 0), ("audit", 1)),
        ),
        group("done", state="Stable", members=1, topics=("a",), partitions=1, lag=0, eta_s=0.0, time_lag_ms=0, verdict=Verdict.OK),
        group("unknown", state="PreparingRebalance", members=None, topics=None),
        group("refused", error="not allowed to describe it"),
        group("old", state="Stable", members=1, topics=("a",), partitions=1, lag=4, seen_at=-60.0),
    ]
    return SaidModel(
        connected(
            groups={row.group: row for row in rows},
            group_partitions={"payments-sync": PAYMENTS},
            members={"payments-sync": MEMBERS},
        )
    )


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (120, 40)])
def test_those_that_catch_up_last_come_first(size: tuple[int, int]) -> None:
    """Nobody knows is not zero, never is not known, what is old says so, and what is refused says why."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("groups")
        await pilot.pause(0.1)
        check_screen(app, f"groups-{size[0]}x{size[1]}", masks=CLOCK)

    run_app(steps, size, model=some_groups())


def test_states_and_lag_are_filters_and_stand_in_the_command() -> None:
    """f goes through the states that there are, b leaves those that are behind, esc takes all of it away."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("groups")
        await pilot.pause(0.1)
        assert model.snapshot.groups.keys() == {row[0] for row in app.page.list.view}  # type: ignore[union-attr]
        await pilot.press("f", "f", "f")
        await pilot.pause(0.1)
        assert "state Stable" in text_of(app)
        assert "audit-sink" not in text_of(app)
        await pilot.press("b", "slash", *"SYNC".lower(), "enter")
        await pilot.pause(0.1)
        assert "search-index" not in text_of(app)
        assert app.command_text == "ev group list --state Stable --lagging -r '(?is).*(?:sync).*' -b 127.0.0.1:1"
        await pilot.pause(0.6)
        assert model.wanted == {"groups": ["payments-sync"]}
        await pilot.press("escape", "escape")
        await pilot.pause(0.1)
        assert app.command_text == "ev group list -b 127.0.0.1:1"
        assert len(app.page.list.view) == 7  # type: ignore[union-attr]

    model = some_groups()
    run_app(steps, (120, 30), model=model)


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (120, 40)])
def test_a_group_partition_by_partition(size: tuple[int, int]) -> None:
    """Where it lags, who has that partition, and when that ends."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("groups")
        app.go("group", "payments-sync")
        await pilot.pause(0.1)
        check_screen(app, f"group-{size[0]}x{size[1]}", masks=CLOCK)

    run_app(steps, size, model=some_groups())


def test_members_and_the_way_back() -> None:
    """m shows who reads what, enter goes to the partition of one, esc to the partitions and then to the groups."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("groups")
        await pilot.press("enter")
        await pilot.pause(0.1)
        assert app.place is not None
        assert app.place.about == ("payments-sync",)
        await pilot.press("m")
        await pilot.pause(0.1)
        check_screen(app, "group-members-120x24", masks=CLOCK)
        assert app.command_text == "ev group describe --section members payments-sync -b 127.0.0.1:1"
        await pilot.press("j", "enter")
        await pilot.pause(0.1)
        assert app.page.list.current_key == "payments/3"  # type: ignore[union-attr]
        await pilot.press("m", "escape")
        await pilot.pause(0.1)
        assert app.place.name == "group"
        await pilot.press("escape")
        await pilot.pause(0.1)
        assert app.place.name == "groups"

    run_app(steps, (120, 24), model=some_groups())


def test_enter_is_the_record_that_is_read_next_and_t_the_partition_that_lags(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a group to its records."""
    went: list[tuple[str, ...]] = []

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("group", "payments-sync")
        await pilot.pause(0.1)
        monkeypatch.setattr(app, "go", lambda *place: went.append(place))
        await pilot.press("enter", "t", "G", "t", "R")
        await pilot.press("g", "space", "R")
        await pilot.pause(0.1)
        assert went == [
            ("record", "payments", "3", "18701783"),
            ("tail", "payments:3"),
            ("tail", "payments:3"),
            ("reset", "payments-sync"),
            ("reset", "payments-sync", "payments/3"),
        ]

    run_app(steps, (120, 24), model=some_groups())


def test_what_is_read_next_may_be_gone_or_not_there_yet() -> None:
    """The remark says which record is shown instead."""
    row = PAYMENTS[0]
    assert next_record(row) == (7_340_100, "")
    offset, remark = next_record(dataclasses.replace(row, committed=7_340_112))
    assert (offset, "has read all" in remark) == (7_340_111, True)
    offset, remark = next_record(dataclasses.replace(row, committed=3))
    assert (offset, "is gone" in remark) == (12, True)
    assert next_record(dataclasses.replace(row, start=9, end=9)) == (None, "payments/0 is empty")
    assert next_record(dataclasses.replace(row, committed=None))[0] is None


def test_where_nothing_may_be_changed_no_key_does_and_says_why() -> None:
    """Reading is the default: R and D of a session for looking open nothing."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        for place in (("groups",), ("group", "payments-sync")):
            app.go(*place)
            await pilot.pause(0.1)
            await pilot.press("R", "D")
            await pilot.pause(0.1)
            assert app.screen is app.page
            assert app.place is not None
            assert app.place.name == place[0]
        said = [notification.message for notification in app._notifications]
        assert len(said) == 4
        assert all("only for looking" in text for text in said)

    run_app(steps, (120, 24), model=some_groups(), given=options(bootstrap="127.0.0.1:1", readonly=True))


def test_names_that_look_like_options_stay_names() -> None:
    """Behind `--`, or with a `=`."""
    assert group_cells.named("-x") == ["--", "-x"]
    assert group_cells.named("x") == ["x"]
    assert group_cells.given("--to", "-5") == ["--to=-5"]
    assert group_cells.partition_words(["a/0", "b/2", "a/3"]) == ["-t", "a:0,3", "-t", "b:2"]
