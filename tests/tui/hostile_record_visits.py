"""Run in a terminal: goes through the screens that show records, of a topic whose records are hostile, and ends.

Arguments: the file that gets a line for each screen (whether the hostile text was on it), the address, the topic.
"""

from __future__ import annotations

import pathlib
import sys
import time
from typing import Any

from textual.pilot import Pilot

from ev_tui.app import EvApp
from ev_tui.terminal import StdoutDriver
from support.terminal_ui import SaidModel, app_of, connected, options, text_of

VISITS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("tail", ()),
    ("paused", ("k", "k")),
    ("sideways", ("l",)),
    ("leftmost", ("h",)),
    ("diff", ("g", "m", "m", "d", "equals_sign")),
    ("tail again", ("escape",)),
    ("produce", ("p",)),
    ("bytes to produce", ("escape", "g", "p")),
    ("record", ("escape", "G", "enter")),
    ("key", ("tab",)),
    ("headers", ("tab",)),
    ("hex", ("tab",)),
    ("wrapped", ("shift+tab", "w")),
    ("record before", ("k",)),
)


async def visit_all(pilot: Pilot[Any]) -> None:
    app = pilot.app
    assert isinstance(app, EvApp)
    with pathlib.Path(sys.argv[1]).open("w") as report:  # noqa: ASYNC230 - nobody else waits here
        app.go("tail", sys.argv[3])
        for name, keys in VISITS:
            await pilot.press(*keys)
            deadline = time.monotonic() + 5
            while not is_there(app) and time.monotonic() < deadline:
                await pilot.pause(0.05)
            await pilot.pause(0.1)
            report.write(f"{name} {'shown' if is_there(app) else text_of(app)}\n")
    app.exit(0)


def is_there(app: EvApp) -> bool:
    """As text, as the beginning of bytes, as a dump, or as a number of bytes."""
    text = text_of(app)
    return any(sign in text for sign in ("EVIL", "4556494c", "45 56 49 4c", "bytes that are no text"))


if __name__ == "__main__":
    app = app_of(options(bootstrap=sys.argv[2], quiet=True), model=SaidModel(connected()))
    app.driver_class = StdoutDriver
    app.run(auto_pilot=visit_all)
    if app.crash is not None:
        raise app.crash
