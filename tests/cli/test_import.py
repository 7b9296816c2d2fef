"""`ev server import`: what it refuses, what it leaves out, and that it happens at once or not at all. Kafka itself is in tests/clients."""

from __future__ import annotations

import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from confluent_kafka import Producer

from ev.client import Admin
from support.command_line import CommandLine
from support.engine import environment

LINES = b"".join(b"line %d\n" % number for number in range(20_000))
KAFKAS = re.compile(r"\d{20}\.(log|index|timeindex|txnindex|snapshot)|leader-epoch-checkpoint|partition\.metadata")


@pytest.fixture
def source(tmp_path: pathlib.Path) -> pathlib.Path:
    """A data directory as Kafka would have left it: two topics, three partitions, a group that has read half of one."""
    (tmp_path / "other").mkdir()
    ev = CommandLine(tmp_path / "other")
    try:
        ev("topic", "create", "events", "-p", "2", "-c", "segment.bytes=65536")
        ev("topic", "create", "keys")
        producer = Producer({"bootstrap.servers": ev.address, "batch.num.messages": 50, "log_level": 0})
        for number, line in enumerate(LINES.splitlines() * 2):
            producer.produce("events", line, partition=number % 2)
            producer.poll(0)
        assert producer.flush(30) == 0
        ev("produce", "keys", data=LINES)
        ev("consume", "keys", "-g", "readers", "-n", "10000")
        ev("down")
        directory = tmp_path / "kafka"
        for folder in ev.data_dir.iterdir():
            if not folder.is_dir() or folder.name.startswith("__ev_metadata"):
                continue
            (directory / folder.name).mkdir(parents=True)
            for path in folder.iterdir():
                if KAFKAS.fullmatch(path.name):
                    shutil.copy2(path, directory / folder.name / path.name)
        for path in (ev.data_dir / "meta.properties", *ev.data_dir.glob("*-offset-checkpoint")):
            shutil.copy2(path, directory / path.name)
    finally:
        ev.close()
    return directory


def topics_of(ev: CommandLine) -> set[str]:
    return {row["name"] for row in ev.json("topic", "list")}


def committed(ev: CommandLine, group: str) -> dict[tuple[str, int], int]:
    with Admin(ev.address) as admin:
        return {place: found.offset for place, found in admin.committed_offsets(group).items()}


def test_it_may_be_killed_at_any_time(ev: CommandLine, source: pathlib.Path) -> None:
    """Nothing is there, or everything; and the next one succeeds."""
    command = [sys.executable, "-P", "-m", "ev.server.import_kafka", "--data-dir", str(ev.data_dir), str(source)]
    begun = time.monotonic()
    subprocess.run(command, env=environment(), check=True, capture_output=True)
    whole_s = time.monotonic() - begun
    shutil.rmtree(ev.data_dir)
    chance = random.Random(7)
    outcomes = set()
    for number in range(8):
        running = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL)
        time.sleep(whole_s * (chance.uniform(0.3, 1.0) if number else 0.9))
        running.send_signal(signal.SIGKILL)
        running.wait()
        ev("server", "start")
        topics = topics_of(ev)
        ev("down")
        outcomes.add(frozenset(topics))
        assert topics in (set(), {"events", "keys"})
        if topics:
            break
    if not topics:
        ev("server", "import", str(source))
    assert ": whole (" in ev("server", "verify").err
    assert ev("consume", "events", "-q", "-e").out.count(b"\n") == 40_000
    assert committed(ev, "readers") == {("keys", 0): 10_000}
    assert not [path.name for path in ev.data_dir.iterdir() if path.name.endswith(("-delete", "-stray")) and path.name.startswith("events")]


def test_damage_below_what_kafka_had_on_disk_is_refused(ev: CommandLine, source: pathlib.Path) -> None:
    """It is not the end of a log that was being written. Nothing is imported; the other topics may be."""
    log = min((source / "events-0").glob("*.log"))
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    log.write_bytes(data)
    refused = ev("server", "import", str(source), status=1).err
    assert "is damaged" in refused
    ev("server", "start")
    assert topics_of(ev) == set()
    ev("down")
    ev("server", "import", str(source), "--topic", "keys")
    assert topics_of(ev) == {"keys"}
    assert committed(ev, "readers") == {("keys", 0): 10_000}


def test_a_torn_end_is_cut_off(ev: CommandLine, source: pathlib.Path) -> None:
    """What a killed Kafka was writing was promised to nobody."""
    log = max((source / "events-0").glob("*.log"))
    log.write_bytes(log.read_bytes() + log.read_bytes()[:100])
    said = ev("server", "import", str(source)).err
    assert "the log was cut at offset" in said
    assert ev("consume", "events", "-q", "-e").out.count(b"\n") == 40_000


def test_it_joins_what_is_there(ev: CommandLine, source: pathlib.Path) -> None:
    """Topics and groups of the engine stay as they are; a group of the same name gets the offsets of the new topics too."""
    ev("topic", "create", "mine", "-p", "3")
    ev("produce", "mine", data=LINES)
    ev("consume", "mine", "-g", "readers", "-n", "7", "-q")
    before = committed(ev, "readers")
    assert sum(before.values()) == 7
    assert "an engine runs" in ev("server", "import", str(source), status=1).err
    ev("down")
    ev("server", "import", str(source))
    for suffix in ("index", "timeindex"):  # they are made again, as they were
        sealed = sorted((source / "events-0").glob(f"*.{suffix}"))[:-1]
        assert sealed
        for path in sealed:
            assert path.stat().st_size > 0
            assert (ev.data_dir / "events-0" / path.name).read_bytes() == path.read_bytes()
    assert topics_of(ev) == {"events", "keys", "mine"}
    assert committed(ev, "readers") == {**before, ("keys", 0): 10_000}
    ev("produce", "keys", data=LINES)
    assert ev("consume", "keys", "-q", "-e").out.count(b"\n") == 40_000
    ev("down")
    assert ": whole (" in ev("server", "verify").err
    for topics in ((), ("--topic", "events")):
        assert "topic events exists already" in ev("server", "import", str(source), *topics, status=1).err
        assert "topic events exists already" in ev("server", "import", str(source), *topics, "--dry-run", status=1).err


def test_what_is_not_whole_or_not_kafkas_is_refused(ev: CommandLine, source: pathlib.Path) -> None:
    """With what to do about it; nothing is made."""
    assert "no topic 'nothing'" in ev("server", "import", str(source), "--topic", "nothing", status=1).err
    assert "ev data directory" in ev("server", "import", str(source.parent / "other" / "data"), status=1).err
    assert "no Kafka data directory" in ev("server", "import", str(source.parent), status=1).err
    assert "no directory" in ev("server", "import", str(source / "x"), status=1).err
    shutil.move(source / "events-0", source.parent / "events-0")
    assert "has 2 partitions" in ev("server", "import", str(source), status=1).err
    assert not ev.data_dir.exists()
    disk = source.parent / "disk"
    disk.mkdir()
    shutil.copy(source / "meta.properties", disk)
    shutil.move(source.parent / "events-0", disk / "events-0")
    done = ev("server", "import", str(source), str(disk), "--json").json
    assert {row["topic"]: (row["partitions"], row["offsets"]) for row in done} == {"events": (2, 40_000), "keys": (1, 20_000)}


def test_a_consumer_goes_on_where_it_was(ev: CommandLine, source: pathlib.Path) -> None:
    """The position of its group is that which Kafka had."""
    ev("server", "import", str(source), "-q")
    ev("server", "start")
    (line,) = ev("consume", "keys", "-g", "readers", "-n", "1", "-f", "%o\\n").lines
    assert line == "10000"


def test_what_kafka_has_kept_is_not_lost_at_the_first_start(ev: CommandLine, source: pathlib.Path) -> None:
    """Its server.properties may have said to keep all; a topic that says nothing itself is told so when it has older records."""
    other = source.parent / "other" / "data"
    old = CommandLine(source.parent / "other")
    try:
        old("topic", "create", "old", "-c", "retention.ms=-1", "-c", "segment.bytes=65536")
        long_ago_ms = int((time.time() - 90 * 86400) * 1000)
        producer = Producer({"bootstrap.servers": old.address, "batch.num.messages": 100, "log_level": 0})
        for number in range(2000):
            producer.produce("old", b"x" * 100, timestamp=long_ago_ms + number)
        assert producer.flush(20) == 0
    finally:
        old.close()
    (source / "old-0").mkdir()
    for path in (other / "old-0").iterdir():
        if KAFKAS.fullmatch(path.name):
            shutil.copy2(path, source / "old-0" / path.name)
    said = ev("server", "import", str(source), "--topic", "old").err
    assert "topic old has records that are older than this engine keeps them" in said
    ev("server", "start", "-X", "log.retention.check.interval.ms=50")
    assert ev("consume", "old", "-q", "-e").out.count(b"\n") == 2000
    time.sleep(0.3)  # some looks at what is too old
    assert ev("consume", "old", "-q", "-e").out.count(b"\n") == 2000
