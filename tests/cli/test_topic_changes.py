"""ev topic: what creates, changes, empties and declares topics, and what of it can be taken back. On ev and on Apache Kafka."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable

import pytest

from support.command_line import CommandLine

pytestmark = pytest.mark.parametrize("either", ["ev", pytest.param("apache", marks=[pytest.mark.java, pytest.mark.slow])], indirect=True)


@pytest.fixture
def topic(either: CommandLine, fresh: Callable[[str], str]) -> str:
    """A topic of two partitions; ten records in the first of them, with keys, an hour apart."""
    name = fresh("t")
    either("topic", "create", name, "-p", "2", "-c", "retention.ms=-1", "--wait")
    lines = [
        json.dumps({"key": f"k{number % 3}", "value": "x" * number, "timestamp": 1_700_000_000_000 + number * 3_600_000})
        for number in range(10)
    ]
    either("produce", name, "-J", "-p", "0", data="\n".join(lines).encode())
    return name


def test_settings_are_altered_and_taken_back(either: CommandLine, topic: str) -> None:
    """--dry-run is the plan; undo puts back what was there, and refuses when somebody has altered it since."""
    ev = either
    plan = ev.json("topic", "alter", topic, "-p", "+1", "-c", "retention.ms=1000", "--append", "cleanup.policy=compact", "--dry-run")
    assert [(row["what"], row["before"], row["after"]) for row in plan] == [
        ("partitions", 2, 3),
        ("retention.ms", "-1", "1000"),
        ("cleanup.policy", None, "delete,compact"),
    ]
    ev("topic", "alter", topic, "-c", "retention.ms=1000", "--append", "cleanup.policy=compact")
    assert ev.json("topic", "describe", topic)["config"] == {"cleanup.policy": "delete,compact", "retention.ms": "1000"}
    ev("undo", "-y")
    assert ev.json("topic", "describe", topic)["config"] == {"retention.ms": "-1"}
    ev("topic", "alter", topic, "-c", "retention.ms=2000")
    ev("topic", "alter", topic, "-c", "retention.ms=3000", EV_CONFIG="/nowhere", XDG_STATE_HOME="/proc/nowhere")
    assert "is 3000 now" in ev("undo", "-y", status=1).err
    ev("topic", "alter", topic, "-c", "no.such.setting=1", status=1)
    assert not any("no.such.setting" in json.dumps(row) for row in ev.json("undo", "--list"))


def test_a_topic_like_another(either: CommandLine, topic: str) -> None:
    """With its partitions and settings; options come on top. A clone is the same."""
    ev = either
    ev("topic", "create", f"{topic}-like", "--like", topic, "-c", "max.message.bytes=2000", "--wait")
    described = ev.json("topic", "describe", f"{topic}-like")
    assert (len(described["partitions"]), described["config"]) == (2, {"max.message.bytes": "2000", "retention.ms": "-1"})
    ev("topic", "clone", topic, f"{topic}-clone")
    assert ev.json("topic", "diff", topic, f"{topic}-clone", "--config") == []
    assert "'" + topic + "'" in ev("topic", "clone", topic[:-1], "x", status=3).err


def test_topics_are_what_a_file_declares(either: CommandLine, topic: str, tmp_path: pathlib.Path) -> None:
    """Pending changes are exit 6; then they are made, and nothing is pending any more. What cannot be made so is said."""
    ev = either
    file = tmp_path / "topics.toml"
    file.write_text(
        f'[topics."{topic}"]\npartitions = 3\nconfig.retention.ms = 5000\n'
        f'[topics."{topic}-new"]\npartitions = 2\n[topics."{topic}-new".config]\n"cleanup.policy" = ["compact"]\n'
    )
    pending = ev.json("topic", "apply", str(file), "--dry-run", status=6)
    assert [(row["action"], row["part"], row["before"], row["after"]) for row in pending] == [
        ("add-partitions", "partitions", 2, 3),
        ("set", "retention.ms", "-1", "5000"),
        ("create", "topic", None, 2),
        ("set", "cleanup.policy", None, "compact"),
    ]
    assert "-y" in ev("topic", "apply", str(file), status=2).err
    ev("topic", "apply", str(file), "-y")
    described = ev.json("topic", "describe", topic, f"{topic}-new")
    assert [(len(one["partitions"]), one["config"]) for one in described] == [
        (3, {"retention.ms": "5000"}),
        (2, {"cleanup.policy": "compact"}),
    ]
    assert ev.json("topic", "apply", str(file), "--dry-run") == []
    written = tmp_path / "described.json"
    written.write_text(json.dumps(described))
    assert "declared twice" in ev("topic", "apply", str(tmp_path), "--dry-run", status=1).err
    assert ev.json("topic", "apply", str(written), "--dry-run") == []
    file.write_text(f'[topics."{topic}"]\npartitions = 1\n')
    assert "never become fewer" in ev("topic", "apply", str(file), "-y", status=1).err
    ev("topic", "create", "--file", str(written), "--if-not-exists")
    file.write_text('[topics."x"]\nparts = 1\n')
    assert "'parts'" in ev("topic", "apply", str(file), status=1).err


def test_records_are_counted(either: CommandLine, topic: str) -> None:
    """By offsets or by reading; apart by partition, key or hour; between two times."""
    ev = either
    assert ev("topic", "count", topic).out == f"{topic}\t10\n".encode()
    assert ev("topic", "count", topic, "--exact", "--by", "partition").lines == [f"{topic}\t0\t10", f"{topic}\t1\t0"]
    assert [(row["key"], row["records"]) for row in ev.json("topic", "count", topic, "--by", "key")] == [("k0", 4), ("k1", 3), ("k2", 3)]
    by_hour = ev.json("topic", "count", topic, "--by", "hour", "--since", "1700000000000", "--until", "1700007200000")
    assert [(row["timestamp"] % 3_600_000, row["records"]) for row in by_hour] == [(0, 1), (0, 1)]
    offsets = ev.json("topic", "offsets", topic, "--at", "1700003600000", "-p", "0")
    assert [(row["offset"], row["timestamp"]) for row in offsets] == [(1, 1_700_003_600_000)]
    assert [row["offset"] for row in ev.json("topic", "offsets", topic)] == [10, 0]


def test_records_are_described(either: CommandLine, topic: str) -> None:
    """Sizes, keys, times, spread."""
    found = either.json("topic", "analyze", topic)
    assert (found["records"], found["bytes"], found["distinct_keys"], found["tombstones"], found["skew"]) == (10, 65, 3, 0, 2.0)
    assert (found["sizes"]["p50"], found["sizes"]["max"]) == (6, 11)
    assert found["last_timestamp"] - found["first_timestamp"] == 9 * 3_600_000
    assert "keys     3 different" in either("topic", "analyze", topic, "-o", "table").out.decode()


def test_records_are_deleted_after_a_warning(either: CommandLine, topic: str) -> None:
    """It says beforehand that nothing brings them back."""
    ev = either
    assert "nothing brings them back" in ev("topic", "trim", topic, "-o", "3", status=2).err
    (row, _) = ev.json("topic", "trim", topic, "-o", "@1700010800000", "--dry-run")
    assert (row["new_start"], row["records"]) == (3, 3)
    ev("topic", "trim", topic, "-o", "3", "-p", "0", "-y")
    assert [row["offset"] for row in ev.json("topic", "offsets", topic, "--at", "start")] == [3, 0]
    assert "no partition reaches offset 11" in ev("topic", "trim", topic, "-o", "11", "-y", status=1).err
    assert "7 records" in ev("topic", "empty", topic, status=2).err
    ev("topic", "empty", topic, "-y")
    assert ev("topic", "count", topic).out == f"{topic}\t0\n".encode()
    assert "nothing to delete" in ev("topic", "empty", topic, "-y").err


def test_a_topic_in_a_file_and_back(either: CommandLine, topic: str, tmp_path: pathlib.Path) -> None:
    """Keys, values, nulls, headers, timestamps and settings; part of the time too. A damaged file loads nothing."""
    ev = either
    strange = '{"key":null,"value":null,"headers":[["h",null],["h","2"]],"timestamp":5}\n'
    ev("produce", topic, "-J", "-p", "1", data=(strange + '{"key_b64":"/w==","value_b64":"AP8=","timestamp":6}\n').encode())
    file = tmp_path / "all.evdump"
    ev("topic", "dump", topic, "-O", str(file))
    assert "is there already" in ev("topic", "dump", topic, "-O", str(file), status=1).err
    copy = f"{topic}-copy"
    assert "loaded 12 records" in ev("topic", "load", str(file), copy, "--create").err
    assert ev.json("topic", "diff", topic, copy) == []
    original, loaded = (ev("consume", one, "-e", "-J", "-p", "1").out for one in (topic, copy))
    assert loaded.replace(copy.encode(), topic.encode()) == original
    ev("produce", copy, "-p", "1", data=b"more\n")
    (difference,) = ev.json("topic", "diff", topic, copy, "--records", status=6)
    assert (difference["what"], difference["left"]) == ("records of partition 1", None)
    part = tmp_path / "part.evdump"
    ev("topic", "dump", topic, "-O", str(part), "--since", "1700010800000", "--until", "1700021600000", "-z", "none")
    ev("topic", "load", str(part), f"{topic}-part", "--create")
    assert ev("consume", f"{topic}-part", "-e", "-f", "%k %T\\n").lines == ["k0 1700010800000", "k1 1700014400000", "k2 1700018000000"]
    whole = file.read_bytes()
    for damaged, said in ((whole[:-5], "cut off"), (whole[:200] + b"?" + whole[201:], "damaged"), (b"x", "no dump")):
        part.write_bytes(damaged)
        assert said in ev("topic", "load", str(part), f"{topic}-never", "--create", status=1).err
    ev("topic", "describe", f"{topic}-never", status=3)


def test_what_ails_is_found(either: CommandLine, topic: str) -> None:
    """Filters show only partitions that have it: here none."""
    assert either("topic", "describe", "--under-replicated", "--unavailable", "--json").out == b"[]\n"
    described = either.json("topic", "list", topic)[0]
    assert (described["records"], described["retention_ms"]) == (10, -1)
    assert described["size"] > 65
    assert either("topic", "list", topic, "--sort", "size", "-o", "name").lines == [topic]


def test_settings_and_quotas_are_taken_back(either: CommandLine, topic: str) -> None:
    """What ev config and ev quota change, as what ev topic alter does."""
    ev = either
    ev("config", "set", f"topic/{topic}", "retention.ms=7", "-q")
    ev("undo", "-y")
    assert ev.json("topic", "describe", topic)["config"] == {"retention.ms": "-1"}
    ev("quota", "set", "--user", topic, "producer_byte_rate=1000", "-q")
    ev("quota", "set", "--user", topic, "producer_byte_rate=2000", "request_percentage=50", "-q")
    ev("undo", "-y")
    assert [(row["quota"], row["value"]) for row in ev.json("quota", "list", "--user", topic)] == [("producer_byte_rate", 1000)]
    ev("undo", "-y")
    assert ev.json("quota", "list", "--user", topic) == []
