"""ev trace: how it is spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import READS

app = typer.Typer(add_completion=False)


@declare(app, "trace", "trace:trace", effect=READS)
def trace(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key to follow.")],
    topics: Annotated[list[str] | None, typer.Argument(metavar="TOPIC…", help="Topics; all of them without.")] = None,
    regex: Annotated[bool, typer.Option("--regex", "-r", help="TOPIC is a regular expression for whole names.")] = False,
    all_partitions: Annotated[
        bool, typer.Option("--all-partitions", help="Look into every partition, not only where murmur2 puts the key.")
    ] = False,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="From this time: 2026-01-31T12:00, -1h, today.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Up to this time, excluded.")] = None,
    count: Annotated[int | None, typer.Option("--count", "-n", metavar="N", help="End after N events.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes.")] = False,
    json_records: Annotated[bool, typer.Option("--json-records", "-J", "--json", help="Records as JSON, each with delay_ms.")] = False,
    utc: Annotated[bool, typer.Option("--utc", help="Times are UTC, not local.")] = False,
    read_uncommitted: Annotated[bool, typer.Option("--read-uncommitted", help="Records of open and aborted transactions too.")] = False,
) -> None:
    """Follow one key through the topics in the order of time.

    Each event with the time since the one before it. In every topic one partition is read, the one in which Java's and ev's
    producers put the key; kcat and others put it elsewhere unless told otherwise. Exit status 6 when nothing was found.

    ev trace order-4711

    ev trace order-4711 orders payments shipments --since -1d -J
    """
