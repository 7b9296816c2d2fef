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


@declare(app, "consume", "consume:consume", effect=READS)
def consume(
    topics: Annotated[
        list[str] | None, typer.Argument(metavar="TOPIC…", help="Topics; with -g and none, those on which the group has commits.")
    ] = None,
    topic_option: Annotated[list[str] | None, typer.Option("--topic", "-t", metavar="TOPIC", help="A topic, the other way.")] = None,
    regex: Annotated[
        bool, typer.Option("--regex", "-r", help="TOPIC is a regular expression for whole names.", rich_help_panel=WHICH)
    ] = False,
    partitions: Annotated[
        str | None, typer.Option("--partition", "-p", metavar="N,N-N", help="Only these partitions.", rich_help_panel=WHICH)
    ] = None,
    offset: Annotated[
        str | None,
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
    read_uncommitted: Annotated[
        bool, typer.Option("--read-uncommitted", help="Records of open and aborted transactions too.", rich_help_panel=WHICH)
    ] = False,
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
            help="Join the group, resume where it stopped, commit what was written.",
            rich_help_panel=GROUP,
        ),
    ] = None,
    commit: Annotated[
        str | None, typer.Option("--commit", metavar="MODE", help="written, end or none (written).", rich_help_panel=GROUP)
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
    unbuffered: Annotated[bool, typer.Option("--unbuffered", "-u", hidden=True)] = False,
) -> None:
    """Write the records of topics to stdout.

    Values, one a line, from the beginning, and then whatever comes. With --group it goes on where the group stopped, and an
    offset is committed only after its record was written. Readers never create a topic.

    A group speaks the classic protocol, which every broker knows; with -X group.protocol=consumer the broker assigns (KIP-848).

    ev consume payments -n 10 -f '%o %k %v\\n'

    ev consume payments --group billing | ./handler
    """
