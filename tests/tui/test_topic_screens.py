"""The screen of one topic: what each tab shows, how it looks, what is decided for it without anybody asking."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from textual.pilot import Pilot

from ev.client.brokers import LogDirectory
from ev.client.coordinated import ActiveProducer
from ev_cli.model.lag import Verdict
from ev_cli.model.rates import Rate
from ev_cli.model.snapshot import GroupPartitionRow, PartitionRow
from ev_tui.app import EvApp
from ev_tui.asked import RETRY_S, Asked
from ev_tui.screens.topic_changes import meaning_of, settings, wrong_settings
from ev_tui.screens.topic_tabs import OpenTransaction, Volume, added, bar, edges_of, highest, shades, transactions_note, volumes
from ev_tui.tabs import TabPage
from support.hostile import values
from support.said_admin import SaidAdmin, setting
from support.terminal_ui import SaidModel, check_screen, connected, group, run_app, text_of, topic, until

NAME = "payments"
SIZES = [(80, 24), (120, 40)]
RISING = (*[None] * 40, *[float(number) for number in range(20)])


def partition(index: int, **parts: Any) -> PartitionRow:
    given = {
        "topic": NAME,
        "index": index,
        "leader": 1,
        "replicas": (1, 2, 3),
        "in_sync": (1, 2, 3),
        "offline": (),
        "history": (None,) * 60,
    }
    row: PartitionRow = values(PartitionRow, **{**given, **parts})
    return row


def said_model() -> SaidModel:
    """A topic of four partitions: busy, quiet, under-replicated, without leader; two groups."""
    rows = (
        partition(
            0, start=12, end=7_340_112, records=7_340_100, size_bytes=3_400_000_000, rate=Rate(610, 10), history=(5.0,) * 60, max_lag=12
        ),
        partition(
            1, start=0, end=19_882_004, records=19_882_004, size_bytes=9_200_000_000, rate=Rate(2900, 10), history=RISING, max_lag=1_180_221
        ),
        partition(2, start=0, end=0, records=0, size_bytes=0, rate=Rate(0, 10), history=(0.0,) * 60, in_sync=(1, 2), max_lag=0),
        partition(3, leader=-1, in_sync=(), error="LEADER_NOT_AVAILABLE"),
    )
    row = topic(
        NAME,
        partitions=4,
        replication_factor=3,
        under_replicated=2,
        leaderless=1,
        skew=3.8,
        hottest_partition=1,
        groups=("sync", "audit"),
        records=27_222_104,
        size_bytes=12_600_000_000,
    )
    lagging = values(GroupPartitionRow, topic=NAME, index=1, lag=1_180_221, eta_s=148.0, time_lag_ms=190_000, history=RISING)
    others = values(GroupPartitionRow, topic="others", index=0, lag=7, history=(1.0,) * 60)
    return SaidModel(
        connected(
            topics={NAME: row},
            partitions={NAME: rows},
            groups={
                "sync": group("sync", state="Stable", members=6, lag=1_180_228, verdict=Verdict.DRAINING, topics=(NAME, "others")),
                "audit": group("audit", verdict=Verdict.DEAD, topics=(NAME,)),
            },
            group_partitions={"sync": (lagging, others)},
        )
    )


def said_admin() -> SaidAdmin:
    return SaidAdmin(
        settings=[
            setting("cleanup.policy", "delete", documentation="What happens to old segments: deleted, compacted by key, or both."),
            setting("max.message.bytes", "1048588"),
            setting("retention.ms", "86400000", "topic", "How long a record stays\nbefore its segment may go."),
            setting("secret.of.it", "hidden", sensitive=True),
        ],
        directories=[LogDirectory(broker, f"/data/{broker}", 10, 5, {(NAME, 0): 3_400_000_000, ("others", 0): 1}) for broker in (1, 2)],
        producers={(NAME, 0): [ActiveProducer(4011, 3, 7, 0, 0, 7_328_222), ActiveProducer(5, 0, 1, 0, 0, None)]},
    )


def look(steps: Any, size: tuple[int, int], admin: SaidAdmin | None = None) -> None:
    """Run steps on the screen of the topic, with everything answered."""

    async def run(app: EvApp, pilot: Pilot[int]) -> None:
        app.session.admin = admin or said_admin()  # type: ignore[method-assign, assignment]
        app.go("topic", NAME)
        await pilot.pause()
        page = app.page
        assert isinstance(page, TabPage)
        await steps(app, pilot, page)

    run_app(run, size, model=said_model())


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
def test_a_topic_as_it_is_seen(size: tuple[int, int]) -> None:
    """Partitions, settings, groups and directories; columns give way; an open transaction is told; dialogs fit."""
    at = "x".join(map(str, size))
    since = ((r"last write \S+ ago", "last write SPAN ago"),)

    async def steps(app: EvApp, pilot: Pilot[int], page: TabPage) -> None:
        await until(pilot, lambda: "open transaction" in text_of(app))
        check_screen(app, f"topic-partitions-{at}", clock=True, masks=since)
        await pilot.press("v")
        check_screen(app, f"topic-lag-{at}", clock=True, masks=since)
        await pilot.press("right")
        await until(pilot, lambda: page.list.rows)
        page.list.go_to("retention.ms")
        await pilot.pause()
        check_screen(app, f"topic-config-{at}", clock=True)
        await pilot.press("e")
        check_screen(app, f"topic-edit-{at}", clock=True)
        await pilot.press("escape", "D")
        check_screen(app, f"topic-forget-{at}", clock=True)
        await pilot.press("escape", "right")
        check_screen(app, f"topic-groups-{at}", clock=True)
        await pilot.press("right", "right")
        await until(pilot, lambda: page.list.rows)
        check_screen(app, f"topic-dirs-{at}", clock=True)
        await pilot.press("2", "n")
        check_screen(app, f"topic-create-{at}", clock=True)
        await pilot.press("escape", "e")
        check_screen(app, f"topic-alter-{at}", clock=True)
        await pilot.press("escape", "D")
        check_screen(app, f"topic-delete-{at}", clock=True)

    look(steps, size)


def test_tabs_keep_their_filter_and_their_command() -> None:
    """The filter of one tab is not that of another; each has the command that shows the same."""

    async def steps(app: EvApp, pilot: Pilot[int], page: TabPage) -> None:
        assert app.command_text.startswith("ev topic describe -o wide --section summary,partitions payments")
        await pilot.press("right")
        await until(pilot, lambda: page.list.rows)
        await pilot.press("slash", *"retention", "enter")
        assert [row[0] for row in page.list.view] == ["retention.ms"]
        assert app.command_text.startswith("ev config get -a --docs topic/payments")
        await pilot.press("right")
        assert len(page.list.view) == 2
        assert "/retention" not in text_of(app)
        await pilot.press("left")
        assert [row[0] for row in page.list.view] == ["retention.ms"]
        assert "retention" in text_of(app).splitlines()[-3]
        await pilot.press("escape")
        assert len(page.list.view) == 4
        await pilot.press("left", "enter")
        assert app.place is not None
        assert (app.place.name, app.place.about) in (("tail", ("payments:0",)), ("topic", (NAME,)))

    look(steps, (120, 40))


def test_what_is_not_answered_is_asked_again_and_told() -> None:
    """An error stands where the rows would; then, without a key, the rows. What was known stays while it cannot be read anew."""
    admin = said_admin()
    failures = [OSError("nobody is there"), None]

    def connect() -> SaidAdmin:
        error = failures[0]
        if error is not None:
            raise error
        return admin

    async def steps(app: EvApp, pilot: Pilot[int], page: TabPage) -> None:
        app.session.admin = connect  # type: ignore[method-assign, assignment]
        await pilot.press("right")
        await until(pilot, lambda: "nobody is there" in text_of(app))
        assert "not read" in text_of(app)
        failures[0] = None
        await until(pilot, lambda: page.list.rows, timeout_s=RETRY_S + 13)
        failures[0] = OSError("gone again")
        await pilot.press("r")
        await until(pilot, lambda: "gone again" in text_of(app))
        assert "retention.ms" in text_of(app)
        assert "ago" in text_of(app)

    look(steps, (140, 30))


def test_failures_are_asked_again_later_and_later() -> None:
    """2 s, 4 s … and no more than half a minute; an answer begins anew, `hasten` does not wait."""
    asked: Asked[int] = Asked(lambda admin: 1)
    waits = []
    for _ in range(6):
        asked.missed("no", 100.0)
        waits.append(next(wait for wait in range(1, 60) if asked.is_due(100.0 + wait)))
    assert waits == [2, 4, 8, 16, 30, 30]
    asked.took(1, 200.0)
    assert (asked.error, asked.age_s(203.0), asked.is_due(229.0), asked.is_due(231.0)) == (None, 3.0, False, True)
    asked.hasten()
    assert asked.is_due(201.0)


def test_shades_and_bars() -> None:
    """Unknown is a dot and nothing a blank; the newest is at the right."""
    assert shades((None, 0.0, 1.0, 5.0, 10.0), 6, 10.0) == "·· ░▒█"
    assert shades((1.0, 2.0, 3.0), 2, 3.0) == "▓█"
    assert shades((0.0,), 1, 0.0) == " "
    assert (bar(None, 3, 10), bar(0, 3, 10), bar(1, 1000, 10), bar(3, 3, 4)) == ("-", "", "█", "████")
    assert highest([(1.0, None, 3.0), (2.0, 1.0)]) == [1.0, 2.0, 3.0]
    assert added([(1.0, None, 3.0), (2.0, 1.0)]) == [None, 4.0]
    assert highest([]) == added([]) == (None,)


def test_time_is_cut_into_equal_parts() -> None:
    """From the oldest record to now, no part shorter than a second; offsets that go back count as none."""
    assert edges_of(0, 23_999, 24) == [index * 1000 for index in range(25)]
    assert edges_of(5_000, 6_500, 24) == [5_000, 6_000, 7_000]
    assert edges_of(5_000, 5_000, 24) == [5_000, 6_000]
    assert volumes([0, 10, 30], [[0, 5], [4, None], [3, 9]]) == [Volume(0, 10, 4), Volume(10, 20, 0)]


def test_the_transaction_that_holds_back_the_most_is_told() -> None:
    """By how far readers of committed records are behind the end."""
    near, far = OpenTransaction(0, 7, 90, 60_000), OpenTransaction(2, 4011, 1_000, 60_000)
    text = "".join(piece for piece, _ in transactions_note([near, far], {0: 100, 2: 12_890}, 124_000))
    assert text == (
        " open transaction: committed readers of p2 are 11,890 back, and 1 more · producer 4011 from 1,000, last write 1m4s ago"
    )
    assert transactions_note([], {}, 0) == ()


def test_settings_are_read_as_a_shell_reads_words() -> None:
    """Quotes keep spaces together; what sets nothing is told; numbers are told in their units."""
    assert settings("a=1 b='x y' c=") == [("a", "1"), ("b", "x y"), ("c", "")]
    assert settings("a='") == [("a", "'")]
    assert wrong_settings("a=1 b='x") == "No closing quotation"
    assert wrong_settings("a=1 b") == "'b' sets nothing: write KEY=VALUE"
    assert wrong_settings("=1") == "'=1' sets nothing: write KEY=VALUE"
    assert [meaning_of("retention.ms", text) for text in ("604800000", "-1", "5", "x", str(2**63 - 1))] == [
        " (7d)",
        " (forever)",
        "",
        "",
        " (no limit)",
    ]
    assert meaning_of("segment.bytes", "1073741824") == " (1.1 GB)"


def test_a_hidden_setting_stays_hidden() -> None:
    """Neither its value in the table, nor in the form that changes it."""

    async def steps(app: EvApp, pilot: Pilot[int], page: TabPage) -> None:
        await pilot.press("right")
        await until(pilot, lambda: page.list.rows)
        page.list.go_to("secret.of.it")
        await pilot.press("e")
        assert "(not shown)" in text_of(app)
        assert "hidden" not in text_of(app)

    look(steps, (100, 30))


def test_a_topic_that_is_gone_says_so() -> None:
    """It does not look like one that is empty."""

    async def steps(app: EvApp, pilot: Pilot[int], page: TabPage) -> None:
        model = app.model
        assert isinstance(model, SaidModel)
        model.put(topics={}, partitions={})
        await until(pilot, lambda: "there is no such topic" in text_of(app))
        model.snapshot = dataclasses.replace(model.snapshot, version=99, knows_topics=False)
        await until(pilot, lambda: "reading" in text_of(app))

    look(steps, (100, 30))
