"""What the local engine says about itself on the brokers' screen: read rightly, and never 0 for what nobody knows."""

from __future__ import annotations

import math

import pytest
from textual.pilot import Pilot

from ev_cli.model.engine_figures import SYNC, Figures, Histogram, Looks, figures_of
from ev_tui.app import EvApp
from ev_tui.engine_part import SWITCH_ON, below, figure_pieces, took_row, took_text
from ev_tui.screens.brokers import BrokersPage
from support.command_line import CommandLine
from support.terminal_ui import SaidModel, connected, options, run_app, text_of, until

TEXT = """
# HELP kafka_network_requestmetrics_totaltimems Milliseconds …
# TYPE kafka_network_requestmetrics_totaltimems histogram
kafka_network_requestmetrics_totaltimems_bucket{request="Produce",le="0"} 90
kafka_network_requestmetrics_totaltimems_bucket{request="Produce",le="1"} 98
kafka_network_requestmetrics_totaltimems_bucket{request="Produce",le="+Inf"} 100
kafka_network_requestmetrics_totaltimems_sum{request="Produce"} 400
kafka_network_requestmetrics_totaltimems_count{request="Produce"} 100
kafka_log_log_size{topic="orders",partition="0"} 12345
ev_commit_sync_seconds_bucket{le="6.4e-05"} 1
ev_commit_sync_seconds_bucket{le="0.000128"} 4
ev_commit_sync_seconds_bucket{le="+Inf"} 4
ev_commit_sync_seconds_sum 0.001
kafka_server_socket_server_metrics_connection_count 3
kafka_server_socket_server_metrics_connection_limit 2147483647
ev_loop_longest_stall_seconds{since="minute"} 0.0031
ev_loop_longest_stall_seconds{since="start"} 0.25
process_start_time_seconds 1772366400.0
a line that is none
"""


def test_figures_are_read_from_the_text() -> None:
    """The bounds of requests are whole milliseconds: at most 0 is less than one."""
    figures = figures_of(TEXT)
    assert (figures.connections, figures.connections_max, figures.stall_recent_s, figures.stall_ever_s) == (3, 2147483647, 0.0031, 0.25)
    produce, sync = figures.times["Produce"], figures.times[SYNC]
    assert produce == Histogram((0.001, 0.002, math.inf), (90, 98, 100))
    assert (produce.count, produce.bound_s(0.5), produce.bound_s(0.98), produce.bound_s(0.99)) == (100, 0.001, 0.002, math.inf)
    assert (sync.bound_s(0.25), sync.bound_s(0.5)) == (6.4e-05, 0.000128)


def test_an_engine_that_says_nothing_is_not_at_rest() -> None:
    """Every figure is unknown, and is shown as that."""
    figures = figures_of("")
    assert figures == Figures(None, None, None, None, None, {})
    assert "".join(text for text, _ in figure_pieces(figures, None)) == " · connections - · longest stall - in 1m, - ever"
    assert Histogram((1.0,), (0,)).bound_s(0.5) is None
    assert took_text(None) == "-"


def test_times_are_of_the_last_seconds() -> None:
    """Two looks are compared; one alone says only what was since the start; an engine that was started again begins anew."""

    def look(count: int, started_s: float = 1.0) -> Figures:
        return Figures(started_s, 1, None, 0.0, 0.0, {"Fetch": Histogram((0.001, math.inf), (count, count)), SYNC: Histogram((1.0,), (1,))})

    looks = Looks()
    looks.note(100.0, look(1000))
    assert looks.window_s is None
    assert [took_row(one) for one in looks.took()] == [
        (SYNC, None, None, None, 1, 1.0),
        ("Fetch, with waiting", None, None, None, 1000, 0.001),
    ]
    for second in range(1, 31):
        looks.note(100.0 + second, look(1000 + second))
    assert looks.window_s == pytest.approx(10, abs=1)
    fetch = looks.took()[1]
    assert (fetch.count, fetch.half_s, fetch.count_ever) == (round(looks.window_s or 0), 0.001, 1030)
    looks.note(140.0, look(5, started_s=2.0))
    assert looks.window_s is None


def test_bounds_are_said_to_be_bounds() -> None:
    """A bucket knows only that something took less."""
    assert [below(bound) for bound in (6.4e-05, 0.004, 1.048576, math.inf)] == ["<0.06 ms", "<4 ms", "<1.0 s", "no bound"]


@pytest.mark.slow
def test_where_it_may_not_be_asked_the_command_that_is_shown_changes_that(ev: CommandLine) -> None:
    """The listener is off: that is said; the command is run in a shell; the figures come without a key, and agree with what was done."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("brokers")
        await until(pilot, lambda: "not known: ev.metrics.listen is off" in text_of(app))
        page = app.page
        assert isinstance(page, BrokersPage)
        command = app.command_of(SWITCH_ON)
        assert command.startswith("ev server restart --set ev.metrics.listen=127.0.0.1:0")
        assert command[:100] in text_of(app)
        assert ev.shell(command).status == 0
        await until(pilot, lambda: "connections " in text_of(app), timeout_s=60)
        for number in range(5):
            ev("produce", "measured", "-q", data=b"%d\n" % number)
        await until(pilot, lambda: any(row[0] == "Produce" and (row[4] or 0) >= 5 for row in page.engine.table.view), timeout_s=30)
        await until(pilot, lambda: page.engine.looks.window_s is not None)
        assert page.engine.table.view[0][0] == SYNC
        assert page.engine.table.view[0][4] >= 5
        assert "longest stall" in text_of(app)
        assert " 0 ms" not in text_of(app)
        figures = page.engine.looks.newest
        assert figures is not None
        assert figures.connections is not None
        assert figures.connections >= 1

    ev("topic", "create", "measured", "-q")
    run_app(steps, (160, 40), given=options(data_dir=str(ev.data_dir)))


def test_elsewhere_it_is_not_known() -> None:
    """Of a cluster nobody is asked for that."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("brokers")
        await until(pilot, lambda: "known only where it is on this machine" in text_of(app))
        page = app.page
        assert isinstance(page, BrokersPage)
        assert page.engine.asked is None

    run_app(steps, (120, 40), model=SaidModel(connected()))
