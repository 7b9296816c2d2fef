"""What must hold of a log that a power cut has stopped, beside what was done to it before (`support.log_life` does it).

* a topic whose record was synced is there, one whose deletion was synced is not, and no partition is damaged;
* a log holds what was appended to this incarnation of it, byte for byte, from where it started at the crash on, and as far as was
  acknowledged or shown; a compacted one holds the newest record of every key, and nothing that was not appended;
* the producers' next sequences, the open and the aborted transactions are those of the log, up to where it ends;
* the leader epoch was never seen before, and every batch carries the epoch that the partition's table says;
* the log goes on: a batch that is sent again is recognised, the next one is taken, and a clean stop and start change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ev.broker.replay import replayed
from ev.broker.topics import Topic, Topics, read_record
from ev.clock import ManualClock
from ev.log.config import TopicConfig
from ev.log.partition import Partition
from ev.log.reading import ReadLater
from ev.log.store import Store
from ev.randomness import SeededRandomness
from ev.settings import Settings
from ev.wire.batch_header import CRC_START
from ev.wire.records import CONTROL, decode_batch, encode_batch, headers
from support.simulated_disk import SimulatedDisk

DIRECTORY = "/data"
RESENDABLE = 5


@dataclass(slots=True)
class Sent:
    """A batch that was appended; markers too, which have no producer's sequence."""

    first: int
    last: int
    batch: bytes
    producer_id: int
    sequence: int
    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)


@dataclass(slots=True)
class Ended:
    """A transaction with its marker."""

    producer_id: int
    first: int
    marker: int
    commits: bool


@dataclass(slots=True)
class LogFacts:
    """What was done to one partition of one incarnation of a topic."""

    producer_id: int
    sent: list[Sent] = field(default_factory=list)
    end: int = 0
    kept_end: int = 0  # acknowledged, or shown
    began: int | None = None  # the first offset of the transaction that is open
    ended: list[Ended] = field(default_factory=list)
    sequence: int = 0
    window_first: int = 0  # what lies before was known to be acknowledged when the fifth batch after it was sent

    @property
    def resendable(self) -> list[Sent]:
        """What a client with five requests in flight may send again."""
        mine = [each for each in self.sent if each.producer_id == self.producer_id][-RESENDABLE:]
        return [each for each in mine if each.first >= self.window_first]

    @property
    def transactional_id(self) -> int:
        """The producer id of the transactions."""
        return self.producer_id + 1


@dataclass(slots=True)
class LogTopic:
    """One incarnation of a topic."""

    name: str
    id: bytes
    config: TopicConfig
    partitions: list[LogFacts]
    noted: bool = False  # its record is synced, and its directories are there
    delete_asked: bool = False
    deleted: bool = False


class Opened:
    """A store that was opened on a disk, with the topics that its metadata log names."""

    def __init__(self, disk: SimulatedDisk, settings: Settings, clock: ManualClock, seed: int) -> None:
        self.disk = disk
        self.clock = clock
        self.store = Store.open(disk, DIRECTORY, settings, clock, SeededRandomness(seed))
        self.topics = Topics()
        for key, value in replayed(self.store.metadata):
            _, name, state = read_record(key or b"", value)
            self.topics.replay(name, state)
        configs = {topic.name: (topic.id, topic.partition_count, config_of(topic)) for topic in self.topics}
        self.store.open_topics(configs, self.topics.deleted)

    def commit(self) -> None:
        """Everything that was appended is on disk when this returns."""
        committer = self.store.committer
        while (taken := committer.take(self.clock.monotonic_ms())) is not None:
            taken.run()
            committer.done(taken)


def config_of(topic: Topic) -> TopicConfig:
    """A topic's settings, which these scripts keep in its record as plain numbers."""
    given = topic.config
    policy = ("compact",) if given["policy"] == "compact" else ("delete",)
    return TopicConfig(
        segment_bytes=int(given["segment"]),
        retention_bytes=int(given["retention"]),
        cleanup_policy=policy,
        min_cleanable_ratio=0.01,
        file_delete_delay_ms=10,
        index_interval_bytes=300,
    )


def transactions_of(facts: LogFacts, end: int) -> tuple[int | None, list[Ended]]:
    """(the first offset of the open transaction, those that have ended) in a log that goes up to `end`."""
    ended = [each for each in facts.ended if each.marker < end]
    cut = [each.first for each in facts.ended if each.first < end <= each.marker]
    began = facts.began if facts.began is not None and facts.began < end else None
    return (cut[0] if cut else began), ended


def judge(topics: Sequence[LogTopic], found: Opened, starts: dict[tuple[bytes, int], int] | None, epoch: int) -> Iterator[str]:
    """Everything that is wrong with a recovered store; `epoch` is the newest that was in use when the power went."""
    if found.store.epoch <= epoch:
        yield f"the leader epoch is {found.store.epoch}, {epoch} was in use before"
    if found.store.metadata.damaged:
        yield f"the metadata log is damaged: {found.store.metadata.damaged}"
    for topic in topics:
        known = found.topics.get(topic.name)
        there = known is not None and known.id == topic.id
        if topic.noted and not topic.delete_asked and not there:
            yield f"topic {topic.name} was made and is not there"
        if topic.deleted and there:
            yield f"topic {topic.name} is back after its deletion"
        for index, facts in enumerate(topic.partitions if there else ()):
            partition = found.store.partition(topic.name, index)
            if partition is None or partition.damaged:
                yield f"{topic.name}-{index} is not served: {partition and partition.damaged}"
                continue
            start = starts.get((topic.id, index)) if starts is not None else None
            if start is not None and partition.log_start_offset > start:
                yield f"{partition.name} starts at {partition.log_start_offset}, before the crash it started at {start}"
            if partition.end_offset < facts.kept_end and not topic.delete_asked:
                yield f"{partition.name} ends at {partition.end_offset}, {facts.kept_end} was acknowledged or shown"
            yield from judge_log(topic, facts, partition)
            yield from judge_producers(facts, partition)


def judge_log(topic: LogTopic, facts: LogFacts, partition: Partition) -> Iterator[str]:
    """Every batch from the log's start to its end."""
    by_offset = {sent.first: sent for sent in facts.sent}
    expected = partition.log_start_offset
    newest: dict[bytes, int] = {}
    for data, position, header in batches(partition):
        sent = by_offset.get(header.base_offset)
        if header.leader_epoch != partition.epochs.at(max(header.base_offset, partition.log_start_offset)):
            yield f"{partition.name}@{header.base_offset} has leader epoch {header.leader_epoch}, the table says {partition.epochs.entries}"
        if topic.config.compacted:
            for offset, key, value in _records(data, position):
                mine = next((each for each in facts.sent if each.first <= offset <= each.last), None)
                if mine is None or (key, value) != (mine.keys[offset - mine.first], mine.values[offset - mine.first]):
                    yield f"{partition.name}@{offset} holds {key!r}, {(value or b'')[:60]!r}, which was not appended there"
                    return
                newest[key or b""] = offset
            continue
        last = header.base_offset + header.last_offset_delta
        if header.base_offset != expected and (expected != partition.log_start_offset or not header.base_offset <= expected <= last):
            yield f"{partition.name} has offset {header.base_offset} where {expected} was due"
            return
        if sent is None or last != sent.last:
            yield f"{partition.name}@{header.base_offset} holds a batch that was not appended there"
            return
        if sent.batch and data[position + CRC_START : position + header.size] != sent.batch[CRC_START:]:
            yield f"{partition.name}@{header.base_offset} holds other bytes than were appended"
            return
        if not sent.batch and not header.attributes & CONTROL:
            yield f"{partition.name}@{header.base_offset} is no marker"
        expected = last + 1
    if topic.config.compacted:
        yield from _judge_keys(facts, partition, newest)
    elif expected != partition.end_offset:
        yield f"{partition.name} could be read to {expected} of {partition.end_offset}"
    if partition.high_watermark != partition.end_offset:
        yield f"{partition.name} ends at {partition.end_offset} but shows {partition.high_watermark}"


def _judge_keys(facts: LogFacts, partition: Partition, newest: dict[bytes, int]) -> Iterator[str]:
    """A compacted log has the newest record of each key that was acknowledged, or one that was sent later."""
    last: dict[bytes, int] = {}
    for sent in facts.sent:
        if sent.last < facts.kept_end:
            last |= {key or b"": sent.first + number for number, key in enumerate(sent.keys)}
    for key, offset in last.items():
        if newest.get(key, -1) < offset:
            yield f"{partition.name} has {key!r} at {newest.get(key)}, its newest record was at {offset} and acknowledged"


def _records(data: memoryview, position: int) -> Iterator[tuple[int, bytes | None, bytes | None]]:
    columns = decode_batch(data, position)
    yield from zip(columns.offsets, columns.keys, columns.values, strict=True)


def batches(partition: Partition) -> Iterator[tuple[memoryview, int, Any]]:
    """(bytes, place in them, header) of every batch below the high watermark, by the partition's own reading."""
    offset = partition.log_start_offset
    while offset < partition.high_watermark:
        answer = partition.read(offset, 1 << 20, at_least_one=True)
        result = answer.run() if isinstance(answer, ReadLater) else answer
        if result.next_offset <= offset:
            return  # whoever reads to the end notices
        data = memoryview(b"".join(result.pieces))
        for position, header in headers(data):
            yield data, position, header
        offset = result.next_offset


def judge_producers(facts: LogFacts, partition: Partition) -> Iterator[str]:
    """What the partition remembers of producers and transactions is what its log says."""
    start, end = partition.log_start_offset, partition.end_offset
    last: dict[int, Sent] = {}
    for sent in facts.sent:
        if sent.last < end and sent.sequence >= 0:
            last[sent.producer_id] = sent
    for producer_id, sent in last.items():
        known = partition.producers.by_id.get(producer_id)
        following = sent.sequence + sent.last - sent.first + 1
        later = sum(each.producer_id == producer_id and each.first > sent.last for each in facts.sent)
        if later >= RESENDABLE and known is not None and known.next_sequence == -1:
            continue  # what was lost had taken the place of what is there in the memory of the last five
        if sent.first < start and (known is None or known.next_sequence == -1):
            continue  # forgotten with the records
        if known is None or known.next_sequence != following:
            yield f"{partition.name}: producer {producer_id} goes on with {known and known.next_sequence}, {following} was due"
    began, ended = transactions_of(facts, end)
    open_now = {producer_id: beginning.offset for producer_id, beginning in partition.transactions.open.items()}
    expected = {facts.transactional_id: began} if began is not None else {}
    if open_now != expected and (began is None or began >= start):
        yield f"{partition.name}: open transactions are {open_now}, {expected} was due"
    if start == end:
        return
    aborted = [each for each in ended if not each.commits and each.marker >= start]
    whole = {(each.producer_id, each.first) for each in aborted if each.first >= start}
    told = partition.aborted_transactions(start, end)
    begun_before = [
        (each.first, each.marker) for each in aborted if each.first < start
    ]  # its first batch may be forgotten with its segment
    rest = [each for each in told if each not in whole and not any(first <= each[1] < marker for first, marker in begun_before)]
    if rest or not whole.issubset(told):
        yield f"{partition.name}: aborted transactions are {told}, {sorted(whole)} was due"


def judge_continuation(topics: Sequence[LogTopic], found: Opened, settings: Settings) -> Iterator[str]:
    """The log goes on, and a clean stop and start change nothing."""
    ends = {}
    for topic in topics:
        known = found.topics.get(topic.name)
        if known is None or known.id != topic.id:
            continue
        for index, facts in enumerate(topic.partitions):
            partition = found.store.partition(topic.name, index)
            assert partition is not None
            now_ms, end = found.clock.wall_ms(), partition.end_offset
            for sent in facts.resendable:
                if partition.log_start_offset <= sent.first and sent.last < end:
                    appended = partition.append(sent.batch, now_ms, at_once=False)
                    if not appended.duplicate or appended.base_offset != sent.first:
                        yield f"{partition.name}: the batch at {sent.first} was sent again and appended as {appended}"
            appended = partition.append(encode_batch([b"next"], keys=[b"next"], timestamps=now_ms), now_ms, at_once=False)
            if appended.base_offset != end:
                yield f"{partition.name} ended at {end}, what came next was appended as {appended}"
            ends[topic.name, index] = partition.end_offset
    found.commit()
    found.store.close(clean=True)
    found.disk.locked.clear()
    again = Opened(found.disk, settings, ManualClock(found.clock.wall_ms() + 1000), 1)
    for (name, index), end in ends.items():
        partition = again.store.partition(name, index)
        if partition is None or partition.end_offset != end:
            yield f"{name}-{index} ended at {end}, after a clean stop and start at {partition and partition.end_offset}"
