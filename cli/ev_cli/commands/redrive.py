"""ev redrive: how it is spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import WRITES

app = typer.Typer(add_completion=False)


@declare(app, "redrive", "redrive:redrive", tabular=True, effect=WRITES)
def redrive(
    topic: Annotated[str, typer.Argument(metavar="DLQ", help="The topic with the dead letters.")],
    to: Annotated[str | None, typer.Option("--to", metavar="TOPIC", help="Where all of them go (to where they came from).")] = None,
    max_replays: Annotated[
        int | None, typer.Option("--max-replays", metavar="N", help="Hold back what went back so often already (3).")
    ] = None,
    grep: Annotated[
        list[str] | None,
        typer.Option("--grep", metavar="[!][k:|v:|h:NAME=|t:]RE", help="Only records that match; the others are passed."),
    ] = None,
    where: Annotated[str | None, typer.Option("--where", metavar="EXPR", help="Only records for which this holds.")] = None,
    count: Annotated[int | None, typer.Option("--count", "-n", "-c", metavar="N", help="End after N records.")] = None,
    rate: Annotated[str | None, typer.Option("--rate", metavar="N/s", help="Not more than so many a second.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go where, and change nothing.")] = False,
) -> None:
    """Send dead letters back to the topics that they came from.

    Up to where the topic ends now. The group redrive.DLQ remembers how far it came: a record is committed only after its topic has
    acknowledged it. What has come back --max-replays times is held back, which is exit status 6.

    JSON, with --dry-run: target, records.

    ev redrive payments-dead --dry-run

    ev redrive payments-dead -n 10
    """
