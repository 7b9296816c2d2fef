"""Draws the screens of the README: `python tests/tui/draw.py` starts an engine, lets something happen there, and writes docs/screens/*.svg.

They are pictures of the real interface on a real engine, at 110 columns.
"""

from __future__ import annotations

import asyncio
import os
import pathlib
import re
import sys
import tempfile
import threading

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:1] = [str(TOP / name) for name in ("tests", "engine", "cli", "tui")]

from ev_tui.pages import BUILT
from support.command_line import CommandLine
from support.terminal_ui import app_of, options, until

WHERE = TOP / "docs" / "screens"
SIZE = (110, 28)
SCREENS = (("overview", ()), ("topics", ()), ("groups", ()), ("group", ("billing",)), ("tail", ("payments",)))
RECORDS = 400
"""A second, while the pictures are made."""


def happen(ev: CommandLine, done: threading.Event) -> None:
    """Records come into two topics, and a group that is not there any more falls behind."""
    number = 0
    while not done.is_set():
        lines = "".join(f'eu-{n % 97}:{{"order":{n},"amount":{n % 500}.5,"status":"PAID"}}\n' for n in range(number, number + RECORDS))
        ev("produce", "payments", "-K", ":", "-q", data=lines.encode())
        ev("produce", "orders", "-K", ":", "-q", data=lines[: len(lines) // 3].rpartition("\n")[0].encode())
        number += RECORDS
        done.wait(0.5)


def seed(ev: CommandLine) -> None:
    for name, partitions in (("payments", "6"), ("orders", "3"), ("shipments", "1"), ("audit", "1")):
        ev("topic", "create", name, "-p", partitions, "-q")
    ev("produce", "payments", "-q", data=b"first\n" * 2000)
    ev("consume", "payments", "-g", "billing", "-n", "500", "-q")
    ev("consume", "orders", "-g", "shipping", "-e", "-q")


async def draw() -> None:
    app = app_of(options())
    built = {entry.name for entry in BUILT}
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.snapshot is not None and app.snapshot.is_complete)
        await pilot.pause(25)  # so that there is something to see in the curves
        for name, about in SCREENS:
            if name not in built:
                continue
            app.go(name, *about)
            await pilot.pause(4)
            picture = app.export_screenshot(title=f"ev tui: {' '.join((name, *about))}")
            (WHERE / f"{name}.svg").write_text(re.sub(r"terminal-\d+", "terminal", picture))


def main() -> None:
    WHERE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        ev = CommandLine(pathlib.Path(directory))
        os.environ.update({name: ev.variables[name] for name in ("EV_DATA_DIR", "EV_LISTEN", "EV_CONFIG", "HOME")})
        ev("up", "-q")
        seed(ev)
        done = threading.Event()
        busy = threading.Thread(target=happen, args=(ev, done))
        busy.start()
        try:
            asyncio.run(draw())
        finally:
            done.set()
            busy.join()
            ev.close()


if __name__ == "__main__":
    main()
