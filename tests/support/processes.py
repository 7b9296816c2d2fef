"""Client processes of a test: started, listened to, ended."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys

from support.engine import ROOT, SOURCES, environment


class Process:
    """A verifying producer or consumer and what it has said so far."""

    def __init__(self, directory: pathlib.Path, name: str, module: str, *arguments: str) -> None:
        self.name = name
        self.path = directory / f"{name}.out"
        self.complaints = directory / f"{name}.err"
        self.noted = 0
        variables = environment(PYTHONPATH=f"{SOURCES}:{ROOT / 'tests'}")
        with self.path.open("wb") as out, self.complaints.open("wb") as err:
            command = [sys.executable, "-P", "-m", module, *arguments]
            self.process = subprocess.Popen(command, stdout=out, stderr=err, env=variables)

    def note(self) -> None:
        """Remember how much was said; nothing is said unless the client gets on."""
        self.noted = self.path.stat().st_size

    def has_said_more(self) -> bool:
        return self.path.stat().st_size > self.noted

    def lines(self) -> list[list[str]]:
        return [line.split(" ", 3) for line in self.path.read_text().splitlines()]

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        try:
            status = self.process.wait(90)
        finally:
            self.process.kill()
            self.process.wait()
        assert status == 0, f"{self.name} ended with {status}: {self.complaints.read_text()[-2000:]}"
