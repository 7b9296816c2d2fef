"""Listeners as people write them: names, security protocols, and what clients are told."""

from __future__ import annotations

import pytest

from ev.endpoints import Endpoint, find_endpoints
from ev.errors import SettingError
from ev.settings import Settings


def settings(**texts: str) -> Settings:
    return Settings.from_mapping({name.replace("_", "."): text for name, text in texts.items()})


def test_a_listener_is_an_address_with_or_without_a_name() -> None:
    """Without one it is PLAINTEXT; the name of a security protocol is a name; small letters do."""
    assert find_endpoints(["127.0.0.1:1", "sasl_ssl://[::1]:2"], [], Settings()) == [
        Endpoint("PLAINTEXT", "PLAINTEXT", ("127.0.0.1", 1)),
        Endpoint("SASL_SSL", "SASL_SSL", ("::1", 2)),
    ]


def test_listeners_and_their_names_come_from_the_settings_too() -> None:
    """As a Kafka's server.properties has them; an empty host is every address."""
    texts = {
        "listeners": "INTERNAL://127.0.0.1:9092,EXTERNAL://:9093",
        "advertised.listeners": "EXTERNAL://kafka.example:19093",
        "listener.security.protocol.map": "INTERNAL:PLAINTEXT,EXTERNAL:SASL_SSL",
    }
    assert find_endpoints([], [], Settings.from_mapping(texts)) == [
        Endpoint("INTERNAL", "PLAINTEXT", ("127.0.0.1", 9092)),
        Endpoint("EXTERNAL", "SASL_SSL", ("0.0.0.0", 9093), ("kafka.example", 19093)),
    ]


def test_the_command_line_comes_before_the_settings() -> None:
    """And where nobody says anything, the engine listens at Kafka's port on loopback."""
    assert find_endpoints(["127.0.0.1:1"], [], settings(listeners="PLAINTEXT://127.0.0.1:2")) == [
        Endpoint("PLAINTEXT", "PLAINTEXT", ("127.0.0.1", 1))
    ]
    assert find_endpoints([], [], Settings()) == [Endpoint("PLAINTEXT", "PLAINTEXT", ("127.0.0.1", 9092))]


def test_what_is_advertised_goes_by_name_or_by_order() -> None:
    """One address without a name is for all."""
    listen = ["PLAINTEXT://127.0.0.1:1", "SSL://127.0.0.1:2"]
    for advertise, told in (
        (["SSL://a:9"], [None, ("a", 9)]),
        (["a:9"], [("a", 9), ("a", 9)]),
        (["a:9", "b:8"], [("a", 9), ("b", 8)]),
    ):
        assert [endpoint.advertised for endpoint in find_endpoints(listen, advertise, Settings())] == told


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"listeners": "INTERNAL://127.0.0.1:1"}, "add INTERNAL:SASL_SSL"),
        ({"listeners": "://127.0.0.1:1"}, "expected NAME://HOST:PORT"),
        ({"listeners": "SSL://127.0.0.1:1,SSL://127.0.0.2:1"}, "a name of its own"),
        ({"listeners": "SSL://127.0.0.1"}, "expected HOST:PORT"),
        ({"listener.security.protocol.map": "INTERNAL"}, r"expected NAME:PLAINTEXT\|"),
        ({"listener.security.protocol.map": "INTERNAL:TLS"}, r"expected NAME:PLAINTEXT\|"),
        ({"advertised.listeners": "SSL://a:1"}, "advertised for SSL, and there is no such listener"),
        ({"advertised.listeners": "PLAINTEXT://0.0.0.0:1"}, r"0\.0\.0\.0 is none"),
        ({"advertised.listeners": "a:1,b:2"}, "2 advertised addresses for 1 listeners"),
    ],
)
def test_what_contradicts_itself_is_refused(texts: dict[str, str], message: str) -> None:
    """With what was expected."""
    with pytest.raises(SettingError, match=message):
        find_endpoints([], [], Settings.from_mapping(texts))


def test_a_setting_may_be_for_one_listener_alone() -> None:
    """The others have what is set for all."""
    found = Settings.from_mapping({"ssl.client.auth": "requested", "listener.name.inside.ssl.client.auth": "required"})
    assert found.ssl_client_auth == found.for_listener("OUTSIDE").ssl_client_auth == "requested"
    assert found.for_listener("INSIDE").ssl_client_auth == "required"
    assert found.overridden({"num.partitions": "2"}).for_listener("INSIDE").ssl_client_auth == "required"
    with pytest.raises(SettingError, match=r"listener\.name\.inside\.ssl\.client\.auht"):
        Settings.from_mapping({"listener.name.inside.ssl.client.auht": "required"})
    with pytest.raises(SettingError, match="expected one of none, requested, required"):
        Settings.from_mapping({"listener.name.inside.ssl.client.auth": "yes"})


def test_others_may_reach_who_authenticates_over_tls() -> None:
    """Passwords in clear, and certificates that need not be shown, are not enough."""
    mutual = Settings.from_mapping({"listener.name.mutual.ssl.client.auth": "required"})
    address = ("0.0.0.0", 1)
    assert Endpoint("A", "SASL_SSL", address).is_safe(mutual)
    assert Endpoint("MUTUAL", "SSL", address).is_safe(mutual)
    for protocol in ("PLAINTEXT", "SASL_PLAINTEXT", "SSL"):
        assert not Endpoint("A", protocol, address).is_safe(mutual)
