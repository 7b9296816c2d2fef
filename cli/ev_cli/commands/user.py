"""ev user: how its verbs are spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import DESTROYS, READS, WRITES

app = typer.Typer(help="List, add, alter and remove users, who authenticate with a password.", no_args_is_help=True, add_completion=False)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user.")]
Mechanism = Annotated[
    list[str] | None, typer.Option("--mechanism", metavar="NAME", help="SCRAM-SHA-256 or SCRAM-SHA-512; both if none is given.")
]
Iterations = Annotated[int, typer.Option("--iterations", metavar="N", help="How often the password is hashed, 4096 to 16384.")]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="The password is the first line of stdin.")]
PasswordCommand = Annotated[
    str | None, typer.Option("--password-command", metavar="COMMAND", help="The password is the first line that this command prints.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


@declare(app, "list", "user:list_users", effect=READS, tabular=True)
def list_users(patterns: Annotated[list[str] | None, typer.Argument(metavar="GLOB…", help="Only these names.")] = None) -> None:
    """List users with the mechanisms that they may authenticate with.

    JSON: user, mechanisms, iterations.

    ev user list
    """


@declare(app, "add", "user:add_user", effect=WRITES, tabular=True)
def add_user(
    name: Name,
    mechanism: Mechanism = None,
    iterations: Iterations = 16384,
    password_stdin: PasswordStdin = False,
    password_command: PasswordCommand = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Add a user. At a terminal the password is asked for.

    JSON: user, mechanisms, iterations (with --dry-run).

    ev user add carol --password-command 'cat password'
    """


@declare(app, "alter", "user:alter_user", effect=WRITES, tabular=True)
def alter_user(
    name: Name,
    mechanism: Mechanism = None,
    iterations: Iterations = 16384,
    password_stdin: PasswordStdin = False,
    password_command: PasswordCommand = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Give a user another password. At a terminal it is asked for.

    JSON: user, mechanisms, iterations (with --dry-run).

    ev user alter alice --password-command 'pass show kafka/alice'
    """


@declare(app, "remove", "user:remove_users", effect=DESTROYS, tabular=True)
def remove_users(
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Users.")],
    mechanism: Mechanism = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Remove users, or take single mechanisms from them. Connections that are there stay.

    JSON: user, mechanisms, iterations (with --dry-run).

    ev user remove alice -y
    """
