"""A cluster of which only the bootstrap address answers: who cannot be reached is said, soon, and a run that gives up says what to do."""

from __future__ import annotations

import signal
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from ev_cli import patience as patience_module
from ev_cli.patience import Patience, silent_ones
from support.command_line import CommandLine
from support.ports import free_ports

WAITING = (
    ("consume", "events", "-g", "readers"),
    ("consume", "events", "-e"),
    ("tail", "events"),
    ("redrive", "events", "--to", "other"),
    ("produce", "events"),
    ("produce", "events", "--transaction"),
    ("copy", "events", "other", "-g", "copier"),
    ("bench", "produce", "events", "-n", "10", "-y"),
)


def test_the_broker_is_named_that_cannot_be_reached(ev: CommandLine) -> None:
    """After a few seconds, by every command that waits for it; not the address that answers. Ctrl-C ends."""
    for topic in ("events", "other"):
        ev("topic", "create", topic)
    ev("down")
    (port,) = free_ports(1)
    ev("up", "--advertise", f"127.0.0.1:{port}")
    asked = ("-b", ev.address)
    waiting = [ev.start(*words, *asked, "--timeout", "20s") for words in WAITING]
    for words, running in zip(WAITING, waiting, strict=True):
        if words[0] == "produce":
            running.send(b"one\n")
        said = f"{ev.address} answers, but its broker 1 at 127.0.0.1:{port} does not"
        running.wait_for(said.encode())
        assert running.err.count(b"answers, but") == 1, running.err
        assert b"refused" in running.err, running.err
    for words, running in zip(WAITING, waiting, strict=True):
        running.signal(signal.SIGINT)
        done = running.end()
        assert done.status == 130, words
        assert words != ("produce", "events") or "acked 0 of 1, first unacknowledged: line 1, byte 0" in done.err

    for words in (("bench", "e2e", "events", "-n", "1", "-y"), ("bench", "consume", "events"), ("produce", "events", "--transaction")):
        done = ev(*words, *asked, "--timeout", "2s", data=b"one\n", status=4)
        assert f"127.0.0.1:{port}" in done.err, words
        assert "`ev doctor`" in done.err, words


def test_a_broker_that_takes_the_connection_and_says_nothing(ev: CommandLine) -> None:
    """Is named as well, before the time to connect is over."""
    ev("topic", "create", "events")
    ev("down")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        ev("up", "--advertise", address)
        running = ev.start("consume", "events", "-g", "readers", "-b", ev.address)
        running.wait_for(f"its broker 1 at {address} does not".encode(), timeout_s=9)
        running.kill()


class SomeCluster:
    """What `Patience` asks a client's cluster."""

    def __init__(self) -> None:
        self.tries = False
        self.missing: list[Any] = []

    def out_of_reach(self) -> list[Any]:
        return self.missing


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(patience_module, "AFTER_S", 0)
    return []


def test_each_thing_is_said_once_however_many_wait(said: list[str]) -> None:
    """And that it has passed, too."""
    patience = Patience(SimpleNamespace(where="prod", talk=said.append))  # type: ignore[arg-type]
    one, other = SomeCluster(), SomeCluster()
    one.tries = other.tries = True
    for cluster in (one, other, one, other):
        patience.look(cluster)  # type: ignore[arg-type]
    assert said == ["prod does not answer; still trying, Ctrl-C ends"]
    one.tries = other.tries = False
    for cluster in (one, other, one, other):
        patience.look(cluster)  # type: ignore[arg-type]
    assert said[1:] == ["connected to prod again"]
    assert not patience.has_told


def test_what_is_waited_for_is_said_although_everybody_is_connected(said: list[str]) -> None:
    """A coordinator that has no answer yet, for one. Afterwards there is nothing to say."""
    patience = Patience(SimpleNamespace(where="prod", talk=said.append))  # type: ignore[arg-type]
    cluster = SomeCluster()
    with patience.waits_for("a producer id"):
        patience.look(cluster)  # type: ignore[arg-type]
        patience.look(cluster)  # type: ignore[arg-type]
    patience.look(cluster)  # type: ignore[arg-type]
    assert said == ["waiting for a producer id: prod has not answered yet; still trying, Ctrl-C ends"]


def test_several_brokers_are_one_line() -> None:
    """The first by name, with the reason; the others by their number. Nothing that a broker says reaches the terminal as it is."""
    cluster = SomeCluster()
    cluster.missing = [SimpleNamespace(node_id=2, address="b\x1b[2J:9092", error=OSError("no\x07")), None, None]
    text = silent_ones(cluster, "prod")  # type: ignore[arg-type]
    assert text == "prod answers, but its broker 2 at b\\x1b[2J:9092 does not (nor do 2 more of its brokers): no\\x07"
