"""ev acl: how its verbs are spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import DESTROYS, READS, WRITES

app = typer.Typer(help="List, add and remove the rights of principals.", no_args_is_help=True, add_completion=False)

Principals = Annotated[
    list[str] | None, typer.Option("--principal", metavar="PRINCIPAL", help="Whose: alice is User:alice, * is everybody.")
]
Hosts = Annotated[list[str] | None, typer.Option("--host", metavar="ADDRESS", help="Asking from this address.")]
Operations = Annotated[
    list[str] | None, typer.Option("--operation", metavar="LIST", help="read, write, create, delete, alter, describe … or all.")
]
Topics = Annotated[list[str] | None, typer.Option("--topic", "-t", metavar="TOPIC", help="About this topic, * for all.")]
Groups = Annotated[list[str] | None, typer.Option("--group", "-g", metavar="GROUP", help="About this group.")]
Ids = Annotated[list[str] | None, typer.Option("--transactional-id", "--txn", metavar="ID", help="About this transactional id.")]
Cluster = Annotated[bool, typer.Option("--cluster", help="About the cluster.")]
Prefixed = Annotated[bool, typer.Option("--prefixed", help="Names are prefixes.")]
Allowing = Annotated[bool, typer.Option("--allow", help="Only what allows.")]
Denying = Annotated[bool, typer.Option("--deny", help="Only what denies.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


@declare(app, "list", "acl:list_acls", effect=READS, tabular=True)
def list_acls(
    principals: Principals = None,
    hosts: Hosts = None,
    operations: Operations = None,
    topics: Topics = None,
    groups: Groups = None,
    transactional_ids: Ids = None,
    cluster: Cluster = False,
    prefixed: Annotated[bool, typer.Option("--prefixed", help="Only those for prefixes.")] = False,
    allow: Allowing = False,
    deny: Denying = False,
) -> None:
    """List ACLs; for a name, all that are about it, also those for a prefix and for all names.

    JSON: principal, permission, operation, resource, name, pattern, host.

    ev acl list --topic payments
    """


@declare(app, "add", "acl:add_acls", effect=WRITES, tabular=True)
def add_acls(
    principals: Principals = None,
    hosts: Hosts = None,
    operations: Operations = None,
    topics: Topics = None,
    groups: Groups = None,
    transactional_ids: Ids = None,
    cluster: Cluster = False,
    prefixed: Prefixed = False,
    allow: Annotated[bool, typer.Option("--allow", help="Allow it; so it is without --deny.")] = False,
    deny: Annotated[bool, typer.Option("--deny", help="Deny it, whatever else allows it.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Allow, or deny, principals to do something with resources.

    JSON: principal, permission, operation, resource, name, pattern, host (with --dry-run).

    ev acl add --principal alice --operation read,describe --topic payments
    """


@declare(app, "remove", "acl:remove_acls", effect=DESTROYS, tabular=True)
def remove_acls(
    principals: Principals = None,
    hosts: Hosts = None,
    operations: Operations = None,
    topics: Topics = None,
    groups: Groups = None,
    transactional_ids: Ids = None,
    cluster: Cluster = False,
    prefixed: Prefixed = False,
    allow: Allowing = False,
    deny: Denying = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Remove the ACLs that fit everything that is said.

    JSON: principal, permission, operation, resource, name, pattern, host (with --dry-run).

    ev acl remove --principal alice --topic payments -y
    """
