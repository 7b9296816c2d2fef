"""The processes of a handler: started with a record's place in their environment, waited for all at once, ended with us.

Each gets a process group of its own, so that Ctrl-C reaches only ev, which lets it finish what it has. Input that is known beforehand is
given as a file without a name: nobody has to feed it, and a process that does not read it breaks nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time

from ev_cli.failures import Failure
from ev_cli.handler_rules import NOT_EXECUTABLE, NOT_FOUND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Headers = Sequence[tuple[str, bytes | None]]

TEMPLATES = ("{}", "{key}", "{topic}", "{partition}", "{offset}", "{timestamp}")
"""What stands for a part of the record in the arguments of --each; {} is its value."""
VARIABLE_BYTES_MAX = 100_000
"""Linux takes variables and arguments up to 128 KiB."""
LOOK_MS = 5
"""How often it is looked who has ended, where the system cannot tell by itself."""
KILL_AFTER_S = 1.0


class BadArgumentError(Exception):
    """A part of the record cannot be an argument of a program."""


class Child:
    """One process, and what the sink wants to remember with it."""

    __slots__ = ("handle", "job", "killed", "process", "started_s", "too_late")

    def __init__(self, process: subprocess.Popen[bytes], handle: int, job: Any) -> None:
        self.process = process
        self.handle = handle
        """The descriptor that becomes readable when it has ended; -1 where there is no such thing."""
        self.job = job
        self.started_s = time.monotonic()
        self.killed = False
        self.too_late = False

    def signal(self, number: int) -> None:
        """To the process and what it has started in its group."""
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            return


class Children:
    """All that run."""

    def __init__(self) -> None:
        import select

        self.running: dict[int, Child] = {}
        self._poll = select.poll()
        self._by_handle: dict[int, Child] = {}
        self._readable = select.POLLIN

    def start(self, command: list[str], environ: dict[str, str], stdin: int, job: Any = None, stdout: int | None = None) -> Child:
        """Run the command; the descriptor for its stdin is closed here. A Failure with status 126 or 127 when it cannot be run."""
        try:
            process = subprocess.Popen(command, stdin=stdin, stdout=stdout, env=environ, process_group=0)
        except OSError as error:
            code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
            raise Failure(f"cannot run {command[0]!r}: {error.strerror}", "what stands behind -- is the handler", code=code) from None
        finally:
            os.close(stdin)
        handle = _handle_of(process.pid)
        child = Child(process, handle, job)
        self.running[process.pid] = child
        if handle >= 0:
            self._by_handle[handle] = child
            self._poll.register(handle, self._readable)
        return child

    def watch(self, descriptor: int) -> None:
        """`ended` returns as well when this becomes readable."""
        self._poll.register(descriptor, self._readable)

    def unwatch(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)

    def ended(self, timeout_ms: int) -> list[Child]:
        """Those that have ended, waiting at most that long for the first."""
        if not self.running:
            return []
        if self._by_handle:
            self._poll.poll(timeout_ms)
            return self._reap()
        until = time.monotonic() + timeout_ms / 1000
        while True:
            found = self._reap()
            if found or time.monotonic() >= until:
                return found
            self._poll.poll(LOOK_MS)

    def _reap(self) -> list[Child]:
        found = [child for child in self.running.values() if child.process.poll() is not None]
        for child in found:
            del self.running[child.process.pid]
            if child.handle >= 0:
                self._poll.unregister(child.handle)
                del self._by_handle[child.handle]
                os.close(child.handle)
        return found

    def kill_overdue(self, timeout_ms: int | None) -> None:
        """End those that take too long: asked first, a second later made to."""
        if timeout_ms is None:
            return
        now_s = time.monotonic()
        for child in self.running.values():
            over_s = now_s - child.started_s - timeout_ms / 1000
            if over_s > 0 and not child.too_late:
                child.too_late = True
                child.signal(signal.SIGTERM)
            elif over_s > KILL_AFTER_S and not child.killed:
                child.killed = True
                child.signal(signal.SIGKILL)

    def kill_all(self) -> None:
        """At once."""
        for child in self.running.values():
            child.signal(signal.SIGKILL)

    def end_all(self) -> None:
        """However the run has ended, nothing of it goes on."""
        for child in self.running.values():
            child.signal(signal.SIGTERM)
        until = time.monotonic() + KILL_AFTER_S
        while self.running and time.monotonic() < until:
            self.ended(50)
        for child in self.running.values():
            child.signal(signal.SIGKILL)
            child.process.wait()
        self._reap()


def _handle_of(pid: int) -> int:
    try:
        return os.pidfd_open(pid) if hasattr(os, "pidfd_open") else -1
    except OSError:
        return -1


def input_of(data: bytes) -> int:
    """A descriptor from which the data can be read."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("ev")
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def environment(attempt: int, group: str, count: int) -> dict[str, str]:
    """Ours, and what holds for every process of a handler."""
    environ = {name: value for name, value in os.environ.items() if name not in _OURS}
    environ["EV_ATTEMPT"] = str(attempt)
    environ["EV_COUNT"] = str(count)
    if group:
        environ["EV_GROUP"] = group
    return environ


_OURS = frozenset((
    "EV_TOPIC", "EV_PARTITION", "EV_OFFSET", "EV_TIMESTAMP", "EV_KEY", "EV_KEY_B64", "EV_NULL", "EV_HEADERS_JSON", "EV_ATTEMPT", "EV_COUNT",
    "EV_GROUP",
))  # fmt: skip


def add_record(
    environ: dict[str, str],
    topic: str,
    partition: int,
    offset: int,
    timestamp: int,
    key: bytes | None,
    value: bytes | None,
    headers: Headers,
) -> None:
    """The place and the parts of one record as variables. A key that cannot be one is there as EV_KEY_B64."""
    environ["EV_TOPIC"] = topic
    environ["EV_PARTITION"] = str(partition)
    environ["EV_OFFSET"] = str(offset)
    environ["EV_TIMESTAMP"] = str(timestamp)
    if value is None:
        environ["EV_NULL"] = "1"
    if key is not None and b"\0" not in key and len(key) <= VARIABLE_BYTES_MAX:
        environ["EV_KEY"] = os.fsdecode(key)
    elif key is not None and len(key) <= VARIABLE_BYTES_MAX // 2:
        from base64 import b64encode

        environ["EV_KEY_B64"] = b64encode(key).decode()
    text = _headers_json(headers)
    if len(text) <= VARIABLE_BYTES_MAX:
        environ["EV_HEADERS_JSON"] = text


def _headers_json(headers: Headers) -> str:
    if not headers:
        return "[]"
    from ev_cli.json_out import headers_json

    return headers_json(headers).decode()


def filled_in(command: list[str], parts: dict[str, bytes | None]) -> list[str]:
    """The command with the templates in its arguments replaced; `parts` has a value for each of TEMPLATES."""
    found = [command[0]]
    for word in command[1:]:
        text = word
        if "{" in word:
            text = _replaced(word, parts)
        found.append(text)
    return found


def _replaced(word: str, parts: dict[str, bytes | None]) -> str:
    """One pass from left to right: what a record holds is not looked through for templates."""
    out = ""
    position = 0
    while position < len(word):
        template = next((name for name in TEMPLATES if word.startswith(name, position)), None)
        if template is None:
            out += word[position]
            position += 1
            continue
        data = parts[template] or b""
        if b"\0" in data:
            raise BadArgumentError(f"{template} holds a NUL byte, which no argument can")
        if len(data) > VARIABLE_BYTES_MAX:
            raise BadArgumentError(f"{template} has {len(data)} bytes, too many for an argument")
        out += os.fsdecode(data)
        position += len(template)
    return out
