"""Other people's clients say who they are, with each mechanism."""

from __future__ import annotations

import pathlib
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from kafka import KafkaProducer

from ev.wire.messages.k50_describe_user_scram_credentials import DescribeUserScramCredentialsRequest, UserName
from support import apache_kafka
from support.raw_client import RawClient
from support.secure_brokers import PASSWORD, SESSION_MS, USER, SecureBroker, secure_engine
from support.waiting import wait_for

SCRAMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")
each_mechanism = pytest.mark.parametrize("mechanism", ["PLAIN", *SCRAMS])


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    with secure_engine(tmp_path_factory.mktemp("engine") / "data") as broker:
        yield broker


def librdkafka(broker: SecureBroker, mechanism: str, password: str = PASSWORD) -> dict[str, Any]:
    settings = {"bootstrap.servers": broker.sasl, "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": mechanism}
    return {**settings, "sasl.username": USER, "sasl.password": password}


@each_mechanism
def test_librdkafka_produces_and_consumes_in_a_group(broker: SecureBroker, mechanism: str, topic: str) -> None:
    """Every connection of it authenticates: to the bootstrap server, to the leader, to the coordinator."""
    producer = Producer({**librdkafka(broker, mechanism), "enable.idempotence": True})
    for number in range(100):
        producer.produce(topic, b"%d" % number)
    assert producer.flush(20) == 0
    consumer = Consumer({**librdkafka(broker, mechanism), "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    values: list[bytes] = []
    wait_for(lambda: values.extend(message.value() for message in consumer.consume(100, 0.5)) or len(values) >= 100, "the records", 30)  # type: ignore[func-returns-value, misc]
    consumer.close()
    assert sorted(values, key=int) == [b"%d" % number for number in range(100)]


@each_mechanism
def test_librdkafka_is_told_that_its_password_is_wrong(broker: SecureBroker, mechanism: str) -> None:
    """As an error of authentication, not as a broker that does not answer."""
    errors: list[KafkaError] = []
    producer = Producer({**librdkafka(broker, mechanism, "wrong"), "error_cb": errors.append, "log_level": 0})
    wait_for(lambda: producer.poll(0.1) >= 0 and bool(errors), "an error", 20)
    assert errors[0].code() == KafkaError._AUTHENTICATION


@each_mechanism
def test_kafka_python_produces(broker: SecureBroker, mechanism: str, topic: str) -> None:
    """A client that says its messages itself."""
    settings = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": mechanism, "sasl_plain_username": USER}
    producer = KafkaProducer(bootstrap_servers=broker.sasl, **settings, sasl_plain_password=PASSWORD)
    assert producer.send(topic, b"value").get(20).offset == 0
    producer.close()


@pytest.mark.parametrize("mechanism", SCRAMS)
def test_librdkafka_manages_users(broker: SecureBroker, mechanism: str, topic: str) -> None:
    """Whom it makes can authenticate, until they are removed."""
    found = getattr(ScramMechanism, mechanism.replace("-", "_"))
    admin = AdminClient(librdkafka(broker, mechanism))
    made = UserScramCredentialUpsertion(topic, ScramCredentialInfo(found, 8192), b"secret")
    admin.alter_user_scram_credentials([made])[topic].result(20)
    described: Any = admin.describe_user_scram_credentials([topic])
    (info,) = described[topic].result(20).scram_credential_infos
    assert (info.mechanism, info.iterations) == (found, 8192)
    theirs: dict[str, Any] = {**librdkafka(broker, mechanism, "secret"), "sasl.username": topic}
    assert AdminClient(theirs).list_topics(timeout=20).brokers
    admin.alter_user_scram_credentials([UserScramCredentialDeletion(topic, found)])[topic].result(20)
    errors: list[KafkaError] = []
    theirs |= {"error_cb": errors.append, "log_level": 0}
    gone = AdminClient(theirs)
    wait_for(lambda: gone.poll(0.1) >= 0 and bool(errors), "an error", 20)
    assert errors[0].code() == KafkaError._AUTHENTICATION


@pytest.mark.kcat
@each_mechanism
def test_kcat_produces_and_consumes(broker: SecureBroker, mechanism: str, topic: str) -> None:
    """With its properties on the command line."""
    settings = [
        part for name, value in librdkafka(broker, mechanism).items() if name != "bootstrap.servers" for part in ("-X", f"{name}={value}")
    ]
    kcat = ["kcat", "-b", broker.sasl, *settings, "-t", topic]
    subprocess.run([*kcat, "-P"], input="value\n", text=True, check=True, timeout=30)
    read = subprocess.run([*kcat, "-C", "-e", "-q", "-o", "beginning"], capture_output=True, text=True, check=True, timeout=30)
    assert read.stdout == "value\n"


@pytest.mark.java
@pytest.mark.slow
def test_kafkas_own_tools_make_a_user_and_produce_as_this_user(broker: SecureBroker, topic: str, tmp_path: pathlib.Path) -> None:
    """kafka-configs makes the user on the listener that is open, the console producer authenticates with a file of properties."""

    def tool(name: str, *arguments: str, stdin: str = "") -> str:
        command = apache_kafka.tool_command(apache_kafka.LATEST, name, *arguments)
        ended = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def credentials() -> dict[int, int]:
        with RawClient(broker.open) as client:
            (user,) = client.ask(50, 0, DescribeUserScramCredentialsRequest(users=[UserName(topic)])).results
        return {info.mechanism: info.iterations for info in user.credential_infos}

    users = ("configs", "--bootstrap-server", broker.open, "--entity-type", "users", "--entity-name", topic)
    for scram in SCRAMS:
        added = tool(*users, "--alter", "--add-config", f"{scram}=[iterations=8192,password=secret]")
        assert f"Completed updating config for user {topic}" in added
    assert credentials() == {1: 8192, 2: 8192}
    described = tool(*users, "--describe")
    assert f"SCRAM credential configs for user-principal '{topic}' are " in described
    assert all(f"{scram}=iterations=8192" in described for scram in SCRAMS)
    for mechanism in ("PLAIN", *SCRAMS):
        login = "plain.Plain" if mechanism == "PLAIN" else "scram.Scram"
        config = tmp_path / f"{mechanism}.properties"
        config.write_text(
            f"security.protocol=SASL_PLAINTEXT\nsasl.mechanism={mechanism}\nsasl.jaas.config="
            f'org.apache.kafka.common.security.{login}LoginModule required username="{topic}" password="secret";\n'
        )
        place = ("--bootstrap-server", broker.sasl, "--topic", topic, "--command-config", str(config))
        tool("console-producer", *place, stdin=f"{mechanism}\n")
    assert f"Completed updating config for user {topic}" in tool(*users, "--alter", "--delete-config", SCRAMS[0])
    assert credentials() == {2: 8192}
    assert tool(
        "console-consumer", "--bootstrap-server", broker.open, "--topic", topic, "--from-beginning", "--max-messages", "3"
    ).split() == ["PLAIN", *SCRAMS]


@each_mechanism
def test_librdkafka_authenticates_again_before_its_session_ends(broker: SecureBroker, mechanism: str, topic: str) -> None:
    """Over several lifetimes of a session each record is delivered, and no connection is lost."""
    lost: list[KafkaError] = []
    settings = librdkafka(broker, mechanism) | {"bootstrap.servers": broker.sessions, "error_cb": lost.append, "log_level": 0}
    producer = Producer(settings)
    failures: list[KafkaError | None] = []
    until = time.monotonic() + 3 * SESSION_MS / 1000
    while time.monotonic() < until:
        producer.produce(topic, b"value", on_delivery=lambda error, _: failures.append(error))
        assert producer.flush(20) == 0
        producer.poll(0.05)
    assert set(failures) == {None}
    assert lost == []
