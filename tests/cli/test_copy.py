"""ev copy: what is copied is what was there, byte for byte, once."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from ev.client.consumer import Consumer
from ev.client.producer import Producer
from support.command_line import CommandLine
from support.waiting import wait_for

Fresh = Callable[[str], str]
Row = tuple[int, int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]


def bootstrap(ev: CommandLine) -> str:
    return ev.variables.get("EV_BOOTSTRAP") or ev.address


def content(address: str, topic: str) -> list[Row]:
    """(partition, timestamp, key, value, headers) of every committed record, in the order of each partition."""
    with Consumer(address, isolation="read_committed") as consumer:
        partitions = [(topic, index) for index in consumer.partitions_for(topic)]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        found: list[Row] = []
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            found += [(r.partition, r.timestamp, r.key, r.value, list(r.headers)) for r in consumer.poll(500)]
    return sorted(found, key=lambda row: row[0])


def fill(address: str, topic: str) -> None:
    """Every kind of record: nulls, empty ones, headers that come twice, bytes that are no text, several codecs, an aborted transaction."""
    began_ms = int(time.time() * 1000) - 60_000
    for codec in ("none", "lz4", "zstd"):
        with Producer(address, compression=codec) as producer:
            for partition in range(3):
                for number in range(20):
                    key = None if number % 3 == 0 else b"" if number % 3 == 1 else b"k%d\xff" % number
                    value = None if number % 5 == 0 else b"v" * number
                    headers = [("h", b"1"), ("h", None), ("x", b"")] if number % 2 else []
                    producer.produce(topic, value, key, headers=headers, timestamp_ms=began_ms + number, partition=partition)
    with Producer(address, transactional_id=f"fill-{topic}") as producer:
        producer.init_transactions()
        producer.begin_transaction()
        producer.produce(topic, b"never", partition=1)
        producer.flush()
        producer.abort_transaction()


def test_everything_is_kept(either: CommandLine, fresh: Fresh) -> None:
    """Unopened or not: partitions, keys, values, nulls, headers, timestamps; what was aborted is left out."""
    topic = fresh("topic")
    either("topic", "create", topic, "-p", "3", "-c", "max.message.bytes=900000")
    address = bootstrap(either)
    fill(address, topic)
    there = content(address, topic)
    assert len(there) == 180
    kept, opened, one = f"{topic}.kept", f"{topic}.opened", f"{topic}.one"
    done = either("copy", topic, kept, "-e", "--keep-partition", "--same-config")
    assert "copied 180 records" in done.err
    assert content(address, kept) == there
    assert either.json("topic", "describe", kept)["config"]["max.message.bytes"] == "900000"
    either("copy", topic, opened, "-e", "--keep-partition", "--create", "-z", "gzip")
    assert content(address, opened) == there
    either("copy", topic, one, "-e", "--create=1", "-q")
    assert sorted((row[1:] for row in content(address, one)), key=repr) == sorted((row[1:] for row in there), key=repr)
    either("copy", topic, kept, one, "-e", "-n", "7", "-o", "+5", "-q")
    assert len(content(address, one)) == 187
    either("copy", topic, one, "-o", "2:4", "-q")
    assert len(content(address, one)) == 193


def test_a_group_goes_on_where_it_stopped(either: CommandLine, fresh: Fresh) -> None:
    """Within one cluster, in transactions: each record once, however often it is started."""
    source, target, group = fresh("from"), fresh("to"), fresh("copiers")
    either("produce", source, "--create=2", data=b"".join(b"%d\n" % number for number in range(100)))
    either("copy", source, target, "-g", group, "--create", "-n", "30")
    either("produce", source, data=b"last\n")
    either("copy", source, target, "-g", group, "-e")
    assert "copied 0 records" in either("copy", source, target, "-g", group, "-e").err
    values = sorted(row[3] or b"" for row in content(bootstrap(either), target))
    assert values == sorted([*(b"%d" % number for number in range(100)), b"last"])
    described = either.json("group", "describe", group)
    assert described["total_lag"] == 0


@pytest.mark.slow
def test_a_copy_that_is_killed_copies_each_record_once(ev: CommandLine) -> None:
    """Killed again and again while records come, and started again: none is missing, none comes twice."""
    ev("up", "-q")
    ev("topic", "create", "from", "-p", "2")
    ev("topic", "create", "to", "-p", "2")
    written = 0
    for turn in range(4):
        ev("produce", "from", data=b"".join(b"%d\n" % number for number in range(written, written + 500)))
        written += 500
        copier = ev.start("copy", "from", "to", "-g", "g", "--rate", "2000")
        wait_for(lambda: len(content(ev.address, "to")) > written - 500, "some of it to be copied")  # noqa: B023
        copier.signal(signal.SIGKILL if turn % 2 else signal.SIGTERM)
        assert copier.end().status == (137 if turn % 2 else 143)
    ev("copy", "from", "to", "-g", "g", "-e")
    values = [int(row[3] or b"-1") for row in content(ev.address, "to")]
    assert sorted(values) == list(range(written))


def test_a_topic_that_is_deleted_while_it_is_copied(one_engine: CommandLine, fresh: Fresh) -> None:
    """Exit 3 with its name, when everything that was taken of it has arrived."""
    source, target = fresh("deleted"), fresh("target")
    one_engine("produce", source, data=b"x\n")
    one_engine("topic", "create", target)
    running = one_engine.start("copy", source, target)
    wait_for(lambda: one_engine("consume", target, "-e", "-q").out == b"x\n", "the record to be copied")
    one_engine("topic", "delete", source, "-y")
    done = running.end()
    assert done.status == 3
    assert [text in done.err for text in ("copied 1 record", f"{source!r} was deleted")] == [True, True]


def test_from_one_cluster_to_another(ev: CommandLine, one_engine: CommandLine, fresh: Fresh) -> None:
    """CONTEXT/TOPIC says where; with a group nothing is lost, and it goes on where it stopped."""
    topic, group = fresh("topic"), fresh("group")
    one_engine("produce", topic, data=b"one\ntwo\nthree\n")
    config = ev.directory / "config.toml"
    config.write_text(f'[contexts.far]\nbootstrap = ["{one_engine.address}"]\nreadonly = true\n')
    ev("copy", f"far/{topic}", "first", "-e", "-n", "1")
    assert "readonly" in ev("copy", f"far/{topic}", "here", "-e", "-g", group, status=2).err
    assert "readonly" in ev("copy", "first", f"far/{topic}", "-e", status=2).err
    config.write_text(f'[contexts.far]\nbootstrap = ["{one_engine.address}"]\n')
    ev("copy", f"far/{topic}", "here", "-e", "-g", group)
    assert ev("consume", "here", "-e").out == b"one\ntwo\nthree\n"
    one_engine("produce", topic, data=b"four\n")
    assert "copied 1 record " in ev("copy", f"far/{topic}", "here", "-e", "-g", group).err
    assert ev("consume", "here", "-e").out == b"one\ntwo\nthree\nfour\n"
    assert "--create" in ev("copy", "here", f"far/{fresh('new')}", "-e", status=3).err
    ev("copy", "here", f"far/{topic}.back", "-e", "--create")
    assert one_engine("consume", f"{topic}.back", "-e").out == b"one\ntwo\nthree\nfour\n"


def test_rate_and_pace(one_engine: CommandLine, fresh: Fresh) -> None:
    """At most so many a second; or with the pauses that were between them, in the order of time over partitions."""
    topic = fresh("topic")
    one_engine("topic", "create", topic, "-p", "2")
    began_ms = int(time.time() * 1000) - 60_000
    with Producer(one_engine.address) as producer:
        for number in range(6):
            producer.produce(topic, b"%d" % number, timestamp_ms=began_ms + 100 * number, partition=number % 2)
    done = one_engine.shell(f"time ev copy {topic} {topic}.slow -e --rate 10 -q")
    assert done.status == 0
    assert float(done.err.split("real")[1].split("m")[1].split("s")[0]) > 0.5
    one_engine("copy", topic, f"{topic}.paced", "-e", "--pace", "2x", "--create=1", "-q")
    assert one_engine("consume", f"{topic}.paced", "-e").lines == ["0", "1", "2", "3", "4", "5"]


def test_only_some_are_copied(one_engine: CommandLine, fresh: Fresh) -> None:
    """Those that --grep and --where let through; a group commits past the others."""
    topic, group = fresh("topic"), fresh("group")
    one_engine("produce", topic, "-K", ":", data=b"".join(b'k%d:{"n": %d}\n' % (number % 3, number) for number in range(30)))
    one_engine("copy", topic, f"{topic}.some", "-e", "-q", "-g", group, "--grep", "k:^k1$", "--where", "value.n > 10")
    assert [row[3] for row in content(one_engine.address, f"{topic}.some")] == [b'{"n": %d}' % number for number in range(13, 30, 3)]
    assert one_engine.json("group", "describe", group)["total_lag"] == 0
    one_engine("copy", topic, f"{topic}.two", "-e", "-q", "--grep", "!k:^k1$", "-n", "2")
    assert [row[2] for row in content(one_engine.address, f"{topic}.two")] == [b"k0", b"k2"]
    assert "no regular expression" in one_engine("copy", topic, f"{topic}.none", "--grep", "k:(", status=2).err


def test_a_key_stays_together(one_engine: CommandLine, fresh: Fresh) -> None:
    """Where there are as many partitions each record stays in its own; where there are not, the keys say where."""
    topic = fresh("topic")
    one_engine("topic", "create", topic, "-p", "2")
    one_engine("produce", topic, "-p", "1", "-K", ":", data=b"".join(b"k%d:v\n" % number for number in range(20)))
    one_engine("copy", topic, f"{topic}.two", "-e", "-q")
    assert {row[0] for row in content(one_engine.address, f"{topic}.two")} == {1}
    one_engine("copy", topic, f"{topic}.four", "-e", "-q", "--create=4")
    chosen = {row[2]: row[0] for row in content(one_engine.address, f"{topic}.four")}
    assert len(set(chosen.values())) > 1
    one_engine("copy", topic, f"{topic}.four", "-e", "-q", "--keep-partition", "-n", "5")
    assert [row[0] for row in content(one_engine.address, f"{topic}.four")].count(1) >= 5


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("only",), 2, "where to"),
        (("here", "here"), 2, "itself"),
        (("a/b/", "c"), 2, "is no topic"),
        (("nowhere", "there"), 3, "no topic 'nowhere'"),
        (("far/x", "near/y", "z"), 2, "one cluster at a time"),
        (("here", "there", "--rate", "1", "--pace", "original"), 2, "contradict"),
        (("here", "there", "--pace", "brisk"), 2, "brisk"),
        (("here", "there", "-n", "0"), 2, "-n"),
        (("here", "there", "--transactional-id", "x"), 2, "-g"),
        (("many", "here", "--keep-partition"), 1, "3 to keep"),
        (("unknown/x", "here"), 3, "no context 'unknown'"),
    ],
)
def test_a_copy_that_cannot_be_is_said(one_engine: CommandLine, arguments: tuple[str, ...], status: int, said: str) -> None:
    """In one line, before anything is copied."""
    for name, count in (("here", "1"), ("many", "3")):
        one_engine("topic", "create", name, "-p", count, "--if-not-exists", "-q")
    done = one_engine("copy", *arguments, status=status)
    assert said in done.err
    assert len(done.err.splitlines()) == 1
