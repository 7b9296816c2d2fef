"""Properties of the clients that a command makes, by Kafka's names: what -X NAME=VALUE may say, and what `-X list` shows."""

from __future__ import annotations

from ev_cli import output
from ev_cli.failures import DONE, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Known = dict[str, tuple[str, str, str]]

NUMBER, TEXT = "number", "text"
NUMBER_MAX = (1 << 31) - 1
LIST = "list"

CLIENT: Known = {
    "client.id": ("client_id", TEXT, "the name by which the brokers know the client"),
    "request.timeout.ms": ("request_timeout_ms", NUMBER, "bound of one request, after which it is sent again; --timeout"),
    "retry.backoff.max.ms": ("retry_backoff_max_ms", NUMBER, "the longest pause before another try"),
    "retry.backoff.ms": ("retry_backoff_ms", NUMBER, "the first pause before another try"),
}
ADMIN: Known = {**CLIENT, "default.api.timeout.ms": ("timeout_ms", NUMBER, "bound of a whole call, with all its tries")}
CONSUMER: Known = {
    **ADMIN,
    "fetch.max.bytes": ("fetch_max_bytes", NUMBER, "what one answer may hold at the most"),
    "fetch.max.wait.ms": ("max_wait_ms", NUMBER, "how long a broker may wait for fetch.min.bytes"),
    "fetch.min.bytes": ("fetch_min_bytes", NUMBER, "a broker answers when it has so much"),
    "group.protocol": ("group_protocol", TEXT, "classic, or consumer: the broker assigns (Kafka 4.0 on)"),
    "group.remote.assignor": ("group_remote_assignor", TEXT, "by what the broker assigns: uniform or range"),
    "heartbeat.interval.ms": ("heartbeat_interval_ms", NUMBER, "how often a member of a classic group says that it is alive"),
    "max.partition.fetch.bytes": ("partition_max_bytes", NUMBER, "what one partition may have of an answer"),
    "session.timeout.ms": ("session_timeout_ms", NUMBER, "after how long a silent member of a classic group is given up"),
}
PRODUCER: Known = {
    **CLIENT,
    "acks": ("acks", TEXT, "all, 1 or 0; --acks"),
    "batch.size": ("batch_bytes", NUMBER, "how large a batch gets before it is compressed; --batch-size"),
    "compression.type": ("compression", TEXT, "none, gzip, snappy, lz4 or zstd; -z"),
    "delivery.timeout.ms": ("delivery_timeout_ms", NUMBER, "after that a record counts as not delivered"),
    "linger.ms": ("linger_ms", NUMBER, "how long a batch waits for more records; --linger"),
    "max.in.flight.requests.per.connection": ("in_flight", NUMBER, "requests on their way to one broker, 1 to 5 when idempotent"),
    "partitioner": ("partitioner", TEXT, "murmur2, crc32, random, rr or sticky; --partitioner"),
    "transaction.timeout.ms": ("transaction_timeout_ms", NUMBER, "a transaction that is open for longer is aborted"),
}
KINDS = {"admin": ADMIN, "consumer": CONSUMER, "producer": PRODUCER}
READERS = ("consume", "tail", "get", "trace", "copy", "redrive", "bench consume", "bench e2e", "topic dump", "topic count", "topic analyze")
WRITERS = ("produce", "copy", "bench produce", "bench e2e")
"""Not those that promise how they write: dead letters, `ev redrive` and `ev topic load`."""


def kinds_of(command_name: str) -> list[str]:
    """The clients whose properties a command takes."""
    more = {"consumer": READERS, "producer": WRITERS}
    return ["admin", *[kind for kind, commands in more.items() if command_name in commands]]


def check(options: Any) -> None:
    """Raise UsageFailure when -X says what no client of the command could take."""
    known = {name: row for kind in kinds_of(options.command_name or "") for name, row in KINDS[kind].items()}
    for item in options.set:
        name, equals, value = item.partition("=")
        if not equals or name not in known:
            raise UsageFailure(
                f"-X {item!r} is no client property that this command takes", f"NAME=VALUE with NAME one of {', '.join(sorted(known))}"
            )
        if known[name][1] == NUMBER and not (value.isascii() and value.isdecimal() and int(value) <= NUMBER_MAX):
            raise UsageFailure(f"-X {name} takes a number, not {value!r}", f"0 to {NUMBER_MAX}")


def properties_of(options: Any, kind: str) -> dict[str, Any]:
    """What -X says about one kind of client, as its keyword arguments."""
    if kind not in kinds_of(options.command_name or ""):
        return {}
    found: dict[str, Any] = {}
    for item in options.set:
        name, _, value = item.partition("=")
        if name in KINDS[kind]:
            keyword, takes, _ = KINDS[kind][name]
            found[keyword] = int(value) if takes == NUMBER else value
    return found


def show(options: Any) -> int:
    """What -X may say here: of the client, or of the engine that the command starts."""
    table = output.Table(("property", "takes", "meaning"))
    if options.set is not None:
        known = {name: row for kind in kinds_of(options.command_name) for name, row in KINDS[kind].items()}
        for name, (_, takes, meaning) in sorted(known.items()):
            table.add(property=name, takes=takes, meaning=meaning)
    else:
        from ev.settings import rows

        for row in rows():
            table.add(property=row.name, takes=row.bounds(), meaning=row.doc)
    output.show(table, options)
    return DONE
