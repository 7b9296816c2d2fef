"""ev group: how its verbs are spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import DESTROYS, READS

app = typer.Typer(help="List, describe and delete consumer groups, with their lag.", no_args_is_help=True, add_completion=False)

Groups = Annotated[list[str], typer.Argument(metavar="GROUP…", help="Groups.")]
Regex = Annotated[bool, typer.Option("--regex", "-r", help="Names are regular expressions for whole names.")]


@declare(app, "list", "group:list_groups", effect=READS, tabular=True)
def list_groups(
    patterns: Annotated[list[str] | None, typer.Argument(metavar="GLOB…", help="Only these names.")] = None,
    regex: Regex = False,
    state: Annotated[str | None, typer.Option("--state", metavar="STATE", help="Only groups in this state: stable, empty …")] = None,
    lagging: Annotated[bool, typer.Option("--lagging", help="Only groups that are behind.")] = False,
) -> None:
    """List groups with their state and lag."""


@declare(app, "describe", "group:describe_groups", effect=READS, tabular=True)
def describe_groups(
    groups: Groups,
    regex: Regex = False,
    section: Annotated[str | None, typer.Option("--section", metavar="LIST", help="summary, lag, members: which of them.")] = None,
    topic: Annotated[list[str] | None, typer.Option("--topic", "-t", metavar="TOPIC", help="Only the lag on this topic.")] = None,
) -> None:
    """Show the lag per partition and the members of groups."""


@declare(app, "delete", "group:delete_groups", effect=DESTROYS, tabular=True)
def delete_groups(
    groups: Groups,
    regex: Regex = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Delete groups with their committed offsets."""
