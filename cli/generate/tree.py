"""The command tree as plain data, for everything that is generated from it: parser tables, manual pages, completions.

Run the generators as `python -m generate.NAME` with `engine` and `cli` on the path.
"""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

from typer._click.core import Context
from typer.core import TyperArgument, TyperGroup
from typer.main import get_command

from ev_cli.app import app
from ev_cli.lazy import LazyCommand
from ev_cli.summaries import COMMANDS

ROOT = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass(frozen=True, slots=True)
class Argument:
    """A positional argument; `places` is -1 for any number."""

    name: str
    metavar: str
    help: str
    places: int
    required: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Option:
    """An option with all its spellings; `kind` is flag, count, list, int or text."""

    name: str
    spellings: tuple[str, ...]
    kind: str
    metavar: str
    help: str
    default: Any
    hidden: bool
    panel: str


@dataclasses.dataclass(frozen=True, slots=True)
class Verb:
    """One command: `ev produce` has the name "", `ev topic list` the name "list". `effect` is one of protection.EFFECTS."""

    name: str
    action: str
    effect: str | None
    help: str
    arguments: tuple[Argument, ...]
    options: tuple[Option, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Noun:
    """What stands behind `ev`: a noun with its verbs, or a verb of its own."""

    name: str
    summary: str
    verbs: tuple[Verb, ...]


def nouns() -> list[Noun]:
    """The whole tree, every module of it loaded."""
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    context = Context(root, info_name="ev")
    found = []
    for name, summary in COMMANDS.items():
        stand_in = root.get_command(context, name)
        assert isinstance(stand_in, LazyCommand)
        command = stand_in.load()
        if isinstance(command, TyperGroup):
            verbs = [_verb(verb, command.get_command(context, verb)) for verb in command.list_commands(context)]
        else:
            verbs = [_verb("", command)]
        found.append(Noun(name, summary, tuple(verbs)))
    return found


def _verb(name: str, command: Any) -> Verb:
    parameters = [parameter for parameter in command.params if parameter.name != "help"]
    arguments = [_argument(parameter) for parameter in parameters if isinstance(parameter, TyperArgument)]
    options = [_option(parameter) for parameter in parameters if not isinstance(parameter, TyperArgument)]
    return Verb(name, command.callback.action, command.callback.effect, command.help or "", tuple(arguments), tuple(options))


def _argument(parameter: Any) -> Argument:
    return Argument(parameter.name, parameter.metavar or parameter.name.upper(), parameter.help or "", parameter.nargs, parameter.required)


def _option(parameter: Any) -> Option:
    kind = _kind(parameter)
    metavar = "" if kind in ("flag", "count") else parameter.metavar or parameter.name.upper()
    default = [] if kind == "list" else parameter.default
    panel = getattr(parameter, "rich_help_panel", None) or ""
    return Option(parameter.name, tuple(parameter.opts), kind, metavar, parameter.help or "", default, parameter.hidden, panel)


def _kind(parameter: Any) -> str:
    if getattr(parameter, "count", False):
        return "count"
    if parameter.is_flag:
        assert not parameter.secondary_opts, parameter.name
        return "flag"
    if parameter.multiple:
        return "list"
    return {"text": "text", "integer": "int", "str": "text", "int": "int"}[parameter.type.name]
