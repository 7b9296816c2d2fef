"""The terminal as it was before, however the interface ends; and what others write on stderr kept out of the picture.

Textual restores the terminal when its loop ends. What is added here: signals end the loop, and where it does not end in time the terminal
is restored past it; stderr is a pipe while the picture stands, so that neither a library nor a thread that dies writes into it; the
picture is drawn on stdout, so that `2>/dev/null` changes nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual.app import App

LEAVE = b"".join(
    (
        b"\x1b[?2026l",  # no synchronized update
        b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l",  # no mouse
        b"\x1b[?2004l\x1b[?2048l\x1b[?1004l",  # no bracketed paste, no reports of size and focus
        b"\x1b[<u",  # the keyboard as it was
        b"\x1b[0m\x1b[?7h\x1b[?1049l\x1b[?25h",  # plain text, lines wrap, the other screen, a cursor
    )
)
PATIENCE_S = 3.0
"""How long a signal waits for the interface to end by itself."""
SIGNALS = {signal.SIGTERM: 143, signal.SIGHUP: 143, signal.SIGINT: 130}
"""Signals that end the interface, and the exit status then."""
KEPT_LINES = 200


class StdoutDriver(LinuxDriver):
    """Textual's own, but it draws on stdout, and it is known whether the terminal is in its hands."""

    is_drawing = False

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        self._file = sys.__stdout__

    def start_application_mode(self) -> None:
        StdoutDriver.is_drawing = True
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def stop_application_mode(self) -> None:
        super().stop_application_mode()
        StdoutDriver.is_drawing = False


class Guard:
    """Holds how the terminal was. `restore` may be called at any time, from any thread, more than once."""

    def __init__(self) -> None:
        self._before = _attributes()
        self.status: int | None = None
        """The exit status, once a signal has come."""

    def restore(self) -> None:
        if self._before is not None:
            with contextlib.suppress(OSError, termios.error):
                termios.tcsetattr(0, termios.TCSANOW, self._before)
        if not StdoutDriver.is_drawing:
            return  # Textual has done it: a second time would move the cursor, and take a setting of the shell's away
        with contextlib.suppress(OSError):
            os.set_blocking(1, False)
            os.write(1, LEAVE)
            os.set_blocking(1, True)

    @contextlib.contextmanager
    def signals(self, leave: Callable[[], None]) -> Iterator[None]:
        """While this holds, the signals call `leave`; what then still runs after a while is ended the hard way."""

        def heard(number: int, _frame: Any) -> None:
            if self.status is None:
                timer = threading.Timer(PATIENCE_S, self._end_hard)
                timer.daemon = True
                timer.start()
            self.status = SIGNALS[signal.Signals(number)]
            leave()

        before = {number: signal.signal(number, heard) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end_hard(self) -> None:
        self.restore()
        os._exit(self.status or 143)


@contextlib.contextmanager
def interrupts_elsewhere() -> Iterator[None]:
    """Ctrl-C reaches a program that is run in our place, and we live on: the terminal sends it to both."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN, which the program would inherit
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _attributes() -> list[Any] | None:
    try:
        return termios.tcgetattr(0)
    except (OSError, termios.error):
        return None


class Aside:
    """What is written to stderr while the picture stands: lines for whoever asks, and not in the picture."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.heard: Callable[[str], None] | None = None
        """Called with each line, in a thread of its own."""
        self._stderr: int | None = None
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        sys.stderr.flush()
        self._stderr = os.dup(2)
        reading, writing = os.pipe()
        os.dup2(writing, 2)
        os.close(writing)
        self._thread = threading.Thread(target=self._read, args=(reading,), name="ev-stderr", daemon=True)
        self._thread.start()

    def close(self) -> None:
        if self._stderr is None:
            return
        os.dup2(self._stderr, 2)
        os.close(self._stderr)
        self._stderr = None
        if self._thread is not None:
            self._thread.join(0.2)  # a child may hold the other end open

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """stderr is the terminal again, for a program that is run in our place."""
        was_open = self._stderr is not None
        self.close()
        try:
            yield
        finally:
            if was_open:
                self.open()

    def _read(self, descriptor: int) -> None:
        with open(descriptor, "rb", buffering=0) as pipe:
            rest = b""
            while data := pipe.read(65536):
                *whole, rest = (rest + data).split(b"\n")
                for line in whole:
                    self._hear(line.decode(errors="replace"))
            if rest:
                self._hear(rest.decode(errors="replace"))

    def _hear(self, line: str) -> None:
        self.lines.append(line)
        heard = self.heard
        if heard is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                heard(line)
