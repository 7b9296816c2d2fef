"""A broker with a listener for each security protocol, the engine or Apache Kafka, with the same users.

with secure_engine(directory) as broker:
    broker.open           where everybody may do everything
    broker.sasl           SASL_PLAINTEXT
    broker.sasl_tls       SASL_SSL
    broker.tls            SSL, where a client may show a certificate
    broker.mutual         SSL, where it must
"""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from support.apache_kafka import Kafka
from support.certificates import Authority
from support.engine import Engine
from support.ports import free_ports
from support.sasl import add_user

USER, PASSWORD = "alice", "alice-secret"
MECHANISMS = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
LOGIN = "org.apache.kafka.common.security.{0}LoginModule required"


@dataclass(frozen=True)
class SecureBroker:
    """Its addresses."""

    open: str
    sasl: str
    sasl_tls: str = ""
    tls: str = ""
    mutual: str = ""
    engine: Engine | None = None


@contextlib.contextmanager
def secure_engine(
    directory: pathlib.Path, settings: Mapping[str, str] | None = None, authority: Authority | None = None
) -> Iterator[SecureBroker]:
    """The engine; with TLS where there is an authority, that issues the certificate of the server."""
    sasl, sasl_tls, tls, mutual = (f"127.0.0.1:{port}" for port in free_ports(4))
    listeners = [f"SASL_PLAINTEXT://{sasl}"]
    all_settings = {"sasl.enabled.mechanisms": MECHANISMS}
    if authority is not None:
        listeners += [f"SASL_SSL://{sasl_tls}", f"SSL://{tls}", f"MUTUAL://{mutual}"]
        all_settings |= tls_settings(authority)
        all_settings |= {"listener.security.protocol.map": "MUTUAL:SSL", "listener.name.mutual.ssl.client.auth": "required"}
    arguments = [part for listener in listeners for part in ("--listen", listener)]
    with Engine(directory, settings={**all_settings, **(settings or {})}, arguments=arguments) as engine:
        add_user(engine.address, USER, PASSWORD)
        yield SecureBroker(engine.address, sasl, sasl_tls, tls, mutual, engine)


def tls_settings(authority: Authority, name: str = "server") -> dict[str, str]:
    """A certificate of its own for a server that asks for those of clients."""
    server = authority.issue(name, "/CN=localhost")
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(server.keystore),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.certificate),
        "ssl.client.auth": "requested",
        "ssl.principal.mapping.rules": "RULE:^CN=([a-z]+),OU=events.*$/$1/,DEFAULT",
    }


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
