"""Run in a terminal: goes through all of tests/tui/visits.py with a model that is hostile everywhere, and ends.

Writes to the file that is its argument, a line for each visit, whether the hostile text was on the screen.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys
import time
from typing import Any

import tomli_w
from textual.pilot import Pilot

from ev_tui.app import EvApp
from ev_tui.terminal import StdoutDriver
from support.hostile import HOSTILE, hostile_snapshot
from support.said_admin import hostile_admin
from support.terminal_ui import SaidModel, app_of, options, text_of
from tui.visits import VISITS

TEXT = HOSTILE.encode("utf-8", "ignore").decode()
"""What of it a file can hold."""
MODEL = SaidModel(hostile_snapshot())


async def visit_all(pilot: Pilot[Any]) -> None:
    app = pilot.app
    assert isinstance(app, EvApp)
    config = pathlib.Path(sys.argv[1]).with_name("config.toml")
    os.environ["EV_CONFIG"] = str(config)
    config.write_text(tomli_w.dumps({"contexts": {TEXT: {"bootstrap": [TEXT], "readonly": True}}}))
    app.session.admin = hostile_admin(HOSTILE)  # type: ignore[method-assign, assignment]
    with pathlib.Path(sys.argv[1]).open("w") as report:  # noqa: ASYNC230 - nobody else waits here
        for visit in VISITS:
            app.go("topics")
            app.go(visit.name, *visit.about)
            await pilot.pause(0.05)
            await pilot.press(*visit.keys)
            deadline = time.monotonic() + 5
            while visit.shows and "EVIL" not in text_of(app) and time.monotonic() < deadline:
                await pilot.pause(0.05)
            report.write(f"{visit.name} {'shown' if 'EVIL' in text_of(app) else 'not shown'}\n")
            await pilot.pause(0.1)
            while len(app.screen_stack) > 2:
                app.pop_screen()
            await pilot.press("escape")
        app.tell(HOSTILE)
        await pilot.pause(0.3)
        MODEL.put(connection=dataclasses.replace(MODEL.snapshot.connection, state="lost", error=HOSTILE))
        await pilot.pause(1.2)
        report.write(f"lost {'shown' if 'LOST' in text_of(app) else 'not shown'}\n")
    app.exit(0)


if __name__ == "__main__":
    app = app_of(options(bootstrap=sys.argv[2]), model=MODEL)
    app.driver_class = StdoutDriver
    app.bell = lambda: None  # type: ignore[method-assign]  # the one for a new alert is ours; any other is not
    app.run(auto_pilot=visit_all)
    if app.crash is not None:
        raise app.crash
