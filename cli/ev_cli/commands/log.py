"""ev log: how its verbs are spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import LOCAL

app = typer.Typer(
    help="Read the files of a data directory, of ev or of Apache Kafka, without an engine.", no_args_is_help=True, add_completion=False
)

NOT_HERE = ("bootstrap", "context", "set", "timeout", "data_dir", "listen", "insecure", "config_file")


@declare(app, "dump", "log:dump_log", effect=LOCAL, tabular=True, without=NOT_HERE)
def dump_log(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE…", help="Segments (.log), indexes, snapshots, checkpoints; of a partition's directory, its segments."),
    ],
    records: Annotated[
        bool, typer.Option("--records", "-r", help="A row for each record, not for each batch; of groups and transactions opened.")
    ] = False,
    first: Annotated[int | None, typer.Option("--from", metavar="OFFSET", help="From this offset on.")] = None,
    last: Annotated[int | None, typer.Option("--to", metavar="OFFSET", help="Up to this offset, excluded.")] = None,
    count: Annotated[int | None, typer.Option("--count", "-n", metavar="N", help="End after N rows.")] = None,
    kind: Annotated[
        str | None,
        typer.Option("--as", metavar="KIND", help="groups, transactions or plain: what the records are (as the directory is named)."),
    ] = None,
) -> None:
    """Show what is in files of a log; the engine may run or not.

    ev log dump data/payments-0/00000000000000000000.log --records --json

    JSON: of a batch: base_offset, last_offset, count, position, size, codec, max_timestamp, sound, base_timestamp, timestamp_type,
    leader_epoch, producer_id, producer_epoch, base_sequence, transactional, control; of a record: offset, timestamp, key, value, headers,
    timestamp_type, producer_id, producer_epoch, transactional, control, position; of other files: the names of the columns.
    """


@declare(app, "verify", "log:verify_log", effect=LOCAL, tabular=True, without=NOT_HERE)
def verify_log(
    directory: Annotated[str, typer.Argument(metavar="DIR", help="A data directory, or the directory of one partition.")],
    partitions: Annotated[list[str] | None, typer.Argument(metavar="TOPIC[:PARTITION]…", help="Only these; everything if none.")] = None,
) -> None:
    """Look over everything in a data directory, of ev or of Apache Kafka; changes nothing. Exit status 6 when there is damage.

    JSON: partition, file, position, offset, expected, found.

    ev log verify data
    """
