"""ev produce --follow: each line of a file in the topic once, whatever is killed."""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from ev.client import Admin, Consumer
from ev.client.results import NewTopic
from support.command_line import MODULE, CommandLine, Running
from support.engine import Engine
from support.waiting import wait_for

TOPIC = "log"


@pytest.fixture
def log(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "app.log"


def append(path: pathlib.Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def values(ev: CommandLine, topic: str = TOPIC) -> list[str]:
    return ev("consume", topic, "-e").lines


def following(ev: CommandLine, path: pathlib.Path, *options: str) -> Running:
    return ev.start("produce", TOPIC, "--follow", str(path), "-v", *options)


def test_lines_go_on_after_a_kill_and_through_rotation(ev: CommandLine, log: pathlib.Path) -> None:
    """SIGKILL, a rename, a copy that is truncated, a file made anew; what happened while ev was away as well."""
    append(log, b"one\ntwo\nthr")
    first = following(ev, log)
    first.wait_for(b"log/0@1")
    append(log, b"ee\n")
    first.wait_for(b"log/0@3")  # the end of the first transaction has an offset too
    first.process.kill()
    append(log, b"four\n")
    log.rename(log.with_name("app.log.1"))
    append(log, b"five\n")
    second = following(ev, log)
    second.wait_for(b"log/0@")
    wait_for(lambda: values(ev)[-1:] == ["five"], "the line behind the rotation")
    shutil.copyfile(log, log.with_name("app.log.2"))
    os.truncate(log, 0)
    append(log, b"six\n")
    wait_for(lambda: values(ev)[-1:] == ["six"], "the line behind the truncation")
    log.unlink()
    append(log, b"seven\nand no end")
    wait_for(lambda: values(ev)[-1:] == ["seven"], "the line of the new file")
    second.signal(signal.SIGTERM)
    done = second.end()
    assert done.status == 143
    assert "4 records committed" in done.err
    assert values(ev) == ["one", "two", "three", "four", "five", "six", "seven"]


def test_only_one_follows_a_file(ev: CommandLine, log: pathlib.Path) -> None:
    """Whoever begins later takes over; the other one ends with status 1, and says why."""
    append(log, b"one\n")
    first = following(ev, log)
    first.wait_for(b"log/0@0")
    following(ev, log)
    lines = ["one"]

    def has_ended() -> bool:
        lines.append(f"line {len(lines)}")
        append(log, lines[-1].encode() + b"\n")
        return first.process.poll() is not None

    wait_for(has_ended, "the first to see that it was replaced")
    done = first.end()
    assert done.status == 1
    assert "another ev follows" in done.err
    wait_for(lambda: len(values(ev)) == len(lines), "all lines")
    assert values(ev) == lines


def test_a_local_engine_that_dies_is_started_again(ev: CommandLine, log: pathlib.Path) -> None:
    """By the ev that needs it, which says so, and goes on where it was."""
    append(log, b"one\n")
    running = following(ev, log)
    running.wait_for(b"log/0@0")
    os.kill(ev.pid, signal.SIGKILL)
    append(log, b"two\n")
    running.wait_for(b"goes on with")
    assert b"tries again" in running.err
    running.kill()
    assert values(ev) == ["one", "two"]


def test_several_files_and_keys_and_a_count(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """Each file has its own position; -n ends after so many, and the rest is for the next run."""
    left, right = tmp_path / "left", tmp_path / "right"
    append(left, b"a:1\nb:2\n")
    append(right, b"c:3\nd:4\ne:5\n")
    ev("produce", TOPIC, "--follow", "-K", ":", "-n", "3", str(left), str(right))
    assert sorted(values(ev)) == ["1", "2", "3"]
    ev("produce", TOPIC, "--follow", "-K", ":", "-n", "2", str(left), str(right))
    assert ev("consume", TOPIC, "-e", "-f", "%k%v ").out == b"a1 b2 c3 d4 e5 "


def test_what_cannot_be_read_goes_where_on_error_says(ev: CommandLine, log: pathlib.Path) -> None:
    """dlq in the same transaction; stop commits what came before, and names file and byte."""
    append(log, b'{"value":"a"}\nbad\n{"value":"b"}\n')
    ev("produce", TOPIC, "-J", "--on-error", "dlq=dead", "-n", "3", "--follow", str(log))
    assert values(ev) == ["a", "b"]
    dead = ev("consume", "dead", "-e", "-J").lines
    assert len(dead) == 1
    assert '"value":"bad"' in dead[0]
    assert f"byte 14 of {log}" in dead[0]
    append(log, b'{"value":"c"}\nworse\n')
    done = ev("produce", TOPIC, "-J", "--follow", str(log), status=1)
    assert f"byte 46 of {log}: no JSON" in done.err
    assert values(ev) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--follow",),
        ("--follow", "-"),
        ("--follow", "f", "--whole"),
        ("--follow", "f", "--acks", "1"),
        ("--follow", "f", "--no-idempotence"),
        ("--follow", "f", "-f", "lp32"),
        ("--follow", "f", "-f", "csv"),
        ("--follow", "f", "f"),
        ("--follow", "f", "--rate", "5"),
    ],
)
def test_what_does_not_go_with_follow_is_a_usage_error(ev: CommandLine, arguments: tuple[str, ...]) -> None:
    """One line, and no engine is started."""
    done = ev("produce", TOPIC, *arguments, status=2)
    assert len(done.err.splitlines()) == 1
    assert not ev.data_dir.exists()


# -- a hundred crashes ---------------------------------------------------------------------------------------------------------


class World:
    """An engine, a log with whoever writes and rotates it, and an ev that follows it, all of which crash."""

    def __init__(self, directory: pathlib.Path, engine: Engine, seed: int) -> None:
        self.draw = random.Random(seed)
        self.path = directory / "app.log"
        self.engine = engine
        self.lines: list[bytes] = []
        self.partial = b""
        self.seen: list[bytes] = []
        self.process: subprocess.Popen[bytes] | None = None
        self._errors = (directory / "errors").open("ab")
        self._environ = CommandLine(directory).variables
        self._consumer: Consumer | None = None

    def start(self) -> None:
        command = [*MODULE, "-b", self.engine.address, "--timeout", "5s", "produce", TOPIC, "--follow", str(self.path)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=self._errors, env=self._environ)

    def end(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(30)

    def see_to_it(self) -> None:
        """As a supervisor: what ended because nobody answered at its start is started again; nothing else may end."""
        assert self.process is not None
        status = self.process.poll()
        if status is not None:
            assert status == 4, f"it ended with {status}"
            self.start()

    def write(self) -> None:
        data = b""
        for _ in range(self.draw.randrange(1, 200)):
            data += b"line %06d %s\n" % (len(self.lines) + data.count(b"\n"), b"x" * self.draw.randrange(60))
        if self.draw.random() < 0.2:
            data += b"half a line"
        with self.path.open("ab") as file:
            file.write(data)
        *whole, self.partial = (self.partial + data).split(b"\n")
        self.lines += whole

    def rotate(self) -> None:
        if not self.path.exists():
            return
        for number in sorted((int(path.suffix[1:]) for path in self.path.parent.glob("app.log.*")), reverse=True):
            self.path.with_name(f"app.log.{number}").rename(self.path.with_name(f"app.log.{number + 1}"))
        if self.draw.random() < 0.5:
            self.path.rename(self.path.with_name("app.log.1"))
        else:
            shutil.copyfile(self.path, self.path.with_name("app.log.1"))
            os.truncate(self.path, 0)
        if self.partial:
            self.lines.append(self.partial)
            self.partial = b""
        time.sleep(0.01)  # the kernel's clock is coarse, and the order of files is that of their last writes

    def wipe(self) -> None:
        """Delete or truncate, when nothing would be lost by it."""
        if not self.partial and self.path.exists() and self.has_all(2):
            if self.draw.random() < 0.5:
                self.path.unlink()
            else:
                os.truncate(self.path, 0)

    def has_all(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while len(self.seen) < len(self.lines) and time.monotonic() < deadline:
            self.see_to_it()
            self.look()
        return self.seen == self.lines

    def look(self) -> None:
        if self._consumer is None:
            self._consumer = Consumer(self.engine.address, isolation="read_committed")
            self._consumer.assign([(TOPIC, 0)])
        for batch in self._consumer.poll_batches(50):
            self.seen += [value or b"" for value in batch.columns.values]

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._consumer is not None:
            self._consumer.close()
        self._errors.close()


@pytest.fixture
def world(tmp_path: pathlib.Path) -> Iterator[World]:
    with Engine(tmp_path / "data") as engine, contextlib.closing(World(tmp_path, engine, 20_260)) as found:
        with Admin(engine.address) as admin:
            assert admin.create_topics([NewTopic(TOPIC, 1)])[0].error is None
        yield found


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.timeout(300)
def test_the_topic_equals_the_files_after_a_hundred_crashes(world: World) -> None:
    """kill -9 of ev and of the engine at any moment, while the log is written, rotated, truncated, deleted and made anew."""
    world.write()
    world.start()
    assert world.has_all(30)
    for _ in range(100):
        for _ in range(world.draw.randrange(1, 4)):
            world.write()
            if world.draw.random() < 0.15:
                world.rotate()
        time.sleep(world.draw.uniform(0, 0.25))
        world.see_to_it()
        kind = world.draw.random()
        if kind < 0.25:
            world.engine.kill()
            world.engine.start()
        else:
            world.end(signal.SIGKILL if kind < 0.9 else signal.SIGTERM)
            world.start()
        if world.draw.random() < 0.1:
            world.wipe()
    world.write()
    if world.partial:
        world.lines.append(world.partial)
        world.partial = b""
        with world.path.open("ab") as file:
            file.write(b"\n")
    world.has_all(30)
    assert world.seen == world.lines
