"""A broker with every kind of secured listener, the engine or Apache Kafka, for clients that speak to all of them.

with engine_with_all(directory) as listeners:
    listeners.open            PLAINTEXT: everybody may do everything
    listeners.sasl            SASL_PLAINTEXT; `sessions` is the same, and a session lasts SESSION_MS
    listeners.sasl_tls        SASL_SSL
    listeners.tls             SSL; `mutual` is the same, and a client has to show a certificate
    listeners.expired         SSL, with a certificate that ended yesterday
    listeners.strange         SSL, with a certificate for elsewhere.example
    listeners.ca, .client     the authority's certificate, and one of a client's
    listeners.token()         a token of OAUTHBEARER that it believes
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from support.apache_kafka import Kafka
from support.certificates import Authority, Certificate
from support.engine import Engine
from support.ports import free_ports
from support.sasl import add_user
from support.secure_brokers import LOGIN, PASSWORD, USER
from support.tokens import Issuer, encoded

SESSION_MS = 2500
PROTOCOLS = {
    "SASL_PLAINTEXT": "SASL_PLAINTEXT",
    "SESSIONS": "SASL_PLAINTEXT",
    "SASL_SSL": "SASL_SSL",
    "SSL": "SSL",
    "MUTUAL": "SSL",
    "EXPIRED": "SSL",
    "STRANGE": "SSL",
}


@dataclass(frozen=True)
class AllListeners:
    """Addresses, and what is needed to be let in."""

    open: str
    sasl: str
    sessions: str
    sasl_tls: str
    tls: str
    mutual: str
    expired: str
    strange: str
    ca: str
    client: Certificate
    token: Callable[[], str]


def common_settings(directory: pathlib.Path) -> tuple[dict[str, str], str, Certificate]:
    """What both kinds of brokers are told in the same words, the certificate of the authority, and that of a client."""
    directory.mkdir(parents=True, exist_ok=True)
    authority = Authority(directory)
    server = authority.issue("server", "/CN=localhost")
    expired = authority.issue("expired", "/CN=localhost", days=-1)
    strange = authority.issue("strange", "/CN=elsewhere.example", addresses="DNS:elsewhere.example")
    settings = {
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in PROTOCOLS.items()),
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(server.keystore),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.certificate),
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.expired.ssl.keystore.location": str(expired.keystore),
        "listener.name.strange.ssl.keystore.location": str(strange.keystore),
        "listener.name.sessions.connections.max.reauth.ms": str(SESSION_MS),
    }
    return settings, str(authority.certificate), authority.issue("client", "/O=Example/CN=alice")


@contextlib.contextmanager
def engine_with_all(directory: pathlib.Path) -> Iterator[AllListeners]:
    settings, ca, client = common_settings(directory)
    issuer = Issuer(directory)
    keys = directory / "keys.json"
    keys.write_text(json.dumps({"keys": [issuer.key]}))
    settings["sasl.oauthbearer.jwks.endpoint.url"] = keys.as_uri()
    settings["sasl.oauthbearer.expected.audience"] = "events"
    addresses = {name: f"127.0.0.1:{port}" for name, port in zip(PROTOCOLS, free_ports(len(PROTOCOLS)), strict=True)}
    arguments = [part for name, address in addresses.items() for part in ("--listen", f"{name}://{address}")]
    with Engine(directory / "data", settings=settings, arguments=arguments) as engine:
        add_user(engine.address, USER, PASSWORD)
        yield described(engine.address, addresses, ca, client, lambda: issuer.token(USER, aud="events"))


@contextlib.contextmanager
def kafka_with_all(directory: pathlib.Path) -> Iterator[AllListeners]:
    """PLAIN knows other users than SCRAM there: here it knows this one too. Tokens are not signed."""
    settings, ca, client = common_settings(directory)
    plaintext, controller, *others = free_ports(2 + len(PROTOCOLS))
    addresses = {name: f"127.0.0.1:{port}" for name, port in zip(PROTOCOLS, others, strict=True)}
    listeners = ",".join(f"{name}://{address}" for name, address in [("PLAINTEXT", f"127.0.0.1:{plaintext}"), *addresses.items()])
    settings |= {
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": listeners,
        "listener.security.protocol.map": settings["listener.security.protocol.map"] + ",PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    }
    for name in ("sasl_plaintext", "sessions", "sasl_ssl"):
        modules = {"plain": LOGIN.format("plain.Plain") + f' user_{USER}="{PASSWORD}"'}
        modules |= dict.fromkeys(("scram-sha-256", "scram-sha-512"), LOGIN.format("scram.Scram"))
        modules["oauthbearer"] = LOGIN.format("oauthbearer.OAuthBearer") + ' unsecuredLoginStringClaim_sub="broker"'
        settings |= {f"listener.name.{name}.{mechanism}.sasl.jaas.config": f"{module};" for mechanism, module in modules.items()}
    with Kafka(properties=settings, port=plaintext) as kafka:
        add_user(kafka.bootstrap, USER, PASSWORD)
        yield described(kafka.bootstrap, addresses, ca, client, unsigned_token)


def described(opened: str, addresses: dict[str, str], ca: str, client: Certificate, token: Callable[[], str]) -> AllListeners:
    sasl, sessions, sasl_tls, tls, mutual, expired, strange = addresses.values()
    return AllListeners(opened, sasl, sessions, sasl_tls, tls, mutual, expired, strange, ca, client, token)


def unsigned_token() -> str:
    now = int(time.time())
    return f"{encoded({'alg': 'none'})}.{encoded({'sub': USER, 'iat': now, 'exp': now + 3600})}."
