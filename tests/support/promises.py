"""What a broker has promised to clients so far, and whether what it shows after a crash keeps it. Over anything that answers requests.

* a topic whose creation was answered is there under its own id; one whose deletion was answered is not;
* a partition holds exactly what was sent to it, each record once, at its offset, in order: all that was acknowledged with acks=all, all
  that a consumer was shown, and all that was acknowledged with acks=1 before something was sent that acks=all has acknowledged since
  (commit rounds are one queue); batches are there whole or not at all;
* a committed offset is one that was asked for, and not older than the last one that was answered;
* producer ids were never given before.

Record number n of a partition is sent at offset n, by its only producer, with sequence n. What was acknowledged with acks=1 and is
gone is counted, with the time for which it had been acknowledged when the crash came.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ev.wire.codec import Message
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from ev.wire.messages.k03_metadata import MetadataRequest
from ev.wire.messages.k09_offset_fetch import OffsetFetchRequest, OffsetFetchRequestTopic
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from ev.wire.records import decode_batch, encode_batch, headers

Ask = Callable[[Message, int], Any]

GROUP = "billing"
PRODUCE, FETCH, METADATA, OFFSET_FETCH, INIT_PRODUCER_ID = 9, 11, 12, 7, 4
"""The versions that are used."""
ALL, LEADER = -1, 1
FETCH_BYTES = 4 << 20


@dataclass(slots=True)
class Batch:
    """Records first..last of a partition, sent and not answered yet."""

    first: int
    last: int
    acks: int
    moment: int


@dataclass(slots=True)
class PartitionPromises:
    """One partition of one incarnation of a topic."""

    producer_id: int = -1
    values: list[bytes] = field(default_factory=list)  # of each record that was sent, by offset
    batches: deque[Batch] = field(default_factory=deque)  # sent and not answered
    kept_end: int = 0  # everything below has to be there
    told_end: int = 0  # everything below was acknowledged, perhaps with acks=1 only
    commits: list[int] = field(default_factory=list)  # in the order of asking
    commit_answered: int = -1  # index into commits


@dataclass(slots=True)
class TopicPromises:
    """One incarnation of a topic."""

    name: str
    partitions: list[PartitionPromises]
    born: int = 0
    id: bytes | None = None
    created: bool = False
    delete_asked: bool = False
    deleted: bool = False


class Told(NamedTuple):
    """Records up to `end` were acknowledged with acks=1."""

    moment: int
    partition: PartitionPromises
    end: int
    time_s: float


@dataclass(slots=True)
class Promises:
    """Everything that was asked for and answered."""

    topics: list[TopicPromises] = field(default_factory=list)
    told: deque[Told] = field(default_factory=deque)
    producer_ids: set[int] = field(default_factory=set)
    moments: Iterator[int] = field(default_factory=itertools.count)
    lost: int = 0  # records that were acknowledged with acks=1 and are gone
    window_ms: float = 0.0  # the longest time for which one of them had been acknowledged

    def acknowledged(self, partition: PartitionPromises, batch: Batch, time_s: float) -> None:
        """The oldest batch of this partition that waits for an answer was acknowledged."""
        assert partition.batches[0] is batch, "answers come in order"
        partition.batches.popleft()
        partition.told_end = batch.last + 1
        if batch.acks == LEADER:
            self.told.append(Told(next(self.moments), partition, batch.last + 1, time_s))
            return
        partition.kept_end = max(partition.kept_end, batch.last + 1)
        while self.told and self.told[0].moment < batch.moment:
            earlier = self.told.popleft()
            earlier.partition.kept_end = max(earlier.partition.kept_end, earlier.end)

    def alive(self) -> list[TopicPromises]:
        return [topic for topic in self.topics if topic.created and not topic.delete_asked]


def produce_request(topic: TopicPromises, index: int, batch: Batch, now_ms: int, acks: int) -> ProduceRequest:
    partition = topic.partitions[index]
    records = encode_batch(
        partition.values[batch.first : batch.last + 1],
        producer_id=partition.producer_id,
        producer_epoch=0,
        base_sequence=batch.first,
        timestamps=now_ms,
    )
    data = TopicProduceData(name=topic.name, partition_data=[PartitionProduceData(index=index, records=records)])
    return ProduceRequest(acks=acks, timeout_ms=60_000, topic_data=[data])


def fetch_request(name: str, index: int, offset: int, size: int = FETCH_BYTES, wait_ms: int = 0) -> FetchRequest:
    asked = FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=size)
    return FetchRequest(
        max_wait_ms=wait_ms, min_bytes=1 if wait_ms else 0, max_bytes=size, topics=[FetchTopic(topic=name, partitions=[asked])]
    )


def records_of(fetched: Any, offset: int) -> Iterator[tuple[int, bytes | None]]:
    """(offset, value) of every record of an answer for one partition, from this offset on."""
    data = bytes(fetched.records or b"")
    for position, _ in headers(data):
        columns = decode_batch(data, position)
        yield from ((number, value) for number, value in zip(columns.offsets, columns.values, strict=True) if number >= offset)


class Judgement:
    """A look at everything that a broker shows, beside what was promised. `problems` has a line for each broken promise."""

    def __init__(self, promises: Promises, ask: Ask, crashed_s: float) -> None:
        self.promises = promises
        self.ask = ask
        self.crashed_s = crashed_s
        self.ends: dict[tuple[bytes, int], int] = {}
        self.offsets: dict[tuple[bytes, int], int] = {}
        self.found: dict[str, tuple[bytes, int]] = {}
        self.problems = list(self._look())

    def _look(self) -> Iterator[str]:
        answer = self.ask(MetadataRequest(topics=None), METADATA)
        self.found = {topic.name: (topic.topic_id, len(topic.partitions)) for topic in answer.topics if not topic.is_internal}
        for name in {topic.name for topic in self.promises.topics}:
            yield from self._topic(name)

    def _topic(self, name: str) -> Iterator[str]:
        mine = [topic for topic in self.promises.topics if topic.name == name]
        topic_id, count = self.found.get(name, (None, 0))
        current = next((topic for topic in mine if topic_id is not None and topic.id == topic_id), None)
        for topic in mine:
            if topic.created and not topic.delete_asked and topic is not current:
                yield f"topic {name} was created and is not there"
        if current is None:
            if topic_id is not None and not any(not topic.created for topic in mine):
                yield f"nobody has asked for the topic {name} that is there"
            yield from self._committed(name, None)
            return
        if current.deleted:
            yield f"topic {name} is back after its deletion was answered"
        if count != len(current.partitions):
            yield f"topic {name} has {count} partitions, it was made with {len(current.partitions)}"
        for index, partition in enumerate(current.partitions):
            yield from self._partition(current, index, partition)
        yield from self._committed(name, current)

    def _partition(self, topic: TopicPromises, index: int, partition: PartitionPromises) -> Iterator[str]:
        place, values, expected = f"{topic.name}-{index}", partition.values, 0
        assert topic.id is not None
        while True:
            answer = self.ask(fetch_request(topic.name, index, expected), FETCH).responses[0].partitions[0]
            if answer.error_code:
                yield f"{place} is not served from offset {expected} on: error {answer.error_code}"
                return
            before = expected
            for offset, value in records_of(answer, expected):
                if offset != expected:
                    yield f"{place} has offset {offset} where {expected} was due"
                    return
                if offset >= len(values) or value != values[offset]:
                    sent = values[offset][:60] if offset < len(values) else b"nothing"
                    yield f"{place}@{offset} holds {(value or b'')[:60]!r}, sent was {sent!r}"
                    return
                expected += 1
            if expected >= answer.high_watermark:
                break
            if expected == before:
                yield f"{place} could be read to {expected} of {answer.high_watermark}"
                return
        self.ends[topic.id, index] = expected
        if topic.delete_asked:
            return
        if expected < partition.kept_end:
            yield f"{place} ends at {expected}, {partition.kept_end} records were acknowledged or shown"
        if any(batch.first < expected <= batch.last for batch in partition.batches):
            yield f"{place} ends at {expected}, in the middle of a batch"
        if expected < partition.told_end:
            self.promises.lost += partition.told_end - expected
            ages = [self.crashed_s - told.time_s for told in self.promises.told if told.partition is partition and told.end > expected]
            self.promises.window_ms = max(self.promises.window_ms, *(1000 * age for age in ages), 0.0)

    def _committed(self, name: str, topic: TopicPromises | None) -> Iterator[str]:
        count = len(topic.partitions) if topic is not None else 2
        asked = OffsetFetchRequest(group_id=GROUP, topics=[OffsetFetchRequestTopic(name=name, partition_indexes=list(range(count)))])
        answer = self.ask(asked, OFFSET_FETCH)
        if answer.error_code:
            yield f"OffsetFetch answers error {answer.error_code}"
            return
        for told in answer.topics[0].partitions:
            place, offset = f"{name}-{told.partition_index}", told.committed_offset
            if topic is None:
                if offset != -1:
                    yield f"{place} has a committed offset, {offset}, and the topic is not there"
                continue
            assert topic.id is not None
            self.offsets[topic.id, told.partition_index] = offset
            partition = topic.partitions[told.partition_index]
            answered = partition.commit_answered
            if offset == -1:
                if answered >= 0 and not topic.delete_asked:
                    yield f"{place}: committed offset {partition.commits[answered]} is gone"
            elif offset not in partition.commits[max(0, answered) :]:
                asked_for = partition.commits[answered:] if answered >= 0 else partition.commits
                yield f"{place}: committed offset is {offset}, answered or asked for later were {asked_for[:5]}"
            elif offset > self.ends.get((topic.id, told.partition_index), offset):
                yield f"{place}: committed offset {offset} lies beyond the log's end"

    def goes_on(self, now_ms: int) -> Iterator[str]:
        """What is wrong with how the broker goes on: it takes what comes next, and knows what is sent again."""
        for topic in self.promises.alive():
            if self.found.get(topic.name, (None, 0))[0] != topic.id:
                continue
            for index, partition in enumerate(topic.partitions):
                assert topic.id is not None
                end = self.ends.get((topic.id, index), -1)
                if end < partition.told_end or partition.producer_id < 0:
                    continue
                if end == len(partition.values):
                    partition.values.append(b"next")
                    partition.batches.append(Batch(end, end, ALL, 0))
                for batch in partition.batches:
                    answer = self.ask(produce_request(topic, index, batch, now_ms, ALL), PRODUCE)
                    told = answer.responses[0].partition_responses[0]
                    if told.error_code or told.base_offset != batch.first:
                        yield f"{topic.name}-{index}, which ended at {end}: {batch} was answered {told}"
        answer = self.ask(InitProducerIdRequest(transactional_id=None), INIT_PRODUCER_ID)
        if answer.error_code == 0 and answer.producer_id in self.promises.producer_ids:
            yield f"producer id {answer.producer_id} was given twice"

    def take_stock(self) -> None:
        """Let what was found be what is promised from now on: it has been shown to a consumer."""
        promises = self.promises
        for topic in promises.topics:
            found_id, _ = self.found.get(topic.name, (None, 0))
            if not topic.created and topic.id is None and found_id is not None and found_id not in {each.id for each in promises.topics}:
                topic.id, topic.created = found_id, True  # asked for, never answered, and there
            alive = topic.id is not None and topic.id == found_id
            topic.deleted = topic.delete_asked = not alive
            for index, partition in enumerate(topic.partitions if alive else ()):
                assert topic.id is not None
                self._take_stock_of(partition, self.ends.get((topic.id, index), 0), self.offsets.get((topic.id, index), -1))
        promises.topics = [topic for topic in promises.topics if not topic.deleted]
        promises.told.clear()

    @staticmethod
    def _take_stock_of(partition: PartitionPromises, end: int, offset: int) -> None:
        if end < partition.told_end:
            partition.batches.clear()  # what had been acknowledged with acks=1 is gone: its sender would have to begin again
            del partition.values[end:]
        partition.kept_end = partition.told_end = end
        partition.commits, partition.commit_answered = ([offset], 0) if offset >= 0 else ([], -1)
