"""Apache Kafka's own command line tools, which are its Java clients, on the engine: of this release, and of the last of the 3.x line."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
from collections.abc import Callable

import pytest

from support import apache_kafka

pytestmark = pytest.mark.java

Tool = Callable[..., str]


def runner(release: str) -> Tool:
    """Runs a tool of this release, and returns what it printed; it must succeed."""

    def run(name: str, *arguments: str, stdin: str = "") -> str:
        command = apache_kafka.tool_command(release, name, *arguments)
        ended = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=100, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    return run


@pytest.fixture(params=[apache_kafka.LATEST, apache_kafka.OLDER])
def tool(request: pytest.FixtureRequest) -> Tool:
    return runner(request.param)


def test_topics_are_managed(tool: Tool, address: str, topic: str) -> None:
    """Created with a configuration, described, altered, grown, deleted."""
    server = ("--bootstrap-server", address)
    assert "Created topic" in tool("topics", *server, "--create", "--topic", topic, "--partitions", "3", "--config", "retention.ms=12345")
    described = tool("topics", *server, "--describe", "--topic", topic)
    assert "PartitionCount: 3" in described
    assert "retention.ms=12345" in described
    assert described.count("Leader: 1") == 3
    tool("topics", *server, "--alter", "--topic", topic, "--partitions", "5")
    entity = ("--entity-type", "topics", "--entity-name", topic)
    tool("configs", *server, *entity, "--alter", "--add-config", "segment.bytes=1048576", "--delete-config", "retention.ms")
    configured = tool("configs", *server, *entity, "--describe")
    assert "segment.bytes=1048576" in configured
    assert "retention.ms" not in configured
    assert "PartitionCount: 5" in tool("topics", *server, "--describe", "--topic", topic)
    tool("topics", *server, "--delete", "--topic", topic)
    assert topic not in tool("topics", *server, "--list").split()


def test_records_go_in_and_come_out_through_a_group(tool: Tool, address: str, topic: str, tmp_path: pathlib.Path) -> None:
    """The Java producer, idempotent as it is by default, the Java consumer in a group, its lag, and records that are deleted."""
    server = ("--bootstrap-server", address)
    tool("topics", *server, "--create", "--topic", topic)
    lines = [f"line {number}" for number in range(1000)]
    tool("console-producer", *server, "--topic", topic, stdin="\n".join(lines) + "\n")
    assert f"{topic}:0:1000" in tool("get-offsets", *server, "--topic", topic).split()
    consumed = tool("console-consumer", *server, "--topic", topic, "--from-beginning", "--max-messages", "1000", "--group", f"g-{topic}")
    assert consumed.splitlines() == lines
    described = tool("consumer-groups", *server, "--describe", "--group", f"g-{topic}")
    (row,) = [line.split() for line in described.splitlines() if topic in line.split()]
    assert row[3:6] == ["1000", "1000", "0"]
    places = tmp_path / "delete.json"
    places.write_text(json.dumps({"partitions": [{"topic": topic, "partition": 0, "offset": 400}], "version": 1}))
    assert "low_watermark: 400" in tool("delete-records", *server, "--offset-json-file", str(places))
    assert f"{topic}:0:400" in tool("get-offsets", *server, "--topic", topic, "--time", "-2").split()


def test_the_broker_and_the_cluster_describe_themselves(tool: Tool, address: str) -> None:
    """The tools that ask what there is."""
    server = ("--bootstrap-server", address)
    assert "Cluster ID: " in tool("cluster", "cluster-id", *server)
    versions = tool("broker-api-versions", *server)
    assert "Produce(0): 0 to 13" in versions
    assert "message.max.bytes=1048588" in tool("configs", *server, "--entity-type", "brokers", "--entity-name", "1", "--describe", "--all")


def test_one_node_tells_of_its_directory_its_quorum_and_its_leaders(tool: Tool, address: str, topic: str, tmp_path: pathlib.Path) -> None:
    """The tools for log directories, the metadata quorum, elections, reassignments and producers say what there is to say."""
    server = ("--bootstrap-server", address)
    tool("topics", *server, "--create", "--topic", topic, "--partitions", "2")
    tool("console-producer", *server, "--topic", topic, stdin="one\ntwo\n")
    directories = json.loads(tool("log-dirs", *server, "--describe", "--topic-list", topic).splitlines()[-1])
    (directory,) = directories["brokers"][0]["logDirs"]
    assert {part["partition"] for part in directory["partitions"]} == {f"{topic}-0", f"{topic}-1"}
    assert sum(part["size"] for part in directory["partitions"]) > 0
    quorum = tool("metadata-quorum", *server, "describe", "--status")
    assert re.search(r"LeaderId:\s+1\b", quorum), quorum
    election = tool("leader-election", *server, "--election-type", "preferred", "--topic", topic, "--partition", "0")
    assert f"Valid replica already elected for partitions {topic}-0" in election
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"version": 1, "partitions": [{"topic": topic, "partition": 0, "replicas": [1]}]}))
    assert "Successfully started" in tool("reassign-partitions", *server, "--reassignment-json-file", str(plan), "--execute")
    assert "No partition reassignments found" in tool("reassign-partitions", *server, "--list")
    producers = tool("transactions", *server, "describe-producers", "--topic", topic, "--partition", "0")
    assert "ProducerId" in producers


def test_a_group_is_given_its_own_timeouts(address: str, topic: str) -> None:
    """Set, described by name and among all, and taken back, by the release that knows of it; no client metrics are listed."""
    tool = runner(apache_kafka.LATEST)
    server = ("--bootstrap-server", address)
    groups = ("configs", *server, "--entity-type", "groups")
    tool(*groups, "--entity-name", topic, "--alter", "--add-config", "consumer.session.timeout.ms=50000")
    assert "consumer.session.timeout.ms=50000" in tool(*groups, "--entity-name", topic, "--describe")
    described = tool(*groups, "--describe")
    assert f"Dynamic configs for group {topic} are:" in described
    assert "DYNAMIC_GROUP_CONFIG:consumer.session.timeout.ms=50000, DEFAULT_CONFIG:group.consumer.session.timeout.ms=45000" in described
    tool(*groups, "--entity-name", topic, "--alter", "--delete-config", "consumer.session.timeout.ms")
    assert topic not in tool(*groups, "--describe")
    assert tool("client-metrics", *server, "--list").split() == []


def test_the_brokers_settings_are_changed_while_it_runs(tool: Tool, address: str) -> None:
    """For all brokers and for this one, and taken back; what cannot be changed is refused."""
    server = ("--bootstrap-server", address)
    everyone = ("configs", *server, "--entity-type", "brokers", "--entity-default")
    this = ("configs", *server, "--entity-type", "brokers", "--entity-name", "1")
    tool(*everyone, "--alter", "--add-config", "log.retention.ms=2000000")
    tool(*this, "--alter", "--add-config", "log.retention.ms=3000000")
    assert "log.retention.ms=2000000" in tool(*everyone, "--describe")
    described = tool(*this, "--describe")
    assert "DYNAMIC_BROKER_CONFIG:log.retention.ms=3000000, DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=2000000" in described
    command = apache_kafka.tool_command(apache_kafka.LATEST, *this, "--alter", "--add-config", "num.partitions=3")
    refused = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert refused.returncode != 0
    assert "Cannot update these configs dynamically: [num.partitions]" in refused.stdout + refused.stderr
    for entity in (this, everyone):
        tool(*entity, "--alter", "--delete-config", "log.retention.ms")
        assert "log.retention.ms=" not in tool(*entity, "--describe")


def test_clients_are_given_quotas(tool: Tool, address: str, topic: str) -> None:
    """Users, client ids, both together, and addresses; by name and as the default; described, and taken back."""
    configs = ("configs", "--bootstrap-server", address)
    user = ("--entity-type", "users", "--entity-name", topic)
    client = ("--entity-type", "clients", "--entity-name", topic)
    both = (*user, "--entity-type", "clients", "--entity-default")
    tool(*configs, *client, "--alter", "--add-config", "producer_byte_rate=2097152,request_percentage=50")
    tool(*configs, *both, "--alter", "--add-config", "consumer_byte_rate=2048,controller_mutation_rate=1.5")
    described = tool(*configs, *client, "--describe")
    assert f"Quota configs for client-id '{topic}' are" in described
    assert "producer_byte_rate=2097152.0" in described
    assert "request_percentage=50.0" in described
    assert "controller_mutation_rate=1.5" in tool(*configs, *both, "--describe")
    address_of = ("--entity-type", "ips", "--entity-name", "203.0.113.7")
    tool(*configs, *address_of, "--alter", "--add-config", "connection_creation_rate=100")
    assert "connection_creation_rate=100.0" in tool(*configs, *address_of, "--describe")
    tool(*configs, *client, "--alter", "--delete-config", "producer_byte_rate,request_percentage")
    assert "_rate" not in tool(*configs, *client, "--describe")


def test_kafkas_own_producer_heeds_what_it_is_told(address: str, topic: str) -> None:
    """1.1 MB at 100 KB/s, of which ten seconds' worth is free: the last request is told to wait a second, as by Kafka; nothing is lost."""
    tool = runner(apache_kafka.LATEST)
    server = ("--bootstrap-server", address)
    tool("topics", *server, "--create", "--topic", topic)
    client = ("configs", *server, "--entity-type", "clients", "--entity-name", topic)
    tool(*client, "--alter", "--add-config", "producer_byte_rate=100000")
    one_at_a_time = ("max.in.flight.requests.per.connection=1", "batch.size=16384")
    properties = (f"bootstrap.servers={address}", f"client.id={topic}", *one_at_a_time)
    numbers = ("--num-records", "1100", "--record-size", "1000", "--throughput", "-1")
    told = tool("producer-perf-test", "--topic", topic, *numbers, "--print-metrics", "--producer-props", *properties)
    assert "1100 records sent" in told
    longest = re.search(r"produce-throttle-time-max:\S+ +: ([0-9.]+)", told)
    assert longest is not None
    assert 800 < float(longest[1]) < 1300, "the excess over what is free, at the rate of the quota"
    assert f"{topic}:0:1100" in tool("get-offsets", *server, "--topic", topic).split()
    tool(*client, "--alter", "--delete-config", "producer_byte_rate")


def test_features_are_described_and_changed(address: str) -> None:
    """Downgraded and upgraded again; the tool prints the release that the metadata version stands for."""
    tool = runner(apache_kafka.LATEST)
    features = ("features", "--bootstrap-server", address)
    described = tool(*features, "describe")
    assert re.search(r"metadata.version\s+SupportedMinVersion: 3.3-IV3\s.*FinalizedVersionLevel: 4.3-IV0", described), described
    assert "was downgraded to 1" in tool(*features, "downgrade", "--feature", "transaction.version=1")
    assert "was upgraded to 2" in tool(*features, "upgrade", "--feature", "transaction.version=2")


def test_subscriptions_to_metrics_and_levels_of_loggers_are_kept_for_the_tools(address: str, topic: str) -> None:
    """A subscription is set, described and deleted; a logger is given a level."""
    tool = runner(apache_kafka.LATEST)
    metrics = ("client-metrics", "--bootstrap-server", address)
    tool(*metrics, "--alter", "--name", topic, "--metrics", "org.apache.kafka.producer.", "--interval", "30000", "--match", "client_id=a.*")
    described = tool(*metrics, "--describe", "--name", topic)
    assert "interval.ms=30000" in described
    assert "metrics=org.apache.kafka.producer." in described
    tool(*metrics, "--delete", "--name", topic)
    loggers = ("configs", "--bootstrap-server", address, "--entity-type", "broker-loggers", "--entity-name", "1")
    tool(*loggers, "--alter", "--add-config", "ev.broker=DEBUG")
    assert "ev.broker=DEBUG" in tool(*loggers, "--describe")
    tool(*loggers, "--alter", "--delete-config", "ev.broker")


def test_a_reassignment_is_throttled_and_the_throttle_is_taken_back(tool: Tool, address: str, topic: str, tmp_path: pathlib.Path) -> None:
    """The tool sets it on the broker and on the topic, and deletes it when it verifies that the reassignment is over."""
    server = ("--bootstrap-server", address)
    this = ("configs", *server, "--entity-type", "brokers", "--entity-name", "1")
    tool("topics", *server, "--create", "--topic", topic)
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"version": 1, "partitions": [{"topic": topic, "partition": 0, "replicas": [1], "log_dirs": ["any"]}]}))
    reassign = ("reassign-partitions", *server, "--reassignment-json-file", str(plan))
    throttles = ("--throttle", "1000000", "--replica-alter-log-dirs-throttle", "1000000")
    executed = tool(*reassign, "--execute", *throttles)
    assert "The inter-broker throttle limit was set to 1000000 B/s" in executed
    assert "leader.replication.throttled.rate=1000000" in tool(*this, "--describe")
    verified = tool(*reassign, "--verify")
    assert f"Reassignment of partition {topic}-0 is completed." in verified
    assert "Clearing broker-level throttles on broker 1" in verified
    assert "throttled.rate" not in tool(*this, "--describe")
