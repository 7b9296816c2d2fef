"""ev produce: how it is spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import WRITES

app = typer.Typer(add_completion=False)

RECORDS = "What a record is"
SENDING = "How it is sent"


@declare(app, "produce", "produce:produce", effect=WRITES)
def produce(
    topic: Annotated[str | None, typer.Argument(metavar="TOPIC", help="The topic; -t is the other way to name it.")] = None,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE…", help="Files instead of stdin: one is read by lines, several are one record each; - is stdin."),
    ] = None,
    topic_option: Annotated[str | None, typer.Option("--topic", "-t", metavar="TOPIC", help="The topic.")] = None,
    value: Annotated[
        str | None, typer.Option("--value", metavar="TEXT", help="One record with this value; stdin is not read.", rich_help_panel=RECORDS)
    ] = None,
    key: Annotated[str | None, typer.Option("--key", "-k", metavar="KEY", help="The key of every record.", rich_help_panel=RECORDS)] = None,
    key_delimiter: Annotated[
        str | None,
        typer.Option(
            "--key-delimiter", "-K", metavar="DELIM", help="What stands between key and value in a line.", rich_help_panel=RECORDS
        ),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(
            "--delimiter",
            "-D",
            metavar="DELIM",
            help="What ends a record (\\n); \\t, \\0 and \\xNN are understood.",
            rich_help_panel=RECORDS,
        ),
    ] = None,
    zero: Annotated[bool, typer.Option("--zero", "-0", help="Records end with a NUL byte.", rich_help_panel=RECORDS)] = False,
    format: Annotated[
        str | None,
        typer.Option(
            "--format", "-f", metavar="FORMAT", help="The form of a record: value, json, lp32 or like '%k %v\\n'.", rich_help_panel=RECORDS
        ),
    ] = None,
    json_records: Annotated[
        bool,
        typer.Option(
            "--json-records",
            "-J",
            help="The same as -f json: the lines that `ev consume -J` writes; kcat's, rpk's and kaf's too.",
            rich_help_panel=RECORDS,
        ),
    ] = False,
    headers: Annotated[
        list[str] | None,
        typer.Option(
            "--header",
            "-H",
            metavar="NAME=VALUE",
            help="A header of every record; NAME:VALUE too, NAME alone is null.",
            rich_help_panel=RECORDS,
        ),
    ] = None,
    empty_is_null: Annotated[
        bool, typer.Option("--empty-is-null", "-Z", help="An empty key or value is null (a tombstone).", rich_help_panel=RECORDS)
    ] = False,
    null: Annotated[
        str | None, typer.Option("--null", metavar="TEXT", help="A key or value that equals TEXT is null.", rich_help_panel=RECORDS)
    ] = None,
    timestamp: Annotated[
        str | None, typer.Option("--timestamp", metavar="TIME", help="The time of every record.", rich_help_panel=RECORDS)
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="stdin, or each FILE, is one record.", rich_help_panel=RECORDS)] = False,
    lines: Annotated[
        list[str] | None, typer.Option("--lines", "-l", metavar="FILE", help="A file of records, one a line.", rich_help_panel=RECORDS)
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", "-n", "-c", metavar="N", help="End after N records.", rich_help_panel=RECORDS)
    ] = None,
    partition: Annotated[
        int | None, typer.Option("--partition", "-p", metavar="N", help="The partition of every record.", rich_help_panel=SENDING)
    ] = None,
    compression: Annotated[
        str | None, typer.Option("--compression", "-z", metavar="CODEC", help="none, gzip, snappy, lz4 or zstd.", rich_help_panel=SENDING)
    ] = None,
    acks: Annotated[
        str | None,
        typer.Option("--acks", metavar="all|1|0", help="Who has a record when it counts as sent (all).", rich_help_panel=SENDING),
    ] = None,
    partitioner: Annotated[
        str | None,
        typer.Option("--partitioner", metavar="NAME", help="How a key chooses the partition (murmur2).", rich_help_panel=SENDING),
    ] = None,
    no_idempotence: Annotated[
        bool, typer.Option("--no-idempotence", help="Do without producer ids: retries may duplicate.", rich_help_panel=SENDING)
    ] = False,
    create: Annotated[
        int | None, typer.Option("--create", metavar="[=PARTITIONS]", help="Create the topic on a cluster too.", rich_help_panel=SENDING)
    ] = None,
    linger: Annotated[
        str | None, typer.Option("--linger", metavar="TIME", help="Wait this long for a batch to grow (0).", rich_help_panel=SENDING)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", metavar="BYTES", help="The largest batch.", rich_help_panel=SENDING)
    ] = None,
    max_message_bytes: Annotated[
        int | None,
        typer.Option("--max-message-bytes", metavar="BYTES", help="The longest record that is read (100 MiB).", rich_help_panel=RECORDS),
    ] = None,
    report: Annotated[
        str | None, typer.Option("--report", metavar="FORMAT", help="Write a line per acknowledged record: %t %p %o.")
    ] = None,
    tee: Annotated[bool, typer.Option("--tee", "-T", help="Copy the input to stdout.")] = False,
    keep_going: Annotated[bool, typer.Option("--keep-going", "-E", help="Go on with the next FILE when one cannot be read.")] = False,
) -> None:
    """Send lines from stdin, or files, to a topic.

    Every line is a record, as bytes; an empty line is an empty record. Lines leave as soon as they are complete. The exit
    status is 0 only when every record was acknowledged. The local engine makes a missing topic; a cluster only with --create.

    tail -f app.log | ev produce payments
    """
