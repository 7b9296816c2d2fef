"""The first Ctrl-C, SIGTERM or SIGHUP asks for an orderly end, the second ends at once.

A handler that raises in the middle of the client's work, or between a write and the note of how much was written, would break
what it interrupts. So it only remembers the signal, and raises nowhere but in `waiting()`: a wait that has no state.

The C module is used as it is: `signal` around it makes enums of its numbers, which a one-shot `ev produce` would feel.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import os

from ev_cli.failures import Interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

_STATUS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 143}


class Interrupts:
    """The signals of one run."""

    def __init__(self) -> None:
        self.status = 0
        """The exit status that the first signal asks for; 0 while none came."""
        self.before_death: Callable[[], None] | None = None
        """What the second signal does before it ends us."""
        self._waiting = False
        self._statuses: dict[int, int] = {}

    def install(self) -> Self:
        for name, status in _STATUS.items():
            number = getattr(signal, name, None)
            # A signal that the parent chose to ignore (nohup) stays ignored.
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                self._statuses[number] = status
                signal.signal(number, self._caught)
        return self

    def _caught(self, number: int, frame: Any) -> None:
        if self.status:
            if self.before_death is not None:
                self.before_death()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            os._exit(self._statuses[number])
        self.status = self._statuses[number]
        if self._waiting:
            raise Interrupted

    def __bool__(self) -> bool:
        return self.status != 0

    def waiting(self) -> Self:
        """`with interrupts.waiting():` around a wait that a signal may end by raising Interrupted."""
        return self

    def __enter__(self) -> None:
        self._waiting = True
        if self.status:
            self._waiting = False
            raise Interrupted

    def __exit__(self, *_: object) -> None:
        self._waiting = False
