"""Keeps a listener that anybody may use on loopback: tells which addresses others reach, and refuses to listen there."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from ev.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterable


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches a numeric address."""
    return address.removeprefix("::ffff:").startswith("127.") or address == "::1"


def refuse_exposed(hosts: Iterable[str]) -> None:
    """Raise SettingError when one of them, a name or an address, is one that others may reach.

    A name that nobody knows passes: who is about to listen there asks again, and fails if it is still unknown.
    """
    for host in hosts:
        try:
            found = socket.getaddrinfo(host.removeprefix("[").removesuffix("]"), None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (OSError, UnicodeError):
            continue
        reached = [str(place[0]) for *_, place in found if not is_loopback(str(place[0]))]
        if reached:
            raise exposed(host, reached[0])


def exposed(host: str, address: str) -> SettingError:
    """The refusal of a host that has an address which others may reach."""
    shown = host if host == address else f"{host} ({address})"
    return SettingError(
        f"refused to listen on {shown}: others may reach it, and there is no authentication over TLS there, so whoever does could read "
        "and write everything; listen on loopback (127.0.0.1) and let others in through a tunnel (ssh -L), make it a listener with "
        "SASL_SSL, or SSL and ssl.client.auth=required, or say --insecure (EV_INSECURE=1, or insecure = true under [server] in the "
        "configuration) if everybody who reaches it may do that"
    )
