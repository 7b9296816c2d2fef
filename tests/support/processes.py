"""Client processes of a test: started, listened to, paused, killed, ended."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys

from support.engine import ROOT, SOURCES, environment
from support.tally import VARIABLE, Tally


class Process:
    """A verifying producer or consumer and what it has said so far."""

    def __init__(self, directory: pathlib.Path, name: str, module: str, *arguments: str) -> None:
        self.name = name
        self.path = directory / f"{name}.out"
        self.complaints = directory / f"{name}.err"
        self.tally = Tally.created(directory / f"{name}.tally")
        self.noted = 0
        variables = environment(PYTHONPATH=f"{SOURCES}:{ROOT / 'tests'}", **{VARIABLE: str(directory / f"{name}.tally")})
        with self.path.open("wb") as out, self.complaints.open("wb") as err:
            command = [sys.executable, "-P", "-m", module, *arguments]
            self.process = subprocess.Popen(command, stdout=out, stderr=err, env=variables)

    def note(self) -> None:
        """Remember how much was said; nothing is said unless the client gets on."""
        self.noted = self.path.stat().st_size

    def has_said_more(self) -> bool:
        return self.path.stat().st_size > self.noted

    def lines(self) -> list[list[str]]:
        """What it said, line by line; the last one only if it is whole, as it may have been killed in the middle of it."""
        whole = self.path.read_text().rpartition("\n")[0]
        return [line.split(" ", 3) for line in whole.splitlines()]

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """As a crash does; also one that is paused."""
        self.process.kill()
        self.process.wait()

    def wait(self) -> None:
        try:
            status = self.process.wait(90)
        finally:
            self.kill()
        assert status == 0, f"{self.name} ended with {status}: {self.complaints.read_text()[-2000:]}"
