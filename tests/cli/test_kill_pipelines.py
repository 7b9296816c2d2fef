"""Pipelines whose parts are killed in turn: the reader, the handler, ev, the engine. Nothing is lost, and what comes twice is bounded."""

from __future__ import annotations

import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from support.command_line import MODULE, CommandLine, Running
from support.pipelines import total
from support.waiting import wait_for

pytestmark = pytest.mark.crash

COUNT = 1_500
RECORD_BYTES = 100
PAUSE_S = 0.001
COMMIT_S = 0.5
READ_BYTES = 8192
PIPE_BYTES = 65536

HANDLER = f"""\
import os, sys, time
handled = os.open("handled", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
with open("pid.new", "w") as file:
    file.write(str(os.getpid()))
os.rename("pid.new", "pid")
answers = len(sys.argv) > 1
for line in sys.stdin.buffer:
    time.sleep({PAUSE_S})
    os.write(handled, line)
    if answers:
        os.write(1, b"ok\\n")
"""
KINDS = {
    "pipe": (),
    "stream": ("--",),
    "batch": ("--batch", "50", "--"),
    "parallel": ("--batch", "20", "--parallel", "3", "--order", "partition", "--"),
    "answers": ("--ack", "--"),
}
VICTIMS = ("handler", "ev", "engine")


class Pipeline:
    """`ev consume` with a handler of one kind, in a directory of its own."""

    def __init__(self, ev: CommandLine, directory: pathlib.Path, kind: str) -> None:
        self.directory = directory
        (directory / "handler.py").write_text(HANDLER)
        (directory / "pid").unlink(missing_ok=True)
        handler = [sys.executable, "-I", "-S", "handler.py"]
        arguments = ["consume", "t", "-g", "g", "-X", "session.timeout.ms=1500", "-q"]
        if kind == "answers":
            handler.append("answers")
        if kind != "pipe":
            arguments += ["--backoff", "1ms..5ms", *KINDS[kind], *handler]
        self.behind: subprocess.Popen[bytes] | None = None
        output = None
        if kind == "pipe":
            self.behind = subprocess.Popen(handler, stdin=subprocess.PIPE, cwd=directory)
            output = self.behind.stdin
        self.running: Running = ev.start(*arguments, stdin=subprocess.DEVNULL, stdout=output or subprocess.DEVNULL, cwd=directory)
        if output is not None:
            output.close()

    @property
    def size(self) -> int:
        file = self.directory / "handled"
        return file.stat().st_size if file.exists() else 0

    def get_on(self) -> None:
        """Until something more has been handled."""
        before = self.size
        wait_for(lambda: self.size > before or self.running.process.poll() is not None, "the handler to get on", 60)

    def kill_handler(self) -> None:
        pid = int((self.directory / "pid").read_text())
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def end(self) -> None:
        if self.running.process.poll() is None:
            self.running.signal(signal.SIGTERM)
        self.running.process.wait(60)
        self.running.kill()
        if self.behind is not None:
            self.behind.wait(60)


def run(ev: CommandLine, directory: pathlib.Path, kills: list[tuple[str, str]], chance: random.Random) -> None:
    """Kill what is named in pipelines of these kinds, one after the other; then let one come to its end."""
    ev.variables["EV_GROUP_MIN_SESSION_TIMEOUT_MS"] = "1000"
    ev("topic", "create", "t", "-p", "3")
    ev("produce", "t", "--partitioner", "rr", data=b"".join(b"%099d\n" % number for number in range(COUNT)))
    for kind, victim in kills:
        if total(ev, "g") == COUNT:
            break
        pipeline = Pipeline(ev, directory, kind)
        try:
            pipeline.get_on()
            time.sleep(chance.random() * 0.1)
            if victim == "handler":
                pipeline.kill_handler()
            elif victim == "ev":
                pipeline.running.process.kill()
            else:
                os.kill(ev.pid, signal.SIGKILL)
            if victim != "ev":
                time.sleep(chance.random() * 0.1)
        finally:
            pipeline.end()
    if total(ev, "g") < COUNT:
        last = subprocess.run(
            [*MODULE, "consume", "t", "-g", "g", "-e", "-q", "--", sys.executable, "-I", "-S", "handler.py"],
            env=ev.variables,
            cwd=directory,
            timeout=100,
        )
        assert last.returncode == 0
    handled = [int(line) for line in (directory / "handled").read_bytes().split()]
    assert set(handled) == set(range(COUNT))
    assert total(ev, "g") == COUNT
    at_most = (PIPE_BYTES + 2 * READ_BYTES) // RECORD_BYTES + int((COMMIT_S + 0.5) / PAUSE_S)
    assert len(handled) - COUNT <= at_most * len(kills)


def test_each_part_is_killed(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """The reader, ev and the engine, one after the other, in one group."""
    kills = [("pipe", "handler"), ("pipe", "ev"), ("stream", "engine")]
    run(ev, tmp_path, kills, random.Random(1))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_parts_are_killed_at_random(ev: CommandLine, tmp_path: pathlib.Path, seed: int) -> None:
    """Seeded: the same kinds and victims each time."""
    chance = random.Random(seed)
    kills = [(chance.choice(list(KINDS)), chance.choice(VICTIMS)) for _ in range(12)]
    run(ev, tmp_path, kills, chance)
