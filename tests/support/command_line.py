"""Runs the command line as a user does: as processes, each test with a data directory, a port and a configuration of its own."""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from typing import Any

from support.engine import environment

MODULE = (sys.executable, "-P", "-m", "ev_cli")


class Finished:
    """How a command ended."""

    def __init__(self, status: int, out: bytes, err: bytes) -> None:
        # A process that died of a signal has the status that a shell would give it.
        self.status = 128 - status if status < 0 else status
        self.out = out
        self.err = err.decode(errors="replace")

    @property
    def lines(self) -> list[str]:
        return self.out.decode().splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def __repr__(self) -> str:
        return f"Finished({self.status}, {self.out[:500]!r}, {self.err[:2000]!r})"


class CommandLine:
    """`ev` for one test. close() ends the engine that it may have started."""

    def __init__(self, directory: pathlib.Path, **variables: str) -> None:
        self.directory = directory
        self.data_dir = directory / "data"
        self._running: list[Running] = []
        self.variables = environment(
            EV_DATA_DIR=str(self.data_dir),
            EV_LISTEN="127.0.0.1:0",
            EV_CONFIG=str(directory / "config.toml"),
            HOME=str(directory),
            LANG="C.UTF-8",
            **variables,
        )

    def __call__(self, *arguments: str, data: bytes = b"", status: int | None = 0, timeout_s: float = 60, **variables: str) -> Finished:
        """Run a command to its end; the exit status is checked unless it is None."""
        done = subprocess.run(
            [*MODULE, *arguments], input=data, capture_output=True, env={**self.variables, **variables}, timeout=timeout_s
        )
        finished = Finished(done.returncode, done.stdout, done.stderr)
        assert status is None or finished.status == status, f"ev {' '.join(arguments)}: {finished}"
        assert "Traceback" not in finished.err, finished.err
        return finished

    def shell(self, script: str, *, timeout_s: float = 60) -> Finished:
        """Run a shell script in which `ev` is this command line."""
        start = f'ev() {{ {" ".join(MODULE)} "$@"; }}\n'
        done = subprocess.run(
            ["bash", "-c", start + script], capture_output=True, env=self.variables, timeout=timeout_s, cwd=self.directory
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, **options: Any) -> Running:
        """A command that runs on; its streams are pipes. It ends with the test."""
        running = Running(arguments, self.variables, **options)
        self._running.append(running)
        return running

    def terminal(self, *arguments: str) -> Terminal:
        return Terminal(arguments, self.variables)

    def json(self, *arguments: str, status: int | None = 0) -> Any:
        return self(*arguments, "--json", status=status).json

    @property
    def address(self) -> str:
        """That of the running engine."""
        found: str = json.loads((self.data_dir / "engine.json").read_text())["address"]
        return found

    @property
    def pid(self) -> int:
        found: int = json.loads((self.data_dir / "engine.json").read_text())["pid"]
        return found

    def close(self) -> None:
        for running in self._running:
            running.kill()
        if self.data_dir.exists():
            self("down", "-q", status=None)


class Running:
    """A command that has not ended."""

    def __init__(self, arguments: tuple[str, ...], variables: dict[str, str], **options: Any) -> None:
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen([*MODULE, *arguments], env=variables, bufsize=0, **{**streams, **options})
        self.out = b""
        self.err = b""

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    def wait_for(self, text: bytes, timeout_s: float = 30) -> None:
        """Until stdout or stderr has shown the text."""
        deadline = time.monotonic() + timeout_s
        while text not in self.out and text not in self.err:
            assert self._read(max(0.0, deadline - time.monotonic())), f"{text!r} did not come: {self.out[-500:]!r} {self.err[-2000:]!r}"

    def _read(self, timeout_s: float) -> bool:
        """Take what the command says; False when nothing came in time, or nothing will."""
        streams = [stream for stream in (self.process.stdout, self.process.stderr) if stream is not None]
        ready = select.select(streams, [], [], timeout_s)[0]
        came = False
        for stream in ready:
            piece = os.read(stream.fileno(), 1 << 16)
            came = came or bool(piece)
            if stream is self.process.stdout:
                self.out += piece
            else:
                self.err += piece
        return came

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, timeout_s: float = 30) -> Finished:
        """Close stdin, and wait for the end."""
        out, err = self.process.communicate(timeout=timeout_s)
        return Finished(self.process.returncode, self.out + (out or b""), self.err + (err or b""))

    def kill(self) -> None:
        """End it if it has not ended, and close what belongs to it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class Terminal:
    """A command on a pseudo-terminal of its own, which controls it: Ctrl-C is a signal."""

    def __init__(self, arguments: tuple[str, ...], variables: dict[str, str]) -> None:
        self.master, slave = pty.openpty()
        environ = {**variables, "TERM": "xterm"}
        self.process = subprocess.Popen(
            [*MODULE, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environ,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def wait_for(self, text: str, timeout_s: float = 30) -> None:
        """Until the text has been shown."""
        deadline = time.monotonic() + timeout_s
        while text not in self.seen:
            ready = select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))[0]
            assert ready, f"{text!r} was not shown: {self.seen!r}"
            try:
                self.seen += os.read(self.master, 65536).decode(errors="replace").replace("\r\n", "\n")
            except OSError:  # Linux says so when the other end is closed
                assert text in self.seen, f"{text!r} was not shown: {self.seen!r}"

    def wait(self, timeout_s: float = 30) -> int:
        """The exit status, as a shell would give it. What is still said is read, or the command could not end."""
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end: {self.seen!r}"
            if select.select([self.master], [], [], 0.02)[0]:
                try:
                    self.seen += os.read(self.master, 65536).decode(errors="replace").replace("\r\n", "\n")
                except OSError:
                    break
        status = self.process.wait(timeout_s)
        return 128 - status if status < 0 else status

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
