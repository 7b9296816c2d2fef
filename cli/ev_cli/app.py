"""The command tree as Typer sees it: the single source of truth for what can be typed.

Only help, mistakes and rare spellings get here; the ordinary command line is parsed with the tables that are generated from
this tree.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from typing import Annotated

import typer
from typer._click.exceptions import ClickException, NoArgsIsHelpError, UsageError
from typer.main import get_command

from ev_cli import output
from ev_cli.ending import complain
from ev_cli.failures import USAGE, Failure, UsageFailure
from ev_cli.lazy import lazy_group
from ev_cli.summaries import ALIASES, COMMANDS, NOUNS

app = typer.Typer(
    name="ev",
    cls=lazy_group("ev_cli.commands", COMMANDS, ALIASES),
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", "-V", help="The version, and nothing else.")] = False,
    help_json: Annotated[bool, typer.Option("--help-json", help="What can be typed here as one JSON object.")] = False,
) -> None:
    """Event streaming for your shell: Apache Kafka's job, local by default.

    ev VERB moves events, ev NOUN VERB looks after things. The local engine starts by itself; -b HOST:PORT speaks to a
    cluster instead. Options that every command takes may stand before or after the verb.
    """


# Rich keeps bold where NO_COLOR forbids colour, and Typer takes the variables of a CI for a terminal.
COLOUR = re.compile("\x1b\\[[0-9;]*m")


class Printed(io.TextIOWrapper):
    """Collects what Typer and Rich print, so that it leaves by the one way out. To them it is a terminal when colour is wanted."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        super().__init__(self._bytes, encoding=output.encoding(sys.__stdout__), errors="backslashreplace", newline="")

    def isatty(self) -> bool:
        return output.has_colour()

    def text(self) -> str:
        self.flush()
        return self._bytes.getvalue().decode(self.encoding)


def run(arguments: list[str]) -> int:
    """Parse and run with Typer; a mistake is one line on stderr and exit status 2."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--help-json" in options:
        from ev_cli import help_json

        try:
            return help_json.show(_words(options))
        except Failure as failure:
            complain(failure, wants_json=_wants_json(options))
            return failure.code
    try:
        arguments = _heed_colour(options) + arguments[len(options) :]
    except Failure as failure:
        complain(failure, wants_json=_wants_json(options))
        return failure.code
    printed = Printed()
    with contextlib.redirect_stdout(printed):
        status = _run(arguments)
    text = printed.text()
    if text and status == USAGE:  # a noun without a verb: the help is talk, and no data
        output.draw(text if output.has_colour(2) else COLOUR.sub("", text))
    elif text:
        output.write_text(text if output.has_colour() else COLOUR.sub("", text))
    return status


def _words(arguments: list[str]) -> list[str]:
    """The noun and the verb, whatever options stand around them."""
    from ev_cli.__main__ import GLOBAL_VALUES

    found: list[str] = []
    is_value = False
    for argument in arguments:
        if not is_value and argument[:1] != "-":
            found.append(argument)
        is_value = not is_value and argument in GLOBAL_VALUES
    return found[:2]


def _heed_colour(arguments: list[str]) -> list[str]:
    """--color holds for help too, also at a noun alone or at nothing, which take no options: there it is heeded and left out."""
    left: list[str] = []
    words = _words(arguments)
    is_help = "--help" in arguments or "-h" in arguments or not words or (words[0] in NOUNS and len(words) == 1)
    position = 0
    while position < len(arguments):
        name, equals, when = arguments[position].partition("=")
        taken = 1
        if name == "--color" and not equals:
            when, taken = "".join(arguments[position + 1 : position + 2]), 2
        if is_help and name == "--color":
            output.set_colour(when)
        else:
            left += arguments[position : position + taken]
        position += taken
    return left


def _wants_json(arguments: list[str]) -> bool:
    """Whether a command line that Typer does not take asks for JSON: then so is what is wrong with it."""
    return any(
        argument in ("--json", "-ojson", "--output=json") or (argument == "json" and arguments[index - 1] in ("-o", "--output"))
        for index, argument in enumerate(arguments)
    )


def _run(arguments: list[str]) -> int:
    command = get_command(app)
    try:
        status = command.main(arguments, prog_name="ev", standalone_mode=False)
    except NoArgsIsHelpError:
        return USAGE  # Typer has printed the help while it made the error
    except UsageError as error:
        path = error.ctx.command_path if error.ctx is not None else "ev"
        complain(UsageFailure(_one_line(error), _nearest_command(error) or f"`{path} --help` shows how"), wants_json=_wants_json(arguments))
        return USAGE
    except ClickException as error:
        complain(Failure(_one_line(error)), wants_json=_wants_json(arguments))
        return error.exit_code
    return status if isinstance(status, int) else 0


def _nearest_command(error: UsageError) -> str | None:
    """What to say of a command that there is not, when one is near. Of the verbs of a noun Typer says it itself."""
    before, there_is_none, name = error.format_message().partition("No such command ")
    if before or not there_is_none or "Did you mean" in name:
        return None
    from ev_cli.naming import nearest

    near = nearest(name.strip("'."), COMMANDS)
    return f"did you mean {near!r}?" if near else None


def _one_line(error: ClickException) -> str:
    return " ".join(error.format_message().split()).rstrip(".")
