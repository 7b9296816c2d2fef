"""A load of raw requests over a few connections, many in flight, that knows exactly what it asked for and what it was told.

    load = Load(promises, Random(1))
    load.connect(engine.address)
    load.run(0.2)                 produce with acks=all and acks=1, fetch, commit, make and delete topics
    in_flight = load.waiting      requests without an answer
    load.hang_up(1.0)             take the answers that are still to come; until every connection is closed, or for so long
    load.problems                 answers that must not be

`support.promises` judges afterwards what the broker shows.
"""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Final

from ev.wire.catalog import API
from ev.wire.codec import Message, decode
from ev.wire.header import decode_response_header
from ev.wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from ev.wire.messages.k19_create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from ev.wire.messages.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from support.promises import (
    ALL,
    FETCH,
    GROUP,
    INIT_PRODUCER_ID,
    LEADER,
    PRODUCE,
    Batch,
    Judgement,
    PartitionPromises,
    Promises,
    TopicPromises,
    fetch_request,
    produce_request,
    records_of,
)
from support.raw_client import RawClient, messages

KEYS: Final = {api.request: api.key for api in API.values()}
NAMES: Final = ("orders", "payments", "returns")
IN_FLIGHT_MAX: Final = 5
"""Batches of one producer on their way, as a client has them."""
WAITING_MAX: Final = 24
RECORDS_MAX: Final = 600
"""A partition takes no more; its topic is deleted some time."""
AGE_MAX: Final = 12
"""Calls of `run` after which a topic is deleted."""
FILLINGS: Final = (0, 100, 100, 900, 900, 6000)
SEGMENT_BYTES: Final = ("20000", "60000", "1000000")


def _nothing() -> None:
    """Between two turns."""


class Pipe(RawClient):
    """A connection with many requests in flight: each answer goes to who asked."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.socket.setblocking(False)
        self.out = bytearray()
        self.arrived = bytearray()
        self.asked: deque[tuple[int, int, Callable[[Any], None]]] = deque()
        self.is_closed = False

    def put(self, request: Message, version: int, then: Callable[[Any], None]) -> None:
        key = KEYS[type(request)]
        self.asked.append((key, version, then))
        self.out += self.frame(key, version, request)
        self.push()

    def push(self) -> None:
        """Send as much as can be sent now."""
        try:
            while self.out:
                del self.out[: self.socket.send(self.out)]
        except BlockingIOError:
            pass
        except OSError:
            self.is_closed = True

    def take(self) -> None:
        """Hand out every answer that has arrived."""
        try:
            while piece := self.socket.recv(1 << 20):
                self.arrived += piece
            self.is_closed = True
        except BlockingIOError:
            pass
        except OSError:
            self.is_closed = True
        arrived = self.arrived
        while len(arrived) >= 4 and len(arrived) >= (end := 4 + int.from_bytes(arrived[:4], "big")):
            frame = bytes(arrived[4:end])
            del arrived[:end]
            key, version, then = self.asked.popleft()
            _, position = decode_response_header(frame, key, version)
            then(decode(messages(key).RESPONSE, version, frame, position)[0])


class Load:
    """Clients that do things at random; they go on after a crash where they stopped."""

    def __init__(
        self,
        promises: Promises,
        random: Random,
        *,
        acks: tuple[int, ...] = (ALL, ALL, LEADER),
        fillings: tuple[int, ...] = FILLINGS,
        segment_bytes: tuple[str, ...] = SEGMENT_BYTES,
        records_max: int = RECORDS_MAX,
        age_max: int = AGE_MAX,
        commits: bool = True,
    ) -> None:
        self.promises = promises
        self.random = random
        self.acks = acks
        self.fillings = fillings
        self.segment_bytes = segment_bytes
        self.records_max = records_max
        self.age_max = age_max
        self.churns = True  # whether topics come and go
        self.disk_fails = False  # from now on an error is an answer as good as none
        self.on_acknowledged: Callable[[TopicPromises, int, Batch], None] | None = None
        self.problems: list[str] = []
        self.pipes: list[Pipe] = []
        self.answered = 0
        self.runs = 0
        self._deeds: list[Callable[[], None]] = [self._produce] * 12 + [self._commit] * (3 if commits else 0) + [self._churn]

    @property
    def waiting(self) -> int:
        return sum(len(pipe.asked) for pipe in self.pipes)

    def ask(self, request: Message, version: int) -> Any:
        """One request on its own, and its answer."""
        found: list[Any] = []
        self.pipes[0].put(request, version, found.append)
        deadline = time.monotonic() + 30
        while not found:
            assert time.monotonic() < deadline, f"no answer to {request} within 30 s"
            self._turn(0.1)
            assert found or not self.pipes[0].is_closed, f"the connection was closed instead of an answer to {type(request).__name__}"
        return found[0]

    def connect(self, address: str) -> None:
        """Begin anew on new connections: what was not answered is sent again, in order, when the load runs."""
        self.disk_fails = False
        self.pipes = [Pipe(address) for _ in range(4)]
        self.ask(FindCoordinatorRequest(key=GROUP, key_type=0), 2)

    def judge(self, crashed_s: float) -> list[str]:
        """Look at everything after a crash at this time, and take it for promised from now on. What is wrong with it."""
        judgement = Judgement(self.promises, self.ask, crashed_s)
        judgement.take_stock()
        return judgement.problems

    def resume(self) -> None:
        """Send again what was not answered; topics that have no producer yet get one."""
        for topic in self.promises.alive():
            for index, partition in enumerate(topic.partitions):
                if partition.producer_id < 0:
                    self._want_producer(partition)
                for batch in partition.batches:
                    self._transmit(topic, index, batch)

    def run(self, seconds: float, between: Callable[[], None] = _nothing) -> None:
        """Do things for so long; `between` is called after every turn."""
        self.runs += 1
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.problems and not any(pipe.is_closed for pipe in self.pipes):
            while self.waiting < WAITING_MAX:
                before = self.waiting
                self.random.choice(self._deeds)()
                if self.waiting == before:
                    break
            if not self.pipes[3].asked:
                self._fetch()
            self._turn(0.002)
            between()

    def settle(self, seconds: float) -> bool:
        """Wait until everything is answered, for so long at most; whether it is."""
        end = time.monotonic() + seconds
        while self.waiting and time.monotonic() < end:
            self._turn(0.02)
        return not self.waiting

    def hang_up(self, seconds: float) -> None:
        """Take what is still answered, until all is, or every connection is closed, or for so long; then close."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.waiting and not all(pipe.is_closed for pipe in self.pipes):
            self._turn(0.02)
        for pipe in self.pipes:
            pipe.close()
        self.pipes = []

    def _turn(self, wait_s: float) -> None:
        live = [pipe for pipe in self.pipes if not pipe.is_closed]
        readable, writable, _ = select.select([pipe.socket for pipe in live], [pipe.socket for pipe in live if pipe.out], [], wait_s)
        for pipe in live:
            if pipe.socket in writable:
                pipe.push()
            if pipe.socket in readable:
                pipe.take()

    # What clients do.

    def _pick(self) -> tuple[TopicPromises, int, PartitionPromises] | None:
        found = [
            (topic, index, partition)
            for topic in self.promises.alive()
            for index, partition in enumerate(topic.partitions)
            if partition.producer_id >= 0
        ]
        return self.random.choice(found) if found else None

    def _produce(self) -> None:
        place = self._pick()
        if place is None:
            self._churn()
            return
        topic, index, partition = place
        first = len(partition.values)
        if len(partition.batches) >= IN_FLIGHT_MAX or first >= self.records_max:
            return
        count = self.random.choice((1, 1, 3))
        filling = b"." * self.random.choice(self.fillings)
        partition.values += [
            b"%s/%d/%d/%d/%s" % (topic.name.encode(), index, number, self.runs, filling) for number in range(first, first + count)
        ]
        batch = Batch(first, first + count - 1, self.random.choice(self.acks), 0)
        partition.batches.append(batch)
        self._transmit(topic, index, batch)

    def _transmit(self, topic: TopicPromises, index: int, batch: Batch) -> None:
        partition = topic.partitions[index]
        batch.moment = next(self.promises.moments)

        def answered(response: Any) -> None:
            told = response.responses[0].partition_responses[0]
            if told.error_code and (topic.delete_asked or self.disk_fails):
                return
            if told.error_code or told.base_offset != batch.first:
                self.problems.append(f"{topic.name}-{index}: {batch} was answered {told}")
                return
            self.answered += 1
            self.promises.acknowledged(partition, batch, time.monotonic())
            if self.on_acknowledged is not None:
                self.on_acknowledged(topic, index, batch)

        # A partition keeps to one connection: its batches arrive in order.
        self.pipes[index % 2].put(produce_request(topic, index, batch, time.time_ns() // 1_000_000, batch.acks), PRODUCE, answered)

    def _fetch(self) -> None:
        """What a consumer is shown must stay."""
        place = self._pick()
        if place is None:
            return
        topic, index, partition = place
        start = max(0, partition.told_end - self.random.randint(0, 20))

        def answered(response: Any) -> None:
            told = response.responses[0].partitions[0]
            if told.error_code:
                if not (topic.delete_asked or self.disk_fails):
                    self.problems.append(f"{topic.name}-{index}: a fetch from {start} was answered {told.error_code}")
                return
            for offset, value in records_of(told, start):
                if offset >= len(partition.values) or value != partition.values[offset]:
                    self.problems.append(f"{topic.name}-{index}@{offset}: a consumer got {(value or b'')[:60]!r}")
                    return
                partition.kept_end = max(partition.kept_end, offset + 1)

        self.pipes[3].put(fetch_request(topic.name, index, start, 64 << 10), FETCH, answered)  # behind no answer that waits for the disk

    def _commit(self) -> None:
        place = self._pick()
        if place is None:
            return
        topic, index, partition = place
        offset = self.random.randint(0, partition.kept_end)
        partition.commits.append(offset)
        mark = len(partition.commits) - 1

        def answered(response: Any) -> None:
            if response.topics[0].partitions[0].error_code == 0:
                partition.commit_answered = max(partition.commit_answered, mark)

        part = OffsetCommitRequestPartition(partition_index=index, committed_offset=offset)
        asked = OffsetCommitRequest(group_id=GROUP, topics=[OffsetCommitRequestTopic(name=topic.name, partitions=[part])])
        self.pipes[2].put(asked, 8, answered)

    def _churn(self) -> None:
        """Make a topic if there is room for one; delete one that is old, or any."""
        if not self.churns and self.promises.alive():
            return
        used = {topic.name for topic in self.promises.topics if not topic.deleted}
        free = [name for name in NAMES if name not in used]
        alive = self.promises.alive()
        old = [topic for topic in alive if self.runs - topic.born > self.age_max]
        if old or (len(alive) == len(NAMES) and self.random.random() < 0.2):
            self._delete(self.random.choice(old or alive))
        elif free and (not alive or self.random.random() < 0.5):
            self._create(self.random.choice(free))

    def _create(self, name: str) -> None:
        topic = TopicPromises(name, [PartitionPromises() for _ in range(self.random.randint(1, 2))], self.runs)
        self.promises.topics.append(topic)
        configs = [CreatableTopicConfig(name="segment.bytes", value=self.random.choice(self.segment_bytes))]
        asked = CreatableTopic(name=name, num_partitions=len(topic.partitions), replication_factor=1, configs=configs)

        def answered(response: Any) -> None:
            told = response.topics[0]
            if told.error_code and self.disk_fails:
                return
            if told.error_code:
                self.problems.append(f"topic {name} could not be made: {told.error_code} {told.error_message}")
                return
            topic.id, topic.created = told.topic_id, True
            for partition in topic.partitions:
                self._want_producer(partition)

        self.pipes[2].put(CreateTopicsRequest(topics=[asked], timeout_ms=60_000), 7, answered)

    def _want_producer(self, partition: PartitionPromises) -> None:
        def answered(response: Any) -> None:
            if response.error_code and self.disk_fails:
                return
            if response.error_code or response.producer_id in self.promises.producer_ids:
                self.problems.append(f"producer id {response.producer_id} was given twice, or not at all: error {response.error_code}")
            self.promises.producer_ids.add(response.producer_id)
            partition.producer_id = response.producer_id

        self.pipes[2].put(InitProducerIdRequest(transactional_id=None), INIT_PRODUCER_ID, answered)

    def _delete(self, topic: TopicPromises) -> None:
        topic.delete_asked = True

        def answered(response: Any) -> None:
            if response.responses[0].error_code and self.disk_fails:
                return
            if response.responses[0].error_code:
                self.problems.append(f"topic {topic.name} could not be deleted: {response.responses[0].error_code}")
                return
            topic.deleted = True

        self.pipes[2].put(DeleteTopicsRequest(topics=[DeleteTopicState(name=topic.name)], timeout_ms=60_000), 6, answered)
