"""Other people's clients over TLS: with a password inside, with a certificate, and with nothing."""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer
from kafka import KafkaProducer

from support import apache_kafka
from support.certificates import Authority
from support.secure_brokers import PASSWORD, USER, SecureBroker, secure_engine
from support.waiting import wait_for


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[SecureBroker]:
    with secure_engine(tmp_path_factory.mktemp("engine") / "data", authority=authority) as broker:
        yield broker


def librdkafka(authority: Authority, kind: str, broker: SecureBroker) -> dict[str, Any]:
    settings: dict[str, Any] = {"ssl.ca.location": str(authority.certificate)}
    if kind == "sasl":
        sasl = {"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": USER, "sasl.password": PASSWORD}
        return {**settings, **sasl, "bootstrap.servers": broker.sasl_tls}
    settings |= {"security.protocol": "SSL", "bootstrap.servers": broker.tls if kind == "server only" else broker.mutual}
    if kind == "mutual":
        client = authority.issue("client", "/OU=events/CN=carol")
        settings |= {"ssl.certificate.location": str(client.chain), "ssl.key.location": str(client.key)}
    return settings


@pytest.mark.parametrize("kind", ["server only", "mutual", "sasl"])
def test_librdkafka_produces_and_consumes(broker: SecureBroker, authority: Authority, topic: str, kind: str) -> None:
    """Large batches too: several records of TLS each."""
    settings = librdkafka(authority, kind, broker)
    producer = Producer({**settings, "linger.ms": 50, "batch.size": 1_000_000})
    values = [bytes([number]) * 5000 for number in range(200)]
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(20) == 0
    consumer = Consumer({**settings, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    read: list[bytes] = []
    wait_for(lambda: read.extend(message.value() for message in consumer.consume(100, 0.5)) or len(read) >= 200, "the records", 30)  # type: ignore[func-returns-value, misc]
    consumer.close()
    assert read == values


@pytest.mark.parametrize("kind", ["no certificate", "somebody else's"])
def test_where_a_certificate_is_required_nothing_else_will_do(
    broker: SecureBroker, authority: Authority, kind: str, tmp_path: pathlib.Path
) -> None:
    """None, or one that another authority signed."""
    settings = librdkafka(authority, "none of ours", broker)
    if kind == "somebody else's":
        other = Authority(tmp_path, "other").issue("client", "/CN=mallory")
        settings |= {"ssl.certificate.location": str(other.chain), "ssl.key.location": str(other.key)}
    errors: list[KafkaError] = []
    producer = Producer({**settings, "error_cb": errors.append, "log_level": 0})
    wait_for(lambda: producer.poll(0.1) >= 0 and bool(errors), "an error", 20)
    assert errors[0].code() in (KafkaError._SSL, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)


def test_kafka_python_produces(broker: SecureBroker, authority: Authority, topic: str) -> None:
    """Over SASL_SSL."""
    sasl = {"sasl_mechanism": "SCRAM-SHA-256", "sasl_plain_username": USER, "sasl_plain_password": PASSWORD}
    settings: dict[str, Any] = {"security_protocol": "SASL_SSL", "ssl_cafile": str(authority.certificate), **sasl}
    producer = KafkaProducer(bootstrap_servers=broker.sasl_tls, **settings)
    assert producer.send(topic, b"value").get(20).offset == 0
    producer.close()


@pytest.mark.kcat
def test_kcat_produces_and_consumes(broker: SecureBroker, authority: Authority, topic: str) -> None:
    """With a certificate, and its properties on the command line."""
    settings = librdkafka(authority, "mutual", broker)
    address = settings.pop("bootstrap.servers")
    kcat = ["kcat", "-b", address, *(part for name, value in settings.items() for part in ("-X", f"{name}={value}")), "-t", topic]
    subprocess.run([*kcat, "-P"], input="value\n", text=True, check=True, timeout=30)
    read = subprocess.run([*kcat, "-C", "-e", "-q", "-o", "beginning"], capture_output=True, text=True, check=True, timeout=30)
    assert read.stdout == "value\n"


@pytest.mark.java
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mutual", "sasl"])
def test_kafkas_own_tools_produce_and_consume(
    broker: SecureBroker, authority: Authority, topic: str, kind: str, tmp_path: pathlib.Path
) -> None:
    """With a file of properties that names PEM files."""
    lines = {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(authority.certificate)}
    if kind == "mutual":
        client = authority.issue("java", "/OU=events/CN=dave")
        lines |= {"security.protocol": "SSL", "ssl.keystore.type": "PEM", "ssl.keystore.location": str(client.keystore)}
    else:
        login = f'org.apache.kafka.common.security.scram.ScramLoginModule required username="{USER}" password="{PASSWORD}";'
        lines |= {"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-256", "sasl.jaas.config": login}
    config = tmp_path / "client.properties"
    config.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    server = ("--bootstrap-server", broker.mutual if kind == "mutual" else broker.sasl_tls, "--topic", topic)

    def tool(name: str, *arguments: str, stdin: str = "") -> str:
        command = apache_kafka.tool_command(apache_kafka.LATEST, name, *server, "--command-config", str(config), *arguments)
        ended = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    tool("console-producer", stdin="one\ntwo\n")
    assert tool("console-consumer", "--from-beginning", "--max-messages", "2") == "one\ntwo\n"
