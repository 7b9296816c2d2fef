"""Eight minutes of everything at once, 5,000 records a second: memory stays flat, and what is over is let go (R16).

Producers of three clients and idempotent ones that come and go, groups of both protocols that come and go, transactions, topics that are
made and deleted, short and broken connections, fetch sessions that are begun and abandoned, compaction and retention. Measured before,
while nothing but an empty engine is there, and after, when everything was deleted again:

    memory         its slope after warming up, in MB a minute
    descriptors, threads, asyncio tasks, connections, partitions, segments, groups, fetch sessions    back to where they began
    disk           nothing is left of what was deleted
    log            no error
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import time
from collections.abc import Callable
from random import Random
from typing import Any

from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from ev.wire.messages.k16_list_groups import ListGroupsRequest
from ev.wire.messages.k19_create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from ev.wire.messages.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from ev.wire.messages.k42_delete_groups import DeleteGroupsRequest
from ev.wire.records import encode_batch
from support.engine import Engine
from support.one_partition import produce_request
from support.processes import Process
from support.raw_client import RawClient
from support.raw_members import ClassicMember, Member, Topic, commit
from support.raw_transactions import TransactionalProducer, asked_over
from support.waiting import wait_for
from torture.faults.switches import CENSUS
from torture.outcome import Outcome
from torture.run import Run
from torture.sessions import Watched, identity, join_now

FAULTS = (
    "leaks.connection_kept",
    "leaks.task_never_ends",
    "leaks.descriptor_kept",
    "leaks.deleted_topic_stays",
    "leaks.fetch_sessions_without_bound",
)
SOAK_S, SOAK_QUICK_S = 480.0, 20.0
WARM_UP_S = 150.0
CLIENTS = ("librdkafka", "aiokafka", "ev")
RATE = 5_000
PROCESSES_SHARE = 0.3
"""Of the records; the rest comes from raw producers, which cost less of the machine that they share with the engine."""
BATCH = 25
SEEDED_S = 2.0
TURNS_MIN, SLOW_S = 8, 60.0
"""On a machine that is slow today each worker still has so many turns, or so long."""
SLOPE_MB_MAX = 1.0
SLOTS = 20
BACK_WITHIN_S = 10.0
ROOM = {"descriptors": 6, "threads": 8, "tasks": 0, "Connection": 1, "Partition": 8, "Segment": 12, "Session": SLOTS}
"""By how much more there may be at the end: threads are begun when they are first needed, fetch sessions have a bound of their own, the
last commit round knows its partitions, and of the connections that have ended the last one may still be known to what answered it."""
TOPICS = {
    "load": {"retention.bytes": str(8 << 20), "segment.bytes": str(2 << 20)},
    "compacted": {"cleanup.policy": "compact", "segment.bytes": str(256 << 10), "min.cleanable.dirty.ratio": "0.1"},
    "transactions": {"retention.bytes": str(2 << 20), "segment.bytes": str(512 << 10)},
}
PARTITIONS = 4
SETTINGS = {
    "ev.metrics.listen": "127.0.0.1:0",
    "log.retention.check.interval.ms": "500",
    "ev.checkpoint.interval.ms": "500",
    "file.delete.delay.ms": "500",
    "producer.id.expiration.ms": "3000",
    "max.incremental.fetch.session.cache.slots": str(SLOTS),
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "2",
    "group.initial.rebalance.delay.ms": "0",
}
TROUBLE = re.compile(r"\b(ERROR|CRITICAL|Traceback)\b.*")
LEFT_OVER = re.compile(r"(-delete|\.deleted|\.cleaned|\.swap|\.torn|\.tmp)$")


class Worker(Watched):
    """Does one thing again and again, with a pause between."""

    def __init__(
        self, outcome: Outcome, address: Callable[[], str], random: Random, pause_s: float, what: Callable[[Worker], None]
    ) -> None:
        super().__init__(outcome, address, what.__name__)
        self.random, self.pause_s, self.what = random, pause_s, what
        self.address = address
        self.number = 0
        self.records = 0
        self.held: Any = None

    def step(self) -> None:
        self.what(self)
        self.number += 1
        self.ending.wait(self.random.uniform(0, 2 * self.pause_s))


def torture(run: Run) -> None:
    outcome = run.outcome
    outcome.without_faults = True
    engine = run.engine(settings=SETTINGS, variables={CENSUS: str(run.directory / "census")})
    engine.fault = "+".join(filter(None, ("switches.census", run.fault)))
    engine.start()
    with RawClient(engine.address) as auditor:
        ask = asked_over(auditor)
        rehearse(engine, ask)
        base = settled(run, engine, None)
        create(ask, dict.fromkeys(TOPICS, PARTITIONS))
        watched = Topic(ask, "watched", 3)
        soak(run, engine, watched)
        if outcome.problems:
            return
        clear_away(ask, [*TOPICS, watched.name])
        found = settled(run, engine, base)
    for name, room in ROOM.items():
        outcome.figures[name.lower()] = found[name]
        if found[name] > base[name] + room:
            outcome.problem(f"{name}: {base[name]} before, {found[name]} after everything was over ({base} before, {found} after)")
    for path in left_over(engine):
        outcome.problem(f"{path} is left of something that was deleted")
    outcome.figures["disk_mib"] = round(sum(map(size_of, files(engine))) / (1 << 20), 1)
    if not outcome.problems and (status := engine.stop()):
        outcome.problem(f"the engine ended with status {status}")
    for line in engine.log().splitlines():
        if TROUBLE.search(line):
            outcome.problem(f"the engine's log says: {line[:300]}")


def create(ask: Any, topics: dict[str, int]) -> None:
    wanted = [
        CreatableTopic(
            name=name,
            num_partitions=count,
            replication_factor=1,
            configs=[CreatableTopicConfig(*config) for config in TOPICS.get(name, {}).items()],
        )
        for name, count in topics.items()
    ]
    for topic in ask(CreateTopicsRequest(topics=wanted, timeout_ms=30_000), 5).topics:
        assert topic.error_code == 0, topic


def delete(ask: Any, names: list[str]) -> None:
    for topic in ask(DeleteTopicsRequest(topics=[DeleteTopicState(name=name) for name in names], timeout_ms=30_000), 6).responses:
        assert topic.error_code == 0, topic


def rehearse(engine: Engine, ask: Any) -> None:
    """Everything that is made when it is first needed is there before it is counted: internal topics, threads, the reserve."""
    create(ask, {"rehearsal": 1})
    topic = Topic(ask, "rehearsal-too", 1)
    member = ClassicMember(ask, "rehearsal", topic, assignor="range")
    join_now(member, topic)
    member.leave()
    producer = TransactionalProducer(ask, "rehearsal")
    assert producer.begin() == 0
    assert producer.write("rehearsal", 0, b"x") == 0
    assert producer.end(commit=True) == 0
    clear_away(ask, ["rehearsal", topic.name])


def clear_away(ask: Any, topics: list[str]) -> None:
    """Delete topics and every group."""
    delete(ask, topics)
    groups = [group.group_id for group in ask(ListGroupsRequest(), 4).groups]
    if groups:
        for result in ask(DeleteGroupsRequest(groups), 2).results:
            assert result.error_code == 0, result


def soak(run: Run, engine: Engine, watched: Topic) -> None:
    """The load, and how the engine's memory goes meanwhile."""
    outcome = run.outcome
    workers = [
        Worker(outcome, lambda: engine.address, Random(run.random.random()), pause_s, what)
        for what, pause_s in (
            *[(raw_producer, 4 * BATCH / (RATE * (1 - PROCESSES_SHARE)))] * 4,
            (compacted_producer, 0.02),
            (passing_producers, 0.05),
            (transactions, 0.02),
            (groups, 0.1),
            (topics, 0.15),
            (short_connections, 0.03),
            (fetch_sessions, 0.05),
        )
    ]
    for worker in workers:
        worker.held = watched
    rate = round(RATE * PROCESSES_SHARE / len(CLIENTS))
    processes = [
        Process(
            run.directory,
            f"soak-{client}",
            "support.verifying_producer",
            client,
            engine.address,
            "load",
            str(PARTITIONS),
            client,
            str(rate),
        )
        for client in CLIENTS
    ]
    sizes: list[tuple[float, float]] = []
    try:
        for process in processes:
            wait_for(process.has_said_more, f"{process.name} to be answered", 60)
        began = time.monotonic()
        seconds = min(run.amount(round(SOAK_S), round(SOAK_QUICK_S)), max(run.deadline - began - 4, 2))
        seconds = min(seconds, SEEDED_S) if run.fault else seconds  # what is never let go is seen after a few turns
        for worker in workers:
            worker.start()
        while not outcome.problems:
            lasts_s = time.monotonic() - began
            if lasts_s >= (seconds if min(worker.number for worker in workers) >= TURNS_MIN else max(seconds, SLOW_S)):
                break
            time.sleep(0.5)
            sizes.append((time.monotonic() - began, resident_mb(engine)))
        took_s = time.monotonic() - began
        for worker in workers:
            worker.end()
        for process in processes:
            process.end()
        for process in processes:
            process.wait()
    finally:
        for process in processes:
            process.process.kill()
            process.process.wait()
    records = sum(worker.records for worker in workers)
    for process in processes:
        lines = process.lines()
        records += sum(line[0] == "acked" for line in lines)
        for line in lines:
            if line[0] == "fatal":
                outcome.problem(f"{process.name} said {' '.join(line)}")
    warm = [pair for pair in sizes if pair[0] >= (WARM_UP_S if not run.quick else seconds / 2)]
    if len(warm) > 10:
        outcome.bound("rss_slope_mb_per_min", round(slope(warm) * 60, 2), SLOPE_MB_MAX)
    outcome.figures |= {"records_per_s": round(records / took_s), "rss_mb": round(sizes[-1][1]), "seconds": round(took_s)}
    outcome.bound("records_per_s_missing", max(0, RATE - round(records / took_s)), RATE / 10)
    for worker in workers:
        outcome.add(worker.name, worker.number)


# ---- what the workers do


def raw_producer(worker: Worker) -> None:
    """Records without a key, acknowledged when they are on disk."""
    index = worker.random.randrange(PARTITIONS)
    produce(worker, "load", index, encode_batch([worker.random.randbytes(200) for _ in range(BATCH)], timestamps=now_ms()))


def produce(worker: Worker, topic: str, index: int, batch: bytes) -> None:
    request = produce_request(topic, batch)
    request.topic_data[0].partition_data[0].index = index
    answer = worker.ask(request, 9).responses[0].partition_responses[0]
    if answer.error_code:
        worker.outcome.problem(f"a batch for {topic}-{index} was answered {answer.error_code} {answer.error_message}")
    worker.records += BATCH


def compacted_producer(worker: Worker) -> None:
    keys: list[bytes | None] = [b"key-%d" % worker.random.randrange(500) for _ in range(BATCH)]
    values = [worker.random.randbytes(100) if worker.random.random() < 0.9 else None for _ in range(BATCH)]
    produce(worker, "compacted", worker.random.randrange(PARTITIONS), encode_batch(values, keys=keys, timestamps=now_ms()))


def passing_producers(worker: Worker) -> None:
    """An idempotent producer that writes once and is never seen again."""
    answer = worker.ask(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000), 4)
    values = [worker.random.randbytes(50) for _ in range(BATCH)]
    batch = encode_batch(values, timestamps=now_ms(), producer_id=answer.producer_id, producer_epoch=answer.producer_epoch, base_sequence=0)
    produce(worker, "load", worker.random.randrange(PARTITIONS), batch)


def transactions(worker: Worker) -> None:
    """One of a few transactional ids; every third transaction is aborted."""
    producer = TransactionalProducer(worker.ask, f"soak-{worker.number % 5}")
    codes = [producer.begin()]
    codes += [producer.write("transactions", index, b"x" * 100) for index in worker.random.sample(range(PARTITIONS), 2)]
    codes.append(producer.end(commit=worker.number % 3 > 0))
    if any(codes):
        worker.outcome.problem(f"a transaction went {codes}")
    worker.records += 2


def groups(worker: Worker) -> None:
    """A group of either protocol: a member joins, commits and leaves; now and then the group is deleted."""
    group = f"group-{worker.number % 50}-{worker.number % 2}"
    topic: Topic = worker.held
    member = ClassicMember(worker.ask, group, topic, assignor="range") if worker.number % 2 else Member(worker.ask, group)
    join_now(member, topic)
    codes = [commit(worker.ask, group, topic, worker.number, member=identity(member)), member.leave()]
    if any(codes):
        worker.outcome.problem(f"the member of {group} was answered {codes}")
    if worker.random.random() < 0.3:
        worker.ask(DeleteGroupsRequest([group]), 2)


def topics(worker: Worker) -> None:
    """A topic is made, written to and deleted."""
    name = f"temporary-{worker.number}"
    create(worker.ask, {name: 3})
    for index in range(3):
        produce(worker, name, index, encode_batch([b"x" * 100] * BATCH, timestamps=now_ms()))
    delete(worker.ask, [name])


def short_connections(worker: Worker) -> None:
    """Somebody connects and goes: after a question, in the middle of one, or with a reset."""
    host, _, port = worker.address().rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        match worker.number % 4:
            case 0:
                client.sendall(b"\0\0\0\x09\0\x12\0\0\0\0\0\1\0")
            case 1:
                client.sendall(b"\0\0\1\0\0\x03\0\x09")
            case 2:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            case _:
                client.sendall(b"\0\0\0\x0a\0\x12\0\0\0\0\0\1\xff\xff")
                client.recv(4)


def fetch_sessions(worker: Worker) -> None:
    """A consumer begins sessions, fetches once more in each and is gone."""
    partition = FetchPartition(partition=worker.random.randrange(PARTITIONS), fetch_offset=0, partition_max_bytes=10_000)
    begin = FetchRequest(max_bytes=10_000, session_epoch=0, topics=[FetchTopic(topic="compacted", partitions=[partition])])
    with RawClient(worker.address()) as client:
        for _ in range(5):
            answer = client.ask(1, 11, begin)
            if answer.session_id:
                client.ask(1, 11, FetchRequest(max_bytes=10_000, session_id=answer.session_id, session_epoch=1, topics=[]))


def now_ms() -> int:
    return round(time.time() * 1000)


# ---- what is measured


def resident_mb(engine: Engine) -> float:
    pages = int(pathlib.Path(f"/proc/{engine.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def slope(points: list[tuple[float, float]]) -> float:
    """Of the line with the least squares, per second."""
    count = len(points)
    mean_x, mean_y = (sum(point[axis] for point in points) / count for axis in (0, 1))
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


def census(run: Run, engine: Engine) -> dict[str, int]:
    """What the engine holds, as it says and as the kernel says."""
    path = run.directory / "census"
    path.unlink(missing_ok=True)
    os.kill(engine.pid, signal.SIGUSR2)
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, "the engine does not say what it holds"
        time.sleep(0.01)
    counted: dict[str, int] = json.loads(path.read_text())
    proc = pathlib.Path(f"/proc/{engine.pid}")
    return {**counted, "descriptors": len(list((proc / "fd").iterdir())), "threads": len(list((proc / "task").iterdir()))}


def settled(run: Run, engine: Engine, base: dict[str, int] | None) -> dict[str, int]:
    """The census when it is back at its base, or when it has had time enough; at first, when it is the same twice."""
    deadline = time.monotonic() + (BACK_WITHIN_S if base is not None else 6)
    before: dict[str, int] = {}
    while True:
        found = census(run, engine)
        clear = not left_over(engine)
        if base is not None and clear and all(found[name] <= base[name] + room for name, room in ROOM.items()):
            return found
        if base is None and clear and found == before:
            return found
        if time.monotonic() > deadline:
            return found
        before = found
        time.sleep(0.3)


def files(engine: Engine) -> list[pathlib.Path]:
    """Every file of the data directory; what goes meanwhile is gone."""
    return [pathlib.Path(place, name) for place, _, names in os.walk(engine.directory) for name in names]


def size_of(path: pathlib.Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def left_over(engine: Engine) -> list[str]:
    """Names that something that is over has left, and directories of topics that were deleted."""
    found = [os.path.join(place, name) for place, directories, names in os.walk(engine.directory) for name in (*directories, *names)]
    names = [os.path.relpath(path, engine.directory) for path in found]
    return [name for name in names if LEFT_OVER.search(name) or name.startswith("temporary")]
