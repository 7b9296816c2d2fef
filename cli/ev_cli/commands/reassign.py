"""ev reassign: how its verbs are spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import READS, WRITES

app = typer.Typer(help="Plan, run, watch and cancel moves of partitions between brokers.", no_args_is_help=True, add_completion=False)

Partitions = Annotated[list[str] | None, typer.Argument(metavar="TOPIC[:PARTITION,…]…", help="Only these; all, if none.")]
Brokers = Annotated[str | None, typer.Option("--brokers", metavar="ID,…", help="The brokers that shall have them; all, if none.")]
Away = Annotated[list[str] | None, typer.Option("--away-from", metavar="ID", help="Take everything from this broker.")]
Replicas = Annotated[int | None, typer.Option("--replication-factor", metavar="N", help="How many replicas each shall have (as now).")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]


@declare(app, "list", "reassign:list_reassignments", effect=READS, tabular=True)
def list_reassignments(partitions: Partitions = None) -> None:
    """List the partitions that move at the moment.

    JSON: partition, replicas, adding, removing.

    ev reassign list
    """


@declare(app, "plan", "reassign:plan_reassignment", effect=READS, tabular=True)
def plan_reassignment(
    partitions: Partitions = None,
    brokers: Brokers = None,
    away_from: Away = None,
    replicas: Replicas = None,
    file: Annotated[
        str | None, typer.Option("--file", "-O", metavar="FILE", help="Write it there, as `ev reassign run` and Kafka read it.")
    ] = None,
) -> None:
    """Spread partitions evenly over brokers, moving as little as possible, and show what would move.

    ev reassign plan --away-from 3 -O plan.json

    JSON: partition, now, then.
    """


@declare(app, "run", "reassign:run_reassignment", effect=WRITES, tabular=True)
def run_reassignment(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Of `ev reassign plan -O`, or of kafka-reassign-partitions; - is stdin.")],
    rollback: Annotated[str | None, typer.Option("--rollback", metavar="FILE", help="Write a plan there that leads back.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until all has moved.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Begin to move partitions as a plan says.

    ev reassign run plan.json --wait
    """


@declare(app, "cancel", "reassign:cancel_reassignments", effect=WRITES, tabular=True)
def cancel_reassignments(partitions: Partitions = None, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Give up moves that are under way: the partitions stay where they were.

    ev reassign cancel payments -y
    """
