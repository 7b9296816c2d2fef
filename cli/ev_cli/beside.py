"""Programs of the engine that run beside it, each a process of its own: what they say, line by line."""

from __future__ import annotations

import os
import sys

from ev_cli.failures import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ev_cli.local_engine import LocalEngine

RUN = "__run"
"""The first argument with which the standalone ev runs one of its modules as a program."""


def command_of(module: str) -> list[str]:
    """The command that runs one of our modules as a program: with this Python, or, in the standalone ev, with that itself."""
    if getattr(sys, "frozen", False):
        return [sys.executable, RUN, module]
    return [sys.executable, "-P", "-m", module]


def lines_of(engine: LocalEngine, program: str, arguments: list[str], *, broken: str) -> Iterator[dict[str, Any]]:
    """What the program says. It ends with this process. `broken`: what to say when it ended without having said why."""
    import json
    import subprocess

    command = [*command_of(f"ev.server.{program}"), "--data-dir", engine.data_dir, *arguments]
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
