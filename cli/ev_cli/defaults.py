"""Options that were not given, from [contexts.NAME.defaults] and from the [defaults] of a project.

    [contexts.prod.defaults]
    output = "wide"             every command that has -o
    consume.format = "json"     ev consume
    topic.list.sort = "size"    ev topic list

The more specific one counts, the project's before the context's. A project's may only change how output looks.
"""

from __future__ import annotations

from ev_cli.failures import UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev_cli.__main__ import Option

NEVER = ("bootstrap", "context", "data_dir", "listen", "insecure", "config_file", "set", "yes", "json", "dry_run")
"""Which engine, and what a person has to say each time; `json` because -o could not take it back."""
LOOKS = ("output", "no_headers", "format", "fields", "embed_json", "null", "utc", "color", "sort", "section")
"""What a project may say, for every command but produce, which reads in a format."""


FORMS = frozenset(("format", "json_records", "key_delimiter", "delimiter", "zero", "offsets", "fields", "embed_json"))
"""Each says a form of records, or a part of one."""


def gives_way(name: str, said: set[str]) -> bool:
    """Whether the command line says it, or says the form of records in another way: then nothing from elsewhere counts."""
    return name in said or (name in ("format", "json_records") and not said.isdisjoint(FORMS))


def apply(options: Any, defaults: dict[str, Any], place: str, only: tuple[str, ...] | None = None) -> None:
    """Set the options of the command that are not given. `place` is named when something in there does not fit."""
    words = (options.command_name or "").split()
    known, usual = _options_of(words)
    levels = _levels(defaults, words, place)
    for depth, table in reversed(levels):
        for key, value in table.items():
            if isinstance(value, dict):
                continue
            name = key.replace("-", "_")
            if name in NEVER or (only is not None and (name not in only or words == ["produce"])):
                allowed = "has to be said each time" if only is None else "is nothing that a project may decide"
                raise UsageFailure(f"{key!r} among the defaults in {place} {allowed}", "leave it out")
            if name not in known:
                if depth == len(words) and words:
                    raise _unknown(f"defaults.{'.'.join(words)}.{key}", name, known, place)
                continue
            _set(options, name, value, known[name], usual[name], f"defaults.{'.'.join([*words[:depth], key])} in {place}")


def _options_of(words: list[str]) -> tuple[dict[str, Option], dict[str, Any]]:
    """The options of a command by name, and what they are when nobody says anything."""
    from ev_cli.__main__ import table_of

    table = (table_of(words[0]) if words else None) or {}
    command = table.get(" ".join(words[1:]))
    if command is None:
        return {}, {}
    return {option[0]: option for option in command[2].values()}, command[3]


def _levels(defaults: dict[str, Any], words: list[str], place: str) -> list[tuple[int, dict[str, Any]]]:
    """The tables that are about the command, from the most general one on, with how many of its words each names."""
    from ev_cli.summaries import COMMANDS

    for key, value in defaults.items():
        if isinstance(value, dict) and key not in COMMANDS:
            raise _unknown(f"defaults.{key}", key, COMMANDS, place)
    found = [(0, defaults)]
    for depth, word in enumerate(words):
        below = found[-1][1].get(word)
        if not isinstance(below, dict):
            break
        found.append((depth + 1, below))
    return found


def _set(options: Any, name: str, value: Any, option: Option, usual: Any, where: str) -> None:
    kind = option[1]
    fits = {"flag": bool, "count": int, "int": int, "list": list}.get(kind, str)
    if not isinstance(value, fits) or (fits is int and isinstance(value, bool)):
        wanted = {bool: "true or false", int: "a number", list: "a list", str: "a text"}[fits]
        raise UsageFailure(f"{where} is {value!r}", f"write {wanted}")
    if not gives_way(name, options.said or set()) and getattr(options, name) in (usual, None):
        setattr(options, name, value)


def _unknown(what: str, name: str, known: Any, place: str) -> UsageFailure:
    from ev_cli.naming import nearest

    near = nearest(name, known)
    return UsageFailure(f"{what} in {place} is nothing that ev knows", f"did you mean {near!r}?" if near else "leave it out")
