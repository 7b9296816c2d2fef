"""Whatever screen one looks at: an engine that is killed is said to be away, and when it is back the figures are those of now."""

from __future__ import annotations

import os
import signal

import pytest
from textual.pilot import Pilot

from ev_tui.app import EvApp
from ev_tui.pages import BUILT
from support.command_line import CommandLine
from support.terminal_ui import options, run_app, text_of, until

pytestmark = pytest.mark.slow

ABOUT = {
    "topic": ("orders",),
    "group": ("billing",),
    "record": ("orders", "0", "0"),
    "search": ("orders",),
    "reset": ("billing",),
    "tail": ("orders",),
}


def test_every_screen_lives_through_the_death_of_its_engine(ev: CommandLine) -> None:
    """No key is pressed: the line above each screen says LOST while it is away, and then counts the topic that came meanwhile."""
    ev("up", "-q")
    ev("topic", "create", "orders", "-q")
    ev("produce", "orders", "-q", data=b"one\ntwo\n")
    ev("group", "seek", "billing", "--to", "1", "-t", "orders:0", "--new-topics", "-y", "-q")

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        for number, entry in enumerate(BUILT, 1):  # the topic of the offsets is counted, too
            app.go(entry.name, *ABOUT.get(entry.name, ()))
            await until(pilot, lambda: app.place is not None and app.place.name == entry.name)  # noqa: B023 - it is over before the next
            await until(pilot, lambda: f" {number + 1} topics" in text_of(app))  # noqa: B023
            killed = ev.pid
            os.kill(killed, signal.SIGKILL)
            await until(pilot, lambda: "LOST" in text_of(app) or ev.pid != killed)  # noqa: B023 - a tail has brought it back already
            ev("up", "-q")
            ev("topic", "create", f"new-{number}", "-q")
            await until(pilot, lambda: "LOST" not in text_of(app) and f" {number + 2} topics" in text_of(app))  # noqa: B023

    run_app(steps, (140, 30), given=options(data_dir=str(ev.data_dir)), first="overview")
