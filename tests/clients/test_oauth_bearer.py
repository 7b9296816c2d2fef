"""Other people's clients show signed tokens."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer
from kafka import KafkaProducer
from kafka.net.sasl.oauth import AbstractTokenProvider

from support import apache_kafka
from support.raw_client import RawClient
from support.sasl import authenticate, handshake
from support.secure_brokers import SecureBroker, secure_engine
from support.tokens import Issuer, response
from support.waiting import wait_for


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


def keys_file(issuer: Issuer) -> pathlib.Path:
    return issuer.path.with_name("keys.json")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[SecureBroker]:
    keys_file(issuer).write_text(json.dumps({"keys": [issuer.key]}))
    settings = {
        "sasl.enabled.mechanisms": "OAUTHBEARER",
        "sasl.oauthbearer.jwks.endpoint.url": keys_file(issuer).as_uri(),
        "sasl.oauthbearer.expected.audience": "events",
        "sasl.oauthbearer.expected.issuer": "https://issuer.example",
    }
    with secure_engine(tmp_path_factory.mktemp("engine") / "data", settings) as broker:
        yield broker


def token(issuer: Issuer, **claims: Any) -> str:
    return issuer.token("alice", **{"aud": "events", "iss": "https://issuer.example", **claims})


def librdkafka(broker: SecureBroker, shown: str) -> dict[str, Any]:
    settings = {"bootstrap.servers": broker.sasl, "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER"}
    return {**settings, "oauth_cb": lambda _: (shown, time.time() + 3600)}


def test_librdkafka_produces(broker: SecureBroker, issuer: Issuer, topic: str) -> None:
    """With a token from its callback."""
    producer = Producer(librdkafka(broker, token(issuer)))
    failures: list[KafkaError | None] = []
    producer.produce(topic, b"value", on_delivery=lambda error, _: failures.append(error))
    assert producer.flush(20) == 0
    assert failures == [None]


def test_librdkafka_is_told_that_its_token_is_not_valid(broker: SecureBroker, issuer: Issuer) -> None:
    """As an error of authentication."""
    errors: list[KafkaError] = []
    producer = Producer({**librdkafka(broker, token(issuer, aud="others")), "error_cb": errors.append, "log_level": 0})
    wait_for(lambda: producer.poll(0.1) >= 0 and bool(errors), "an error", 20)
    assert errors[0].code() == KafkaError._AUTHENTICATION


def test_kafka_python_produces(broker: SecureBroker, issuer: Issuer, topic: str) -> None:
    """With a provider of tokens."""

    class Provider(AbstractTokenProvider):  # type: ignore[misc]
        def token(self) -> str:
            return token(issuer)

    settings: dict[str, Any] = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "OAUTHBEARER"}
    producer = KafkaProducer(bootstrap_servers=broker.sasl, **settings, sasl_oauth_token_provider=Provider())
    assert producer.send(topic, b"value").get(20).offset == 0
    producer.close()


@pytest.mark.java
def test_kafkas_own_tools_produce(broker: SecureBroker, issuer: Issuer, topic: str, tmp_path: pathlib.Path) -> None:
    """With a token that is in a file."""
    shown = tmp_path / "token"
    shown.write_text(token(issuer, scope="events"))
    config = tmp_path / "client.properties"
    package = "org.apache.kafka.common.security.oauthbearer"
    config.write_text(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=OAUTHBEARER\n"
        f"sasl.oauthbearer.token.endpoint.url={shown.as_uri()}\n"
        f"sasl.login.callback.handler.class={package}.OAuthBearerLoginCallbackHandler\n"
        f"sasl.jaas.config={package}.OAuthBearerLoginModule required;\n"
    )
    allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={shown.as_uri()} -Dorg.apache.kafka.sasl.oauthbearer.allowed.files={shown}"
    command = apache_kafka.tool_command(
        apache_kafka.LATEST, "console-producer", "--bootstrap-server", broker.sasl, "--topic", topic, "--command-config", str(config)
    )
    environment = {**os.environ, "JAVA_TOOL_OPTIONS": allowed}
    ended = subprocess.run(command, input="value\n", capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "ERROR" not in ended.stdout + ended.stderr


def test_a_session_ends_with_its_token(broker: SecureBroker, issuer: Issuer) -> None:
    """The client is told how long it has."""
    with RawClient(broker.sasl) as client:
        handshake(client, "OAUTHBEARER")
        answer = authenticate(client, response(token(issuer)))
    assert answer.error_code == 0
    assert 3_500_000 < answer.session_lifetime_ms <= 3_600_000


def test_new_keys_are_read_while_it_runs(broker: SecureBroker, issuer: Issuer, tmp_path: pathlib.Path) -> None:
    """When the file has changed: tokens of the new key are believed, and those of the old one as long as it is there."""
    second = Issuer(tmp_path, "k2")

    def is_believed(shown: str) -> bool:
        with RawClient(broker.sasl) as client:
            handshake(client, "OAUTHBEARER")
            return bytes(authenticate(client, response(shown)).auth_bytes) == b""

    assert not is_believed(token(second))
    keys_file(issuer).write_text(json.dumps({"keys": [issuer.key, second.key]}))
    wait_for(lambda: is_believed(token(second)), "the new key", 20)
    assert is_believed(token(issuer))
