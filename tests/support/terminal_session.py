"""A program on a pseudo-terminal of its own, which keeps what it writes, byte for byte, and answers no questions."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from types import TracebackType

from support.engine import environment


class TerminalSession:
    """`raw` is all that was written so far."""

    def __init__(self, command: list[str], *, size: tuple[int, int] = (120, 40), variables: dict[str, str] | None = None) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        given = {"TERM": "xterm-256color", "LANG": "C.UTF-8", **(variables or {})}
        environ = {**environment(), **given}
        environ["PYTHONPATH"] = os.pathsep.join([environ["PYTHONPATH"], os.path.dirname(os.path.dirname(__file__))])
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environ,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.raw = b""

    def __enter__(self) -> TerminalSession:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.slave)
        os.close(self.master)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def read(self, timeout_s: float) -> bool:
        """What is there, after waiting that long at most."""
        if not select.select([self.master], [], [], timeout_s)[0]:
            return False
        try:
            self.raw += os.read(self.master, 1 << 16)
        except OSError:
            return False
        return True

    def drain(self) -> None:
        """Read what was written until now."""
        while self.read(0.1):
            pass

    def wait_for(self, text: str, *, after: int = 0, timeout_s: float = 30) -> int:
        """Until the text was written behind the first `after` bytes; how many bytes there are then."""
        deadline = time.monotonic() + timeout_s
        while text.encode() not in self.raw[after:]:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} was not shown: {self.raw[-3000:]!r}"
            self.read(min(left, 0.5))
        return len(self.raw)

    def wait(self, timeout_s: float = 60) -> int:
        """Read until the program ends; its exit status as a shell would give it."""
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end: {self.raw[-3000:]!r}"
            self.read(0.05)
        while self.read(0):
            pass
        status = self.process.wait()
        return 128 - status if status < 0 else status

    @property
    def is_as_before(self) -> bool:
        """Whether the line discipline is what it was, and the modes that were set are unset again."""
        return termios.tcgetattr(self.slave) == self.before and self.modes_left == {}

    @property
    def modes_left(self) -> dict[str, str]:
        """DEC modes whose last word differs from how a terminal begins."""
        usual = {"7": "h", "25": "h"}
        last = {number.decode(): word.decode() for number, word in re.findall(rb"\x1b\[\?(\d+)([hl])", self.raw)}
        return {number: word for number, word in last.items() if word != usual.get(number, "l")}
