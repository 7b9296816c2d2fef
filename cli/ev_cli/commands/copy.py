"""ev copy: how it is spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import WRITES

app = typer.Typer(add_completion=False)

WHICH = "Which records"
TARGET = "Where to"


@declare(app, "copy", "copy:copy", effect=WRITES)
def copy(
    places: Annotated[
        list[str], typer.Argument(metavar="[CONTEXT/]TOPIC…", help="Topics to copy from, and, as the last one, the topic to copy to.")
    ],
    offset: Annotated[
        str | None,
        typer.Option("--offset", "-o", metavar="FROM[:TO]", help="start, end, N, +N, -N, @TIME; TO is excluded.", rich_help_panel=WHICH),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="From this time: 2026-01-31T12:00, -1h, today.", rich_help_panel=WHICH)
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Up to this time, excluded.", rich_help_panel=WHICH)] = None,
    exit_at_end: Annotated[
        bool, typer.Option("--exit-at-end", "-e", help="End where the topics ended at the start.", rich_help_panel=WHICH)
    ] = False,
    count: Annotated[int | None, typer.Option("--count", "-n", metavar="N", help="End after N records.", rich_help_panel=WHICH)] = None,
    grep: Annotated[
        list[str] | None,
        typer.Option(
            "--grep", metavar="[!][k:|v:|h:NAME=|t:]RE", help="Only records that match; several: all of them.", rich_help_panel=WHICH
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option("--where", metavar="EXPR", help="Only records for which this holds, see ev-formats(7).", rich_help_panel=WHICH),
    ] = None,
    read_uncommitted: Annotated[
        bool, typer.Option("--read-uncommitted", help="Records of open and aborted transactions too.", rich_help_panel=WHICH)
    ] = False,
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            "-g",
            metavar="GROUP",
            help="Go on where the group stopped; within one cluster every record is copied exactly once.",
            rich_help_panel=WHICH,
        ),
    ] = None,
    transactional_id: Annotated[
        str | None,
        typer.Option(
            "--transactional-id", metavar="ID", help="Of this copy, if several share the group (ev-copy-GROUP).", rich_help_panel=WHICH
        ),
    ] = None,
    keep_partition: Annotated[
        bool,
        typer.Option("--keep-partition", help="Into the partition of the same number, also if there are more.", rich_help_panel=TARGET),
    ] = False,
    create: Annotated[
        int | None,
        typer.Option(
            "--create",
            metavar="[=PARTITIONS]",
            help="Create the topic on a cluster too, with as many partitions as the source.",
            rich_help_panel=TARGET,
        ),
    ] = None,
    same_config: Annotated[
        bool, typer.Option("--same-config", help="Create the topic with the settings of the source.", rich_help_panel=TARGET)
    ] = False,
    rate: Annotated[
        str | None, typer.Option("--rate", metavar="N", help="At most so many records a second.", rich_help_panel=TARGET)
    ] = None,
    pace: Annotated[
        str | None,
        typer.Option(
            "--pace",
            metavar="original|Nx",
            help="With the pauses that were between the records, or N times as fast.",
            rich_help_panel=TARGET,
        ),
    ] = None,
    map: Annotated[
        str | None,
        typer.Option(
            "--map",
            metavar="CMD",
            help="A shell command that is given each record as a line of JSON, and answers with the one to write.",
            rich_help_panel=TARGET,
        ),
    ] = None,
    compression: Annotated[
        str | None,
        typer.Option("--compression", "-z", metavar="CODEC", help="none, gzip, snappy, lz4 or zstd (as it was).", rich_help_panel=TARGET),
    ] = None,
) -> None:
    """Copy records from topics to a topic, of the same cluster or of another.

    Key, value, headers, timestamp and nulls stay as they are, byte for byte. It goes on as records come, until Ctrl-C, unless
    -e or -n says otherwise. Where the target has as many partitions as the source each record stays in its own, else it goes
    where its key says.

    ev copy payments archive -e --same-config

    ev copy payments large -e --where 'value.amount > 100'

    ev copy prod/payments payments -g to-here

    --map changes records on their way: one process, started once, gets each as `ev consume -J` writes it and answers with a
    line, in the same order. What the line does not say stays as it was, and null, or an empty line, drops the record. With -n it
    is given so many. A process that fails ends the copy (7); what it has answered is there, and with -g the rest comes again.

    ev copy payments euros -e --map 'sed -u s/USD/EUR/'
    """
