"""--watch: a command that lists or describes, again and again, until Ctrl-C.

On a terminal each round takes the place of the one before, whole and without flicker; into a pipe or a file the rounds follow each other.
"""

from __future__ import annotations

import os
import time

from ev_cli import output
from ev_cli.failures import DONE, UNMET, UNREACHABLE, UsageFailure
from ev_cli.times import duration_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

EVERY_MS_MIN = 100
GOES_ON = frozenset((DONE, UNMET, UNREACHABLE))
"""After one round that was well, an engine that is away for a while ends nothing; neither does a condition that is not met."""
HOME_AND_CLEAR = b"\x1b[H\x1b[J"


def interval_ms(text: str) -> int:
    every_ms = duration_ms(text, "--watch")
    if every_ms < EVERY_MS_MIN:
        raise UsageFailure(f"--watch {text} is too often", f"{EVERY_MS_MIN}ms or more")
    return every_ms


def watch(show: Callable[[], int], text: str, every_ms: int) -> int:
    """Call `show` every so often. Returns only when a round fails for good."""
    was_well = False
    while True:
        output.hold()
        status = show()
        shown = output.release()
        if status not in GOES_ON or (status == UNREACHABLE and not was_well):
            output.write(shown)
            return status
        if status != UNREACHABLE:
            was_well = True
            output.write(frame(shown, text) if output.is_terminal(1) else shown)
        time.sleep(every_ms / 1000)


def frame(shown: bytes, text: str) -> bytes:
    """One round as it takes the place of the one before; what does not fit on the terminal is cut off, or it would scroll."""
    lines = shown.split(b"\n")
    room = os.get_terminal_size(1).lines - 2
    if 0 < room < len(lines):  # a terminal that does not know its size has none
        lines = [*lines[: room - 1], b"..."]
    title = f"{time.strftime('%H:%M:%S')}  every {text}, Ctrl-C ends\n".encode()
    return HOME_AND_CLEAR + title + b"\n".join(lines)
