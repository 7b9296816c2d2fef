"""ev consume -g into a pipe: what its reader has handled is committed, whatever dies; what it has not handled comes again."""

from __future__ import annotations

import pathlib
import shlex
import signal
import subprocess
import sys

import pytest

from support.command_line import CommandLine
from support.pipelines import MIDDLE, committed, numbers_in, reader, total
from support.waiting import wait_for

COUNT = 8_000
RECORD_BYTES = 20
PIPE_BYTES, READ_BYTES = 65536, 8192

ANOTHER_PIPE = """\
import subprocess, sys
for line in sys.stdin:
    subprocess.run(["sleep", "1.2"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    sys.exit(3)
"""
THREADS = """\
import sys, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
for line in sys.stdin:
    pass
"""


@pytest.fixture
def many(ev: CommandLine) -> CommandLine:
    """A topic t with numbered records: more than two pipes hold."""
    ev("produce", "t", data=b"".join(b"%019d\n" % number for number in range(COUNT)))
    return ev


@pytest.fixture
def ten(ev: CommandLine) -> CommandLine:
    ev("produce", "t", data=b"".join(b"%d\n" % number for number in range(10)))
    return ev


def test_a_reader_that_dies_loses_nothing(many: CommandLine, tmp_path: pathlib.Path) -> None:
    """Wherever it dies: nothing is committed that it had not handled, and what comes again is bounded by what it took last."""
    for most in (1, 500, 7_777):
        group = f"g{most}"
        dying = shlex.join(reader(tmp_path, group, most=most))
        done = many.shell(f"ev consume t -g {group} -q -e | {dying}; echo ${{PIPESTATUS[*]}}")
        assert done.lines == ["141 3"] or (most == 7_777 and done.lines[0].endswith(" 3"))
        assert total(many, group) <= most
        assert (most - total(many, group)) * RECORD_BYTES <= PIPE_BYTES + 2 * READ_BYTES
        many.shell(f"ev consume t -g {group} -q -e | {shlex.join(reader(tmp_path, group))}")
        assert set(numbers_in(tmp_path / group)) == set(range(COUNT))
        assert total(many, group) == COUNT


@pytest.mark.parametrize("mode", ["drained", "proven"])
def test_the_tail_is_committed_when_the_reader_waits_for_more(ten: CommandLine, mode: str) -> None:
    """At the end of -n, a slow reader is waited for; a shell that waits for its child counts as its child does."""
    done = ten.shell(f"ev consume t -g a --commit {mode} -n 7 | while read -r x; do sleep 0.03; done")
    assert done.err == ""
    assert total(ten, "a") == 7
    ten.shell(f"ev consume t -g b --commit {mode} -e | {{ cat; echo end; }}")
    assert total(ten, "b") == 10


def test_while_nothing_comes_the_tail_is_committed_too(ten: CommandLine) -> None:
    """A reader that waits at the empty pipe has done everything; one that works on the last record has not."""
    for group, command, offset in (("idle", ["cat"], 10), ("busy", ["sh", "-c", "read -r x; sleep 60"], 0)):
        behind = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        running = ten.start("consume", "t", "-g", group, stdout=behind.stdin)
        assert behind.stdin is not None
        behind.stdin.close()
        try:
            wait_for(lambda group=group: len(members(ten, group)) == 1, "a member")  # type: ignore[misc]
            if offset:
                wait_for(lambda group=group: total(ten, group) == 10, "the tail to be committed")  # type: ignore[misc]
            running.signal(signal.SIGHUP)
            assert running.process.wait(20) in (-signal.SIGTERM, 143)
            assert total(ten, group) == offset
            assert behind.poll() is None or offset
        finally:
            behind.kill()
            behind.wait()
            running.kill()


def members(ev: CommandLine, group: str) -> list[object]:
    described = ev("group", "describe", group, "--json", status=None)
    found: list[object] = described.json["members"] if described.status == 0 else []
    return found


def test_a_reader_that_waits_for_another_pipe_works(ten: CommandLine, tmp_path: pathlib.Path) -> None:
    """It sleeps in the same call of the kernel, and has not done what it took."""
    (tmp_path / "handler.py").write_text(ANOTHER_PIPE)
    ten.shell(f"ev consume t -g g -n 1 -q | {sys.executable} -I -S handler.py")
    assert total(ten, "g") == 0


def test_a_reader_that_shows_nothing(ten: CommandLine, tmp_path: pathlib.Path) -> None:
    """With threads nobody knows: the tail is committed at a clean end, unless only proof counts; both is said."""
    (tmp_path / "threads.py").write_text(THREADS)
    behind = f"{sys.executable} -I -S threads.py"
    done = ten.shell(f"ev consume t -g a -v -e | {behind}")
    assert total(ten, "a") == 10
    assert "does not show" in done.err
    done = ten.shell(f"ev consume t -g b -e --commit proven | {behind}")
    assert total(ten, "b") == 0
    assert "10 records that were written are not committed" in done.err


def test_with_a_program_in_between_ev_says_what_loses_nothing(ten: CommandLine, tmp_path: pathlib.Path) -> None:
    """Once, on stderr; and what it says does what it says: a handler that dies loses nothing."""
    handler = shlex.join(reader(tmp_path, "handled", most=4))
    warned = ten.shell(f"ev consume t -g a -e | {MIDDLE} | {handler}").err
    first = MIDDLE.split()[0]
    assert f"when {first} has taken them" in warned
    assert len(warned.splitlines()) == 1
    command = warned[warned.index("ev consume") :].strip()
    assert "--batch 100 -- sh -c" in command
    (tmp_path / "handled").unlink()
    safe = command.replace("-g a", "-g b").replace("--batch", "--retries 0 --batch")
    done = ten.shell(safe)
    assert done.status == 7
    assert total(ten, "b") == 0
    done = ten.shell(safe.replace(" 4 0", " -1 0"))
    assert done.status == 0, done
    assert total(ten, "b") == 10
    assert sorted(set(numbers_in(tmp_path / "handled"))) == list(range(10))
    assert ten.shell(f"ev consume t -g c -q -e | {MIDDLE} | cat").err == ""


def test_a_stopped_member_commits_nothing_of_before(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """Ctrl-Z and fg: another member has the partition meanwhile and is further. The one that comes back says so and goes on from there."""
    ev.variables["EV_GROUP_MIN_SESSION_TIMEOUT_MS"] = "1000"
    ev("produce", "t", data=b"".join(b"%d\n" % number for number in range(10)))
    behind = subprocess.Popen(["sh", "-c", "read -r x; sleep 1000"], stdin=subprocess.PIPE)
    assert behind.stdin is not None
    first = ev.start("consume", "t", "-g", "g", "-X", "session.timeout.ms=1500", stdout=behind.stdin)
    behind.stdin.close()
    try:
        wait_for(lambda: len(members(ev, "g")) == 1, "a member")
        first.signal(signal.SIGSTOP)
        wait_for(lambda: not members(ev, "g"), "the group to give it up")
        ev("consume", "t", "-g", "g", "-n", "8", "--commit", "written")
        assert committed(ev, "g") == {"t/0": 8}
        first.signal(signal.SIGCONT)
        first.wait_for(b"joining again")
        wait_for(lambda: len(members(ev, "g")) == 1, "it to be a member again")
        first.signal(signal.SIGTERM)
        assert first.process.wait(20) == -signal.SIGTERM
        assert committed(ev, "g") == {"t/0": 8}
    finally:
        behind.kill()
        behind.wait()
        first.kill()


def test_an_engine_that_dies_is_brought_back(ten: CommandLine) -> None:
    """By the command that uses it, which goes on where it was; one that was stopped stays stopped."""
    running = ten.start("consume", "t", "-g", "g", "--commit", "written")
    running.wait_for(b"9\n")
    before = ten.pid
    wait_for(lambda: total(ten, "g") == 10, "a commit")
    subprocess.run(["kill", "-9", str(before)], check=True)
    running.wait_for(b"had died; started it again")
    assert ten.pid != before
    ten("produce", "t", data=b"10\n")
    running.wait_for(b"\n10\n")
    assert running.out.split() == [b"%d" % number for number in range(11)]
    ten("down")
    running.wait_for(b"does not answer")
    running.signal(signal.SIGINT)
    assert running.end().status in (4, 130)
    assert ten("server", "status", status=6).status == 6


def test_an_engine_that_dies_under_a_producer_is_brought_back(ev: CommandLine) -> None:
    """What was read meanwhile is sent to it, once."""
    writer = ev.start("produce", "t", "-v")
    writer.send(b"one\n")
    writer.wait_for(b"t/0@0")
    subprocess.run(["kill", "-9", str(ev.pid)], check=True)
    writer.send(b"two\n")
    writer.wait_for(b"had died; started it again")
    writer.wait_for(b"t/0@1")
    assert writer.end().status == 0
    assert ev("consume", "t", "-e").lines == ["one", "two"]
