"""The network that tortures put between clients and an engine does what it is told to."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from support.proxy import Proxy
from support.waiting import wait_for


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Before somebody who sends back whatever comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=echo, args=(server,), daemon=True).start()
        proxy = Proxy(server.getsockname())
        yield proxy
        proxy.close()


def echo(server: socket.socket) -> None:
    def answer(connection: socket.socket) -> None:
        with connection:
            while piece := connection.recv(1000):
                connection.sendall(piece)

    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def connect(proxy: Proxy) -> socket.socket:
    host, _, port = proxy.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=5)


def echoed(connection: socket.socket, timeout_s: float = 5) -> bytes:
    """What comes back of a word; empty when the connection is closed. TimeoutError when nothing does."""
    connection.settimeout(timeout_s)
    try:
        connection.sendall(b"word")
        return connection.recv(1000)
    except ConnectionError:
        return b""


def test_it_forwards_and_it_delays(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        assert echoed(connection) == b"word"
        proxy.delay(0.1)
        began = time.monotonic()
        assert echoed(connection) == b"word"
        assert time.monotonic() - began >= 0.2


def test_what_was_stalled_comes_when_it_is_healed(proxy: Proxy) -> None:
    """A partition closes no connection, and who connects meanwhile hears nothing either."""
    with connect(proxy) as before:
        assert echoed(before) == b"word"
        proxy.stall()
        with pytest.raises(TimeoutError):
            echoed(before, 0.2)
        with connect(proxy) as meanwhile:
            with pytest.raises(TimeoutError):
                echoed(meanwhile, 0.2)
            proxy.heal()
            for connection in (before, meanwhile):
                connection.settimeout(5)
                assert connection.recv(1000) == b"word"


def test_a_cut_closes_what_there_is_and_a_refusal_what_comes(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        assert echoed(connection) == b"word"
        proxy.cut()
        assert echoed(connection) == b""
    with connect(proxy) as connection:
        assert echoed(connection) == b"word"
        proxy.refuse()
        assert echoed(connection) == b""
    with connect(proxy) as connection:
        assert echoed(connection) == b""
    proxy.heal()
    with connect(proxy) as connection:
        assert echoed(connection) == b"word"


def test_its_client_is_let_go_when_nobody_listens_behind_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = server.getsockname()
    proxy = Proxy(target)
    with connect(proxy) as connection:
        assert echoed(connection) == b""
    wait_for(lambda: proxy.connections == 0, "the connection to be forgotten")
    proxy.close()
