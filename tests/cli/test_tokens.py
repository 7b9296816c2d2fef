"""ev token: the local engine has none and says so; a cluster with SASL makes, renews and ends them."""

from __future__ import annotations

import time

import pytest

from support.apache_kafka import ORDERLY, Kafka
from support.command_line import CommandLine
from support.ports import free_ports
from support.waiting import wait_for


def test_the_local_engine_has_no_tokens(one_engine: CommandLine) -> None:
    """One clear line, for every verb."""
    for arguments in (("list",), ("create",), ("renew", "x"), ("expire", "x", "-y")):
        done = one_engine("token", *arguments, status=1)
        assert done.err.startswith("ev: delegation tokens are not supported by the local engine")
        assert len(done.err.splitlines()) == 1


@pytest.mark.java
def test_a_connection_without_authentication_gets_none(ev: CommandLine, apache: Kafka) -> None:
    """Apache Kafka gives tokens only to whom it knows."""
    ev.variables["EV_BOOTSTRAP"] = apache.bootstrap
    done = ev("token", "create", status=None)
    assert done.status in (1, 5)
    assert "token" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.java
@pytest.mark.slow
def test_tokens_on_apache_kafka(ev: CommandLine) -> None:
    """Made for an owner with a renewer, listed without their secret, renewed, and ended."""
    kafka = Kafka(properties=ORDERLY)
    (port,) = free_ports(1)
    node, controller = kafka.nodes[0], kafka.controllers[kafka.nodes[0]]
    plain = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="secret" user_admin="secret";'
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    kafka.properties.update(
        {
            "listeners": f"PLAINTEXT://127.0.0.1:{kafka.ports[node]},SASL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{kafka.ports[node]},SASL://127.0.0.1:{port}",
            "listener.name.sasl.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
            "listener.name.sasl.plain.sasl.jaas.config": plain,
            "listener.name.sasl.scram-sha-256.sasl.jaas.config": scram,
            "delegation.token.secret.key": "a secret of this test",
        }
    )
    with kafka:
        config = ev.directory / "config.toml"
        config.write_text(
            f'[contexts.alice]\nbootstrap = ["127.0.0.1:{port}"]\nsecurity = "sasl_plaintext"\n'
            '[contexts.alice.sasl]\nmechanism = "PLAIN"\nusername = "alice"\npassword_command = "echo secret"\nunencrypted = true\n'
        )
        alice = ("-C", "alice", "token")
        assert ev.json(*alice, "list") == []
        assert ev.json(*alice, "create", "--dry-run")[0]["owner"] is None
        made = ev.json(*alice, "create", "--renewer", "bob", "--max-lifetime", "1h")
        assert (made["owner"], made["renewers"]) == ("User:alice", ["User:bob"])
        now_ms = time.time() * 1000
        assert now_ms < made["expires_at"] <= made["max_timestamp"] < now_ms + 3_700_000
        (listed,) = wait_for(lambda: ev.json(*alice, "list", "--owner", "alice"), "the broker to know the token")
        assert listed["token"] == made["token"]
        assert "secret" not in listed
        assert ev.json(*alice, "renew", made["token"], "--for", "30m")["expires_at"] < made["max_timestamp"]
        assert "did you mean" in ev(*alice, "renew", made["token"] + "x", status=3).err
        assert "needs a yes" in ev(*alice, "expire", made["token"], status=2).err
        assert ev.json(*alice, "expire", made["token"], "--dry-run")[0]["token"] == made["token"]
        ev(*alice, "expire", made["token"], "-y")
        wait_for(lambda: ev.json(*alice, "list") == [], "the token to be gone")
