"""What the declarations of all commands share: the global options, and the way from a declaration to its action.

A command is declared once, as the signature of a function without a body: Typer reads it for help, errors and completion, the
parser tables are generated from what Typer made of it. Whichever of the two parses, the action gets the same `Options`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin

import typer
from typer._click.core import ParameterSource
from typer._click.globals import get_current_context
from typer.models import OptionInfo

from ev_cli.running import run_action

ENGINE = "Which engine"
TALK = "Talk"
OUTPUT = "Output"

Bootstrap = Annotated[
    str | None, typer.Option("--bootstrap-server", "-b", metavar="HOST:PORT,…", help="A cluster by its addresses.", rich_help_panel=ENGINE)
]
Context = Annotated[
    str | None, typer.Option("--context", "-C", metavar="NAME", help="A context of the configuration.", rich_help_panel=ENGINE)
]
DataDir = Annotated[
    str | None, typer.Option("--data-dir", metavar="DIR", help="The local engine of this directory.", rich_help_panel=ENGINE)
]
Listen = Annotated[
    str | None,
    typer.Option(
        "--listen",
        metavar="[NAME://]HOST:PORT",
        help="Where a local engine shall listen, several with commas; port 0 is any.",
        rich_help_panel=ENGINE,
    ),
]
Insecure = Annotated[
    bool,
    typer.Option(
        "--insecure",
        help="Let a local engine listen where others reach it: without authentication they may do everything.",
        rich_help_panel=ENGINE,
    ),
]
ConfigFile = Annotated[
    str | None, typer.Option("--config-file", "-F", metavar="FILE", help="Another configuration file.", rich_help_panel=ENGINE)
]
Property = Annotated[
    list[str] | None,
    typer.Option("--set", "-X", metavar="NAME=VALUE", help="A property of the client; `-X list` shows them.", rich_help_panel=ENGINE),
]
Timeout = Annotated[str | None, typer.Option("--timeout", metavar="TIME", help="Bound of one request (10s).", rich_help_panel=ENGINE)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No remarks on stderr.", rich_help_panel=TALK)]
Verbose = Annotated[int, typer.Option("--verbose", "-v", count=True, help="More remarks on stderr.", rich_help_panel=TALK)]
Colour = Annotated[
    str | None, typer.Option("--color", metavar="auto|always|never", help="Colour on a terminal, always or never.", rich_help_panel=TALK)
]

COMMON = {
    "bootstrap": (Bootstrap, None),
    "context": (Context, None),
    "data_dir": (DataDir, None),
    "listen": (Listen, None),
    "insecure": (Insecure, False),
    "config_file": (ConfigFile, None),
    "set": (Property, None),
    "timeout": (Timeout, None),
    "quiet": (Quiet, False),
    "verbose": (Verbose, 0),
    "color": (Colour, None),
}

ABOUT_ENGINES = ("bootstrap", "context", "data_dir", "listen", "insecure", "config_file", "set", "timeout")
"""What a command leaves out that speaks to no engine."""

TABULAR = {
    "output": (
        Annotated[
            str | None,
            typer.Option(
                "--output", "-o", metavar="FORM", help="table, wide, json, jsonl, tsv, csv, yaml or name.", rich_help_panel=OUTPUT
            ),
        ],
        None,
    ),
    "json": (Annotated[bool, typer.Option("--json", help="The same as -o json.", rich_help_panel=OUTPUT)], False),
    "no_headers": (Annotated[bool, typer.Option("--no-headers", help="A table without its first line.", rich_help_panel=OUTPUT)], False),
}

WATCHED = {
    "watch": (
        Annotated[
            str | None,
            typer.Option("--watch", metavar="[TIME]", help="Show it again every so often (2s), until Ctrl-C.", rich_help_panel=OUTPUT),
        ],
        None,
    ),
}
"""For what shows how things are: every `list` and `describe`, and what says so."""

Declaration = Callable[..., None]


def declare(
    app: typer.Typer,
    name: str,
    action: str,
    *,
    effect: str | None = None,
    tabular: bool = False,
    watched: bool = False,
    without: tuple[str, ...] = (),
    hidden: bool = False,
) -> Callable[[Declaration], Declaration]:
    """Register a declaration: its own parameters, then the global options; running it runs the action `module:function`.

    `effect` is one of protection.EFFECTS: what the command does to the cluster that it speaks to.
    """

    def register(declaration: Declaration) -> Declaration:
        is_watched = watched or (tabular and name in ("list", "describe"))
        common = {key: value for key, value in COMMON.items() if key not in without}
        extra = {**(TABULAR if tabular else {}), **(WATCHED if is_watched else {}), **common}
        own = inspect.signature(declaration, eval_str=True)
        parameters = list(own.parameters.values())
        parameters += [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for key, (annotation, default) in extra.items()
        ]

        noun = declaration.__module__.rpartition(".")[2]
        words = noun if name == noun else f"{noun} {name}"
        lists = [parameter.name for parameter in parameters if is_list(parameter.annotation)]
        options = [parameter.name for parameter in parameters if isinstance(get_args(parameter.annotation)[1], OptionInfo)]

        def command(**given: Any) -> None:
            context = get_current_context()
            said = {key for key in options if context.get_parameter_source(key) is ParameterSource.COMMANDLINE}
            given.update({key: list(given[key] or ()) for key in lists})  # Typer says None where the tables say []
            raise typer.Exit(run_action(action, {**given, "command_name": words, "effect": effect, "said": said}))

        command.__doc__ = declaration.__doc__
        command.__name__ = declaration.__name__
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        command.action = action  # type: ignore[attr-defined]
        command.effect = effect  # type: ignore[attr-defined]
        app.command(name, hidden=hidden)(command)
        return declaration

    return register


def is_list(annotation: Any) -> bool:
    """Whether a parameter, `Annotated[list[str] | None, …]` or without the None, takes any number of values."""
    declared = get_args(annotation)[0]
    return any(get_origin(part) is list for part in (declared, *get_args(declared)))
