"""Programs of the engine that run beside it, each a process of its own: what they say, line by line, and how far they are."""

from __future__ import annotations

import os
import sys
import time

from ev_cli import output
from ev_cli.failures import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ev_cli.local_engine import LocalEngine

BAR_WIDTH = 30
BAR_MS = 100


def lines_of(engine: LocalEngine, program: str, arguments: list[str], *, broken: str) -> Iterator[dict[str, Any]]:
    """What the program says. It ends with this process. `broken`: what to say when it ended without having said why."""
    import json
    import subprocess

    command = [sys.executable, "-P", "-m", f"ev.server.{program}", "--data-dir", engine.data_dir, *arguments]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env={**os.environ, **engine.environment()}) as looking:
        refused = False
        try:
            assert looking.stdout is not None
            for text in looking.stdout:
                line = json.loads(text)
                refused = refused or "refused" in line
                yield line
        except BaseException:
            looking.terminate()
            raise
    if looking.returncode and not refused:
        raise Failure(broken, "the lines above say why")


class Bar:
    """A bar on stderr that shows how much is done."""

    def __init__(self, *, shown: bool) -> None:
        self.total = self.done = 0
        self._shown = shown
        self._shown_at = 0.0

    def show(self) -> None:
        """Draw it again, if the last time is some while ago."""
        if self._shown and time.monotonic() - self._shown_at > BAR_MS / 1000:
            self._shown_at = time.monotonic()
            share = min(self.done / self.total, 1.0) if self.total else 1.0
            bar = "#" * round(share * BAR_WIDTH)
            output.say_unfinished(f"\r[{bar:<{BAR_WIDTH}}] {share:4.0%} of {self.total / 1e6:.0f} MB")

    def end(self) -> None:
        """Take it away."""
        if self._shown_at:
            output.say_unfinished(f"\r{' ' * (BAR_WIDTH + 30)}\r")
