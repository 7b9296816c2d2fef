"""Rows about growth: what a record, a commit or a request costs as records, partitions, groups and connections grow tenfold.

A cost is the engine's processor seconds for a million, and beside it the time. Per tenfold it must stay flat but for a logarithm: finding
an offset is a binary search in an index and among segments, so at most GROWTH_MAX is promised for each factor of ten; a cost that grows
with the number itself would be 10. The figure is the slope of the line through the logarithms of all points, as a factor per tenfold.
Whatever grows, the load is the same: so many requests in flight, batches of one size, bytes that were made before (`bench.pipe`).
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
from collections.abc import Callable, Iterator, Sequence

from bench.figure import Figure, growth_per_tenfold, in_turn
from bench.kafka_pipe import KafkaPipe, batch_of, fetch_spread
from bench.peers import Peer, cpu_seconds, create_topic, delete_topic, many_files
from bench.pipe import Driven, drive
from ev.wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
from support.raw_client import RawClient

GROWTH_MAX, GROWTH_REACHED = 1.25, 1.1
VALUE = b"x" * 100
RECORDS = 100
"""How many records are in a batch."""
IN_FLIGHT, FEW_IN_FLIGHT = 32, 8
SMALL_SEGMENT = str(16 << 20)
numbers = itertools.count()

Measure = Callable[[int], tuple[float, float]]
"""From how many there are to (processor seconds, seconds) for a million."""


def curves(ev: Peer, rounds: int, quick: bool) -> Iterator[Figure]:
    """Each curve at three points, its points in turn."""
    requests = 2_000 if quick else 10_000
    logs = Logs(ev)
    many = [10**power for power in ((4, 5, 6) if quick else (5, 6, 7))]
    yield curve("an appended record as records grow", "records", many, appends(logs, requests // 2), rounds)
    yield curve("finding an offset as records grow", "records", many, look_ups(logs, requests // 4), rounds)
    logs.delete()
    hundreds = [10, 100, 1000]
    yield curve("a record as partitions grow", "partitions", hundreds, partitions(ev, requests), rounds)
    yield curve("a commit as groups grow", "groups", hundreds, groups(ev, 2 * requests), rounds)
    yield curve("a request as connections grow", "connections", hundreds, connections(ev, 2 * requests), rounds)


def curve(what: str, of: str, counts: Sequence[int], measure: Measure, rounds: int) -> Figure:
    """The figure of one curve: growth per tenfold of the processor time."""
    costs: dict[int, list[tuple[float, float]]] = {count: [] for count in counts}
    for count in counts:
        measure(count)
    in_turn(rounds, *[lambda count=count: costs[count].append(measure(count)) for count in counts])
    return figure_of(what, of, costs)


def figure_of(what: str, of: str, costs: dict[int, list[tuple[float, float]]]) -> Figure:
    """The figure from (processor seconds, seconds) for a million in each round, by how many there were."""
    figure = Figure(f"cost of {what} tenfold", "x", GROWTH_MAX, GROWTH_REACHED, at_least=False)
    for each in range(min(map(len, costs.values()))):
        figure.add("ev", growth_per_tenfold([(count, found[each][0]) for count, found in costs.items()]))
        figure.add("time", growth_per_tenfold([(count, found[each][1]) for count, found in costs.items()]))
    figure.points = [
        (count, statistics.median(cpu for cpu, _ in found), statistics.median(took for _, took in found)) for count, found in costs.items()
    ]
    told = ", ".join(f"{point[1]:.3g} s at {point[0]:,}" for point in figure.points)
    figure.note = f"CPU of the engine for a million by {of}: {told}"
    return figure


def per_million(ev: Peer, run: Callable[[], Driven], each: int = 1) -> tuple[float, float]:
    """(processor seconds of the engine, seconds) for a million of what `run` gets answered."""
    used = cpu_seconds(ev.pid)
    driven = run()
    used = cpu_seconds(ev.pid) - used
    return used / driven.answered / each * 1e6, driven.took_s / driven.answered / each * 1e6


class Logs:
    """Topics of one partition with small segments, by how many records they hold."""

    def __init__(self, ev: Peer) -> None:
        self.ev = ev
        self.topics: dict[int, str] = {}

    def holding(self, count: int) -> str:
        if count not in self.topics:
            topic = self.topics[count] = f"curves-{next(numbers)}"
            create_topic(self.ev, topic, configs={"segment.bytes": SMALL_SEGMENT})
            with contextlib.closing(KafkaPipe(self.ev.address, topic, batch_of(VALUE, RECORDS))) as pipe:
                drive([pipe], IN_FLIGHT, count=count // RECORDS)
        return self.topics[count]

    def delete(self) -> None:
        for topic in self.topics.values():
            delete_topic(self.ev, topic)


def appends(logs: Logs, requests: int) -> Measure:
    """Requests of one record each to a partition that holds so many already."""

    def measure(count: int) -> tuple[float, float]:
        with contextlib.closing(KafkaPipe(logs.ev.address, logs.holding(count), batch_of(VALUE, 1))) as pipe:
            return per_million(logs.ev, lambda: drive([pipe], IN_FLIGHT, count=requests))

    return measure


def look_ups(logs: Logs, times: int) -> Measure:
    """Fetches of one batch each, spread over all offsets of a partition."""

    def measure(count: int) -> tuple[float, float]:
        topic = logs.holding(count)
        with RawClient(logs.ev.address) as client:
            return per_million(logs.ev, lambda: fetch_spread(client, topic, count, times))

    return measure


def partitions(ev: Peer, requests: int) -> Measure:
    """The same number of batches, to one partition after the other; so few in flight that each of these is always in another."""
    topics: dict[int, str] = {}

    def measure(count: int) -> tuple[float, float]:
        if count not in topics:
            topics[count] = f"curves-{next(numbers)}"
            create_topic(ev, topics[count], count)
        with contextlib.closing(KafkaPipe(ev.address, topics[count], batch_of(VALUE, RECORDS), range(count))) as pipe:
            return per_million(ev, lambda: drive([pipe], FEW_IN_FLIGHT, count=requests), RECORDS)

    return measure


class CommitPipe:
    """Offset commits of so many groups in turn, by somebody who is no member."""

    def __init__(self, address: str, topic: str, groups: Sequence[str]) -> None:
        self.client = RawClient(address)
        self.socket = self.client.socket
        place = OffsetCommitRequestPartition(partition_index=0, committed_offset=1, committed_metadata="")
        topics = [OffsetCommitRequestTopic(name=topic, partitions=[place])]
        self.frames = [
            self.client.frame(8, 7, OffsetCommitRequest(group_id=group, generation_id_or_member_epoch=-1, topics=topics))
            for group in groups
        ]
        self.turn = self.pending = 0
        self.client.send(self.frames[0])
        answer = self.client.answer(8, 7)
        if answer.topics[0].partitions[0].error_code:
            raise RuntimeError(f"a commit is answered with error {answer.topics[0].partitions[0].error_code}")
        self.client.send(self.frames[0])
        self.answer_size = 4 + len(self.client.next_frame())

    def requests(self, count: int) -> bytes:
        chosen = [self.frames[(self.turn + number) % len(self.frames)] for number in range(count)]
        self.turn += count
        return b"".join(chosen)

    def answers(self, data: bytes) -> int:
        done, self.pending = divmod(self.pending + len(data), self.answer_size)
        return done

    def close(self) -> None:
        self.client.close()


def groups(ev: Peer, commits: int) -> Measure:
    """The same number of commits, of one group after the other."""
    topic = f"curves-{next(numbers)}"
    create_topic(ev, topic)

    def measure(count: int) -> tuple[float, float]:
        names = [f"curve-{count}-{number}" for number in range(count)]
        with contextlib.closing(CommitPipe(ev.address, topic, names)) as pipe:
            return per_million(ev, lambda: drive([pipe], IN_FLIGHT, count=commits))

    return measure


def connections(ev: Peer, requests: int) -> Measure:
    """The same number of requests, one in flight on each of ten connections after the other, while all of them are open."""
    topic = f"curves-{next(numbers)}"
    create_topic(ev, topic)
    batch = batch_of(VALUE, 1)

    def measure(count: int) -> tuple[float, float]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(many_files())
            pipes = [stack.enter_context(contextlib.closing(KafkaPipe(ev.address, topic, batch))) for _ in range(count)]

            def run() -> Driven:
                whole = Driven()
                for start in range(0, count, 10):
                    part = drive(pipes[start : start + 10], 1, count=requests * 10 // count)
                    whole.answered += part.answered
                    whole.took_s += part.took_s
                return whole

            return per_million(ev, run)

    return measure
