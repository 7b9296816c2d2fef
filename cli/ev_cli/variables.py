"""Options that were not given, from EV_<FLAG> variables: EV_TIMEOUT=30s is --timeout 30s for every command that has it.

They come after what stands on the command line and before what a project or a context says. What a person has to say each time, and what
chooses the engine, is not among them.
"""

from __future__ import annotations

import os

from ev_cli.defaults import NEVER, gives_way
from ev_cli.failures import UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ev_cli.__main__ import Option

PROMISES = frozenset(NEVER) - {"dry_run"}
"""--dry-run may be wished for always: whoever has said so must not lose anything because it was not heard."""
YES = ("1", "true", "yes", "on")
NO = ("0", "false", "no", "off", "")


def apply(given: dict[str, Any], variables: Iterable[str]) -> None:
    """Set the options of the command that are not given and that one of the variables names."""
    known = options_of(given["command_name"])
    for variable in variables:
        option = known.get(variable)
        if option is not None and not gives_way(option[0], given["said"]):
            given[option[0]] = _value(variable, os.environ[variable], option[1])
            given["said"].add(option[0])
            given.setdefault("variables", []).append(variable)


def refuse_negative(name: str, value: int, given: dict[str, Any]) -> None:
    """No option counts below zero."""
    from ev_cli.__main__ import table_of

    noun, _, verb = given["command_name"].partition(" ")
    spellings = [spelling for spelling, option in (table_of(noun) or {})[verb][2].items() if option[0] == name]
    raise UsageFailure(f"{max(spellings, key=len)} {value} is less than nothing", "write a number from 0 on")


def options_of(command_name: str) -> dict[str, Option]:
    """The options of a command that a variable may set, by its name."""
    from ev_cli.__main__ import HANDLER, table_of

    noun, _, verb = command_name.partition(" ")
    table = table_of(noun) or {}
    options = table[verb][2] if verb in table else {}
    return {
        name_of(spelling): option
        for spelling, option in options.items()
        if spelling[:2] == "--" and option[0] not in PROMISES and spelling not in (HANDLER, "--set")
    }


def name_of(spelling: str) -> str:
    """--exit-at-end is EV_EXIT_AT_END."""
    return "EV_" + spelling[2:].replace("-", "_").upper()


def _value(variable: str, text: str, kind: str) -> Any:
    if kind == "flag":
        if text.lower() not in YES + NO:
            raise UsageFailure(f"{variable} is {text!r}", "write 1 or 0")
        return text.lower() in YES
    if kind in ("int", "count"):
        try:
            return int(text)
        except ValueError:
            raise UsageFailure(f"{variable} is {text!r}", "write a number") from None
    return [text] if kind == "list" else text
