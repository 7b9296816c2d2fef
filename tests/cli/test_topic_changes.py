"""ev topic: what creates, changes, empties and declares topics, and what of it can be taken back. On ev and on Apache Kafka."""

from __future__ import annotations

import json
import pathlib

import pytest

from support.command_line import CommandLine


@pytest.fixture
def topic(anywhere: CommandLine, name: str) -> str:
    """A topic of two partitions; ten records in the first of them, with keys, an hour apart."""
    anywhere("topic", "create", name, "-p", "2", "-c", "retention.ms=-1", "--wait")
    lines = [
        json.dumps({"key": f"k{number % 3}", "value": "x" * number, "partition": 0, "timestamp": 1_700_000_000_000 + number * 3_600_000})
        for number in range(10)
    ]
    anywhere("produce", name, "-J", data="\n".join(lines).encode())
    return name


def test_settings_are_altered_and_taken_back(anywhere: CommandLine, topic: str) -> None:
    """--dry-run is the plan; undo puts back what was there, and refuses when somebody has altered it since."""
    ev = anywhere
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


def test_a_topic_like_another(anywhere: CommandLine, topic: str) -> None:
    """With its partitions and settings; options come on top. A clone is the same."""
    ev = anywhere
    ev("topic", "create", f"{topic}-like", "--like", topic, "-c", "max.message.bytes=2000", "--wait")
    described = ev.json("topic", "describe", f"{topic}-like")
    assert (len(described["partitions"]), described["config"]) == (2, {"max.message.bytes": "2000", "retention.ms": "-1"})
    ev("topic", "clone", topic, f"{topic}-clone")
    cloned = ev.json("topic", "describe", f"{topic}-clone")
    assert (len(cloned["partitions"]), cloned["config"]) == (2, {"retention.ms": "-1"})
    assert "'" + topic + "'" in ev("topic", "clone", topic[:-1], "x", status=3).err


def test_topics_are_what_a_file_declares(anywhere: CommandLine, topic: str, tmp_path: pathlib.Path) -> None:
    """Pending changes are exit 6; then they are made, and nothing is pending any more. What cannot be made so is said."""
    ev = anywhere
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


def test_what_ails_is_found(anywhere: CommandLine, topic: str) -> None:
    """Filters show only partitions that have it: here none."""
    assert anywhere("topic", "describe", "--under-replicated", "--unavailable", "--json").out == b"[]\n"
    described = anywhere.json("topic", "list", topic)[0]
    assert (described["records"], described["retention_ms"]) == (10, -1)
    assert anywhere("topic", "list", topic, "--sort", "records", "-o", "name").lines == [topic]
