"""What the options of `ev context add` and `ev context edit` make of a context's table."""

from __future__ import annotations

import os
import tomllib

from ev_cli.failures import UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Table = dict[str, Any]

PASSWORDS = ("password_command", "password_env", "password_file", "keyring")
TOKENS = ("token_command", "token_env", "token_file")


def changed(table: Table, options: Any) -> None:
    """Where the cluster is, and what may be done there."""
    if options.addresses:
        table["bootstrap"] = [address.strip() for address in options.addresses.split(",") if address.strip()]
    if options.security:
        table["security"] = options.security.lower()
    for key in ("protected", "readonly"):
        if getattr(options, key):
            table[key] = True


def tls_and_sasl(table: Table, options: Any) -> None:
    """Who one is, and whom one believes."""
    sasl = {key: getattr(options, key) for key in ("username", *PASSWORDS, *TOKENS) if getattr(options, key)}
    if options.mechanism:
        sasl["mechanism"] = options.mechanism.upper()
    for key in ("password_file", "token_file"):
        if key in sasl:
            sasl[key] = os.path.abspath(os.path.expanduser(sasl[key]))
    if sasl:
        part = table.setdefault("sasl", {})
        for group in (PASSWORDS, TOKENS):
            if any(key in sasl for key in group):
                for key in group:
                    part.pop(key, None)
        part.update(sasl)
    tls = {key: os.path.abspath(os.path.expanduser(getattr(options, key))) for key in ("ca", "cert", "key") if getattr(options, key)}
    tls.update({"server_name": options.server_name} if options.server_name else {})
    tls.update({"insecure": True} if options.tls_insecure else {})
    if tls or str(table.get("security", "")).endswith("ssl"):
        table.setdefault("tls", {}).update(tls)


def parsed_defaults(table: Table, given: list[str] | None) -> None:
    """COMMAND.OPTION=VALUE, each into [defaults]. The value is TOML's where it reads as such, else a text."""
    for text in given or ():
        path, equals, value = text.partition("=")
        names = path.split(".")
        if not equals or not all(names):
            raise UsageFailure(f"--default {text!r} sets nothing", "write COMMAND.OPTION=VALUE")
        found = table.setdefault("defaults", {})
        for name in names[:-1]:
            found = found.setdefault(name, {})
            if not isinstance(found, dict):
                raise UsageFailure(f"--default {text!r} contradicts another one")
        try:
            found[names[-1]] = tomllib.loads(f"x = {value}")["x"]
        except tomllib.TOMLDecodeError:
            found[names[-1]] = value
