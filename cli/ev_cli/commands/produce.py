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
            "--format",
            "-f",
            metavar="FORMAT",
            help="The form of a record: value, kv, json, csv, tsv, hex, base64, lp32 or like '%k %v\\n'.",
            rich_help_panel=RECORDS,
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
        str | None,
        typer.Option(
            "--timestamp",
            metavar="TIME|FIELD",
            help="The time of every record, or the name of the field or column that it stands in.",
            rich_help_panel=RECORDS,
        ),
    ] = None,
    serde: Annotated[
        list[str] | None,
        typer.Option(
            "--serde",
            "-s",
            metavar="key=NAME,value=NAME",
            help="From text to bytes: string, json, hex, base64, i32be and the like, unpack:FMT, avro, protobuf; NAME alone: the value.",
            rich_help_panel=RECORDS,
        ),
    ] = None,
    schema: Annotated[
        str | None,
        typer.Option("--schema", metavar="FILE", help="The value is JSON, sent as Avro by this schema.", rich_help_panel=RECORDS),
    ] = None,
    key_schema: Annotated[
        str | None, typer.Option("--key-schema", metavar="FILE", help="The same for the key.", rich_help_panel=RECORDS)
    ] = None,
    proto: Annotated[
        str | None,
        typer.Option("--proto", metavar="FILE", help="The value is JSON, sent as Protobuf by this .proto file.", rich_help_panel=RECORDS),
    ] = None,
    message: Annotated[
        str | None, typer.Option("--message", metavar="NAME", help="Which message of --proto.", rich_help_panel=RECORDS)
    ] = None,
    template: Annotated[
        bool,
        typer.Option(
            "--template",
            help="Fill in %i (number), %d (time), %u (UUID) and %r{1..6} (random) in values, -k and -H.",
            rich_help_panel=RECORDS,
        ),
    ] = False,
    repeat: Annotated[
        int | None, typer.Option("--repeat", metavar="N", help="Send --value, or the files, N times.", rich_help_panel=RECORDS)
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="stdin, or each FILE, is one record.", rich_help_panel=RECORDS)] = False,
    lines: Annotated[
        list[str] | None, typer.Option("--lines", "-l", metavar="FILE", help="A file of records, one a line.", rich_help_panel=RECORDS)
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", "-n", "-c", metavar="N", help="End after N records.", rich_help_panel=RECORDS)
    ] = None,
    on_error: Annotated[
        str | None,
        typer.Option(
            "--on-error",
            metavar="stop|skip|dlq=TOPIC",
            help="What to do about a record that cannot be read (stop); skip also leaves out what the broker refuses alone.",
            rich_help_panel=RECORDS,
        ),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            help="Go on reading FILEs as they grow and are rotated, each line exactly once whatever is killed.",
            rich_help_panel=SENDING,
        ),
    ] = False,
    transaction: Annotated[
        str | None,
        typer.Option(
            "--transaction",
            metavar="[=ID]",
            help="All in one transaction: committed at the end, aborted by a signal or an error.",
            rich_help_panel=SENDING,
        ),
    ] = None,
    rate: Annotated[
        str | None, typer.Option("--rate", metavar="N/s", help="So many records a second, or 6000/m, at the most.", rich_help_panel=SENDING)
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
        typer.Option("--partitioner", metavar="NAME", help="murmur2 (the default), crc32, random, rr or sticky.", rich_help_panel=SENDING),
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
        typer.Option("--max-message-bytes", metavar="BYTES", help="The longest record that is read (32 MiB).", rich_help_panel=RECORDS),
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

    --follow does more than tail: it reads files as they grow and are rotated, and commits how far it has read together with the
    records, so that each line comes once, whatever is killed. ev-pipelines(7) says what that promises.

    ev produce payments --follow app.log

    -f says how a record is read, see ev-formats(7). What `ev consume -J` writes comes back as it was:

    ev consume payments -e -J | ev produce copy -J

    printf 'key,value\\nann,1\\n' | ev produce users -f csv

    JSON becomes Avro or Protobuf by a schema file (pip install 'ev[schemas]'), and what consume shows by the same file comes back.

    ev produce orders --schema order.avsc --value '{"id": 7, "note": "new"}'

    ev produce load --value '{"n": %i, "user": %r{1..100}}' --template --repeat 10 --rate 100/s
    """
