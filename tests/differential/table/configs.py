"""Settings of topics, brokers and groups."""

from __future__ import annotations

from typing import Any

from differential.conversation import Own, Step, Steps, about
from differential.table.given import topic
from ev.wire.messages import k33_alter_configs as whole
from ev.wire.messages import k44_incremental_alter_configs as incremental
from ev.wire.messages.k32_describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from ev.wire.messages.k74_list_config_resources import ListConfigResourcesRequest
from support.rules import rule

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3


def described(
    kind: int, name: str, *keys: str, every: bool = False, synonyms: bool = False, documentation: bool = False
) -> DescribeConfigsRequest:
    resource = DescribeConfigsResource(kind, name, None if every else list(keys))
    return DescribeConfigsRequest(resources=[resource], include_synonyms=synonyms, include_documentation=documentation)


def values(**wanted: str) -> Any:
    """Whether an answer shows these values: Kafka shows a change a moment after it took it."""
    expected = {name.replace("_", "."): value for name, value in wanted.items()}
    return lambda answer: expected.items() <= {each.name: each.value for each in answer.results[0].configs}.items()


@about(32, "a topic")
@rule(20)
def of_a_topic(version: int, own: Own) -> Steps:
    yield from topic(own("a"), cleanup_policy="compact")
    yield Step(described(TOPIC, own("a"), every=True), version, until=values(cleanup_policy="compact"))
    yield Step(described(TOPIC, own("a"), every=True, synonyms=True), version)
    yield Step(described(TOPIC, own("a"), "retention.ms", "no.such.thing", "cleanup.policy"), version)
    yield Step(described(TOPIC, own("a")), version)
    yield Step(described(TOPIC, own("absent"), every=True), version)
    yield Step(described(TOPIC, "", every=True), version)
    yield Step(described(TOPIC, "a b", every=True), version)
    yield Step(DescribeConfigsRequest(), version)


@about(32, "the broker")
def of_the_broker(version: int, own: Own) -> Steps:
    yield Step(described(BROKER, "1", "log.retention.ms", "num.partitions", "message.max.bytes", "no.such.thing"), version)
    yield Step(described(BROKER, "1", "log.retention.ms", "message.max.bytes", synonyms=True), version)
    yield Step(described(BROKER, "", "log.retention.ms"), version)
    yield Step(described(BROKER, "", every=True), version)
    yield Step(described(BROKER, "9", "log.retention.ms"), version)
    yield Step(described(BROKER, "one", "log.retention.ms"), version)


@about(32, "every setting of the broker", since=4)
def all_of_the_broker(version: int, own: Own) -> Steps:
    yield Step(described(BROKER, "1", every=True, synonyms=True), version)


@about(32, "a group, and what is neither")
def of_others(version: int, own: Own) -> Steps:
    yield Step(described(GROUP, own("group"), every=True), version)
    yield Step(described(GROUP, "", every=True), version)
    yield Step(described(0, own("a"), every=True), version)
    yield Step(described(3, own("a"), every=True), version)
    yield Step(described(METRICS, own("a"), every=True), version)
    yield Step(described(METRICS, "", every=True), version)


def replaced(kind: int, name: str, validate_only: bool = False, **configs: str | None) -> whole.AlterConfigsRequest:
    given = [whole.AlterableConfig(key.replace("_", "."), value) for key, value in configs.items()]
    return whole.AlterConfigsRequest(resources=[whole.AlterConfigsResource(kind, name, given)], validate_only=validate_only)


@about(33, "a topic")
@rule(21)
def replace(version: int, own: Own) -> Steps:
    """The same topic twice is not here: Kafka never answers it."""
    yield from topic(own("a"), cleanup_policy="compact")
    yield Step(replaced(TOPIC, own("a"), validate_only=True, retention_ms="1000"), version)
    yield Step(replaced(TOPIC, own("a"), retention_ms="-1", max_message_bytes="2000"), version)
    yield Step(described(TOPIC, own("a"), "retention.ms", "max.message.bytes", "cleanup.policy"), 4, until=values(max_message_bytes="2000"))
    yield Step(replaced(TOPIC, own("a"), retention_ms="much"), version)
    yield Step(replaced(TOPIC, own("a"), retention_ms=None), version)
    yield Step(replaced(TOPIC, own("a"), no_such_thing="1"), version)
    yield Step(replaced(TOPIC, own("absent"), retention_ms="1000"), version)
    yield Step(replaced(TOPIC, "", retention_ms="1000"), version)
    yield Step(replaced(TOPIC, own("a")), version)
    yield Step(described(TOPIC, own("a"), "retention.ms", "max.message.bytes"), 4, until=values(max_message_bytes="1048588"))
    twice = [whole.AlterableConfig("retention.ms", "-1"), whole.AlterableConfig("retention.ms", "5")]
    yield Step(whole.AlterConfigsRequest(resources=[whole.AlterConfigsResource(TOPIC, own("a"), twice)]), version)
    yield Step(whole.AlterConfigsRequest(), version)


@about(33, "the broker and what is neither")
def replace_others(version: int, own: Own) -> Steps:
    yield Step(replaced(BROKER, "1", validate_only=True, log_retention_ms="much"), version)
    yield Step(replaced(BROKER, "1", validate_only=True, num_io_threads="0"), version)
    yield Step(replaced(BROKER, "1", validate_only=True, node_id="7"), version)
    yield Step(replaced(BROKER, "9", validate_only=True, log_retention_ms="1000"), version)
    yield Step(replaced(BROKER, "one", validate_only=True, log_retention_ms="1000"), version)
    yield Step(replaced(0, own("a"), x="1"), version)
    yield Step(replaced(3, own("a"), x="1"), version)
    yield Step(replaced(GROUP, own("group"), validate_only=True, consumer_session_timeout_ms="50000"), version)
    yield Step(replaced(GROUP, own("group"), consumer_session_timeout_ms="1"), version)
    yield Step(replaced(GROUP, "", consumer_session_timeout_ms="50000"), version)


def changed(
    kind: int, name: str, *changes: tuple[str, int, str | None], validate_only: bool = False
) -> incremental.IncrementalAlterConfigsRequest:
    given = [incremental.AlterableConfig(*change) for change in changes]
    resource = incremental.AlterConfigsResource(kind, name, given)
    return incremental.IncrementalAlterConfigsRequest(resources=[resource], validate_only=validate_only)


@about(44, "a topic")
@rule(21)
def change(version: int, own: Own) -> Steps:
    yield from topic(own("a"))

    def asked(*changes: tuple[str, int, str | None], name: str = own("a"), **options: Any) -> Step:
        return Step(changed(TOPIC, name, *changes, **options), version)

    def now(**wanted: str) -> Step:
        return Step(described(TOPIC, own("a"), "retention.ms", "max.message.bytes", "cleanup.policy"), 4, until=values(**wanted))

    yield asked(("retention.ms", SET, "1000"), validate_only=True)
    yield asked(("max.message.bytes", SET, "2000"), ("cleanup.policy", APPEND, "compact"))
    yield now(max_message_bytes="2000")
    yield asked(("cleanup.policy", APPEND, "compact"))
    yield asked(("cleanup.policy", SUBTRACT, "delete"), ("max.message.bytes", DELETE, None))
    yield now(max_message_bytes="1048588")
    yield asked(("cleanup.policy", SUBTRACT, "delete"))
    yield asked(("max.message.bytes", APPEND, "1"))
    yield asked(("max.message.bytes", SUBTRACT, "1"))
    yield asked(("max.message.bytes", SET, "x"))
    yield asked(("max.message.bytes", SET, None))
    yield asked(("max.message.bytes", 7, "1"))
    yield asked(("max.message.bytes", SET, "1"), ("max.message.bytes", SET, "2"))
    yield asked(("no.such.thing", SET, "1"))
    yield asked(("no.such.thing", DELETE, None))
    yield asked(("cleanup.policy", APPEND, None))
    yield asked(("cleanup.policy", APPEND, "shred"))
    yield asked(("retention.ms", SET, "-1"), name=own("absent"))
    yield asked(("retention.ms", SET, "-1"), name="")
    yield asked()
    one = changed(TOPIC, own("a"), ("retention.ms", SET, "-1")).resources
    yield Step(incremental.IncrementalAlterConfigsRequest(resources=one + one), version)
    yield Step(incremental.IncrementalAlterConfigsRequest(), version)


@about(44, "the broker")
def change_broker(version: int, own: Own) -> Steps:
    def asked(name: str, *changes: tuple[str, int, str | None]) -> Step:
        return Step(changed(BROKER, name, *changes, validate_only=True), version)

    yield asked("1", ("log.retention.ms", SET, "1000"))
    yield asked("", ("log.retention.ms", SET, "1000"))
    yield asked("1", ("log.retention.ms", SET, "much"))
    yield asked("1", ("log.retention.ms", DELETE, None))
    yield asked("1", ("node.id", SET, "7"))
    yield asked("1", ("no.such.thing", SET, "7"))
    yield asked("1", ("log.cleanup.policy", APPEND, "compact"))
    yield asked("9", ("log.retention.ms", SET, "1000"))
    yield asked("one", ("log.retention.ms", SET, "1000"))


@about(44, "groups and what is neither")
def change_others(version: int, own: Own) -> Steps:
    def asked(kind: int, name: str, *changes: tuple[str, int, str | None]) -> Step:
        return Step(changed(kind, name, *changes), version)

    yield asked(GROUP, own("group"), ("consumer.session.timeout.ms", SET, "50000"))
    yield Step(
        described(GROUP, own("group"), "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"),
        4,
        until=values(consumer_session_timeout_ms="50000"),
    )
    yield asked(GROUP, own("group"), ("consumer.session.timeout.ms", DELETE, None))
    yield asked(GROUP, own("group"), ("consumer.session.timeout.ms", SET, "1"))
    yield asked(GROUP, own("group"), ("no.such.thing", SET, "1"))
    yield asked(GROUP, "", ("consumer.session.timeout.ms", SET, "50000"))
    yield asked(0, own("a"), ("x", SET, "1"))
    yield asked(3, own("a"), ("x", SET, "1"))


def listing(answer: Any) -> set[str]:
    return {each.resource_name for each in answer.config_resources}


@about(74, "what has settings")
def resources(version: int, own: Own) -> Steps:
    yield from topic(own("a"))
    yield Step(changed(GROUP, own("group"), ("consumer.session.timeout.ms", SET, "50000")), 1)
    if not version:
        yield Step(ListConfigResourcesRequest(), version, everything=True)
        return
    both = {own("a"), own("group")}
    yield Step(ListConfigResourcesRequest(), version, until=lambda answer: listing(answer) >= both, everything=True)
    for kinds in ([TOPIC], [GROUP], [TOPIC, GROUP], [METRICS], [TOPIC, TOPIC]):
        yield Step(ListConfigResourcesRequest(resource_types=kinds), version, everything=True)
    for kinds in ([BROKER], [LOGGER]):
        yield Step(ListConfigResourcesRequest(resource_types=kinds), version)
    for kinds in ([0], [3], [TOPIC, 99]):
        yield Step(ListConfigResourcesRequest(resource_types=kinds), version)
