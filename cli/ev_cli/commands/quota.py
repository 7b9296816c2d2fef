"""ev quota: how its verbs are spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import DESTROYS, READS, WRITES

app = typer.Typer(
    help="List, set and unset quotas: how much users, clients and addresses may have.", no_args_is_help=True, add_completion=False
)

User = Annotated[str | None, typer.Option("--user", metavar="NAME", help="Of this user.")]
Client = Annotated[str | None, typer.Option("--client-id", "--client", metavar="ID", help="Of this client id; with --user only together.")]
Address = Annotated[str | None, typer.Option("--ip", metavar="ADDRESS", help="Of connections from this address.")]
Default = Annotated[
    list[str] | None, typer.Option("--default", metavar="KIND", help="user, client-id or ip: of all of them that have none of their own.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Have the cluster check the change, show it, and do nothing.")]


@declare(app, "list", "quota:list_quotas", effect=READS, tabular=True)
def list_quotas(
    user: User = None,
    client_id: Client = None,
    ip: Address = None,
    default: Default = None,
    strict: Annotated[bool, typer.Option("--strict", help="Only of exactly this: not those of a user's clients.")] = False,
) -> None:
    """List quotas; all of them, or those that are about what is named.

    JSON: entity, quota, value, names.

    ev quota list --user alice
    """


@declare(app, "set", "quota:set_quota", effect=WRITES, tabular=True)
def set_quota(
    values: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE…",
            help="producer_byte_rate, consumer_byte_rate, request_percentage, controller_mutation_rate; of an ip connection_creation_rate.",
        ),
    ] = None,
    user: User = None,
    client_id: Client = None,
    ip: Address = None,
    default: Default = None,
    configs: Annotated[list[str] | None, typer.Option("--config", "-c", metavar="KEY=VALUE", help="The same as the argument.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Set quotas, and leave the others as they are. A value may have a unit: 10MiB, 1.5M.

    ev quota set --user alice producer_byte_rate=10MiB
    """


@declare(app, "unset", "quota:unset_quota", effect=DESTROYS, tabular=True)
def unset_quota(
    keys: Annotated[list[str] | None, typer.Argument(metavar="KEY…", help="Which quotas; all of them, if none.")] = None,
    user: User = None,
    client_id: Client = None,
    ip: Address = None,
    default: Default = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Take quotas away.

    ev quota unset --user alice producer_byte_rate -y
    """
