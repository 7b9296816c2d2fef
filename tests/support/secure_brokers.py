"""A broker with a listener for each security protocol, the engine or Apache Kafka, with the same users.

with secure_engine(directory) as broker:
    broker.open           where everybody may do everything
    broker.sasl           SASL_PLAINTEXT
"""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from support.apache_kafka import Kafka
from support.engine import Engine
from support.ports import free_port, free_ports
from support.sasl import add_user

USER, PASSWORD = "alice", "alice-secret"
MECHANISMS = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
LOGIN = "org.apache.kafka.common.security.{0}LoginModule required"


@dataclass(frozen=True)
class SecureBroker:
    """Its addresses."""

    open: str
    sasl: str
    engine: Engine | None = None


@contextlib.contextmanager
def secure_engine(directory: pathlib.Path, settings: Mapping[str, str] | None = None) -> Iterator[SecureBroker]:
    sasl = f"127.0.0.1:{free_port()}"
    settings = {"sasl.enabled.mechanisms": MECHANISMS, **(settings or {})}
    with Engine(directory, settings=settings, arguments=["--listen", f"SASL_PLAINTEXT://{sasl}"]) as engine:
        add_user(engine.address, USER, PASSWORD)
        yield SecureBroker(engine.address, sasl, engine)


@contextlib.contextmanager
def secure_kafka(settings: Mapping[str, str] | None = None) -> Iterator[SecureBroker]:
    plaintext, controller, sasl = free_ports(3)
    addresses = f"PLAINTEXT://127.0.0.1:{plaintext},SASL://127.0.0.1:{sasl}"
    plain = LOGIN.format("plain.Plain") + f' user_{USER}="{PASSWORD}";'
    properties = {
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"{addresses},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": addresses,
        "sasl.enabled.mechanisms": MECHANISMS,
        "listener.name.sasl.plain.sasl.jaas.config": plain,
        "listener.name.sasl.scram-sha-256.sasl.jaas.config": LOGIN.format("scram.Scram") + ";",
        "listener.name.sasl.scram-sha-512.sasl.jaas.config": LOGIN.format("scram.Scram") + ";",
        **(settings or {}),
    }
    with Kafka(properties=properties, port=plaintext) as kafka:
        add_user(kafka.bootstrap, USER, PASSWORD)
        yield SecureBroker(kafka.bootstrap, f"127.0.0.1:{sasl}")
