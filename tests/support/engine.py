"""Starts, stops and kills a real daemon for a test: its own data directory, port 0 on loopback, and nothing of the user's.

    with Engine(tmp_path / "data", settings={"log.segment.bytes": "1048576"}) as engine:
        engine.address            '127.0.0.1:40123'
        engine.kill()             SIGKILL, as a crash
        engine.start()            again, on the same port: clients find it where it was
        engine.stop()             SIGTERM; returns the exit status

What the daemon says goes to `engine.log_path`; a start that fails raises NotReady with its last lines.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = os.pathsep.join(str(ROOT / name) for name in ("engine", "cli", "tui"))
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "COVERAGE_PROCESS_START")


class NotReadyError(Exception):
    """The daemon did not come up; the message holds what it said."""


def environment(**extra: str) -> dict[str, str]:
    """The variables for a process of ours: the sources of this checkout and nothing that the user has set for ev."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return {**kept, "PYTHONPATH": SOURCES, "PYTHONWARNINGS": "ignore", **extra}


class Engine:
    """One daemon on one data directory. Not started by the constructor; `with` starts it and stops it."""

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        settings: Mapping[str, str] | None = None,
        listen: str = "127.0.0.1:0",
        arguments: Sequence[str] = (),
        wrapper: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
        fault: str = "",
    ) -> None:
        self.directory = pathlib.Path(directory).resolve()
        self.settings = dict(settings or {})
        self.listen = listen
        self.arguments = tuple(arguments)
        self.wrapper = tuple(wrapper)  # for strace and the like: it becomes the daemon by exec, or its parent
        self.variables = dict(variables or {})
        self.fault = fault  # a seeded fault (`torture.faults`): this engine breaks a promise
        self.log_path = self.directory.with_name(self.directory.name + ".daemon.log")
        self.process: subprocess.Popen[bytes] | None = None
        self.address = ""

    @property
    def host(self) -> str:
        return self.address.rpartition(":")[0]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def pid(self) -> int:
        assert self.process is not None, "the engine was not started"
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def command(self, ready_fd: int) -> list[str]:
        settings = [part for name, value in self.settings.items() for part in ("--set", f"{name}={value}")]
        module = ["torture.faulty", self.fault] if self.fault else ["ev.server.daemon"]
        daemon = [sys.executable, "-P", "-m", *module, "--data-dir", str(self.directory), "--listen", self.listen]
        return [*self.wrapper, *daemon, "--ready-fd", str(ready_fd), *settings, *self.arguments]

    def start(self, timeout_s: float = 30) -> Engine:
        """Start the daemon and return when it says that it is ready; it takes the port that it had before."""
        assert not self.running, "the engine runs already"
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        variables = {"PYTHONPATH": os.pathsep.join((SOURCES, str(ROOT / "tests")))} if self.fault else {}
        reader, writer = os.pipe()
        try:
            with self.log_path.open("ab") as log:
                self.process = subprocess.Popen(
                    self.command(writer),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(writer,),
                    env=environment(**variables, **self.variables),
                    start_new_session=True,
                )
        finally:
            os.close(writer)
        try:
            words = read_line(reader, timeout_s).split(maxsplit=1)
        finally:
            os.close(reader)
        if not words or words[0] != "ready":
            self.kill()
            raise NotReadyError(f"the daemon is not ready, it said {' '.join(words)!r}:\n{self.log()[-3000:]}")
        self.address = words[1].strip()
        self.listen = self.address
        return self

    def stop(self, timeout_s: float = 20) -> int:
        """Stop the daemon as an administrator does; returns its exit status."""
        return self.signal_and_wait(signal.SIGTERM, timeout_s)

    def kill(self) -> int:
        """Kill the daemon as a crash does."""
        return self.signal_and_wait(signal.SIGKILL, 20)

    def signal_and_wait(self, number: int, timeout_s: float) -> int:
        assert self.process is not None, "the engine was not started"
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise NotReadyError(f"the daemon did not end within {timeout_s} s of signal {number}:\n{self.log()[-3000:]}") from None

    def wait(self, timeout_s: float = 20) -> int:
        """The exit status of a daemon that ends by itself."""
        assert self.process is not None, "the engine was not started"
        return self.process.wait(timeout_s)

    def log(self) -> str:
        """Everything that this engine's daemons wrote so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def connect(self, timeout_s: float = 10) -> socket.socket:
        """A plain TCP connection to the engine."""
        return socket.create_connection((self.host, self.port), timeout=timeout_s)

    def close(self) -> None:
        if self.process is not None:
            self.kill()

    def __enter__(self) -> Engine:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.close()


def read_line(descriptor: int, timeout_s: float) -> str:
    """One line from a pipe, or what came before its end or the time-out."""
    deadline, data = time.monotonic() + timeout_s, b""
    while not data.endswith(b"\n"):
        if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return "nothing in time"
        piece = os.read(descriptor, 4096)
        if not piece:
            break
        data += piece
    return data.decode(errors="replace")
