"""Waiting for sockets, with and without poll()."""

from __future__ import annotations

import select
import socket

import pytest

from ev.client.transport import Poller, open_transport, resolve
from ev.errors import UnreachableError


@pytest.fixture(params=["poll", "select"])
def poller(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Poller:
    """A Poller on this system's poll(), and one as on a system that has none."""
    if request.param == "select":
        monkeypatch.delattr(select, "poll")
    return Poller()


def test_readiness_is_seen(poller: Poller) -> None:
    """Readable when bytes came, writable when asked for, neither when the time is over, nothing after forgetting."""
    here, there = socket.socketpair()
    with here, there:
        poller.set(here.fileno(), writing=False)
        assert poller.wait(10) == []
        there.send(b"x")
        assert poller.wait(1_000) == [(here.fileno(), True, False)]
        poller.set(here.fileno(), writing=True)
        assert poller.wait(1_000) == [(here.fileno(), True, True)]
        here.recv(1)
        poller.set(here.fileno(), writing=False)
        assert poller.wait(10) == []
        there.close()
        assert [readable for _, readable, _ in poller.wait(1_000)] == [True]
        poller.forget(here.fileno())
        poller.forget(here.fileno())
        assert poller.wait(10) == []


def test_a_refused_connection_is_seen(poller: Poller) -> None:
    """The next call on the transport says why."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        connect(port, poller)


def connect(port: int, poller: Poller) -> None:
    """To the end of the attempt; some systems refuse at the beginning already."""
    transport = open_transport(resolve("127.0.0.1", port)[0], "127.0.0.1")
    try:
        poller.set(transport.fileno(), writing=True)
        assert poller.wait(5_000)
        transport.finish_connect()
    finally:
        transport.close()


def test_a_name_that_does_not_resolve_is_unreachable() -> None:
    """Also one that is no name at all."""
    for host in ("no-such-host.invalid", "a" * 300):
        with pytest.raises(UnreachableError, match="no address"):
            resolve(host, 1)
