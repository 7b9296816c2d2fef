"""`ev server verify`: the data directory is looked over, beside an engine that works and without one."""

from __future__ import annotations

import os
import pathlib
import signal
import threading

import pytest

from support.command_line import CommandLine

LINES = b"".join(b"line %d\n" % number for number in range(20_000))


def filled(ev: CommandLine) -> pathlib.Path:
    """Some segments of a topic, and the directory of its partition."""
    ev("topic", "create", "events", "-c", "segment.bytes=65536")
    ev("produce", "events", data=LINES)
    return ev.data_dir / "events-0"


def spoil(log: pathlib.Path) -> None:
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    log.write_bytes(data)


def test_a_whole_directory_is_whole_running_stopped_and_killed(ev: CommandLine) -> None:
    """Exit 0, nothing on stdout, one line of summary on stderr; no engine is started for it."""
    filled(ev)
    running = ev("server", "verify")
    assert running.out == b""
    assert ": whole (" in running.err
    assert len(running.err.splitlines()) == 1
    ev("down")
    assert ": whole (" in ev("server", "verify").err
    assert ev("server", "status", status=6).err == ""
    assert ev("server", "verify", "-q").err == ""
    ev("produce", "events", data=LINES)
    os.kill(ev.pid, signal.SIGKILL)
    assert ": whole (" in ev("server", "verify").err


def test_it_reads_beside_an_engine_that_is_being_written_to(ev: CommandLine) -> None:
    """Whatever is on its way, compacted, rolled or deleted meanwhile is not damage."""
    ev("topic", "create", "events", "-p", "2", "-c", "segment.bytes=65536")
    ev("topic", "create", "keys", "-c", "segment.bytes=65536", "-c", "cleanup.policy=compact", "-c", "min.cleanable.dirty.ratio=0.01")
    ev("topic", "create", "gone")
    over = threading.Event()
    problems = []

    def write() -> None:
        while not over.is_set():
            ev("produce", "events", data=LINES)
            ev("produce", "keys", "-k", "=", data=b"".join(b"%d=%d\n" % (number % 50, number) for number in range(5000)), status=None)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(12):
            done = ev("server", "verify", status=None)
            if done.status != 0:
                problems.append(done)
            if number == 6:
                ev("topic", "delete", "gone", "--yes", status=None)
    finally:
        over.set()
        writer.join()
    assert problems == []


def test_damage_is_one_line_each_on_stdout_and_exit_status_6(ev: CommandLine) -> None:
    """Partition, file, place, offset, what was expected and what was found; also while the engine runs."""
    partition = filled(ev)
    log = min(partition.glob("*.log"))
    spoil(log)
    found = ev("server", "verify", status=6)
    (line,) = found.lines
    fields = line.split("\t")
    assert fields[:2] == ["events-0", log.name]
    assert int(fields[2]) >= 0
    assert int(fields[3]) >= 0
    assert fields[4:] == ["a whole batch", "a batch does not match its checksum"]
    assert "1 damaged place" in found.err
    (row,) = ev("server", "verify", "--json", status=6).json
    assert row == {
        "partition": "events-0",
        "file": log.name,
        "position": int(fields[2]),
        "offset": int(fields[3]),
        "expected": fields[4],
        "found": fields[5],
    }
    ev("down")
    (partition / "stranger").write_bytes(b"?")
    assert [line.split("\t")[1] for line in ev("server", "verify", status=6).lines] == [log.name, "stranger"]


def test_json_of_what_is_whole_is_an_empty_list(ev: CommandLine) -> None:
    """A program reads the same thing in both cases."""
    filled(ev)
    assert ev("server", "verify", "--json").json == []


def test_topics_and_partitions_may_be_named(ev: CommandLine) -> None:
    """Only those are looked at; one that is not there is exit status 3, what is no name is 2."""
    spoil(min(filled(ev).glob("*.log")))
    ev("topic", "create", "other", "-p", "3")
    ev("server", "verify", "other")
    ev("server", "verify", "other:2")
    ev("server", "verify", "other", "events:0", status=6)
    assert "no 'other:3'" in ev("server", "verify", "other:3", status=3).err
    assert "no 'nothing'" in ev("server", "verify", "nothing", status=3).err
    assert "TOPIC:PARTITION" in ev("server", "verify", "other:x", status=2).err


def test_a_data_directory_that_is_not_there_is_not_made(ev: CommandLine) -> None:
    """Exit status 3; --data-dir names it as everywhere."""
    assert "no data directory" in ev("server", "verify", status=3).err
    assert "no data directory" in ev("server", "verify", "--data-dir", str(ev.directory / "x"), status=3).err
    assert not ev.data_dir.exists()


@pytest.mark.parametrize("quiet", [False, True])
def test_a_terminal_sees_how_far_it_is(ev: CommandLine, quiet: bool) -> None:
    """A bar on stderr, gone at the end; none with -q."""
    filled(ev)
    terminal = ev.terminal("server", "verify", *(["-q"] if quiet else []))
    try:
        if not quiet:
            terminal.wait_for("whole (")
        assert terminal.wait() == 0
        assert ("% of" in terminal.seen) is not quiet
    finally:
        terminal.close()
