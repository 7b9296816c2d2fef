"""The command tree as plain data, for --help-json and for everything that is generated: parser tables, manual pages, completions.

A command's docstring is its text. Paragraphs that are commands are its examples, and one that begins with `JSON:` names the keys of
what -o json writes.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from typer._click.core import Context
from typer.core import TyperArgument, TyperGroup
from typer.main import get_command

from ev_cli.app import app
from ev_cli.exits import exits_of
from ev_cli.lazy import LazyCommand
from ev_cli.summaries import COMMANDS

KEYS = "JSON: "


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
    exits: tuple[int, ...]

    @property
    def paragraphs(self) -> list[str]:
        return [" ".join(paragraph.split()) for paragraph in self.help.split("\n\n")]

    @property
    def examples(self) -> list[str]:
        return [paragraph for paragraph in self.paragraphs if is_example(paragraph)]

    @property
    def json_text(self) -> str:
        """What is promised about the objects that -o json writes; empty where nothing is."""
        return " ".join(paragraph.removeprefix(KEYS) for paragraph in self.paragraphs if paragraph.startswith(KEYS))

    @property
    def json_keys(self) -> list[str]:
        """The keys that every such object has: the names at the beginning of what is promised."""
        names = re.split(r"[;(:]| and ", self.json_text)[0].strip(" .,").split(", ")
        return [name for name in names if name.isidentifier()]


@dataclasses.dataclass(frozen=True, slots=True)
class Noun:
    """What stands behind `ev`: a noun with its verbs, or a verb of its own."""

    name: str
    summary: str
    verbs: tuple[Verb, ...]


def is_example(paragraph: str) -> bool:
    return paragraph.startswith("ev ") or " | ev " in paragraph


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
            verbs = [_verb(name, verb, command.get_command(context, verb)) for verb in command.list_commands(context)]
        else:
            verbs = [_verb(name, "", command)]
        found.append(Noun(name, summary, tuple(verbs)))
    return found


def _verb(noun: str, name: str, command: Any) -> Verb:
    parameters = [parameter for parameter in command.params if parameter.name != "help"]
    arguments = [_argument(parameter) for parameter in parameters if isinstance(parameter, TyperArgument)]
    options = [_option(parameter) for parameter in parameters if not isinstance(parameter, TyperArgument)]
    exits = exits_of(f"{noun} {name}".strip(), {option.name for option in options})
    return Verb(name, command.callback.action, command.callback.effect, command.help or "", tuple(arguments), tuple(options), exits)


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
