"""ev top: how it is spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import READS

app = typer.Typer(add_completion=False)


@declare(app, "top", "top:top", effect=READS, tabular=True, watched=True)
def top(
    interval: Annotated[str | None, typer.Option("--interval", metavar="TIME", help="Over how long rates are measured (1s).")] = None,
    count: Annotated[int | None, typer.Option("--count", "-n", metavar="N", help="Only the first N topics and groups.")] = None,
) -> None:
    """Show the whole at a glance: brokers, the busiest topics with their rates, the groups that are furthest behind.

    With --json it is one object, with --json --watch one a line.

    ev top

    ev top --watch

    JSON: time, cluster_id, interval_ms, records_per_s, brokers, topics, groups.
    """
