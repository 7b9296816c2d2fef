"""Data directories of released versions are opened: each verifies, is read record for record, goes on; a newer one is refused (R18).

The directories are in `tests/torture/data` (`torture.old_directories` says how they came to be): left by a stop, by a kill with batches in
the journal only, with settings at run time, with checkpoints from before there were transactions. Each is unpacked, looked over by
`ev server verify`, opened, and read by one client after the other; now and then the engine is killed while it opens it. Afterwards it is
written to, stopped, looked over and opened again. The format that it says to have does not rise by that, so that the engine of before could
be put back; and a directory that says to have a newer format is refused without a change.
"""

from __future__ import annotations

import pathlib
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from ev.disk import RealDisk
from ev.log.checkpoint import FORMAT, State
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from support.damage import files_below, said
from support.engine import Engine, NotReadyError
from support.ledger import Customer, Ledger, Topic
from support.raw_transactions import committed_offset
from torture.old_directories import GROUP, SETTINGS, Expected, archives, noted_format, unpack
from torture.run import Run

FAULTS = ("log.newer_format_opened", "log.format_raised_at_start", "log.journal_passed_over", "broker.producer_ids_begin_anew")
ROUNDS, ROUNDS_QUICK = 40, 4
READ_WITHIN_S = 20
Records = dict[str, list[tuple[int, bytes | None, bytes]]]


def torture(run: Run) -> None:
    """Every directory with every client, in an order of chance."""
    run.outcome.without_faults = True
    for number in range(run.amount(ROUNDS, ROUNDS_QUICK)):
        for archive in run.random.sample(archives(), len(archives())):
            if number and run.over:  # each is opened once, however busy the machine is
                return
            client = run.random.choice(list(CLIENTS))
            for problem in opened(run, archive, client, again=number > 0):
                run.outcome.problem(f"seed {run.seed}: {archive.name}, read by {client}: {problem}")
            if run.outcome.problems:
                return
        archive = run.random.choice(archives())
        for problem in refused(run, archive):
            run.outcome.problem(f"seed {run.seed}: {archive.name}, with a newer format: {problem}")


def unpacked(run: Run, archive: pathlib.Path) -> tuple[Engine, Expected]:
    place = run.directory / "old"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700)
    expected = unpack(archive, place)
    run.engines.clear()  # the one before has ended
    return run.engine("old", settings=SETTINGS), expected


def opened(run: Run, archive: pathlib.Path, client: str, *, again: bool) -> Iterator[str]:
    """Open one, read it, write to it, stop; and `again`, perhaps after a kill on the way."""
    engine, expected = unpacked(run, archive)
    yield from (f"verify finds damage before it is opened: {each}" for each in said(RealDisk(), str(engine.directory)))
    try:
        if again and run.random.random() < 0.5:
            killed_while_it_opens(run, engine)
        engine.start()
        yield from compared(engine, expected, client)
        if noted_format(engine.directory) != expected.format:
            yield f"its format was {expected.format}, and is {noted_format(engine.directory)} now"
        yield from goes_on(engine, expected)
        if engine.stop() != 0:
            yield f"it cannot be stopped: {engine.log()[-1000:]}"
        yield from (f"verify finds damage after a stop: {each}" for each in said(RealDisk(), str(engine.directory)))
        if again:
            engine.start()
            yield from compared(engine, expected, client)
    except (NotReadyError, OSError, AssertionError, LookupError) as problem:
        yield f"{problem!r}; {engine.log()[-1000:]}"
    engine.kill()
    run.outcome.add("opened")
    run.outcome.add(f"read_by_{client.replace('-', '_')}")


def killed_while_it_opens(run: Run, engine: Engine) -> None:
    """The engine dies somewhere on its way to being ready."""
    try:
        engine.start(timeout_s=run.random.uniform(0.05, 0.3))
    except NotReadyError:
        run.outcome.injected += 1
    engine.kill()


def refused(run: Run, archive: pathlib.Path) -> Iterator[str]:
    """An engine that opened it would not know what it does."""
    engine, _ = unpacked(run, archive)
    path = engine.directory / "ev.state"
    state = State.parse(path.read_bytes())
    assert state is not None
    number = FORMAT + run.random.randrange(1, 100)
    path.write_bytes(State(number, state.epoch).encode())
    before = files_below(engine.directory)
    try:
        engine.start()
    except NotReadyError as problem:
        if "newer ev" not in str(problem):
            yield f"it is refused without the reason: {problem}"
    else:
        yield f"a directory of format {number} is opened"
    engine.kill()
    after = files_below(engine.directory)
    if changed := [name for name, data in before.items() if after.get(name) != data and name != "ev.state.tmp"]:
        yield f"it was changed: {changed}"
    run.outcome.add("refused")


def compared(engine: Engine, expected: Expected, client: str) -> Iterator[str]:
    """What a client finds, against what was there when the directory was written."""
    customer = Customer(Ledger())
    customer.connect(engine.address)
    everything = CLIENTS[client](engine.address, list(expected.records))
    for topic, records in expected.records.items():
        found = everything[topic][: len(records)]
        if found != records:
            wrong = next((place for place, pair in enumerate(zip(found, records, strict=False)) if pair[0] != pair[1]), len(found))
            yield f"{topic} has {len(found)} of {len(records)} records, and is different from record {wrong} on"
        offset, code = committed_offset(customer.ask, GROUP, topic, 0)
        if (offset, code) != (expected.committed[topic], 0):
            yield f"{GROUP} has committed {offset} of {topic} (error {code}), it was {expected.committed[topic]}"


def goes_on(engine: Engine, expected: Expected) -> Iterator[str]:
    """New producers get new ids, and every topic takes records."""
    customer = Customer(Ledger({name: Topic(there=True) for name in expected.records}))
    customer.connect(engine.address)
    producer_id = customer.ask(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1000), 4).producer_id
    if producer_id < expected.producer_ids_below:
        yield f"producer id {producer_id} is given again; all below {expected.producer_ids_below} had been given"
    customer.begin_producing()
    for name in expected.records:
        if customer.produce(name, 2, keys=3):
            yield f"{name} takes no records"


# Clients: every committed record of some topics, (offset, key, value).


def by_ourselves(address: str, topics: list[str]) -> Records:
    customer = Customer(Ledger())
    customer.connect(address)
    return {topic: customer.records(topic)[1] for topic in topics}


def by_librdkafka(address: str, topics: list[str]) -> Records:
    settings: dict[str, Any] = {
        "bootstrap.servers": address,
        "group.id": "reader",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    }
    consumer = Consumer({**settings, "isolation.level": "read_committed", "fetch.wait.max.ms": 10, "log_level": 0})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING) for topic in topics])
    found: Records = {topic: [] for topic in topics}
    unread = set(topics)
    deadline = time.monotonic() + READ_WITHIN_S
    try:
        while unread and time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is None:
                continue
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                unread.discard(message.topic() or "")
                continue
            assert error is None, error
            found[message.topic() or ""].append((message.offset() or 0, as_bytes(message.key()), as_bytes(message.value()) or b""))
    finally:
        consumer.close()
    if unread:
        raise LookupError(f"{unread} were not read to their end within {READ_WITHIN_S} s")
    return found


def as_bytes(data: object) -> bytes | None:
    assert data is None or isinstance(data, bytes)
    return data


CLIENTS: dict[str, Callable[[str, list[str]], Records]] = {"ourselves": by_ourselves, "librdkafka": by_librdkafka}
