"""ev undo: how it is spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import DESTROYS

app = typer.Typer(help="Take back a change of groups, configurations or ACLs.", add_completion=False)


@declare(app, "undo", "undo:undo", effect=DESTROYS, tabular=True)
def undo(
    number: Annotated[str | None, typer.Argument(metavar="N", help="The change; without it the newest that still stands.")] = None,
    list_them: Annotated[bool, typer.Option("--list", help="Show the changes that were noted, and take back none.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Take back a change of groups, configurations or ACLs.

    Commands that move, forget or delete the offsets of groups, alter configurations, or add and remove ACLs first write down what was
    there. This shows what would be put back, asks, and puts it back; it refuses when something has changed since. Deleted topics and
    records do not come back.

    ev undo --list

    JSON: with --list, number, timestamp, where, what, undone, cluster, kind, items; else item, now, back_to.
    """
