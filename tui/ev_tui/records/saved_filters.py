"""Filters that have a name: filters.toml beside the configuration file, read and written by hand or by the interface.

[filters]
big = "value.amount > 250"
"""

from __future__ import annotations

import os
import tomllib

from ev_cli import places
from ev_cli.failures import Failure

FILE = "filters.toml"


def path() -> str | None:
    """Where they are; None when there is no place for configuration."""
    config = places.config_file()
    return None if config is None else os.path.join(os.path.dirname(config), FILE)


def read(place: str | None) -> dict[str, str]:
    """Expressions by name. A file that is not there has none; one that means nothing is a Failure."""
    if place is None or not os.path.exists(place):
        return {}
    try:
        with open(place, "rb") as file:
            table = tomllib.load(file).get("filters", {})
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Failure(f"cannot read the saved filters in {place}: {error}", 'it is TOML: [filters], then NAME = "EXPRESSION"') from None
    return {str(name): text for name, text in table.items() if isinstance(text, str)} if isinstance(table, dict) else {}


def write(place: str | None, filters: dict[str, str]) -> None:
    """All of them, in one step: a reader sees the old file or the new one."""
    if place is None:
        raise Failure("there is no home directory to save filters in", "EV_CONFIG names a file; they are kept beside it")
    import tomli_w

    os.makedirs(os.path.dirname(place), exist_ok=True)
    draft = f"{place}.{os.getpid()}.new"
    try:
        with open(draft, "wb") as file:
            tomli_w.dump({"filters": filters}, file)
        os.replace(draft, place)
    except OSError as error:
        raise Failure(f"cannot write {place}: {error.strerror}") from None


def joined(expressions: list[str]) -> str:
    """One expression that is true where all of them are."""
    return expressions[0] if len(expressions) == 1 else " and ".join([f"({text})" for text in expressions])
