"""The address that clients are told: where they found the engine, or where it was told to send them. Never 0.0.0.0."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from ev.wire.messages.k03_metadata import MetadataRequest
from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from ev.wire.messages.k60_describe_cluster import DescribeClusterRequest
from support.engine import SOURCES, Engine
from support.ports import free_port, free_ports
from support.raw_client import RawClient

StartEngine = Callable[..., Engine]


def told(address: str) -> set[tuple[str, int]]:
    """Every address that a client which connects to `address` is told."""
    with RawClient(address) as client:
        brokers = client.ask(3, 9, MetadataRequest(topics=[])).brokers
        cluster = client.ask(60, 0, DescribeClusterRequest()).brokers
        coordinator = client.ask(10, 3, FindCoordinatorRequest(key="g", key_type=0))
    return {(one.host, one.port) for one in [*brokers, *cluster, coordinator]}


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


def test_a_client_is_told_where_it_found_the_engine(engine: Engine) -> None:
    """The local address of its own connection."""
    assert told(engine.address) == {("127.0.0.1", engine.port)}


def test_each_of_two_listeners_tells_its_own_address(start_engine: StartEngine) -> None:
    """A client that came in through one door is not sent to the other."""
    second = free_port()
    engine = start_engine(arguments=["--listen", f"127.0.0.2:{second}"])
    assert told(engine.address) == {("127.0.0.1", engine.port)}
    assert told(f"127.0.0.2:{second}") == {("127.0.0.2", second)}


def test_each_of_two_listeners_may_advertise_an_address_of_its_own(start_engine: StartEngine) -> None:
    """One for each, in the order of the listeners."""
    second = free_port()
    arguments = ["--listen", f"127.0.0.2:{second}", "--advertise", "inside.example:1", "--advertise", "[2001:db8::1]:2"]
    engine = start_engine(arguments=arguments)
    assert told(engine.address) == {("inside.example", 1)}
    assert told(f"127.0.0.2:{second}") == {("2001:db8::1", 2)}


def test_on_all_addresses_a_client_is_told_the_one_it_used(start_engine: StartEngine) -> None:
    """The wildcard is nobody's address; the engine's own file names loopback."""
    engine = start_engine(listen="0.0.0.0:0", arguments=["--insecure"])
    assert engine.address == f"127.0.0.1:{engine.port}"
    assert told(engine.address) == {("127.0.0.1", engine.port)}
    assert told(f"127.0.0.3:{engine.port}") == {("127.0.0.3", engine.port)}


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_ipv6_works_in_both_directions(start_engine: StartEngine) -> None:
    """Given in brackets, told without."""
    engine = start_engine(listen="[::1]:0")
    assert engine.address == f"[::1]:{engine.port}"
    assert told(engine.address) == {("::1", engine.port)}


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_ipv4_and_ipv6_wildcards_share_a_port(start_engine: StartEngine) -> None:
    """The IPv6 one does not swallow the other, and no client is told a mapped address."""
    port = free_port()
    start_engine(listen=f"0.0.0.0:{port}", arguments=["--listen", f"[::]:{port}", "--insecure"])
    assert told(f"127.0.0.1:{port}") == {("127.0.0.1", port)}
    assert told(f"[::1]:{port}") == {("::1", port)}


@contextlib.contextmanager
def forwarder(target: tuple[str, int]) -> Iterator[str]:
    """A port forwarder as containers and ssh have them: accepts on a port of its own and passes bytes on."""
    with socket.create_server(("127.0.0.1", 0)) as front:

        def pump(source: socket.socket, sink: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(1 << 16):
                    sink.sendall(data)
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = front.accept()
                    behind = socket.create_connection(target)
                    pumps = [threading.Thread(target=pump, args=pair, daemon=True) for pair in ((client, behind), (behind, client))]
                    for one in pumps:
                        one.start()
                    for one in pumps:
                        one.join()
                    client.close()
                    behind.close()

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        yield f"127.0.0.1:{front.getsockname()[1]}"
        front.shutdown(socket.SHUT_RDWR)
        acceptor.join(10)


def test_through_a_port_forwarder_the_advertised_address_leads_back_through_it(tmp_path: pathlib.Path) -> None:
    """The engine cannot know the forwarder; it is told with --advertise, and clients stay on the path that works."""
    (port,) = free_ports(1)
    with forwarder(("127.0.0.1", port)) as front, Engine(tmp_path / "data", listen=f"127.0.0.1:{port}", arguments=["--advertise", front]):
        host, _, front_port = front.rpartition(":")
        assert told(front) == {(host, int(front_port))}


ASK = """
import sys
from support.raw_client import RawClient
from ev.wire.messages.k03_metadata import MetadataRequest
with RawClient(sys.argv[1]) as client:
    print(*[f"{one.host}:{one.port}" for one in client.ask(3, 9, MetadataRequest(topics=[])).brokers])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")
@pytest.mark.root
def test_from_another_network_namespace_the_address_of_the_link_is_told(tmp_path: pathlib.Path) -> None:
    """As from a container: the client reaches the engine over the link, and is told the link's address, not loopback."""
    name = f"ev{os.getpid()}"
    third = os.getpid() % 250
    here, there = f"10.213.{third}.1", f"10.213.{third}.2"

    def ip(*arguments: str, check: bool = True) -> None:
        subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True)

    ip("netns", "add", name)
    try:
        ip("link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", "netns", name)
        ip("addr", "add", f"{here}/30", "dev", f"{name}a")
        ip("link", "set", f"{name}a", "up")
        ip("-n", name, "addr", "add", f"{there}/30", "dev", f"{name}b")
        ip("-n", name, "link", "set", f"{name}b", "up")
        with Engine(tmp_path / "data", listen="0.0.0.0:0", arguments=["--insecure"]) as engine:
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join([SOURCES, str(pathlib.Path(__file__).parents[1])])}
            command = ["ip", "netns", "exec", name, sys.executable, "-c", ASK, f"{here}:{engine.port}"]
            answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30, env=environment)
            assert answer.stdout.split() == [f"{here}:{engine.port}"]
    finally:
        ip("link", "delete", f"{name}a", check=False)
        ip("netns", "delete", name)
