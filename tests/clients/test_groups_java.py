"""Apache Kafka's own group consumer and its consumer-groups command."""

from __future__ import annotations

import json
import subprocess

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from support import apache_kafka

pytestmark = pytest.mark.java

TIMEOUT_S = 90


@pytest.fixture
def filled(address: str, topic: str) -> str:
    """A topic of two partitions with ten records in each."""
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result(30)
    producer = Producer({"bootstrap.servers": address, "acks": "all"})
    for number in range(20):
        producer.produce(topic, b"%d" % number, partition=number % 2)
    assert producer.flush(30) == 0
    return topic


def tool(release: str, name: str, address: str, *arguments: str) -> str:
    command = apache_kafka.tool_command(release, name, "--bootstrap-server", address, *arguments)
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Error" not in done.stdout, done.stdout
    return done.stdout


@pytest.mark.parametrize("release", [apache_kafka.LATEST, apache_kafka.OLDER])
def test_kafkas_consumer_and_its_command_for_groups(release: str, address: str, filled: str) -> None:
    """A Java consumer reads and commits as a member; the command lists, describes, rewinds and deletes its group."""
    group = f"java-{filled}"
    events = [
        json.loads(line)
        for line in tool(
            release,
            "verifiable-consumer",
            address,
            "--topic",
            filled,
            "--group-id",
            group,
            "--max-messages",
            "20",
            "--reset-policy",
            "earliest",
        ).splitlines()
    ]
    kinds = [event["name"] for event in events]
    assert "partitions_assigned" in kinds
    assert sum(event["count"] for event in events if event["name"] == "records_consumed") == 20
    assert all(event["success"] for event in events if event["name"] == "offsets_committed")
    assert group in tool(release, "consumer-groups", address, "--list").split()
    rows = [
        line.split() for line in tool(release, "consumer-groups", address, "--describe", "--group", group).splitlines() if filled in line
    ]
    assert sorted(row[2:6] for row in rows if row[0] == group and row[1] == filled) == [["0", "10", "10", "0"], ["1", "10", "10", "0"]]
    tool(
        release, "consumer-groups", address, "--reset-offsets", "--group", group, "--topic", f"{filled}:0", "--to-offset", "4", "--execute"
    )
    rows = [
        line.split() for line in tool(release, "consumer-groups", address, "--describe", "--group", group).splitlines() if filled in line
    ]
    assert sorted(row[2:6] for row in rows if row[0] == group and row[1] == filled) == [["0", "4", "10", "6"], ["1", "10", "10", "0"]]
    assert "Successful" in tool(release, "consumer-groups", address, "--delete-offsets", "--group", group, "--topic", filled)
    assert "was successful" in tool(release, "consumer-groups", address, "--delete", "--group", group)
    assert group not in tool(release, "consumer-groups", address, "--list").split()
