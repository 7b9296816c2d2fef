"""The command tree as Typer sees it: the single source of truth for what can be typed.

Only help, mistakes and rare spellings get here; the ordinary command line is parsed with the tables that are generated from
this tree.
"""

from __future__ import annotations

import contextlib
import io
from typing import Annotated

import typer
from typer._click.exceptions import ClickException, NoArgsIsHelpError, UsageError
from typer.main import get_command

from ev_cli import output
from ev_cli.failures import USAGE
from ev_cli.lazy import lazy_group
from ev_cli.summaries import ALIASES, COMMANDS

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
) -> None:
    """Event streaming for your shell: Apache Kafka's job, local by default.

    ev VERB moves events, ev NOUN VERB looks after things. The local engine starts by itself; -b HOST:PORT speaks to a
    cluster instead. Options that every command takes may stand before or after the verb.
    """


class Printed(io.StringIO):
    """Collects what Typer and Rich print, so that it leaves by the one way out; they see the terminal that is behind it."""

    def isatty(self) -> bool:
        return output.is_terminal(1)


def run(arguments: list[str]) -> int:
    """Parse and run with Typer; a mistake is one line on stderr and exit status 2."""
    printed = Printed()
    with contextlib.redirect_stdout(printed):
        status = _run(arguments)
    if printed.getvalue():
        output.write_text(printed.getvalue())
    return status


def _run(arguments: list[str]) -> int:
    command = get_command(app)
    try:
        status = command.main(arguments, prog_name="ev", standalone_mode=False)
    except NoArgsIsHelpError:
        return USAGE  # Typer has printed the help while it made the error
    except UsageError as error:
        path = error.ctx.command_path if error.ctx is not None else "ev"
        output.say(f"ev: {_one_line(error)} (`{path} --help` shows how)")
        return USAGE
    except ClickException as error:
        output.say(f"ev: {_one_line(error)}")
        return error.exit_code
    return status if isinstance(status, int) else 0


def _one_line(error: ClickException) -> str:
    return " ".join(error.format_message().split()).rstrip(".")
