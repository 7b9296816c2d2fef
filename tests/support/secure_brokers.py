"""A broker with a listener for each security protocol, the engine or Apache Kafka, with the same users.

with secure_engine(directory) as broker:
    broker.open           where everybody may do everything
    broker.sasl           SASL_PLAINTEXT
    broker.sessions       the same, where a session lasts SESSION_MS
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
SESSION_MS = 1500
MECHANISMS = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
LOGIN = "org.apache.kafka.common.security.{0}LoginModule required"


@dataclass(frozen=True)
class SecureBroker:
    """Its addresses."""

    open: str
    sasl: str
    sessions: str
    sasl_tls: str = ""
    tls: str = ""
    mutual: str = ""
    engine: Engine | None = None


@contextlib.contextmanager
def secure_engine(
    directory: pathlib.Path, settings: Mapping[str, str] | None = None, authority: Authority | None = None
) -> Iterator[SecureBroker]:
    """The engine; with TLS where there is an authority, that issues the certificate of the server."""
    sasl, sessions, sasl_tls, tls, mutual = (f"127.0.0.1:{port}" for port in free_ports(5))
    listeners = [f"SASL_PLAINTEXT://{sasl}", f"SESSIONS://{sessions}"]
    all_settings = {
        "sasl.enabled.mechanisms": MECHANISMS,
        "listener.security.protocol.map": "SESSIONS:SASL_PLAINTEXT,MUTUAL:SSL",
        "listener.name.sessions.connections.max.reauth.ms": str(SESSION_MS),
    }
    if authority is not None:
        listeners += [f"SASL_SSL://{sasl_tls}", f"SSL://{tls}", f"MUTUAL://{mutual}"]
        all_settings |= tls_settings(authority)
        all_settings |= {"listener.name.mutual.ssl.client.auth": "required"}
    arguments = [part for listener in listeners for part in ("--listen", listener)]
    with Engine(directory, settings={**all_settings, **(settings or {})}, arguments=arguments) as engine:
        add_user(engine.address, USER, PASSWORD)
        yield SecureBroker(engine.address, sasl, sessions, sasl_tls, tls, mutual, engine)


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
def secure_kafka(authority: Authority | None = None) -> Iterator[SecureBroker]:
    """Apache Kafka. PLAIN knows other users than SCRAM there: here it knows this one too."""
    plaintext, controller, sasl, sessions, sasl_tls = free_ports(5)
    protocols = {"PLAINTEXT": ("PLAINTEXT", plaintext), "SASL": ("SASL_PLAINTEXT", sasl), "SESSIONS": ("SASL_PLAINTEXT", sessions)}
    properties = {"sasl.enabled.mechanisms": MECHANISMS, "listener.name.sessions.connections.max.reauth.ms": str(SESSION_MS)}
    if authority is not None:
        protocols["SECURE"] = ("SASL_SSL", sasl_tls)
        properties |= {f"listener.name.secure.{name}": value for name, value in tls_settings(authority).items()}
        properties["listener.name.secure.ssl.client.auth"] = "none"
    addresses = ",".join(f"{name}://127.0.0.1:{port}" for name, (_, port) in protocols.items())
    properties |= {
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"{addresses},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": addresses,
        "listener.security.protocol.map": ",".join(["CONTROLLER:PLAINTEXT", *(f"{name}:{kind}" for name, (kind, _) in protocols.items())]),
    }
    for name in (name.lower() for name in protocols if name != "PLAINTEXT"):
        properties[f"listener.name.{name}.plain.sasl.jaas.config"] = LOGIN.format("plain.Plain") + f' user_{USER}="{PASSWORD}";'
        for mechanism in ("scram-sha-256", "scram-sha-512"):
            properties[f"listener.name.{name}.{mechanism}.sasl.jaas.config"] = LOGIN.format("scram.Scram") + ";"
    with Kafka(properties=properties, port=plaintext) as kafka:
        add_user(kafka.bootstrap, USER, PASSWORD)
        yield SecureBroker(kafka.bootstrap, f"127.0.0.1:{sasl}", f"127.0.0.1:{sessions}", f"127.0.0.1:{sasl_tls}")
