"""ev token: how its verbs are spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import DESTROYS, READS, WRITES

app = typer.Typer(help="List, create, renew and expire delegation tokens of a cluster.", no_args_is_help=True, add_completion=False)

Token = Annotated[str, typer.Argument(metavar="TOKEN", help="The id of a token that we may see.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]


@declare(app, "list", "token:list_tokens", effect=READS, tabular=True)
def list_tokens(
    owner: Annotated[list[str] | None, typer.Option("--owner", metavar="PRINCIPAL", help="Only of this one: alice is User:alice.")] = None,
) -> None:
    """List the tokens that we may see. Their secrets are not shown.

    JSON: token, owner, renewers, expires_at, issued_at, max_timestamp, requester.

    ev token list
    """


@declare(app, "create", "token:create_token", effect=WRITES, tabular=True)
def create_token(
    owner: Annotated[str | None, typer.Option("--owner", metavar="PRINCIPAL", help="Whom it stands for, if not us.")] = None,
    renewer: Annotated[list[str] | None, typer.Option("--renewer", metavar="PRINCIPAL", help="Who else may renew it.")] = None,
    lifetime: Annotated[str | None, typer.Option("--max-lifetime", metavar="TIME", help="How long it may live.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Create a token. Its id is a user's name and its secret the password, for SCRAM; the secret is shown this once.

    JSON: token, secret, owner, renewers, expires_at, issued_at, max_timestamp, requester.

    ev token create --max-lifetime 7d
    """


@declare(app, "renew", "token:renew_token", effect=WRITES, tabular=True)
def renew_token(
    token: Token,
    period: Annotated[str | None, typer.Option("--for", metavar="TIME", help="How long from now (as the cluster says).")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Let a token live longer.

    ev token renew R8lU0cJ7T6 --for 1d
    """


@declare(app, "expire", "token:expire_token", effect=DESTROYS, tabular=True)
def expire_token(
    token: Token,
    period: Annotated[str | None, typer.Option("--after", metavar="TIME", help="How long from now; at once, if not given.")] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """End a token.

    ev token expire R8lU0cJ7T6 -y
    """
