"""The same commands on a real Apache Kafka: -b HOST:PORT is all that changes."""

from __future__ import annotations

import pathlib
import signal
import uuid

import pytest

from support.apache_kafka import Kafka
from support.command_line import CommandLine
from support.waiting import wait_for

pytestmark = pytest.mark.java


@pytest.fixture
def kafka(ev: CommandLine, apache: Kafka) -> CommandLine:
    """The command line with EV_BOOTSTRAP set to the cluster; it must never start an engine of its own."""
    ev.variables["EV_BOOTSTRAP"] = apache.bootstrap
    return ev


@pytest.fixture
def name() -> str:
    """A topic's or group's name that no other test has."""
    return f"t-{uuid.uuid4().hex[:12]}"


def test_records_go_in_and_come_out(kafka: CommandLine, name: str) -> None:
    """Only with --create on a cluster; bytes, keys, headers, nulls, compressions and ranges as on the local engine."""
    kafka("produce", name, data=b"x\n", status=3)
    kafka("produce", name, "--create=2", "-p", "0", data=b"a\n\nb\r\n\xff\nlast")
    assert kafka("consume", name, "-e").out == b"a\n\nb\r\n\xff\nlast\n"
    kafka("produce", name, "-p", "1", "-K", ":", "-H", "h=1", "-Z", "-z", "lz4", data=b"k:v\nk:\n")
    lines = kafka("consume", name, "-p", "1", "-e", "-f", "%p@%o %k %v %S %h\\n").lines
    assert lines == ["1@0 k v 1 h=1", "1@1 k  -1 h=1"]
    assert kafka("consume", name, "-p", "0", "-o", "1:3").out == b"\nb\r\n"
    assert kafka("consume", name, "-p", "0", "-o", "-1", "-e").out == b"last\n"
    assert not kafka.data_dir.exists()


def test_a_large_input_comes_back(kafka: CommandLine, name: str) -> None:
    """Many batches in flight, lines of 900 KB among them."""
    data = b"".join(b"%d %s\n" % (number, b"x" * (number % 300)) for number in range(30_000)) + b"y" * 900_000 + b"\n"
    kafka("produce", name, "--create", data=data)
    assert kafka("consume", name, "-e").out == data


def test_a_group_goes_on_where_it_stopped(kafka: CommandLine, name: str) -> None:
    """-n N commits exactly N; without a topic the group has its own; its lag is shown; it can be deleted."""
    kafka("produce", name, "--create", data=b"".join(b"%d\n" % number for number in range(1, 11)))
    assert kafka("consume", name, "-g", name, "-n", "3").out == b"1\n2\n3\n"
    described = kafka.json("group", "describe", name)
    assert [(row["committed"], row["end"], row["lag"]) for row in described["lag"]] == [(3, 10, 7)]
    assert kafka("consume", "-g", name, "-e").out == b"4\n5\n6\n7\n8\n9\n10\n"
    assert name in kafka("group", "list", "-o", "name").lines
    kafka("group", "delete", name, "-y")
    kafka("group", "describe", name, status=3)


def test_topics_are_made_described_changed_and_deleted(kafka: CommandLine, name: str) -> None:
    """With Kafka's own errors where it refuses."""
    kafka("topic", "create", name, "-p", "3", "-c", "retention.ms=1000")
    described = kafka.json("topic", "describe", name)
    assert (len(described["partitions"]), described["config"]["retention.ms"]) == (3, "1000")
    kafka("topic", "alter", name, "-p", "+1", "--unset", "retention.ms")
    wait_for(lambda: len(kafka.json("topic", "describe", name)["partitions"]) == 4, "four partitions")
    assert "TOPIC_ALREADY_EXISTS" in kafka("topic", "create", name, status=1).err
    assert name in kafka("topic", "list", "-o", "name").lines
    assert f"'{name}'" in kafka("topic", "describe", f"{name}x", status=3).err
    kafka("topic", "delete", name, "-y")
    wait_for(lambda: name not in kafka("topic", "list", "-o", "name").lines, "the topic to be gone")


def test_interrupted_it_commits_what_was_written(kafka: CommandLine, name: str) -> None:
    """Ctrl-C is exit 130."""
    kafka("produce", name, "--create", data=b"1\n2\n3\n")
    reader = kafka.start("consume", name, "-g", name, "--commit", "written")
    reader.wait_for(b"3\n")
    reader.signal(signal.SIGINT)
    assert reader.end().status == 130
    assert kafka.json("group", "describe", name)["lag"][0]["committed"] == 3


def test_a_file_is_followed_through_a_kill(kafka: CommandLine, name: str, tmp_path: pathlib.Path) -> None:
    """Each line once; the position is the committed offset of a group, and `ev group delete` makes the file come again."""
    path = tmp_path / "app.log"
    path.write_bytes(b"one\ntwo\nthr")
    kafka("topic", "create", name)
    first = kafka.start("produce", name, "--follow", str(path), "-v")
    first.wait_for(f"{name}/0@1".encode())
    first.process.kill()
    path.rename(tmp_path / "app.log.1")
    path.write_bytes(b"four\n")
    second = kafka.start("produce", name, "--follow", str(path), "-v")
    wait_for(lambda: kafka("consume", name, "-e").lines[-1:] == ["four"], "the line of the new file", 60)
    second.signal(signal.SIGTERM)
    assert second.end().status == 143
    assert kafka("consume", name, "-e").lines == ["one", "two", "thr", "four"]
    [group] = [group for group in kafka("group", "list", "-o", "name").lines if group.endswith(str(path))]
    kafka("group", "delete", group, "-y")
    kafka("produce", name, "--follow", "-n", "1", str(path))
    assert kafka("consume", name, "-e").lines[-1] == "four"
    kafka("produce", name, "--transaction", "-K", ":", data=b"k:in a transaction\n")
    assert kafka("consume", name, "-e").lines[-1] == "in a transaction"


def test_handlers_and_dead_letters(kafka: CommandLine, name: str) -> None:
    """What fails goes to a topic that is there, before its offset is committed; redrive sends it back; nothing is made by a reader."""
    kafka("produce", name, "--create", data=b"1\n2\n3\n")
    each = ("consume", name, "-g", name, "-e", "--each", "--retries", "0", "--dlq", f"{name}-dead", "--", "sh", "-c", "test $(cat) != 2")
    assert f"{name}-dead" in kafka(*each, status=3).err
    kafka("topic", "create", f"{name}-dead")
    assert "1 records were put into" in kafka(*each).err
    assert kafka.json("group", "describe", name)["lag"][0]["committed"] == 3
    assert kafka.json("redrive", f"{name}-dead", "--dry-run") == [{"target": name, "records": 1}]
    kafka("redrive", f"{name}-dead")
    assert kafka("consume", name, "-e").out == b"1\n2\n3\n2\n"
    assert kafka("consume", name, "-g", name, "-e", "--", "cat").out == b"2\n"
    assert kafka.json("group", "describe", name)["lag"][0]["committed"] == 4
