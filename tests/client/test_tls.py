"""The encrypted pipe by itself: it never waits, whatever comes in pieces, and says what the other side does not like."""

from __future__ import annotations

import pathlib
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from ev.client import Security, Tls
from ev.client.cluster import Cluster
from ev.client.tls import tls_context, tls_opener
from ev.client.transport import Poller, Transport, resolve
from ev.errors import AuthenticationError, SettingError, UnreachableError
from support.certificates import KEY, Authority, Certificate, openssl


class World:
    """An authority, a server's certificate, and a server that accepts one connection after another."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.authority = Authority(directory)
        self.server = self.authority.issue("server", "/CN=localhost")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.tls = Tls(ca=str(self.authority.certificate))

    def open(self, tls: Tls | None = None) -> Transport:
        (address,) = resolve("127.0.0.1", self.listener.getsockname()[1])
        return tls_opener(tls or self.tls)(address, "127.0.0.1")

    def accept(self, version: ssl.TLSVersion | None = None) -> ssl.SSLSocket:
        """The other end, with its handshake done; to be called from a thread."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server.keystore)
        if version is not None:
            context.maximum_version = version
        peer, _ = self.listener.accept()
        return context.wrap_socket(peer, server_side=True, suppress_ragged_eofs=False)


@pytest.fixture(scope="module")
def module_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("tls"))
    with world.listener:
        yield world


@pytest.fixture
def world(module_world: World) -> World:
    return module_world


def drive(transport: Transport, timeout_s: float = 20) -> None:
    """Finish connecting, as the owner of a transport does."""
    poller, give_up = Poller(), time.monotonic() + timeout_s
    while True:
        assert time.monotonic() < give_up
        poller.set(transport.fileno(), writing=transport.wants_write)
        if poller.wait(100) and transport.finish_connect():
            return


def connected(world: World, version: ssl.TLSVersion | None = None) -> tuple[Transport, ssl.SSLSocket]:
    accepted: list[ssl.SSLSocket] = []
    thread = threading.Thread(target=lambda: accepted.append(world.accept(version)))
    thread.start()
    transport = world.open()
    drive(transport)
    thread.join(20)
    return transport, accepted[0]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_bytes_go_both_ways_while_neither_side_reads(world: World, version: ssl.TLSVersion) -> None:
    """What the socket does not take is not counted as sent, and is not sent twice."""
    transport, peer = connected(world, version)
    with peer:
        data = bytes(range(256)) * 40_000
        left, sent, stalls = [memoryview(data)[:100], memoryview(data)[100:]], 0, 0
        received: list[bytes] = []

        def echo() -> None:
            while sum(map(len, received)) < len(data):
                received.append(peer.recv(1 << 20))
            peer.sendall(data)

        thread = threading.Thread(target=echo)
        poller = Poller()
        give_up = time.monotonic() + 60
        while left:
            assert time.monotonic() < give_up
            count = transport.send(left)
            sent += count
            if not count:
                stalls += 1
                if stalls == 1:
                    assert transport.wants_write
                    thread.start()
                poller.set(transport.fileno(), writing=True)
                poller.wait(1_000)
            while count and left:
                taken = min(count, len(left[0]))
                left[0] = left[0][taken:]
                count -= taken
                if not left[0]:
                    del left[0]
        assert stalls, "ten megabytes fit into the buffers of the socket"
        assert sent == len(data)
        assert not transport.wants_write
        back = bytearray()
        view = memoryview(bytearray(1_000_000))
        while len(back) < len(data):
            assert time.monotonic() < give_up
            got = transport.receive_into(view)
            if got is None:
                assert not transport.pending
                poller.set(transport.fileno(), writing=False)
                poller.wait(1_000)
            else:
                back += view[:got]
        thread.join(20)
        assert b"".join(received) == data
        assert back == data
        transport.close()


def test_what_is_there_is_announced_when_the_socket_is_silent(world: World) -> None:
    """One record holds more than is asked for: `pending` says so, as the socket has nothing any more."""
    transport, peer = connected(world)
    with peer:
        peer.sendall(b"x" * 10_000)
        view = memoryview(bytearray(1_000))
        poller = Poller()
        poller.set(transport.fileno(), writing=False)
        counts: list[int] = []
        give_up = time.monotonic() + 20
        while sum(counts) < 10_000:
            assert time.monotonic() < give_up
            if not transport.pending:
                poller.wait(100)
            counts.append(transport.receive_into(view) or 0)
        assert poller.wait(0) == []
        assert transport.receive_into(view) is None
    poller.wait(5_000)
    assert transport.receive_into(view) == 0
    transport.close()


def test_the_end_is_announced(world: World) -> None:
    """So that the other side knows that nobody has cut the connection."""
    transport, peer = connected(world)
    with peer:
        transport.send([b"all"])
        transport.close()
        transport.close()
        assert peer.recv(100) == b"all"
        assert peer.recv(100) == b""


def test_old_versions_are_not_spoken() -> None:
    """TLS 1.2 is the least; names are checked, unless somebody does not want that."""
    context = tls_context(Tls())
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert tls_context(Tls(insecure=True)).verify_mode == ssl.CERT_NONE


def refusal(world: World, certificate: Certificate, tls: Tls | None = None) -> AuthenticationError:
    """What the transport says to this certificate."""
    usual, world.server = world.server, certificate

    def accept() -> None:
        try:
            world.accept().close()
        except OSError:
            return

    thread = threading.Thread(target=accept)
    thread.start()
    transport = world.open(tls)
    try:
        with pytest.raises(AuthenticationError) as raised:
            drive(transport)
    finally:
        transport.close()
        thread.join(20)
        world.server = usual
    return raised.value


def test_each_way_in_which_a_certificate_may_be_wrong_has_its_remedy(world: World, tmp_path: pathlib.Path) -> None:
    """Expired, for somebody else, of an authority that nobody named, signed by itself."""
    issue = world.authority.issue
    assert "renewed" in str(refusal(world, issue("old", "/CN=localhost", days=-1)))
    assert "server_name" in str(refusal(world, issue("other", "/CN=other", addresses="DNS:other.example")))
    assert "as ca" in str(refusal(world, Authority(tmp_path, "stranger").issue("s", "/CN=localhost")))
    alone = Certificate(*(tmp_path / f"alone.{ending}" for ending in ("crt", "key", "pem")))
    openssl("req", "-x509", *KEY, "-keyout", str(alone.key), "-out", str(alone.chain), "-days", "1", "-subj", "/CN=localhost")
    alone.keystore.write_text(alone.key.read_text() + alone.chain.read_text())
    assert "as ca" in str(refusal(world, alone))


@pytest.mark.parametrize("answer", [b"\x00\x00\x00\x01x", b"HTTP/1.1 400 Bad Request\r\n\r\n", b""], ids=["Kafka", "HTTP", "nothing"])
def test_a_server_without_tls_is_said_to_have_none(world: World, answer: bytes) -> None:
    """Whatever it says to a handshake."""
    transport = world.open()
    peer, _ = world.listener.accept()
    with peer:
        if answer:
            peer.sendall(answer)
            with pytest.raises(UnreachableError, match="TLS on this port"):
                drive(transport)
    if not answer:
        with pytest.raises(UnreachableError, match="TLS on this port"):
            drive(transport)
    transport.close()


def test_keys_that_cannot_be_used_are_named(tmp_path: pathlib.Path, world: World) -> None:
    """An encrypted one is not asked for its pass phrase on the terminal; one of another certificate is recognised."""
    client = world.authority.issue("client", "/CN=alice")
    locked = tmp_path / "locked.key"
    openssl("pkey", "-in", str(client.key), "-aes256", "-passout", "pass:secret", "-out", str(locked))
    with pytest.raises(SettingError, match="is encrypted"):
        Cluster("h:1", security=Security(Tls(cert=str(client.chain), key=str(locked))))
    with pytest.raises(SettingError, match="does not belong"):
        tls_context(Tls(cert=str(client.chain), key=str(world.server.key)))
    tls_context(Tls(cert=str(client.chain), key=str(client.key)))


def test_ssl_is_loaded_by_those_who_ask_for_it() -> None:
    """Not by a client that speaks PLAINTEXT, nor by one that authenticates without TLS."""
    program = (
        "import sys; from ev.client.cluster import Cluster; Cluster('h:1'); assert 'dataclasses' not in sys.modules;"
        "from ev.client import Sasl, Security; Cluster('h:1', security=Security(sasl=Sasl('PLAIN', 'a', 'b')));"
        "assert 'ssl' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
