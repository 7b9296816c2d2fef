"""Other people's clients where they may do only some things: they say what they were refused, and go on when they are allowed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from ev.wire.acls import Operation as Op
from ev.wire.acls import Pattern, Resource
from support import apache_kafka
from support.engine import Engine
from support.guarded import ANONYMOUS, SETTINGS, USERS_HOST, Guarded
from support.sasl import add_user
from support.secure_brokers import PASSWORD, USER, SecureBroker, secure_engine


class Clients(Guarded):
    """The clients come from 127.0.0.1 here, and the administrator from 127.0.0.2."""

    administrator = USERS_HOST
    user_host = "127.0.0.1"


@pytest.fixture
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    with Engine(tmp_path_factory.mktemp("engine") / "data", settings=SETTINGS) as engine:
        guarded = Clients(engine.address)
        guarded.found()
        yield guarded
        guarded.close()


def allow_producer(guarded: Clients, topic: str) -> None:
    """What kafka-acls --producer allows."""
    for operation in (Op.WRITE, Op.DESCRIBE, Op.CREATE):
        guarded.allow(operation, Resource.TOPIC, topic, pattern=Pattern.PREFIXED)


def allow_consumer(guarded: Clients, topic: str, group: str) -> None:
    """What kafka-acls --consumer allows."""
    for operation in (Op.READ, Op.DESCRIBE):
        guarded.allow(operation, Resource.TOPIC, topic)
    guarded.allow(Op.READ, Resource.GROUP, group)


def test_librdkafka_says_what_it_was_refused_and_goes_on_when_allowed(guarded: Clients, topic: str) -> None:
    """An idempotent producer and a consumer in a group."""
    told: list[int] = []

    def delivered(error: confluent_kafka.KafkaError | None, _: object) -> None:
        told.append(0 if error is None else error.code())

    def produce() -> int:
        producer = confluent_kafka.Producer({"bootstrap.servers": guarded.address, "message.timeout.ms": 3000})
        producer.produce(topic, b"value", on_delivery=delivered)
        producer.flush(10)
        return told[-1]

    assert produce() == confluent_kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED
    allow_producer(guarded, topic)
    assert produce() == 0
    producer = confluent_kafka.Producer({"bootstrap.servers": guarded.address, "enable.idempotence": True})
    producer.produce(topic, b"another", on_delivery=delivered)
    assert producer.flush(10) == 0
    assert told[-1] == 0

    def consume(group: str) -> confluent_kafka.Message:
        settings = {"bootstrap.servers": guarded.address, "group.id": group, "auto.offset.reset": "earliest"}
        consumer = confluent_kafka.Consumer(settings)
        consumer.subscribe([topic])
        try:
            messages = consumer.consume(1, 20)
            assert messages, "neither a record nor an error"
            return messages[0]
        finally:
            consumer.close()

    refused = consume("g").error()
    assert refused is not None
    assert refused.code() == confluent_kafka.KafkaError.GROUP_AUTHORIZATION_FAILED
    allow_consumer(guarded, topic, "g")
    assert consume("g").value() == b"value"
    refused = consume("another").error()
    assert refused is not None
    assert refused.code() == confluent_kafka.KafkaError.GROUP_AUTHORIZATION_FAILED


def test_users_who_said_who_they_are_have_rights_of_their_own(tmp_path_factory: pytest.TempPathFactory, topic: str) -> None:
    """What librdkafka's admin client allows to alice it does not allow to bob, nor to whoever does not say who it is."""
    settings = {**SETTINGS, "allow.everyone.if.no.acl.found": "false", "super.users": f"{ANONYMOUS};User:{USER}"}
    with secure_engine(tmp_path_factory.mktemp("engine") / "data", settings) as broker:
        add_user(broker.open, "bob", "bob-secret")
        add_user(broker.open, "carol", "carol-secret")
        admin = AdminClient(logged_in(broker, USER, PASSWORD))
        for operation in (AclOperation.CREATE, AclOperation.WRITE):
            right = AclBinding(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:bob", "*", operation, AclPermissionType.ALLOW)
            for future in admin.create_acls([right]).values():
                future.result(20)
        fields: tuple[Any, ...] = (ResourcePatternType.ANY, "User:bob", None, AclOperation.ANY, AclPermissionType.ANY)
        anything = AclBindingFilter(ResourceType.ANY, *(None, *fields))
        assert len(admin.describe_acls(anything).result(20)) == 2

        def produced(name: str) -> int:
            told: list[int] = []
            settings = {**logged_in(broker, name, f"{name}-secret"), "message.timeout.ms": 3000}
            producer = confluent_kafka.Producer(settings)
            producer.produce(topic, b"value", on_delivery=lambda error, _: told.append(0 if error is None else error.code()))
            producer.flush(10)
            return told[-1]

        assert produced("bob") == 0
        assert produced("carol") == confluent_kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED
        assert len(admin.delete_acls([anything])[anything].result(20)) == 2
        assert produced("bob") == confluent_kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED


def logged_in(broker: SecureBroker, name: str, password: str) -> dict[str, Any]:
    settings = {"bootstrap.servers": broker.sasl, "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-256"}
    return {**settings, "sasl.username": name, "sasl.password": password, "log_level": 0}


@pytest.mark.java
@pytest.mark.slow
def test_the_java_clients_say_what_they_were_refused_and_go_on_when_allowed(guarded: Clients, topic: str) -> None:
    """The console tools, whose producer is idempotent and whose consumer has a group, of both protocols."""
    server = ("--bootstrap-server", guarded.address)

    def run(*words: str, stdin: str = "") -> str:
        command = apache_kafka.tool_command(apache_kafka.LATEST, *words)
        ended = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=100, check=False)
        return ended.stdout + ended.stderr

    def produce(line: str) -> str:
        return run("console-producer", *server, "--topic", topic, "--request-timeout-ms", "2000", stdin=line + "\n")

    def consume(*more: str) -> str:
        return run("console-consumer", *server, "--topic", topic, "--from-beginning", "--max-messages", "1", "--group", "g", *more)

    assert "Not authorized to access topics" in produce("nobody may")
    allow_producer(guarded, topic)
    assert "rror" not in produce("a line")
    assert "Not authorized to access group" in consume()
    allow_consumer(guarded, topic, "g")
    assert "a line" in consume().splitlines()
    produce("another")
    assert "another" in consume("--consumer-property", "group.protocol=consumer").splitlines()
