"""ev log: what is in the files of a log, of ev and of Apache Kafka, without an engine."""

from __future__ import annotations

import base64
import json
import pathlib
import shutil
from collections.abc import Callable

import pytest

from ev.client.consumer import Consumer
from ev.client.producer import Producer
from ev.log.producers import Producer as Remembered
from ev.log.producers import Producers
from ev.log.transactions import Transactions
from support.apache_kafka import Kafka
from support.command_line import CommandLine
from support.dump_log import dump
from support.waiting import wait_for

Fresh = Callable[[str], str]


def filled(ev: CommandLine, bootstrap: str, topic: str, group: str) -> None:
    """Two batches, one of them in a transaction that was aborted, and a group that has committed."""
    ev("topic", "create", topic)
    ev("produce", topic, "-K", ":", "-H", "h=1", "-z", "lz4", data=b"a:one\nb:two\n")
    with Producer(bootstrap, transactional_id=f"{topic}-txn") as producer:
        producer.init_transactions()
        producer.begin_transaction()
        producer.produce(topic, b"\xff", timestamp_ms=1_700_000_000_000)
        producer.flush()
        producer.abort_transaction()
    with Consumer(bootstrap, group=group) as consumer:
        consumer.subscribe([topic])
        wait_for(lambda: consumer.poll(200), "records")
        consumer.commit({(topic, 0): (2, "note")})


def segment(folder: pathlib.Path, suffix: str = ".log") -> str:
    return str(folder / f"{0:020d}{suffix}")


def rows(ev: CommandLine, *arguments: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(ev("log", "dump", *arguments, "--json").out)
    return found


def kept(ev: CommandLine, data: pathlib.Path, topic: str, key: dict[str, object]) -> list[dict[str, object]]:
    """The records of a key in a topic that the broker keeps for itself."""
    logs = [str(path) for path in sorted(data.glob(f"{topic}-*/*.log")) if path.stat().st_size]
    return [row for row in rows(ev, *logs, "-r") if row["key"] == key] if logs else []


def check(ev: CommandLine, data: pathlib.Path, topic: str, group: str) -> None:
    """The files say what was done."""
    log = segment(data / f"{topic}-0")
    batches = rows(ev, log)
    first = batches[0]
    assert (first["base_offset"], first["count"], first["codec"], first["sound"]) == (0, 2, "lz4", True)
    assert [batch["transactional"] for batch in batches] == [False, True, True]
    assert [batch["control"] for batch in batches] == [False, False, True]
    records = rows(ev, log, "--records")
    assert [(record["offset"], record.get("key"), record.get("value")) for record in records[:2]] == [(0, "a", "one"), (1, "b", "two")]
    assert records[0]["headers"] == [["h", "1"]]
    assert base64.b64decode(str(records[2]["value_b64"])) == b"\xff"
    assert records[2]["timestamp"] == 1_700_000_000_000
    assert (records[3]["kind"], records[3]["control"]) == ("abort", True)
    assert [record["offset"] for record in rows(ev, log, "-r", "--from", "1", "--to", "3")] == [1, 2]
    assert ev("log", "dump", log, "-r", "-n", "1", "-o", "tsv").out.split(b"\t")[2:] == [b"a", b"one\n"]
    commits = wait_for(
        lambda: kept(ev, data, "__consumer_offsets", {"group": group, "topic": topic, "partition": 0}), "the commit to be in the files"
    )
    assert commits[-1]["kind"] == "offset-commit"
    assert commits[-1]["value"]["offset"] == 2  # type: ignore[index]
    assert commits[-1]["value"]["metadata"] == "note"  # type: ignore[index]
    named = wait_for(
        lambda: kept(ev, data, "__transaction_state", {"transactional_id": f"{topic}-txn"}), "the transaction to be in the files"
    )
    states = [row["value"]["transaction_status"] for row in named if row["value"]]  # type: ignore[index]
    assert states[0] == "Empty"
    assert "CompleteAbort" in states
    assert ev("log", "verify", str(data / f"{topic}-0")).status == 0


def test_the_files_of_ev(ev: CommandLine) -> None:
    """Segments, indexes, snapshots and checkpoints, while the engine runs and when it does not; damage is exit 6 or 1, and has a place."""
    ev("up", "-q")
    filled(ev, ev.address, "t", "g")
    check(ev, ev.data_dir, "t", "g")
    ev("down", "-q")
    check(ev, ev.data_dir, "t", "g")
    folder = ev.data_dir / "t-0"
    (aborted,) = rows(ev, segment(folder, ".txnindex"))
    assert (aborted["first_offset"], aborted["marker_offset"]) == (2, 3)
    assert rows(ev, str(folder / "ev.checkpoint"))[0]["recovery_offset"] == 4
    assert rows(ev, str(folder / "leader-epoch-checkpoint"))[0]["start_offset"] == 0
    assert {row["name"] for row in rows(ev, str(folder / "partition.metadata"))} == {"version", "topic_id"}
    assert any(row["name"] == "cluster.id" for row in rows(ev, str(ev.data_dir / "meta.properties")))
    assert any(row["topic"] == "t" for row in rows(ev, str(ev.data_dir / "recovery-point-offset-checkpoint")))
    assert len(ev("log", "dump", str(folder), "-o", "jsonl").lines) == 3
    table = ev("log", "dump", segment(folder), "-o", "table").lines
    assert table[0].split()[:3] == ["BASE-OFFSET", "LAST-OFFSET", "COUNT"]
    copy = ev.directory / "copy" / "t-0"
    shutil.copytree(folder, copy)
    log = pathlib.Path(segment(copy))
    log.write_bytes(log.read_bytes()[:-10])
    cut = ev("log", "dump", str(log), "--json", status=1)
    assert len(cut.json) == 2
    assert "a batch says it is" in cut.err
    data = bytearray(log.read_bytes())
    data[70] ^= 1
    log.write_bytes(data)
    assert rows(ev, segment(folder))[0]["sound"]
    assert json.loads(ev("log", "dump", str(log), "--json", status=1).out)[0]["sound"] is False
    assert "does not match its checksum" in ev("log", "dump", str(log), "-r", status=1).err
    damaged = ev("log", "verify", str(copy), "--json", status=6)
    assert any(row["file"] == log.name for row in damaged.json)


def test_a_snapshot_is_shown(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """Each producer that the partition remembers, and where its open transaction begins."""
    producers, transactions = Producers(), Transactions()
    producers.by_id[7] = known = Remembered(3, 1_700_000_000_000)
    known.remember((0, 4, 10, 14, 1_700_000_000_001))
    transactions.begin(7, 12, None, 0)
    path = tmp_path / "00000000000000000015.snapshot"
    path.write_bytes(producers.snapshot(transactions))
    (row,) = rows(ev, str(path))
    assert (row["producer_id"], row["producer_epoch"], row["last_sequence"], row["last_offset"], row["first_offset"]) == (7, 3, 4, 14, 12)
    path.write_bytes(path.read_bytes()[:-1])
    assert "does not match its checksum" in ev("log", "dump", str(path), status=1).err


def test_indexes_are_shown(ev: CommandLine) -> None:
    """What was appended long enough ago has entries, in order."""
    ev("up", "-q")
    ev("topic", "create", "t", "-c", "index.interval.bytes=1")
    for number in range(3):
        ev("produce", "t", data=b"%d\n" % number)
    ev("down", "-q")
    folder = ev.data_dir / "t-0"
    offsets = [int(str(row["offset"])) for row in rows(ev, segment(folder, ".index"))]
    assert offsets == sorted(offsets)
    assert offsets
    stamps = rows(ev, segment(folder, ".timeindex"))
    assert all(int(str(row["timestamp"])) > 1_600_000_000_000 for row in stamps)


def test_what_is_no_file_of_a_log(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """Exit 1 when it is not there, 2 when it is something else; no engine is started for it."""
    other = tmp_path / "notes.txt"
    other.write_text("x")
    assert "there is no file" in ev("log", "dump", str(tmp_path / "00.log"), status=1).err
    assert "is no file of a log" in ev("log", "dump", str(other), status=2).err
    assert "has no segments" in ev("log", "dump", str(tmp_path), status=2).err
    (tmp_path / "empty-0").mkdir()
    (tmp_path / "empty-0" / "partition.metadata").write_text("version: 0")
    assert ev("log", "dump", str(tmp_path / "empty-0"), "--json").json == []
    (tmp_path / "a.log").write_bytes(b"")
    (tmp_path / "a.index").write_bytes(b"")
    assert "one kind" in ev("log", "dump", str(tmp_path / "a.log"), str(tmp_path / "a.index"), status=2).err
    assert ev("log", "dump", str(tmp_path / "a.log"), "--json").json == []
    assert "--as" in ev("log", "dump", str(tmp_path / "a.log"), "--as", "poems", status=2).err
    assert "no directory" in ev("log", "verify", str(tmp_path / "nowhere"), status=1).err
    assert not ev.data_dir.exists()


@pytest.mark.java
def test_the_files_of_apache_kafka(ev: CommandLine, apache: Kafka, fresh: Fresh) -> None:
    """The same, and the same batches that Kafka's own tool sees."""
    topic, group = fresh("topic"), fresh("group")
    ev.variables["EV_BOOTSTRAP"] = apache.bootstrap
    filled(ev, apache.bootstrap, topic, group)
    data = apache.data(apache.nodes[0])
    check(ev, data, topic, group)
    log = pathlib.Path(segment(data / f"{topic}-0"))
    theirs = dump([log])
    assert [(row["base_offset"], row["last_offset"], row["count"]) for row in rows(ev, str(log))] == theirs.batches
