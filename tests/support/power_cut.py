"""A broker on a disk that forgets, a seeded workload over it, and what must hold whenever the power goes.

The promises that are checked in each image, after the real recovery has run on it:

* a topic whose creation was answered is there under its own id; one whose deletion was answered is not, nor anything of it;
* the log of a partition holds exactly what was sent to this incarnation of it, from its start offset on, each record once, at the
  offset it was acknowledged at, in order, and as far as acks=all was answered; never anything that was not sent;
* it starts nowhere beyond where it started at the moment of the crash, and all of it is below the high watermark;
* a committed offset is one that was asked for, not older than the last one that was answered, and never beyond the log;
* offsets that were committed on an earlier incarnation of a topic are not there;
* leader epochs and producer ids were never seen before;
* the client's next step works: its last batch is recognised when it is sent again, and what it had not heard of is taken.

Record number n of a partition is sent at offset n by its only producer, so a log can be judged record by record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from traceback import format_exception
from typing import Any

from ev.clock import ManualClock
from ev.errors import EvError
from ev.log.reading import Read
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
from ev.wire.messages.k09_offset_fetch import OffsetFetchRequest, OffsetFetchRequestTopic
from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from ev.wire.messages.k19_create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from ev.wire.messages.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from ev.wire.messages.k21_delete_records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from ev.wire.records import decode_batch, encode_batch, headers
from support.simulated_broker import SimulatedBroker, SimulatedClient, run_one
from support.simulated_disk import Counts, SimulatedDisk

GROUP = "billing"
NAMES = ("orders", "payments")
DUPLICATES_KEPT = 5
SEGMENT_BYTES = ("3500", "8000", "1000000")
CRASH_CHANCES = (0.25, 0.08, 0.03)


@dataclass(slots=True)
class Batch:
    """One produced batch: records first..last of its partition."""

    first: int
    last: int
    sequence: int
    acked: bool = False


@dataclass(slots=True)
class PartitionFacts:
    """What the outside knows of one partition of one incarnation of a topic."""

    producer_id: int
    batches: list[Batch] = field(default_factory=list)
    size: dict[int, int] = field(default_factory=dict)  # filling of each record
    acked_end: int = 0
    commits: list[int] = field(default_factory=list)  # in the order of asking
    commit_answered: int = -1  # index into commits
    window_first: int = 0  # what lies before was known to be acknowledged when the fifth batch after it was sent

    @property
    def resendable(self) -> list[Batch]:
        """What a client with five requests in flight may send again."""
        return [batch for batch in self.batches[-DUPLICATES_KEPT:] if batch.first >= self.window_first]

    @property
    def sent_end(self) -> int:
        return self.batches[-1].last + 1 if self.batches else 0


@dataclass(slots=True)
class TopicFacts:
    """One incarnation of a topic."""

    name: str
    config: dict[str, str]
    count: int
    id: bytes | None = None
    created: bool = False
    delete_asked: bool = False
    deleted: bool = False
    partitions: list[PartitionFacts] = field(default_factory=list)


def value_of(topic: bytes, partition: int, number: int, filling: int) -> bytes:
    return b"%s/%d/%d/" % (topic.hex().encode(), partition, number) + b"." * filling


class Life:
    """One seeded life of a broker: `run` works, and calls `at_crash` with images of the disk at drawn moments."""

    def __init__(self, seed: int, settings: Mapping[str, str], *, images: int, lies: tuple[str, ...] = ()) -> None:
        self.seed = seed
        self.settings = dict(settings)
        self.random = Random(seed)
        self.crashes = Random(seed + 1)
        self.images_left = images
        self.chance = self.crashes.choice(CRASH_CHANCES)  # of a crash at each change: many early ones, or some late ones
        self.counts = Counts()
        self.problems: list[str] = []
        self.clock = ManualClock()
        self.lies = frozenset(lies)
        self.disk = SimulatedDisk(["/data"], lies=lies)
        self.disk.before_change = self.moment
        self.incarnations: list[TopicFacts] = []
        self.producer_ids: set[int] = set()
        self.waiting: list[tuple[SimulatedClient, int, Any]] = []
        self.answers: list[str] = []
        self.changes = 0
        self.broker: SimulatedBroker | None = None
        self.clients: list[SimulatedClient] = []

    def run(self, steps: int = 200) -> None:
        """Start a broker and let clients do things, until the images are used up or the steps are. Now and then the power really goes
        (or the engine is stopped), and life goes on with what that left."""
        self.boot()
        self.send(0, FindCoordinatorRequest(key=GROUP, key_type=0), 2, None)
        self.settle()
        self.create(NAMES[0])
        self.settle()
        deeds = [self.produce] * 8 + [self.resend] * 3 + [self.commit] * 3 + [self.turn] * 6 + [self.settle] * 2
        deeds += [self.pass_time] * 4 + [self.delete_records, self.delete] + [self.create_any] * 2
        for _ in range(steps):
            if self.images_left <= 0 or self.problems:
                return
            if self.random.random() < 0.015:
                self.start_again()
            else:
                self.random.choice(deeds)()
        self.settle()

    def boot(self) -> None:
        self.broker = SimulatedBroker(self.disk, seed=self.random.getrandbits(32), settings=self.settings, clock=self.clock)
        self.clients = [self.broker.connect(), self.broker.connect()]
        self.waiting = []

    def start_again(self) -> None:
        """Stop cleanly, or lose power for good; then take what is found for what was promised: it has been shown to consumers."""
        assert self.broker is not None
        if self.random.random() < 0.4:
            self.settle()
            self.broker.broker.upkeep.stop()
            self.broker.store.close(clean=True)
            self.harvest()
            if self.random.random() < 0.5:
                self.disk = self.disk.crash_image(Random(self.random.getrandbits(32)))
        else:
            self.disk = self.disk.crash_image(Random(self.random.getrandbits(32)))
        self.broker = None
        self.disk.locked.clear()
        self.disk.lies = self.lies
        self.disk.before_change = self.moment
        self.clock = ManualClock(self.clock.wall_ms() + 1000)
        self.boot()
        self.disk.before_change = None  # what follows only looks
        self.take_stock()
        self.disk.before_change = self.moment

    def take_stock(self) -> None:
        """Let the facts be what the recovered engine shows, which was judged to be within the promises."""
        assert self.broker is not None
        self.problems.extend(f"seed {self.seed}, after a restart: {problem}" for problem in judge(self, self.broker, None, thorough=False))
        for topic in self.incarnations:
            known = self.broker.broker.topics.get(topic.name)
            alive = topic.created and known is not None and known.id == topic.id
            topic.deleted = topic.delete_asked = not alive
            for index, facts in enumerate(topic.partitions if alive else ()):
                self.take_stock_of(topic, index, facts)
        known_ids = {topic.id for topic in self.incarnations}
        for known in list(self.broker.broker.topics):
            if known.name in NAMES and known.id not in known_ids:  # asked for, never answered, and there
                found = TopicFacts(known.name, dict(known.config), known.partition_count, known.id, created=True)
                self.incarnations.append(found)

    def take_stock_of(self, topic: TopicFacts, index: int, facts: PartitionFacts) -> None:
        assert self.broker is not None
        partition = self.broker.store.partition(topic.name, index)
        if partition is None:
            return
        facts.batches = [batch for batch in facts.batches if batch.last < partition.end_offset]
        for batch in facts.batches:
            batch.acked = True
        facts.acked_end = partition.end_offset
        request = OffsetFetchRequest(group_id=GROUP, topics=[OffsetFetchRequestTopic(name=topic.name, partition_indexes=[index])])
        offset = self.broker.ask(request, 7).topics[0].partitions[0].committed_offset
        facts.commits, facts.commit_answered = ([offset], 0) if offset >= 0 else ([], -1)

    # Crashes.

    def moment(self, operation: str, path: str) -> None:
        """Before a change of the disk: perhaps the power goes now."""
        self.changes += 1
        if self.images_left <= 0 or self.crashes.random() > self.chance:
            return
        self.harvest()
        for _ in range(self.crashes.randint(1, 4)):
            self.images_left -= 1
            self.crash(self.disk, f"before change {self.changes}, {operation} {path}")

    def crash(self, disk: SimulatedDisk, where: str, depth: int = 0) -> None:
        """Take an image, recover on it, judge. Now and then the power goes again while it recovers."""
        seed = self.crashes.getrandbits(32)
        image = disk.crash_image(Random(seed), self.counts)
        starts = self.start_offsets()
        again = depth == 0 and self.crashes.random() < 0.1

        def moment(operation: str, path: str) -> None:
            if self.crashes.random() < 0.05:
                self.crash(image, f"{where}; recovering, {operation} {path}", depth + 1)

        if again:
            image.before_change = moment
        where = f"seed {self.seed}, image {seed}, {where}"
        try:
            found = SimulatedBroker(image, seed=seed, settings=self.settings, clock=ManualClock(self.clock.wall_ms() + 1000))
            image.before_change = None
            self.problems.extend(f"{where}: {problem}" for problem in judge(self, found, starts, thorough=self.crashes.random() < 0.15))
        except (EvError, AssertionError, BufferError, OSError, LookupError, TypeError, ValueError) as problem:
            self.problems.append(f"{where}: the recovered engine fails: {problem!r}\n{''.join(format_exception(problem))}")

    def start_offsets(self) -> dict[tuple[bytes, int], int] | None:
        """Where each log starts now, in memory: retention and DeleteRecords have not gone further."""
        if self.broker is None:
            return None
        found = {}
        for topic in self.incarnations:
            for index in range(topic.count):
                partition = self.broker.store.partition(topic.name, index)
                if topic.id is not None and partition is not None and partition.topic_id == topic.id:
                    found[topic.id, index] = partition.log_start_offset
        return found

    # Requests and answers.

    def send(self, client: int, request: Any, version: int, then: Any) -> None:
        self.waiting.append((self.clients[client], self.clients[client].send(request, version), then))

    def harvest(self) -> None:
        """Take note of every answer that has arrived."""
        rest = []
        for client, token, then in self.waiting:
            if token not in client.replies:
                rest.append((client, token, then))
            elif then is not None:
                then(client.replies[token])
        self.waiting = rest

    def settle(self) -> None:
        assert self.broker is not None
        while run_one(self.broker.world, self.random):
            pass
        self.harvest()

    def turn(self) -> None:
        """Let a few things happen."""
        assert self.broker is not None
        for _ in range(self.random.randint(1, 3)):
            run_one(self.broker.world, self.random)
        self.harvest()

    def pass_time(self) -> None:
        assert self.broker is not None
        self.broker.world.advance(self.random.choice((1, 20, 200)))
        self.turn()

    # What clients do.

    def alive(self) -> list[TopicFacts]:
        return [topic for topic in self.incarnations if topic.created and not topic.delete_asked]

    def create_any(self) -> None:
        free = [name for name in NAMES if all(topic.deleted for topic in self.incarnations if topic.name == name)]
        if free:
            self.create(self.random.choice(free))

    def create(self, name: str) -> None:
        config = {"segment.bytes": self.random.choice(SEGMENT_BYTES)}
        if self.random.random() < 0.5:
            config["retention.bytes"] = self.random.choice(("1", "6000"))
        topic = TopicFacts(name, config, self.random.randint(1, 2))
        self.incarnations.append(topic)
        asked = CreatableTopic(
            name=name,
            num_partitions=topic.count,
            replication_factor=1,
            configs=[CreatableTopicConfig(name=key, value=value) for key, value in config.items()],
        )

        def answered(response: Any) -> None:
            assert response.topics[0].error_code == 0, response
            topic.id = response.topics[0].topic_id
            topic.created = True

        self.send(0, CreateTopicsRequest(topics=[asked], timeout_ms=10_000), 7, answered)
        for _ in range(topic.count):
            self.send(1, InitProducerIdRequest(transactional_id=None), 4, lambda response: self.new_producer(topic, response))

    def new_producer(self, topic: TopicFacts, response: Any) -> None:
        assert response.error_code == 0, response
        if response.producer_id in self.producer_ids:
            self.problems.append(f"seed {self.seed}: producer id {response.producer_id} was given twice")
        self.producer_ids.add(response.producer_id)
        topic.partitions.append(PartitionFacts(response.producer_id))

    def pick(self) -> tuple[TopicFacts, int] | None:
        found = [(topic, index) for topic in self.alive() for index in range(len(topic.partitions))]
        return self.random.choice(found) if found else None

    def produce(self) -> None:
        """Up to five batches in flight per partition, as a client would have."""
        place = self.pick()
        if place is None:
            return
        topic, index = place
        facts = topic.partitions[index]
        if sum(not batch.acked for batch in facts.batches) >= DUPLICATES_KEPT:
            return
        first = facts.sent_end
        batch = Batch(first, first + self.random.choice((0, 0, 2)), first)
        big = self.random.random() < 0.02 and topic.config["segment.bytes"] == SEGMENT_BYTES[-1]
        for number in range(batch.first, batch.last + 1):
            facts.size[number] = 300_000 if big else self.random.choice((0, 10, 500, 900))
        facts.batches.append(batch)
        facts.window_first = max(facts.window_first, facts.batches[-DUPLICATES_KEPT:][0].first)
        self.transmit(0, topic, index, batch)

    def resend(self) -> None:
        """A batch again, on another connection: the answer was late, or lost. Not one that was deleted since, and maybe forgotten."""
        place = self.pick()
        if place is None or self.broker is None:
            return
        partition = self.broker.store.partition(place[0].name, place[1])
        start = partition.log_start_offset if partition is not None else 0
        batches = [batch for batch in place[0].partitions[place[1]].resendable if batch.first >= start]
        if batches:
            self.transmit(1, *place, self.random.choice(batches))

    def transmit(self, client: int, topic: TopicFacts, index: int, batch: Batch) -> None:
        facts = topic.partitions[index]

        def answered(response: Any) -> None:
            told = response.responses[0].partition_responses[0]
            if topic.delete_asked:
                return
            if told.error_code != 0 or told.base_offset != batch.first:
                self.problems.append(f"seed {self.seed}: batch {batch} was answered {told}")
                return
            batch.acked = True
            facts.acked_end = max(facts.acked_end, batch.last + 1)

        self.send(client, produce_request(topic, index, batch, self.clock.wall_ms()), 9, answered)

    def commit(self) -> None:
        """Commit an offset that was read, so below what was acknowledged."""
        place = self.pick()
        if place is None:
            return
        topic, index = place
        facts = topic.partitions[index]
        offset = self.random.randint(0, facts.acked_end)
        facts.commits.append(offset)
        mark = len(facts.commits) - 1

        def answered(response: Any) -> None:
            if response.topics[0].partitions[0].error_code == 0:
                facts.commit_answered = max(facts.commit_answered, mark)

        part = OffsetCommitRequestPartition(partition_index=index, committed_offset=offset)
        request = OffsetCommitRequest(group_id=GROUP, topics=[OffsetCommitRequestTopic(name=topic.name, partitions=[part])])
        self.send(self.random.randint(0, 1), request, 8, answered)

    def delete_records(self) -> None:
        place = self.pick()
        if place is not None:
            topic, index = place
            part = DeleteRecordsPartition(partition_index=index, offset=self.random.randint(0, topic.partitions[index].acked_end))
            request = DeleteRecordsRequest(topics=[DeleteRecordsTopic(name=topic.name, partitions=[part])], timeout_ms=10_000)
            self.send(0, request, 1, None)

    def delete(self) -> None:
        topics = self.alive()
        if not topics or self.random.random() < 0.5:
            return
        topic = self.random.choice(topics)
        topic.delete_asked = True

        def answered(response: Any) -> None:
            assert response.responses[0].error_code == 0, response
            topic.deleted = True

        self.send(0, DeleteTopicsRequest(topics=[DeleteTopicState(name=topic.name)], timeout_ms=10_000), 6, answered)


def produce_request(topic: TopicFacts, index: int, batch: Batch, now_ms: int) -> ProduceRequest:
    facts = topic.partitions[index]
    assert topic.id is not None
    values = [value_of(topic.id, index, number, facts.size[number]) for number in range(batch.first, batch.last + 1)]
    records = encode_batch(values, producer_id=facts.producer_id, producer_epoch=0, base_sequence=batch.sequence, timestamps=now_ms)
    data = TopicProduceData(name=topic.name, partition_data=[PartitionProduceData(index=index, records=records)])
    return ProduceRequest(acks=-1, timeout_ms=30_000, topic_data=[data])


def judge(life: Life, found: SimulatedBroker, starts: dict[tuple[bytes, int], int] | None, *, thorough: bool) -> Iterator[str]:
    """Everything that is wrong with a recovered broker."""
    for name in NAMES:
        mine = [topic for topic in life.incarnations if topic.name == name]
        topic = found.broker.topics.get(name)
        current = next((facts for facts in mine if topic is not None and facts.id == topic.id), None)
        for facts in mine:
            if facts.created and not facts.delete_asked and current is not facts:
                yield f"topic {name} was created and is not there"
        if topic is None or current is None:
            # It may be there without an answer yet; then nothing was ever sent to it.
            if topic is not None and any(list(read(found, name, index, 0)) for index in range(topic.partition_count)):
                yield f"a topic {name} that nobody knows holds records"
            yield from judge_offsets(found, name, None)
            continue
        if current.deleted:
            yield f"topic {name} is back after its deletion was answered"
        for index, known in enumerate(current.partitions):
            start = starts.get((topic.id, index), 0) if starts is not None else None
            yield from judge_partition(found, current, index, known, start)
        yield from judge_offsets(found, name, current)
        if thorough and not current.delete_asked:
            for index, known in enumerate(current.partitions):
                yield from judge_continuation(found, current, index, known)
    if thorough:
        response = found.ask(InitProducerIdRequest(transactional_id=None), 4)
        if response.error_code == 0 and response.producer_id in life.producer_ids:
            yield f"producer id {response.producer_id} was given twice"


def read(found: SimulatedBroker, name: str, index: int, start: int) -> Iterator[tuple[int, bytes | None]]:
    """Every record below the high watermark, by the partition's own reading."""
    partition = found.store.partition(name, index)
    if partition is None:
        return
    offset = max(start, partition.log_start_offset)
    while offset < partition.high_watermark:
        result = partition.read(offset, 1 << 20, at_least_one=True)
        if not isinstance(result, Read):
            result = result.run()
        data = b"".join(result.pieces)
        for position, header in headers(data):
            columns = decode_batch(data[position : position + header.size])
            yield from ((number, value) for number, value in zip(columns.offsets, columns.values, strict=True) if number >= offset)
        assert result.next_offset > offset, "a read below the high watermark gets on"
        offset = result.next_offset


def judge_partition(found: SimulatedBroker, topic: TopicFacts, index: int, facts: PartitionFacts, start: int | None) -> Iterator[str]:
    partition = found.store.partition(topic.name, index)
    place = f"{topic.name}-{index}"
    if partition is None or partition.damaged:
        if not topic.delete_asked:
            yield f"{place} is not served: {partition and partition.damaged}"
        return
    assert topic.id is not None
    if start is not None and partition.log_start_offset > start:
        yield f"{place} starts at {partition.log_start_offset}, before the crash it started at {start}"
    if partition.high_watermark != partition.end_offset:
        yield f"{place} ends at {partition.end_offset} but shows {partition.high_watermark}"
    expected = partition.log_start_offset
    for offset, value in read(found, topic.name, index, 0):
        if offset != expected:
            yield f"{place} has offset {offset} where {expected} was due"
            return
        if offset not in facts.size or value != value_of(topic.id, index, offset, facts.size[offset]):
            yield f"{place}@{offset} holds {(value or b'')[:60]!r}, which was not sent there"
            return
        expected += 1
    if expected != partition.end_offset:
        yield f"{place} could be read to {expected} of {partition.end_offset}"
    if partition.end_offset < facts.acked_end and not topic.delete_asked:
        yield f"{place} ends at {partition.end_offset}, acknowledged was {facts.acked_end}"


def judge_offsets(found: SimulatedBroker, name: str, topic: TopicFacts | None) -> Iterator[str]:
    """Committed offsets of this name: those of the current incarnation, and nothing of an earlier one."""
    request = OffsetFetchRequest(group_id=GROUP, topics=[OffsetFetchRequestTopic(name=name, partition_indexes=[0, 1])])
    response = found.ask(request, 7)
    if response.error_code != 0:
        yield f"OffsetFetch answers {response.error_code}"
        return
    for told in response.topics[0].partitions:
        facts = topic.partitions[told.partition_index] if topic and told.partition_index < len(topic.partitions) else None
        offset = told.committed_offset
        if facts is None:
            if offset != -1:
                yield f"{name}-{told.partition_index} has a committed offset, {offset}, of an earlier life"
            continue
        if offset == -1:
            if facts.commit_answered >= 0 and topic is not None and not topic.delete_asked:
                yield f"{name}-{told.partition_index}: committed offset {facts.commits[facts.commit_answered]} is gone"
            continue
        if offset not in facts.commits[max(0, facts.commit_answered) :]:
            yield f"{name}-{told.partition_index}: committed offset {offset}, answered was {facts.commits[facts.commit_answered]}"
        partition = found.store.partition(name, told.partition_index)
        if partition is not None and offset > partition.end_offset:
            yield f"{name}-{told.partition_index}: committed offset {offset} lies beyond the log's end, {partition.end_offset}"


def judge_continuation(found: SimulatedBroker, topic: TopicFacts, index: int, facts: PartitionFacts) -> Iterator[str]:
    """The client comes back: it sends again whatever it may have to, whether it survived or not."""
    partition = found.store.partition(topic.name, index)
    if partition is None:
        return
    for batch in facts.resendable:
        if batch.first < partition.log_start_offset:
            continue  # deleted, and the memory of it may be too
        end = partition.end_offset
        response = found.ask(produce_request(topic, index, batch, found.clock.wall_ms()), 9)
        told = response.responses[0].partition_responses[0]
        if told.error_code != 0 or told.base_offset != batch.first:
            yield f"{topic.name}-{index}: batch {batch} sent again was answered {told} by a log that ended at {end}"
        if partition.end_offset != max(end, batch.last + 1):
            yield f"{topic.name}-{index}: batch {batch} sent again moved the end from {end} to {partition.end_offset}"
