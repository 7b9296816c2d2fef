"""ev bench: how its verbs are spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import READS, WRITES

app = typer.Typer(help="Measure how fast records go in, come out, and go all the way.", no_args_is_help=True, add_completion=False)

Topic = Annotated[str, typer.Argument(metavar="TOPIC", help="The topic; the local engine makes one that is missing.")]
Count = Annotated[int | None, typer.Option("--count", "-n", metavar="N", help="How many records, of all clients together.")]
Size = Annotated[int, typer.Option("--size", metavar="BYTES", help="The size of each record's value.")]
Rate = Annotated[str | None, typer.Option("--rate", metavar="N", help="So many records a second, of all clients together (as many as go).")]
Acks = Annotated[str, typer.Option("--acks", metavar="all|1|0", help="Who has a record when it counts as sent.")]
BatchSize = Annotated[int | None, typer.Option("--batch-size", metavar="BYTES", help="The largest batch.")]
Clients = Annotated[int, typer.Option("--clients", metavar="N", help="So many clients at the same time, each a process.")]
Create = Annotated[int | None, typer.Option("--create", metavar="[=PARTITIONS]", help="Create the topic on a cluster too.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before writing to a cluster that is not local.")]


@declare(app, "produce", "bench:bench_produce", effect=WRITES, tabular=True)
def bench_produce(
    topic: Topic,
    count: Count = None,
    size: Size = 100,
    rate: Rate = None,
    acks: Acks = "all",
    batch_size: BatchSize = None,
    linger: Annotated[str | None, typer.Option("--linger", metavar="TIME", help="Wait this long for a batch to grow (5ms).")] = None,
    compression: Annotated[
        str | None, typer.Option("--compression", "-z", metavar="CODEC", help="none, gzip, snappy, lz4 or zstd.")
    ] = None,
    clients: Clients = 1,
    create: Create = None,
    yes: Yes = False,
) -> None:
    """Measure producing: records and MB a second, and how long until a record is acknowledged. The records stay in the topic.

    ev bench produce speed -n 100000 --size 1000 --clients 2

    JSON: what, clients, records, bytes, seconds, records_per_s, mb_per_s, p50_ms, p95_ms, p99_ms, p999_ms.
    """


@declare(app, "consume", "bench:bench_consume", effect=READS, tabular=True)
def bench_consume(
    topic: Topic,
    count: Count = None,
    clients: Clients = 1,
) -> None:
    """Measure consuming from the beginning: records and MB a second. Nothing is committed.

    ev bench consume speed

    JSON: what, clients, records, bytes, seconds, records_per_s, mb_per_s, p50_ms, p95_ms, p99_ms, p999_ms;
    the last four are null.
    """


@declare(app, "e2e", "bench:bench_end_to_end", effect=WRITES, tabular=True)
def bench_end_to_end(
    topic: Topic,
    count: Count = None,
    size: Size = 100,
    rate: Rate = None,
    acks: Acks = "all",
    batch_size: BatchSize = None,
    clients: Clients = 1,
    create: Create = None,
    yes: Yes = False,
) -> None:
    """Measure how long a record takes from a producer to a consumer, one after the other. The records stay in the topic.

    ev bench e2e speed -n 100 --rate 200

    JSON: what, clients, records, bytes, seconds, records_per_s, mb_per_s, p50_ms, p95_ms, p99_ms, p999_ms.
    """
