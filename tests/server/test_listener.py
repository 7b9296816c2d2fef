"""Listening sockets: addresses as people write them, ports that are free or taken."""

from __future__ import annotations

import socket

import pytest

from ev.endpoints import format_address, parse_address
from ev.errors import SettingError
from ev.loopback import is_loopback, refuse_exposed
from ev.server.listener import PortTakenError, bind, bind_all, local_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9092", ("127.0.0.1", 9092)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:9092", ("::1", 9092)),
        (" example.org:65535 ", ("example.org", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    """An IPv6 host stands in brackets, here and when it is printed again."""
    assert parse_address(text) == address
    assert format_address(address) == text.strip()


@pytest.mark.parametrize("text", ["", "9092", ":9092", "host:", "host:http", "host:65536", "host:-1", "::1:9092", "[]:1", "host:²"])
def test_anything_else_is_refused(text: str) -> None:
    """With a message that says what was expected."""
    with pytest.raises(SettingError, match="expected"):
        parse_address(text)


def test_port_0_becomes_one_free_port_for_all_addresses_of_a_host() -> None:
    """`localhost` may be both 127.0.0.1 and ::1; a client must find the engine at either with the one port that it was told."""
    sockets = bind("localhost", 0)
    ports = {one.getsockname()[1] for one in sockets}
    for one in sockets:
        one.close()
    assert len(ports) == 1
    assert ports != {0}


def test_a_port_that_somebody_listens_on_is_taken() -> None:
    """The error knows the address."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTakenError) as caught:
            bind("127.0.0.1", port)
    assert caught.value.address == ("127.0.0.1", port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "203.0.113.7"])
def test_an_address_that_others_reach_is_not_bound(host: str) -> None:
    """Not even for a moment, although the name may have got that address only since the start."""
    with pytest.raises(SettingError, match="no authentication"):
        bind(host, 0)
    with pytest.raises(SettingError, match="--insecure"):
        refuse_exposed([host])


def test_loopback_is_what_only_this_machine_reaches() -> None:
    """By address, however it is written; a name counts for what it stands for."""
    assert all(is_loopback(address) for address in ("127.0.0.1", "127.9.8.7", "::1", "::ffff:127.0.0.1"))
    assert not any(is_loopback(address) for address in ("10.0.0.1", "::", "0.0.0.0", "::ffff:10.0.0.1", "fe80::1"))
    refuse_exposed(["localhost", "127.0.0.2", "[::1]", "nowhere.invalid"])


def test_either_all_addresses_are_bound_or_none() -> None:
    """A second address that is taken frees the first one again."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        (free,) = bind("127.0.0.1", 0)
        port = free.getsockname()[1]
        free.close()
        with pytest.raises(PortTakenError):
            bind_all([(("127.0.0.1", port), False), (("127.0.0.1", taken), False)])
    (again,) = bind("127.0.0.1", port)
    again.close()


def test_a_wildcard_is_reached_through_loopback() -> None:
    """Nobody is ever told to connect to 0.0.0.0 or ::."""
    assert local_address(("0.0.0.0", 1)) == ("127.0.0.1", 1)
    assert local_address(("::", 1)) == ("::1", 1)
    assert local_address(("10.0.0.7", 1)) == ("10.0.0.7", 1)
