"""ev bench: how fast records go in, come out, and go all the way. Each client is a process, or Python's lock would be measured."""

from __future__ import annotations

import os
import sys

from ev.client.fetched import COMPRESSIONS
from ev_cli import measuring, output
from ev_cli.failures import DONE, FAILED, NOT_FOUND, Failure, UsageFailure, as_failure, no_such
from ev_cli.latency import Latencies
from ev_cli.measuring import Measured, Share
from ev_cli.naming import confirm, nearest
from ev_cli.progress import Progress
from ev_cli.session import Session
from ev_cli.sizes import number_of
from ev_cli.times import duration_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from ev_cli.measuring import Tell

    Partition = tuple[str, int]
    Work = Callable[[Share, Tell], Measured]

PRODUCED, ROUND_TRIPS = 1_000_000, 1_000
BUFFER_BYTES = 32 << 20
"""As much as Kafka's own producer keeps: how long a record takes when as many as possible are sent is how long this waits."""
CLIENTS_MAX = 64
SHARES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999}


def bench_produce(options: Any) -> int:
    session, count = _begin(options, PRODUCED)
    settings: dict[str, Any] = {"acks": options.acks, "linger_ms": 5, "buffer_bytes": BUFFER_BYTES}
    settings["idempotence"] = options.acks in ("all", "-1")
    if options.batch_size is not None:
        settings["batch_bytes"] = options.batch_size
    if options.compression is not None:
        settings["compression"] = options.compression
    if options.linger is not None:
        settings["linger_ms"] = duration_ms(options.linger, "--linger")
    session.producer(**settings).cluster.close()  # a setting that is wrong is said once, and before anything is done
    shares = _shares(options, count)
    _ready_topic(options, session, count)

    def work(share: Share, tell: Tell) -> Measured:
        with session.producer(**settings) as producer:
            return measuring.produce(producer, share, tell)

    return _measured("produce", shares, work, count, options)


def bench_consume(options: Any) -> int:
    session, count = _begin(options, 0)
    partitions = _partitions(options.topic, session)
    with session.admin() as admin:
        from ev_cli.actions.several import EARLIEST, LATEST, offsets_at

        starts, ends = offsets_at(admin, partitions, EARLIEST), offsets_at(admin, partitions, LATEST)
    there = sum((ends[partition] or 0) - (starts[partition] or 0) for partition in partitions)
    count = min(count or there, there)
    clients = min(options.clients, len(partitions))
    shares = [Share(options.topic, -(-count // clients), partitions=partitions[number::clients]) for number in range(clients)]

    def work(share: Share, tell: Tell) -> Measured:
        settings = {"isolation": "read_uncommitted", "offset_reset": "earliest", "partition_max_bytes": 2 << 20}
        with session.consumer(timeout_ms=session.timeout_ms, **settings) as consumer:
            return measuring.consume(consumer, share, tell)

    return _measured("consume", shares, work, count, options)


def bench_end_to_end(options: Any) -> int:
    session, count = _begin(options, ROUND_TRIPS)
    shares = _shares(options, count)
    _ready_topic(options, session, count)
    partitions = _partitions(options.topic, session)
    for number, share in enumerate(shares):
        share.partitions = [partitions[number % len(partitions)]]

    def work(share: Share, tell: Tell) -> Measured:
        settings: dict[str, Any] = {"acks": options.acks, "linger_ms": 0, "idempotence": options.acks in ("all", "-1")}
        if options.batch_size is not None:
            settings["batch_bytes"] = options.batch_size
        consumer = session.consumer(isolation="read_uncommitted", offset_reset="latest", timeout_ms=session.timeout_ms)
        with consumer, session.producer(**settings) as producer:
            return measuring.end_to_end(producer, consumer, share, tell)

    return _measured("e2e", shares, work, count, options)


def _begin(options: Any, usual: int) -> tuple[Session, int]:
    output.output_format(options)
    count = usual if options.count is None else options.count
    if count < 1 and usual:
        raise UsageFailure("-n takes a number of records from 1 on")
    if options.size is not None and not 0 <= options.size <= 100 << 20:
        raise UsageFailure("--size takes a number of bytes up to 100 MiB")
    if not 1 <= options.clients <= CLIENTS_MAX:
        raise UsageFailure(f"--clients takes a number from 1 to {CLIENTS_MAX}")
    if options.acks is not None and options.acks not in ("all", "-1", "0", "1"):
        raise UsageFailure(f"--acks {options.acks} is unknown", "all, 1 or 0")
    if options.compression is not None and options.compression not in COMPRESSIONS:
        raise UsageFailure(f"-z {options.compression} is no codec", f"one of {', '.join(COMPRESSIONS)}")
    if options.linger is not None:
        duration_ms(options.linger, "--linger")
    _rate(options)
    return Session(options), count


def _rate(options: Any) -> float | None:
    rate = None if options.rate is None else number_of(options.rate.removesuffix("/s"), "--rate")
    if rate is not None and rate <= 0:
        raise UsageFailure("--rate takes a number above 0")
    return rate


def _shares(options: Any, count: int) -> list[Share]:
    clients = min(options.clients, count)
    rate = _rate(options)
    each = [count // clients + (number < count % clients) for number in range(clients)]
    return [Share(options.topic, some, options.size, None if rate is None else rate / clients) for some in each]


def _ready_topic(options: Any, session: Session, count: int) -> None:
    """The topic is there, or is made; whoever measures a cluster says yes first, because others may use it."""
    from ev.client.results import NewTopic

    if not session.target.is_local:
        confirm(f"write {count:,} records of {options.size} bytes to topic {output.safe(options.topic)} on {session.where}", options)
    with session.admin() as admin:
        names = [topic.name for topic in admin.topics(internal=True)]
        if options.topic in names:
            return
        if not session.target.is_local and options.create is None:
            raise Failure(f"no topic {options.topic!r} on {session.where}", "--create makes it", code=NOT_FOUND)
        admin.create_topics([NewTopic(options.topic, options.create or -1)])[0].or_raise()
    session.talk(f"created topic {output.safe(options.topic)} on {session.where}")


def _partitions(topic: str, session: Session) -> list[Partition]:
    with session.admin() as admin:
        topics = {each.name: each for each in admin.topics(internal=True)}
    if topic not in topics:
        raise no_such("topic", topic, nearest(topic, topics), session.where)
    return [(topic, each.index) for each in topics[topic].partitions]


# -- the processes -----------------------------------------------------------------------------------------------------------------


def _measured(what: str, shares: list[Share], work: Work, total: int, options: Any) -> int:
    """Run every share in a process of its own, show how far they are, and then what came of it."""
    import json
    import selectors
    import signal

    children: dict[int, int] = {}
    selector = selectors.DefaultSelector()
    sys.stdout.flush()
    for number, share in enumerate(shares):
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            options.quiet = options.quiet or number > 0  # what one of them waits for, all do, and one says it
            _be_child(share, work, writing)
        os.close(writing)
        children[child] = number
        selector.register(reading, selectors.EVENT_READ, [number, b""])
    done, results, failures = [0] * len(shares), [], []
    try:
        with Progress(options, f"bench {what}", total=total, unit="records") as progress:
            while selector.get_map():
                for key, _ in selector.select():
                    data = os.read(key.fd, 1 << 20)
                    if not data:
                        selector.unregister(key.fd)
                        os.close(key.fd)
                        continue
                    *lines, key.data[1] = (key.data[1] + data).split(b"\n")
                    for line in map(json.loads, lines):
                        if "done" in line:
                            progress.advance(line["done"] - done[key.data[0]])
                            done[key.data[0]] = line["done"]
                        elif "failed" in line:
                            failures.append(Failure(line["failed"], line["hint"], code=line["code"]))
                        else:
                            results.append(line)
    except BaseException:
        for child in children:
            os.kill(child, signal.SIGTERM)
        raise
    finally:
        for child in children:
            os.waitpid(child, 0)
    if failures or len(results) != len(shares):
        raise failures[0] if failures else Failure("a client of the benchmark has ended", code=FAILED)
    _show(what, results, options)
    return DONE


def _be_child(share: Share, work: Work, writing: int) -> NoReturn:
    import json
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and ends us
    status = DONE

    def say(**line: Any) -> None:
        data = json.dumps(line).encode() + b"\n"
        while data:
            data = data[os.write(writing, data) :]

    try:
        say(**measuring.plain(work(share, lambda records, size: say(done=records, bytes=size))))
    except BrokenPipeError:
        status = FAILED  # nobody wants to know any more
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent says it
        failure = as_failure(error)
        say(failed=failure.message, hint=failure.hint, code=failure.code)
    finally:
        os._exit(status)


def _show(what: str, results: list[dict[str, Any]], options: Any) -> None:
    """One row for all clients together, from the moment the first began to when the last one was done."""
    latencies = Latencies()
    for result in results:
        latencies.merge(Latencies(dict(result["latencies"])))
    records, size = sum(result["records"] for result in results), sum(result["bytes"] for result in results)
    seconds = max(max(result["ended"] for result in results) - min(result["began"] for result in results), 1e-6)
    table = output.Table(
        ("what", "clients", "records", "bytes", "seconds", "records_per_s", "mb_per_s", *SHARES),
    )
    found = {name: latencies.percentile(share) for name, share in SHARES.items()}
    is_table = output.output_format(options) in ("table", "wide")
    table.add(
        what=what,
        clients=len(results),
        records=records,
        bytes=size,
        seconds=round(seconds, 3),
        records_per_s=round(records / seconds),
        mb_per_s=round(size / seconds / 1e6, 2),
        **{
            name: None if value is None else f"{value * 1000:.3g} ms" if is_table else round(value * 1000, 3)
            for name, value in found.items()
        },
    )
    output.show(table, options, one=True)
