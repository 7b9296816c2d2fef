"""ev cluster: the same questions, and answers of the same form, on ev and on Apache Kafka."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ev.client.results import Broker, ClusterDescription, TopicDescription, TopicPartitionDescription
from ev_cli.actions.health import judged
from support.command_line import CommandLine

Fresh = Callable[[str], str]


def test_what_the_cluster_is(either: CommandLine, fresh: Fresh) -> None:
    """One object with its id, controller and counts; a few lines for a person; brokers with what they lead and store."""
    topic = fresh("topic")
    either("topic", "create", topic, "-p", "3")
    either("produce", topic, "-p", "2", data=b"x\n" * 100)
    info = either.json("cluster", "info")
    assert info["brokers"] == 1
    assert info["controller"] is not None
    assert info["topics"] >= 1
    assert info["partitions"] >= 3
    assert info["metadata_version"] is None or info["metadata_version"] > 0
    assert any(line.split()[:2] == ["cluster", "id"] for line in either("cluster", "info", "-o", "table").lines)
    (broker,) = either.json("cluster", "brokers")
    assert broker["controller"]
    assert broker["leads"] == broker["partitions"] >= 3
    assert broker["bytes"] > 0
    rows = either.json("cluster", "logdirs", "--by", "partition", "-t", topic)
    assert {(row["topic"], row["partition"]) for row in rows} == {(topic, 0), (topic, 1), (topic, 2)}
    assert rows[0]["partition"] == 2, "the largest comes first"
    (whole,) = either.json("cluster", "logdirs", "--by", "topic", "-t", topic)
    assert (whole["partitions"], whole["bytes"]) == (3, sum(row["bytes"] for row in rows))
    (directory,) = either.json("cluster", "logdirs", str(broker["broker"]))
    assert directory["bytes"] >= whole["bytes"]


def test_what_the_brokers_speak(either: CommandLine) -> None:
    """APIs by key, features with their levels, and who votes on the metadata."""
    rows = either.json("cluster", "api-versions")
    fetch = next(row for row in rows if row["key"] == 1)
    assert fetch["api"] == "Fetch"
    assert fetch["lowest"] <= 12 <= fetch["newest"]
    features = {row["feature"]: row for row in either.json("cluster", "features")}
    assert features["metadata.version"]["level"] <= features["metadata.version"]["supported_max"]
    quorum = either.json("cluster", "quorum")
    assert [(row["node"], row["role"], row["lag"]) for row in quorum["nodes"]] == [(quorum["leader"], "leader", 0)]
    assert either("cluster", "quorum").lines[0].split("\t")[1:2] == ["leader"]


def test_a_cluster_that_is_well_is_exit_0(either: CommandLine) -> None:
    """Every form says so; waiting for it ends at once; a preferred leader is no matter where there is one broker."""
    found = either.json("cluster", "health")
    assert (found["healthy"], found["leaderless"], found["under_replicated"]) == (True, [], [])
    assert either("cluster", "health", "--exit-when-healthy", "--for", "5s", "-o", "name").lines[0] == "somebody answers"
    assert either("cluster", "elect-leaders", "-y").out == b""
    assert either.json("cluster", "elect-leaders", "--dry-run") == []


def test_names_that_are_not_there_are_exit_3(one_engine: CommandLine) -> None:
    """And flags that mean nothing are exit 2; a cluster that is away is exit 4, or, when waited for, 6."""
    assert "no broker 99" in one_engine("cluster", "logdirs", "99", status=3).err
    assert "id of a broker" in one_engine("cluster", "api-versions", "one", status=2).err
    assert "no topic 'nowhere'" in one_engine("cluster", "elect-leaders", "nowhere", "-y", status=3).err
    assert "--by column" in one_engine("cluster", "logdirs", "--by", "column", status=2).err
    assert "--for" in one_engine("cluster", "health", "--for", "1s", status=2).err
    away = ("-b", "127.0.0.1:1", "cluster", "health", "--json")
    assert "127.0.0.1:1" in one_engine(*away, status=4).err
    assert one_engine(*away, "-e", "--for", "0.5s", status=6).json["reachable"] is False


def partition(index: int, leader: int, replicas: list[int], in_sync: list[int]) -> TopicPartitionDescription:
    return TopicPartitionDescription(index, leader, 0, replicas, in_sync, [])


@pytest.mark.parametrize(
    ("leader", "in_sync", "least", "wrong"),
    [
        (1, [1, 2, 3], 2, []),
        (1, [1, 2], 2, ["under_replicated"]),
        (1, [1], 2, ["under_replicated", "under_min_in_sync"]),
        (-1, [3], 1, ["under_replicated", "leaderless"]),
    ],
)
def test_what_is_wrong_with_a_partition(leader: int, in_sync: list[int], least: int, wrong: list[str]) -> None:
    """No leader, fewer replicas than it should have, fewer than min.insync.replicas: each is told apart."""
    cluster = ClusterDescription("id", 1, [Broker(number, "h", 1, None) for number in (1, 2, 3)])
    topic = TopicDescription("t", bytes(16), False, [partition(0, leader, [1, 2, 3], in_sync)])
    found = judged(cluster, [topic], {"t": least})
    assert found["healthy"] == (not wrong)
    assert {name for name in ("leaderless", "under_replicated", "under_min_in_sync") if found[name]} == set(wrong)


def test_a_broker_that_is_away_is_named() -> None:
    """One that has replicas and is not among the brokers; so is a controller that nobody knows."""
    cluster = ClusterDescription("id", -1, [Broker(1, "h", 1, None)])
    topic = TopicDescription("t", bytes(16), False, [partition(0, 1, [1, 2], [1])])
    found = judged(cluster, [topic], {})
    assert (found["brokers_away"], found["controller"], found["healthy"]) == ([2], None, False)
