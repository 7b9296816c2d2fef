"""Where the engine listens, under which name and how securely, and what it tells its clients: Kafka's `listeners`.

    [NAME://]HOST:PORT      a listener; without a name it is PLAINTEXT

A name that is no security protocol stands for one in `listener.security.protocol.map`. A setting of a single listener has
`listener.name.<name in small letters>.` before its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from ev.errors import SettingError

if TYPE_CHECKING:
    from ev.settings import Settings

PLAINTEXT: Final = "PLAINTEXT"
SSL: Final = "SSL"
SASL_PLAINTEXT: Final = "SASL_PLAINTEXT"
SASL_SSL: Final = "SASL_SSL"
PROTOCOLS: Final = (PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL)
DEFAULT_LISTEN: Final = "127.0.0.1:9092"
EVERYWHERE: Final = "0.0.0.0"

Address = tuple[str, int]


class Endpoint(NamedTuple):
    """One listener: its address, and the one that its clients are told (None: the one at which they found it)."""

    name: str
    protocol: str
    address: Address
    advertised: Address | None = None

    @property
    def has_tls(self) -> bool:
        return self.protocol in (SSL, SASL_SSL)

    @property
    def has_sasl(self) -> bool:
        return self.protocol in (SASL_PLAINTEXT, SASL_SSL)

    def is_safe(self, settings: Settings) -> bool:
        """Whether others may reach it: its clients have to say who they are, and nobody on the way can read or change what they say."""
        return self.protocol == SASL_SSL or (self.protocol == SSL and settings.for_listener(self.name).ssl_client_auth == "required")


def parse_address(text: str) -> Address:
    """HOST:PORT, with an IPv6 host in brackets. Raises SettingError."""
    host, colon, port = text.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if not colon or not host or (":" in host and not bracketed):
        raise SettingError(f"Invalid address {text!r}: expected HOST:PORT, with an IPv6 host in brackets")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise SettingError(f"Invalid port in {text!r}: expected a number from 0 to 65535")
    return host, int(port)


def format_address(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_named(text: str) -> tuple[str, Address]:
    """(NAME, address) of [NAME://]HOST:PORT; the name is empty where there is none. With one, no host means every address there is."""
    name, separator, place = text.strip().rpartition("://")
    if separator and not name:
        raise SettingError(f"Invalid listener {text!r}: expected NAME://HOST:PORT")
    return name.upper(), parse_address(EVERYWHERE + place if separator and place.startswith(":") else place)


def find_endpoints(listen: Sequence[str], advertise: Sequence[str], settings: Settings) -> list[Endpoint]:
    """The listeners: those of the command line, else those of the settings, else the one that there always is. Raises SettingError."""
    named = [parse_named(text) for text in listen or settings.listeners or (DEFAULT_LISTEN,)]
    if not listen and len({name for name, _ in named}) < len(named):
        raise SettingError("Each listener in listeners needs a name of its own")
    protocols = _protocols(settings.listener_security_protocol_map)
    told = _advertised(named, advertise or settings.advertised_listeners)
    names = [name or PLAINTEXT for name, _ in named]
    return [
        Endpoint(name, _protocol(name, protocols), address, advertised)
        for name, (_, address), advertised in zip(names, named, told, strict=True)
    ]


def _protocols(pairs: Sequence[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, _, protocol = pair.upper().partition(":")
        if not name or protocol not in PROTOCOLS:
            raise SettingError(f"Invalid entry {pair!r} in listener.security.protocol.map: expected NAME:{'|'.join(PROTOCOLS)}")
        found[name] = protocol
    return found


def _protocol(name: str, protocols: Mapping[str, str]) -> str:
    protocol = protocols.get(name, name if name in PROTOCOLS else None)
    if protocol is None:
        raise SettingError(
            f"The listener {name} has no security protocol: add {name}:{SASL_SSL} (or another of {', '.join(PROTOCOLS)}) "
            "to listener.security.protocol.map"
        )
    return protocol


def _advertised(named: Sequence[tuple[str, Address]], texts: Sequence[str]) -> list[Address | None]:
    """What each listener tells its clients: the address of its name; without names one for all, or one for each in order."""
    told = [parse_named(text) for text in texts]
    if any(address[0] in (EVERYWHERE, "::") for _, address in told):
        raise SettingError("An advertised address is one that clients can connect to: 0.0.0.0 is none")
    if not told:
        return [None] * len(named)
    if any(name for name, _ in told):
        by_name = dict(told)
        strange = by_name.keys() - {name or PLAINTEXT for name, _ in named}
        if strange:
            raise SettingError(f"An address is advertised for {', '.join(sorted(strange)) or 'no listener'}, and there is no such listener")
        return [by_name.get(name or PLAINTEXT) for name, _ in named]
    if len(told) not in (1, len(named)):
        raise SettingError(f"{len(told)} advertised addresses for {len(named)} listeners: give one, or one for each")
    addresses: list[Address | None] = [address for _, address in told]
    return addresses * len(named) if len(addresses) == 1 else addresses
