"""ev consume: how it is spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import READS

app = typer.Typer(add_completion=False)

WHICH = "Which records"
FORM = "In what form"
GROUP = "As a member of a group"
HANDLER = "With a handler, -- CMD"


@declare(app, "consume", "consume:consume", effect=READS)
def consume(
    topics: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TOPIC… [-- CMD ARG…]", help="Topics; with -g and none, those on which the group has commits. CMD handles the records."
        ),
    ] = None,
    topic_option: Annotated[list[str] | None, typer.Option("--topic", "-t", metavar="TOPIC", help="A topic, the other way.")] = None,
    regex: Annotated[
        bool, typer.Option("--regex", "-r", help="TOPIC is a regular expression for whole names.", rich_help_panel=WHICH)
    ] = False,
    partitions: Annotated[
        str | None, typer.Option("--partition", "-p", metavar="N,N-N", help="Only these partitions.", rich_help_panel=WHICH)
    ] = None,
    offset: Annotated[
        list[str] | None,
        typer.Option(
            "--offset", "-o", metavar="FROM[:TO]", help="start, end, stored, N, +N, -N, @TIME; TO is excluded.", rich_help_panel=WHICH
        ),
    ] = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", hidden=True)] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="From this time: 2026-01-31T12:00, -1h, today.", rich_help_panel=WHICH)
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Up to this time, excluded.", rich_help_panel=WHICH)] = None,
    count: Annotated[
        int | None, typer.Option("--count", "-n", "-c", "--max-messages", metavar="N", help="End after N records.", rich_help_panel=WHICH)
    ] = None,
    exit_at_end: Annotated[
        bool, typer.Option("--exit-at-end", "-e", help="End where the topic ended at the start.", rich_help_panel=WHICH)
    ] = False,
    idle: Annotated[str | None, typer.Option("--idle", metavar="TIME", help="End after this much silence.", rich_help_panel=WHICH)] = None,
    duration: Annotated[str | None, typer.Option("--for", metavar="TIME", help="End after this time.", rich_help_panel=WHICH)] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for a topic that is not there yet.", rich_help_panel=WHICH)] = False,
    tail: Annotated[
        int | None,
        typer.Option("--tail", metavar="N", help="Begin with the N newest records over all partitions, by time.", rich_help_panel=WHICH),
    ] = None,
    per_partition: Annotated[
        int | None,
        typer.Option("--per-partition", metavar="N", help="At most N records of each partition.", rich_help_panel=WHICH),
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(
            "--order",
            metavar="ORDER",
            help="arrival, or time: partitions wait for each other (arrival; time with --tail). With --parallel: key or partition (key).",
            rich_help_panel=WHICH,
        ),
    ] = None,
    grep: Annotated[
        list[str] | None,
        typer.Option(
            "--grep",
            metavar="[!]WHAT:RE",
            help="Only what matches: k:RE key, v:RE value, h:NAME=RE header, t:RE topic; ! the others. Repeat for and.",
            rich_help_panel=WHICH,
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            "--where", metavar="EXPR", help="Only these: value.user.id == 7 and key ~ '^a', see ev-formats(7).", rich_help_panel=WHICH
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", help="Only this key, read from the one partition where it belongs.", rich_help_panel=WHICH),
    ] = None,
    read_uncommitted: Annotated[
        bool, typer.Option("--read-uncommitted", help="Records of open and aborted transactions too.", rich_help_panel=WHICH)
    ] = False,
    control: Annotated[bool, typer.Option("--control", help="The records that end transactions too.", rich_help_panel=WHICH)] = False,
    rack: Annotated[
        str | None,
        typer.Option("--rack", metavar="NAME", help="Where you are: read from the replica that is near.", rich_help_panel=WHICH),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            "-g",
            metavar="GROUP",
            help="Join the group, resume where it stopped, commit what was handled.",
            rich_help_panel=GROUP,
        ),
    ] = None,
    commit: Annotated[
        str | None, typer.Option("--commit", metavar="MODE", help="drained, proven, written, end or none.", rich_help_panel=GROUP)
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Begin at -o although the group has commits.", rich_help_panel=GROUP)] = False,
    instance_id: Annotated[
        str | None, typer.Option("--instance-id", metavar="ID", help="Be a static member.", rich_help_panel=GROUP)
    ] = None,
    balancer: Annotated[
        str | None,
        typer.Option(
            "--balancer",
            metavar="NAME",
            help="range, roundrobin, sticky or cooperative-sticky; uniform or range with -X group.protocol=consumer.",
            rich_help_panel=GROUP,
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--format", "-f", metavar="FORMAT", help="value, kv, json, pretty, hex, raw, lp32 or like '%o %k %v\\n'.", rich_help_panel=FORM
        ),
    ] = None,
    json_records: Annotated[bool, typer.Option("--json-records", "-J", help="The same as -f json.", rich_help_panel=FORM)] = False,
    fields: Annotated[
        str | None,
        typer.Option("--fields", metavar="NAME,…", help="JSON of these fields only: key,value,offset or k,v,o.", rich_help_panel=FORM),
    ] = None,
    embed_json: Annotated[bool, typer.Option("--embed-json", help="JSON values as JSON, not as text.", rich_help_panel=FORM)] = False,
    key_delimiter: Annotated[
        str | None,
        typer.Option("--key-delimiter", "-K", metavar="DELIM", help="Write keys too, with this behind them.", rich_help_panel=FORM),
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option("--delimiter", "-D", metavar="DELIM", help="What ends a record (\\n).", rich_help_panel=FORM)
    ] = None,
    zero: Annotated[bool, typer.Option("--zero", "-0", help="Records end with a NUL byte.", rich_help_panel=FORM)] = False,
    offsets: Annotated[bool, typer.Option("--offsets", "-O", help="Write the offset before each record.", rich_help_panel=FORM)] = False,
    null: Annotated[
        str | None, typer.Option("--null", metavar="TEXT", help="What stands for null (nothing).", rich_help_panel=FORM)
    ] = None,
    null_is_null: Annotated[bool, typer.Option("--null-is-null", "-Z", help="The same as --null NULL.", rich_help_panel=FORM)] = False,
    serde: Annotated[
        list[str] | None,
        typer.Option(
            "--serde",
            "-s",
            metavar="[key|value=]SERDE,…",
            help="Show bytes as string, json, hex, base64, i32be, f64le …, unpack:'<iQs'.",
            rich_help_panel=FORM,
        ),
    ] = None,
    schema: Annotated[
        str | None, typer.Option("--schema", metavar="FILE", help="The value is Avro by this schema, shown as JSON.", rich_help_panel=FORM)
    ] = None,
    key_schema: Annotated[
        str | None, typer.Option("--key-schema", metavar="FILE", help="The same for the key.", rich_help_panel=FORM)
    ] = None,
    proto: Annotated[
        str | None,
        typer.Option("--proto", metavar="FILE", help="The value is Protobuf by this .proto file, shown as JSON.", rich_help_panel=FORM),
    ] = None,
    message: Annotated[
        str | None, typer.Option("--message", metavar="NAME", help="Which message of --proto.", rich_help_panel=FORM)
    ] = None,
    utc: Annotated[bool, typer.Option("--utc", help="Times are UTC, not local.", rich_help_panel=FORM)] = False,
    kcat_group: Annotated[str | None, typer.Option("-G", hidden=True)] = None,
    into: Annotated[
        str | None,
        typer.Option(
            "--into",
            metavar="FILE",
            help="Append to FILE, exactly once; FILE.state remembers how far. Without a group.",
            rich_help_panel=FORM,
        ),
    ] = None,
    each: Annotated[bool, typer.Option("--each", help="One process for each record, its value on stdin.", rich_help_panel=HANDLER)] = False,
    batch: Annotated[
        int | None, typer.Option("--batch", metavar="N", help="One process for up to N records.", rich_help_panel=HANDLER)
    ] = None,
    ack: Annotated[
        bool,
        typer.Option("--ack", help="CMD answers each record with a line: ok, retry or dead REASON.", rich_help_panel=HANDLER),
    ] = False,
    parallel: Annotated[
        int | None, typer.Option("--parallel", metavar="N", help="So many processes at once (1).", rich_help_panel=HANDLER)
    ] = None,
    retries: Annotated[
        int | None, typer.Option("--retries", metavar="N", help="How often to try again what failed (5).", rich_help_panel=HANDLER)
    ] = None,
    backoff: Annotated[
        str | None,
        typer.Option(
            "--backoff", metavar="TIME..TIME", help="The pause before trying again, doubled each time (1s..60s).", rich_help_panel=HANDLER
        ),
    ] = None,
    on_fail: Annotated[
        str | None,
        typer.Option("--on-fail", metavar="WHAT", help="When all was tried: stop, skip or dlq (stop).", rich_help_panel=HANDLER),
    ] = None,
    dlq: Annotated[
        str | None,
        typer.Option(
            "--dlq", metavar="TOPIC", help="Where records go that could not be handled; implies --on-fail dlq.", rich_help_panel=HANDLER
        ),
    ] = None,
    exec_timeout: Annotated[
        str | None,
        typer.Option(
            "--exec-timeout", metavar="TIME", help="A process that takes longer is killed, and has failed.", rich_help_panel=HANDLER
        ),
    ] = None,
    max_stall: Annotated[
        str | None,
        typer.Option(
            "--max-stall", metavar="TIME", help="Leave the group when nothing is handled for so long (5m).", rich_help_panel=GROUP
        ),
    ] = None,
    buffer: Annotated[
        str | None, typer.Option("--buffer", metavar="SIZE", help="How much is read ahead of the handler (8MiB).", rich_help_panel=HANDLER)
    ] = None,
    handler: Annotated[list[str] | None, typer.Option("--handler", hidden=True)] = None,
    unbuffered: Annotated[bool, typer.Option("--unbuffered", "-u", hidden=True)] = False,
) -> None:
    """Write the records of topics to stdout.

    Values, one a line, from the beginning, and then whatever comes. With --group it goes on where the group stopped, and an
    offset is committed only when its record was handled. Readers never create a topic.

    A group speaks the classic protocol, which every broker knows; with -X group.protocol=consumer the broker assigns (KIP-848).

    ev consume payments -n 10 -f '%o %k %v\\n'

    ev consume payments -e --grep k:^customer-7$ --where 'value.amount > 100'

    ev consume payments --group billing | ./handler

    What stands behind -- handles the records: one process that reads them all from its stdin, or with --each and --batch many
    short ones. What it has handled is committed, and what fails is tried again, put aside, or ends the run with status 7.

    ev consume payments --group audit --each --dlq payments-dead -- ./handler
    """
