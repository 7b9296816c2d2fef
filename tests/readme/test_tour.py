"""The README's first five minutes, replayed on two terminals: what it shows is what happens."""

from __future__ import annotations

import contextlib
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from support.engine import ROOT, environment

TOUR = re.compile(r"<!-- tour:.*?-->(.*?)\n## ", re.DOTALL)
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)


class Terminal:
    """A program on a pseudo-terminal of its own: stdin, stdout and stderr."""

    def __init__(self, command: str, variables: dict[str, str]) -> None:
        arguments = [sys.executable, "-P", "-m", "ev_cli", *command.split()[1:]]
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(arguments, stdin=slave, stdout=slave, stderr=slave, env=variables, start_new_session=True)
        os.close(slave)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def wait_for(self, text: str, timeout_s: float = 30) -> None:
        """Read until `text` has been shown behind what was waited for before."""
        deadline = time.monotonic() + timeout_s
        while text not in self.seen:
            ready = select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]
            assert ready, f"{text!r} was not shown, but {self.seen!r}"
            try:
                self.seen += os.read(self.master, 65536).decode(errors="replace").replace("\r\n", "\n")
            except OSError:  # the other end is closed
                assert text in self.seen, f"{text!r} was not shown, but {self.seen!r}"
        self.seen = self.seen.partition(text)[2]

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def variables(tmp_path: pathlib.Path) -> Iterator[dict[str, str]]:
    """An engine of this test's own that nobody has started yet."""
    found = environment(
        EV_DATA_DIR=str(tmp_path / "data"),
        EV_LISTEN="127.0.0.1:0",
        EV_CONFIG=str(tmp_path / "config.toml"),
        HOME=str(tmp_path),
        TERM="dumb",
        LANG="C.UTF-8",
    )
    yield found
    subprocess.run([sys.executable, "-P", "-m", "ev_cli", "down"], env=found, capture_output=True, timeout=60)


def transcript() -> list[tuple[str, str]]:
    """(terminal, what stands behind its prompt or `shows`) of the README's console blocks, in order."""
    tour = TOUR.search((ROOT / "README.md").read_text())
    assert tour is not None, "the README has no tour"
    steps: list[tuple[str, str]] = []
    for block in CONSOLE.findall(tour.group(1)):
        current = ""
        for line in block.splitlines():
            prompt = re.match(r"(first|second)([$>]) (.*)", line)
            if prompt is None:
                steps.append((current, f"shows {line}"))
            else:
                current = prompt.group(1)
                steps.append((current, ("runs " if prompt.group(2) == "$" else "types ") + prompt.group(3)))
    return steps


@pytest.mark.timeout(180)
def test_the_first_five_minutes(variables: dict[str, str]) -> None:
    """Each command of the tour is run, each line typed, and each line that the README shows appears where it says."""
    terminals: dict[str, Terminal] = {}
    steps = transcript()
    assert {name for name, _ in steps} == {"first", "second"}
    try:
        for name, step in steps:
            verb, _, text = step.partition(" ")
            if verb == "runs":
                terminals[name] = Terminal(text, variables)
            elif verb == "types":
                terminals[name].type(text + "\n")
            else:
                terminals[name].wait_for(text)
        terminals["first"].type("4.80 tea\n")
        terminals["second"].wait_for("4.80 tea")
        terminals["first"].type("\x04")
        assert terminals["first"].process.wait(20) == 0
        os.kill(terminals["second"].process.pid, signal.SIGINT)
        assert terminals["second"].process.wait(20) in (130, -signal.SIGINT)
    finally:
        for terminal in terminals.values():
            terminal.close()
