"""Overview, brokers and alerts: as they are seen, on a real engine, and what their keys do."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import pathlib

import pytest
from textual.pilot import Pilot

from ev_cli.model.alert_files import Alerts
from ev_cli.model.lag import Verdict
from ev_cli.model.rates import Rate
from ev_cli.model.snapshot import Alert, BrokerRow, DirectoryRow, Event
from ev_tui.app import EvApp
from ev_tui.screens.alerts import AlertsPage
from ev_tui.widgets.bars import Track, bar_lines, figures
from ev_tui.widgets.line_table import LineTable
from support.command_line import CommandLine
from support.terminal_ui import SaidModel, check_screen, connected, group, options, run_app, text_of, topic, until

NOW_MS = 1_700_000_000_000
SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50), (40, 10)], ids=["80x24", "120x40", "200x50", "40x10"])


def busy() -> SaidModel:
    """A cluster in which much goes on, and not all of it well."""
    history = tuple(float(number % 17) * 3_000 for number in range(90))
    groups = {
        "payments-sync": group(
            "payments-sync",
            state="Stable",
            members=6,
            topics=("payments",),
            partitions=12,
            lag=1_200_000,
            drain=Rate(-840, 30),
            eta_s=math.inf,
            verdict=Verdict.GROWING,
            verdict_about=(("payments", 3),),
        ),
        "search-index": group(
            "search-index", state="Stable", members=3, lag=311_000, drain=Rate(2_105, 30), eta_s=148.0, verdict=Verdict.DRAINING
        ),
        "audit-sink": group("audit-sink", lag=88_000, drain=Rate(0, 30), eta_s=math.inf, verdict=Verdict.DEAD),
        "fresh": group("fresh", lag=12),
        "well": group("well", lag=0, eta_s=0.0, verdict=Verdict.OK),
    }
    ten = tuple(float(number) for number in range(60))
    topics = {
        "orders": topic(
            "orders", partitions=12, rate=Rate(21_400, 10), bytes_rate=Rate(14e6, 15), history=ten, skew=4.04, hottest_partition=3
        ),
        "payments": topic("payments", partitions=12, rate=Rate(9_000, 10), bytes_rate=None, history=ten, skew=1.1, hottest_partition=1),
        "clicks 漢字": topic("clicks 漢字", rate=Rate(0.4, 10), history=ten),
        "idle": topic("idle", rate=Rate(0.0, 10)),
    }
    brokers = (
        BrokerRow(1, "kafka-1.example.com", 9092, "a", True, None, False, 40, 80, Rate(20_000, 10), 900_000_000_000, 2 * 10**12, 10**12),
        BrokerRow(2, "kafka-2.example.com", 9092, "b", True, None, True, 40, 80, Rate(9_000, 10), 10**12, 2 * 10**12, 10**11),
        BrokerRow(3, "kafka-3.example.com", 9092, None, False, NOW_MS - 65_000, False, 0, 80, None, None, None, None),
    )
    directories = (
        DirectoryRow(1, "/var/lib/kafka/a", 50, 600_000_000_000, 2 * 10**12, 10**12, None),
        DirectoryRow(1, "/var/lib/kafka/b", 30, 300_000_000_000, None, None, "KAFKA_STORAGE_ERROR"),
        DirectoryRow(2, "/data", 80, 10**12, 2 * 10**12, 10**11, None),
    )
    happened = (
        Event(NOW_MS, "rebalance", "payments-sync", "6 → 7 members"),
        Event(NOW_MS - 9_000, "broker", "3", "gone"),
        Event(NOW_MS - 60_000, "topic", "tmp.import", "created, 3 partitions"),
    )
    alerts = (
        Alert("broker-gone:broker-gone:3", "broker-gone", "3", "broker at kafka-3.example.com:9092 is gone", NOW_MS - 65_000, False, None),
        Alert(
            "lag:payments late:payments-sync", "payments late", "payments-sync", "lag 1,200,000 > 1,000,000", NOW_MS - 400_000, True, None
        ),
    )
    return SaidModel(
        connected(
            time_ms=NOW_MS,
            topics=topics,
            groups=groups,
            brokers=brokers,
            directories=directories,
            events=happened,
            alerts=alerts,
            controller_id=2,
            records_in=Rate(48_200, 10),
            bytes_in=Rate(31e6, 15),
            records_out=Rate(96_000, 30),
            history_in=history,
            history_out=history,
        )
    )


async def quiet(app: EvApp, pilot: Pilot[int]) -> None:
    """Without the remark about a new alert."""
    app.clear_notifications()
    await pilot.pause(0.3)


@SIZES
def test_the_whole_as_it_is_seen(size: tuple[int, int]) -> None:
    """Traffic with its peak, the worst groups first, the hottest topics, what has happened; less of it where there is less room."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("overview")
        await quiet(app, pilot)
        check_screen(app, f"overview-{size[0]}x{size[1]}", clock=True)

    run_app(steps, size, model=busy())


@SIZES
def test_brokers_as_they_are_seen(size: tuple[int, int]) -> None:
    """Who is gone, since when; what is led, what is stored, how full the disks are, and the directories of the one under the cursor."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("brokers")
        await quiet(app, pilot)
        check_screen(app, f"brokers-{size[0]}x{size[1]}", clock=True)

    run_app(steps, size, model=busy())


@SIZES
def test_alerts_as_they_are_seen(size: tuple[int, int], tmp_path: pathlib.Path) -> None:
    """Those that are heard first, since when, and the rules with what is wrong with them."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.alerts = alerts
        app.go("alerts")
        await quiet(app, pilot)
        check_screen(app, f"alerts-{size[0]}x{size[1]}", clock=True)

    model = busy()
    rules = tmp_path / "alerts.toml"
    rules.write_text(
        '[[rule]]\nkind = "lag"\nof = "payments-*"\nabove = 1000000\nfor = "5m"\nname = "payments late"\n[[rule]]\nkind = "lagg"\n'
    )
    alerts = Alerts("alerts.toml", str(tmp_path))
    alerts.evaluated(model.snapshot)
    run_app(steps, size, model=model)


def test_bars_have_holes_where_nothing_was_measured() -> None:
    """Zero is the lowest bar, unknown is none; the newest stand at the right."""
    assert bar_lines([None, 0.0, 4.0, 8.0], 4, 1) == [" ▁▄█"]
    assert bar_lines([None, 0.0, 4.0, 8.0], 4, 2) == ["   █", " ▁██"]
    assert bar_lines([8.0], 3, 1) == ["  █"]
    assert bar_lines([0.0, 8.0, None, None, None, 8.0], 3, 1) == ["▄ █"]
    assert bar_lines([], 0, 1) == [""]
    assert figures(Track("in", (None, 71_000.0), Rate(48_200, 10))) == "48.2k/s peak 71.0k"
    assert figures(Track("in", (None,), None)) == "-"


def test_enter_goes_to_what_a_line_is_about() -> None:
    """A group, a topic, whatever has happened; esc comes back."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        for keys, place in (
            (("1", "enter"), ("group", "payments-sync")),
            (("1", "tab", "enter"), ("topic", "orders")),
            (("1", "tab", "down", "enter"), ("brokers",)),
            (("0", "enter"), ("brokers",)),
            (("0", "down", "enter"), ("group", "payments-sync")),
        ):
            await pilot.press(keys[0])
            name = "alerts" if keys[0] == "0" else "overview"
            await until(pilot, lambda name=name: app.page is not None and name == app.page.NAME)  # type: ignore[misc]
            await until(pilot, lambda: isinstance(app.focused, LineTable) and app.focused.screen is app.page and app.focused.view)
            await pilot.press(*keys[1:])
            await until(pilot, lambda place=place: app.place and (app.place.name, *app.place.about) == place)  # type: ignore[misc]

    run_app(steps, (120, 40), model=busy())


def test_an_empty_cluster_shows_what_to_press() -> None:
    """And an unknown one does not say that it is empty."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("overview")
        await pilot.pause(0.2)
        assert ("no topics yet" in text_of(app)) == is_known
        assert "no group is behind" not in text_of(app)

    for is_known in (True, False):
        known = {"knows_topics": is_known, "knows_groups": is_known, "is_complete": is_known}
        empty = connected(topics={"__consumer_offsets": topic("__consumer_offsets", internal=True)} if is_known else {}, **known)
        run_app(steps, (120, 40), model=SaidModel(empty))


def test_the_overview_has_the_figures_of_ev_top(one_engine: CommandLine) -> None:
    """On a real engine: the command that it shows says the same, and what is on screen is asked for first."""
    one_engine("produce", "overview-topic", "--create", data=b"x\n" * 40)
    one_engine("consume", "overview-topic", "-g", "overview-group", "-n", "15")
    shown: list[str] = []

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("overview")
        await until(pilot, lambda: "overview-group" in text_of(app) and "DEAD" in text_of(app))
        shown.extend([app.command_text, text_of(app)])
        await pilot.press("9")
        await until(pilot, lambda: str(one_engine.data_dir) in text_of(app) and "controller" in text_of(app))

    run_app(steps, (160, 40), given=options(data_dir=str(one_engine.data_dir)))
    told = one_engine.shell(f"{shown[0]} --json --interval 100ms").json
    row = next(row for row in told["groups"] if row["group"] == "overview-group")
    assert row["lag"] == 25
    line = next(line for line in shown[1].splitlines() if "overview-group" in line)
    assert "25" in line
    assert json.dumps(told)


def test_an_alert_is_heard_seen_acknowledged_and_muted(tmp_path: pathlib.Path, one_engine: CommandLine) -> None:
    """Wherever one is when it comes; what was acknowledged here is so in another dashboard, and after a restart."""
    (tmp_path / "config.toml").write_text("")
    (tmp_path / "alerts.toml").write_text('[[rule]]\nkind = "lag"\nof = "alert-group"\nabove = 10\n')
    one_engine("produce", "alert-topic", "--create", data=b"x\n" * 40)
    one_engine("consume", "alert-topic", "-g", "alert-group", "-n", "15")

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "⚠ alert-group: lag 25 > 10" in text_of(app))
        await pilot.press("0")
        await until(pilot, lambda: "lag 25 > 10" in text_of(app) and "ALERTS 1" in text_of(app))
        assert "$ ev group describe alert-group" in text_of(app)
        await pilot.press("a")
        await until(pilot, lambda: "ALERTS 0 · 1 acknowledged" in text_of(app))

    async def again(app: EvApp, pilot: Pilot[int]) -> None:
        await pilot.press("0")
        await until(pilot, lambda: "ALERTS 0 · 1 acknowledged" in text_of(app))
        await pilot.press("U")
        await until(pilot, lambda: "ALERTS 1" in text_of(app))
        await pilot.press("u", "enter")
        await until(pilot, lambda: "muted until" in text_of(app))

    given = {"data_dir": str(one_engine.data_dir)}
    run_app(steps, (140, 40), given=options(**given))
    run_app(again, (140, 40), given=options(**given))


def test_the_rules_are_edited_in_an_editor(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not there is begun with those that hold already; what was written holds at once."""
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf \'[[rule]]\\nkind = "lag"\\nabove = 7\\nname = "mine"\\n\' >> "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    monkeypatch.delenv("VISUAL", raising=False)

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.alerts = alerts
        await pilot.press("0")
        await pilot.pause(0.2)
        assert isinstance(app.page, AlertsPage)
        app.outside = contextlib.nullcontext  # type: ignore[method-assign,assignment]
        app.page.action_edit()
        alerts.evaluated(dataclasses.replace(model.snapshot, at=100.0))
        model.put()
        await until(pilot, lambda: "mine" in text_of(app))
        assert "broker-gone" in text_of(app)

    model = busy()
    alerts = Alerts(str(tmp_path / "alerts.toml"), str(tmp_path))
    run_app(steps, (120, 40), model=model)
