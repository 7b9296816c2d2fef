"""ev txn: how its verbs are spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import DESTROYS, READS

app = typer.Typer(help="List and describe transactions, and end those that hang.", no_args_is_help=True, add_completion=False)

Hanging = Annotated[
    bool,
    typer.Option("--hanging", help="Transactions that no coordinator is going to end: readers of committed records wait."),
]
Older = Annotated[str | None, typer.Option("--older-than", metavar="TIME", help="Only those that have written nothing for so long (15m).")]
Topics = Annotated[list[str] | None, typer.Option("--topic", "-t", metavar="TOPIC[:PARTITION,…]", help="Look for hanging ones only here.")]


@declare(app, "list", "txn:list_transactions", effect=READS, tabular=True)
def list_transactions(
    patterns: Annotated[list[str] | None, typer.Argument(metavar="GLOB…", help="Only these transactional ids.")] = None,
    regex: Annotated[bool, typer.Option("--regex", "-r", help="Names are regular expressions for whole names.")] = False,
    state: Annotated[list[str] | None, typer.Option("--state", metavar="STATE", help="Only in this state: ongoing, empty …")] = None,
    producer_id: Annotated[int | None, typer.Option("--producer-id", metavar="N", help="Only that of this producer.")] = None,
    open_for: Annotated[str | None, typer.Option("--open-for", metavar="TIME", help="Only those that are open for longer.")] = None,
    hanging: Hanging = False,
    older_than: Older = None,
    topics: Topics = None,
) -> None:
    """List transactional ids with the state of their transactions, or those that hang.

    JSON: transactional_id, state, producer_id, coordinator; with --hanging others: partition, producer_epoch, first_offset,
    last_write, open_ms.

    ev txn list --state ongoing
    """


@declare(app, "describe", "txn:describe_transactions", effect=READS, tabular=True)
def describe_transactions(
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="Transactional ids.")],
) -> None:
    """Show what transactional ids are doing: since when, with which producer, in which partitions.

    JSON: transactional_id, state, producer_id, producer_epoch, timeout_ms, started_ms, partitions, coordinator, open_ms.

    ev txn describe shipping-1
    """


@declare(app, "producers", "txn:list_producers", effect=READS, tabular=True, watched=True)
def list_producers(
    partitions: Annotated[list[str], typer.Argument(metavar="TOPIC[:PARTITION,…]…", help="Where.")],
    open_only: Annotated[bool, typer.Option("--open", help="Only those with an open transaction.")] = False,
) -> None:
    """List the producers that partitions remember, and where their open transactions begin.

    JSON: partition, producer_id, producer_epoch, first_offset, last_write, last_sequence, coordinator_epoch.

    ev txn producers payments
    """


@declare(app, "abort", "txn:abort_transactions", effect=DESTROYS, tabular=True)
def abort_transactions(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID…", help="Transactional ids: their producers are fenced, their transactions aborted.")
    ] = None,
    hanging: Hanging = False,
    older_than: Older = None,
    topics: Topics = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be aborted, and do nothing.")] = False,
) -> None:
    """Abort transactions: those of transactional ids, or, with --hanging, those that nobody else ends.

    ev txn abort --hanging -t payments
    """
