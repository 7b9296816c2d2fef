"""The log of commands (`@`): what was done from here, and the command of the screen below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev_tui.amounts import time_of_day
from ev_tui.widgets.dialog import Look

if TYPE_CHECKING:
    from ev_tui.command_log import CommandLog


class CommandLogScreen(Look):
    """Newest at the end, where one looks."""

    def __init__(self, log: CommandLog, current: str) -> None:
        super().__init__("commands", log_text(log, current))


def log_text(log: CommandLog, current: str) -> str:
    lines = ["this screen (Y copies it):", f"  $ {current}", "", "done from here:"]
    for entry in log.entries:
        mark = " " if entry.is_remark else "$"
        lines.append(f"  {time_of_day(entry.time_ms)} {mark} {entry.text}")
        if entry.failure is not None:
            lines.append(f"             failed: {entry.failure}")
    if not log.entries:
        lines.append("  nothing yet")
    return "\n".join(lines)
