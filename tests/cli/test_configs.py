"""ev config and ev quota: what is set is there, where it comes from is said, a dry run is checked by the cluster and changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.command_line import CommandLine
from support.waiting import wait_for

Fresh = Callable[[str], str]


def settings(ev: CommandLine, entity: str, *keys: str) -> dict[str, str]:
    return {row["key"]: row["value"] for row in ev.json("config", "get", entity, *keys)}


def test_settings_of_a_topic(either: CommandLine, fresh: Fresh) -> None:
    """Set, shown with their source and synonyms, added to, taken from, and back to their defaults."""
    topic = fresh("topic")
    either("topic", "create", topic)
    entity = f"topic/{topic}"
    assert "nothing is set" in either("config", "get", entity).err
    either("config", "set", entity, "retention.ms=60000", "-c", "cleanup.policy=compact")
    wait_for(lambda: settings(either, entity) == {"cleanup.policy": "compact", "retention.ms": "60000"}, "the settings")
    (row,) = either.json("config", "get", entity, "retention.ms")
    assert (row["source"], row["type"], row["read_only"]) == ("topic", "long", False)
    assert row["synonyms"][0] == {"name": "retention.ms", "value": "60000", "source": "topic"}
    either("config", "set", entity, "--append", "cleanup.policy=delete")
    wait_for(lambda: set(settings(either, entity)["cleanup.policy"].split(",")) == {"compact", "delete"}, "both policies")
    plan = either.json("config", "set", entity, "retention.ms=1", "--subtract", "cleanup.policy=compact", "--dry-run")
    assert (plan[0]["key"], plan[0]["now"], plan[0]["then"]) == ("retention.ms", "60000", "1")
    assert plan[1]["then"] == "delete"
    either("config", "unset", entity, "retention.ms")
    wait_for(lambda: "retention.ms" not in settings(either, entity), "the default")
    everything = either.json("config", "get", entity, "-a", "--docs")
    assert len(everything) > 20
    assert any(row["documentation"] for row in everything)
    assert f"{entity} has no setting 'retention.m'" in either("config", "get", entity, "retention.m", status=3).err
    assert "did you mean 'retention.ms'?" in either("config", "get", entity, "retention.m", status=3).err
    assert "INVALID_CONFIG" in either("config", "set", entity, "retention.ms=soon", "--dry-run", status=1).err
    assert "INVALID_CONFIG" in either("config", "set", entity, "no.such=1", status=1).err


def test_settings_of_brokers_groups_and_client_metrics(either: CommandLine, fresh: Fresh) -> None:
    """Of one broker and of all together, and of what is there only because it has settings."""
    broker = f"broker/{either.json('cluster', 'brokers')[0]['broker']}"
    assert "node.id" in settings(either, broker) or "broker.id" in settings(either, broker)
    either("config", "set", "broker/*", "log.index.interval.bytes=4097")
    wait_for(lambda: settings(either, "broker/*").get("log.index.interval.bytes") == "4097", "the default of all brokers")
    wait_for(lambda: settings(either, broker, "log.index.interval.bytes")["log.index.interval.bytes"] == "4097", "the broker to have it")
    either("config", "unset", "brokers/*", "log.index.interval.bytes")
    wait_for(lambda: "log.index.interval.bytes" not in settings(either, "broker/*"), "the default to be gone")
    group = f"group/{fresh('group')}"
    either("config", "set", group, "consumer.session.timeout.ms=50000")
    wait_for(lambda: settings(either, group) == {"consumer.session.timeout.ms": "50000"}, "the group's setting")
    metrics = f"client-metrics/{fresh('metrics')}"
    either("config", "set", metrics, "interval.ms=10000")
    wait_for(lambda: settings(either, metrics).get("interval.ms") == "10000", "the setting of client metrics")


def test_changes_of_settings_and_quotas_are_taken_back(either: CommandLine, fresh: Fresh) -> None:
    """By `ev undo`, the newest first: to the value before, or to none."""
    topic, user = fresh("topic"), fresh("user")
    entity = f"topic/{topic}"
    either("topic", "create", topic, "-c", "retention.ms=60000")
    wait_for(lambda: settings(either, entity) == {"retention.ms": "60000"}, "the topic")
    either("config", "set", entity, "no.such=1", status=1)  # which leaves a number in the journal, and nothing to take back
    either("config", "set", entity, "retention.ms=70000", "max.message.bytes=2000")
    wait_for(lambda: len(settings(either, entity)) == 2, "the settings")
    said = either("quota", "set", "--user", user, "producer_byte_rate=1000").err
    number = said.partition("ev undo ")[2].partition("`")[0]
    wait_for(lambda: quotas(either, "--user", user), "the quota")
    either("undo", number, "-y")
    wait_for(lambda: not quotas(either, "--user", user), "the quota to be gone")
    either("undo", str(int(number) - 1), "-y")
    wait_for(lambda: settings(either, entity) == {"retention.ms": "60000"}, "the settings from before")


def test_what_has_no_settings_is_said(one_engine: CommandLine) -> None:
    """In a sentence: exit 2 for what cannot be, 3 for what is not there."""
    assert "topic/NAME" in one_engine("config", "get", "payments", status=2).err
    assert "ev quota" in one_engine("config", "get", "user/alice", status=2).err
    assert "no broker 99" in one_engine("config", "get", "broker/99", status=3).err
    assert "no topic 'nowhere'" in one_engine("config", "set", "topic/nowhere", "retention.ms=1", status=3).err
    assert "KEY=VALUE" in one_engine("config", "set", "topic/x", "retention.ms", status=2).err
    assert "not said what to set" in one_engine("config", "set", "topic/x", status=2).err


def quotas(ev: CommandLine, *arguments: str) -> dict[tuple[str, str], float]:
    return {(row["entity"], row["quota"]): row["value"] for row in ev.json("quota", "list", *arguments)}


def test_quotas_are_set_listed_and_unset(either: CommandLine, fresh: Fresh) -> None:
    """Of users, of clients, of both together, of addresses, of all that have none; with units; a dry run changes nothing."""
    user, client = fresh("user"), fresh("client")
    either("quota", "set", "--user", user, "producer_byte_rate=10MiB", "-c", "request-percentage=12.5")
    either("quota", "set", "--user", user, "--client-id", client, "consumer_byte_rate=1k")
    wait_for(
        lambda: (
            quotas(either, "--user", user)
            == {
                (f"user={user}", "producer_byte_rate"): 10 * 2**20,
                (f"user={user}", "request_percentage"): 12.5,
                (f"client-id={client},user={user}", "consumer_byte_rate"): 1000,
            }
        ),
        "the quotas",
    )
    assert len(quotas(either, "--user", user, "--strict")) == 2
    assert quotas(either, "--client", client) == {(f"client-id={client},user={user}", "consumer_byte_rate"): 1000}
    (row,) = either.json("quota", "list", "--client-id", client)
    assert row["names"] == {"client-id": client, "user": user}
    plan = either.json("quota", "set", "--user", user, "producer_byte_rate=1", "--dry-run")
    assert [(change["quota"], change["now"], change["then"]) for change in plan] == [("producer_byte_rate", 10 * 2**20, 1)]
    either("quota", "unset", "--user", user, "request_percentage")
    either("quota", "unset", "--user", user, "--client-id", client)
    wait_for(lambda: quotas(either, "--user", user) == {(f"user={user}", "producer_byte_rate"): 10 * 2**20}, "one quota")
    either("quota", "unset", "--user", user)
    wait_for(lambda: not quotas(either, "--user", user), "no quota")
    either("quota", "set", "--default", "client-id", "producer_byte_rate=5GB")
    wait_for(lambda: quotas(either, "--default", "client-id") == {("client-id=(default)", "producer_byte_rate"): 5e9}, "the default")
    either("quota", "unset", "--default", "client-id")
    either("quota", "set", "--ip", "127.0.0.9", "connection_creation_rate=100")
    wait_for(lambda: quotas(either, "--ip", "127.0.0.9") == {("ip=127.0.0.9", "connection_creation_rate"): 100}, "the address's quota")
    either("quota", "unset", "--ip", "127.0.0.9")
    assert "has no quota" in either("quota", "unset", "--user", user, status=3).err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("set", "producer_byte_rate=1"), "whose quotas"),
        (("set", "--user", "a"), "what to set"),
        (("set", "--user", "a", "producer_byte_rate=much"), "'much' is no number"),
        (("set", "--user", "a", "producer_bite_rate=1"), "did you mean 'producer_byte_rate'?"),
        (("set", "--user", "a", "--default", "user", "producer_byte_rate=1"), "contradict"),
        (("list", "--default", "planet"), "planet"),
        (("set", "--ip", "127.0.0.1", "--user", "a", "producer_byte_rate=1"), "--ip"),
    ],
)
def test_a_quota_that_cannot_be_is_exit_2(one_engine: CommandLine, arguments: tuple[str, ...], said: str) -> None:
    """In one line."""
    done = one_engine("quota", *arguments, status=2)
    assert said in done.err
    assert len(done.err.splitlines()) == 1
