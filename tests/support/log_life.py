"""The engine's log without its broker on a disk that forgets: a seeded script of what is done to it, cut off by the power.

What `support.power_cut` does with the whole broker, one level below: a store is driven by hand, so that an image costs a fraction and
everything that only the log knows can be looked at. Scripts append (idempotent, transactional, keyed), commit, flush, roll, take
checkpoints, compact, delete records, keep to retention, make topics and delete them by the real records of the metadata log, stop and
start. On each image the real recovery runs; `support.log_judgement` says what must hold then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from traceback import format_exception

from ev.broker.topics import Topic, deletion_record, topic_record
from ev.clock import ManualClock
from ev.errors import EvError
from ev.log.cleaning import Swap
from ev.log.commit import Round
from ev.log.partition import Partition
from ev.log.store import Store
from ev.log.transactions import Marker
from ev.settings import Settings
from ev.wire.records import TRANSACTIONAL, encode_batch
from support.log_judgement import (
    DIRECTORY,
    Ended,
    LogFacts,
    LogTopic,
    Opened,
    Sent,
    config_of,
    judge,
    judge_continuation,
    transactions_of,
)
from support.simulated_disk import SimulatedDisk

NAMES = ("orders", "payments")
CRASH_CHANCES = (0.3, 0.1, 0.03)
RARE_CRASH_CHANCE = 0.4
"""While something happens that does not happen in every life."""
KEYS = tuple(b"key-%d" % number for number in range(6))


class LogLife:
    """One seeded script. `distinct` collects a number for each image that recovery ran on; one that is in it is not looked at again."""

    def __init__(self, seed: int, settings: Settings, *, images: int, distinct: set[int]) -> None:
        self.seed = seed
        self.settings = settings
        self.random = Random(seed)
        self.crashes = Random(seed + 1)
        self.images_left = images
        self.distinct = distinct
        self.images = 0
        self.in_flight = 0
        self.chance = self.crashes.choice(CRASH_CHANCES)
        self.problems: list[str] = []
        self.incarnations: list[LogTopic] = []
        self.ids = 0
        self.epoch = -1
        self.clock = ManualClock()
        self.disk = SimulatedDisk([DIRECTORY])
        self.opened: Opened | None = None
        self._begin()

    def _begin(self) -> None:
        self.round: Round | None = None
        self.background: deque[tuple[Callable[[], None], Callable[[], None], float]] = deque()  # what to run, what then, crashes meanwhile
        self.acks: list[tuple[int, LogFacts, int]] = []
        self.actions: list[tuple[int, Callable[[], None]]] = []
        self.disk.before_change = self.moment
        self.opened = None
        self.opened = Opened(self.disk, self.settings, self.clock, self.random.getrandbits(32))
        self.epoch = self.opened.store.epoch

    @property
    def store(self) -> Store:
        assert self.opened is not None
        return self.opened.store

    def run(self, steps: int = 150) -> None:
        """Do things until the images are used up or the steps are, or something fails."""
        try:
            self._run(steps)
        except (EvError, AssertionError, OSError, LookupError) as problem:
            self.problems.append(f"seed {self.seed}: the log fails: {problem!r}\n{''.join(format_exception(problem))}")

    def _run(self, steps: int) -> None:
        self.create()
        self.settle()
        deeds: list[Callable[[], None]] = [self.append] * 10 + [self.commit] * 6 + [self.transact] * 3 + [self.resend] * 2
        deeds += [self.flush] * 2 + [self.upkeep] * 4 + [self.pass_time] * 2 + [self.delete_records, self.delete, self.create]
        for _ in range(steps):
            if self.images_left <= 0 or self.problems:
                return
            if self.random.random() < 0.02:
                self.start_again()
            else:
                self.random.choice(deeds)()
        self.settle()

    # The store's wheels.

    def commit(self) -> None:
        """A half of a round: take it, or have it run and reported."""
        committer = self.store.committer
        if self.round is None:
            self.round = committer.take(self.clock.monotonic_ms())
            return
        self.round.run()
        committer.done(self.round)
        self.round = None
        self.answered()

    def answered(self) -> None:
        """What waited for a round that is synced: appends are acknowledged, topics made and removed, and readers see it."""
        synced = self.store.committer.synced_round
        for number, facts, end in self.acks:
            if number <= synced:
                facts.kept_end = max(facts.kept_end, end)
        self.acks = [ack for ack in self.acks if ack[0] > synced]
        due = [action for number, action in self.actions if number <= synced]
        self.actions = [action for action in self.actions if action[0] > synced]
        for action in due:
            action()
        self.look()

    def look(self) -> None:
        """A consumer looks at the end of each log: what it is shown has to stay."""
        for topic in self.alive():
            for index, facts in enumerate(topic.partitions):
                partition = self.store.partition(topic.name, index)
                if partition is not None:
                    facts.kept_end = max(facts.kept_end, partition.high_watermark)

    def flush(self) -> None:
        taken = self.store.committer.take_flush(self.clock.monotonic_ms(), at_once=self.random.random() < 0.5)
        if taken is not None:
            self.background.append((taken.run, lambda: self.store.committer.flush_done(taken), self.chance))

    def upkeep(self) -> None:
        """One thing in the background, as the one thread for it would; or find out what there is to do."""
        if self.background:
            run, done, chance = self.background.popleft()
            before, self.chance = self.chance, chance
            run()
            done()
            self.chance = before
            return
        for chore in self.store.chores(self.clock.monotonic_ms()):
            self.background.append((chore.run, chore.done, RARE_CRASH_CHANCE if isinstance(chore, Swap) else self.chance))
        cleaning = self.store.next_cleaning(self.clock.monotonic_ms())
        if cleaning is not None:
            before, self.chance = self.chance, RARE_CRASH_CHANCE
            cleaning.done(cleaning.job.run(self.disk))
            self.chance = before

    def pass_time(self) -> None:
        self.clock.advance(self.random.choice((1, 20, 200)))

    def settle(self) -> None:
        while self.round is not None or self.store.committer.dirty:
            self.commit()

    # What is done to the log.

    def alive(self) -> list[LogTopic]:
        return [topic for topic in self.incarnations if topic.noted and not topic.delete_asked]

    def pick(self) -> tuple[LogTopic, LogFacts, Partition] | None:
        places = [(topic, index) for topic in self.alive() for index in range(len(topic.partitions))]
        if not places:
            return None
        topic, index = self.random.choice(places)
        partition = self.store.partition(topic.name, index)
        assert partition is not None
        return topic, topic.partitions[index], partition

    def append(self) -> None:
        place = self.pick()
        if place is None:
            return
        topic, facts, partition = place
        compacted = topic.config.compacted
        count = self.random.choice((1, 1, 3))
        keys: list[bytes | None] = [self.random.choice(KEYS) if compacted else None for _ in range(count)]
        sequence, facts.sequence = facts.sequence, facts.sequence + count
        self._append(facts, partition, facts.producer_id, sequence, keys, 0)

    def _append(
        self, facts: LogFacts, partition: Partition, producer_id: int, sequence: int, keys: list[bytes | None], attributes: int
    ) -> None:
        room = partition.config.segment_bytes // len(keys) - 150
        filling = b"." * min(self.random.choice((0, 10, 500, 900, 900, 5000)), room)
        values: list[bytes | None] = [b"%d/%d/%d/%s" % (self.seed, producer_id, facts.end + number, filling) for number in range(len(keys))]
        batch = encode_batch(
            values,
            keys=keys,
            producer_id=producer_id,
            producer_epoch=0,
            base_sequence=sequence,
            timestamps=self.clock.wall_ms(),
            attributes=attributes,
        )
        first = facts.end
        # Noted before it happens: the power may go while it does.
        facts.sent.append(Sent(first, first + len(keys) - 1, batch, producer_id, sequence, keys, values))
        facts.end += len(keys)
        facts.window_first = max(facts.window_first, *(each.first for each in facts.resendable[:1]), 0)
        at_once = self.random.random() < 0.3
        appended = partition.append(batch, self.clock.wall_ms(), at_once=at_once, in_transaction=lambda *_: None)
        if appended.base_offset != first or appended.duplicate:
            self.problems.append(f"seed {self.seed}: a batch for {first} was appended as {appended}")
        self._await(appended.round, facts, facts.end)

    def _await(self, number: int, facts: LogFacts, end: int) -> None:
        if number <= self.store.committer.synced_round:
            facts.kept_end = max(facts.kept_end, end)
        else:
            self.acks.append((number, facts, end))

    def transact(self) -> None:
        """Begin a transaction, go on with it, or end it in one way or the other."""
        place = self.pick()
        if place is None or place[0].config.compacted:
            return
        _, facts, partition = place
        producer_id = facts.transactional_id
        if facts.began is None or self.random.random() < 0.4:
            sequence = sum(each.last - each.first + 1 for each in facts.sent if each.producer_id == producer_id and each.sequence >= 0)
            if facts.began is None:
                facts.began = facts.end
            self._append(facts, partition, producer_id, sequence, [None], TRANSACTIONAL)
            return
        commits = self.random.random() < 0.5
        facts.sent.append(Sent(facts.end, facts.end, b"", producer_id, -1))
        facts.ended.append(Ended(producer_id, facts.began, facts.end, commits))
        facts.end += 1
        facts.began = None
        appended = partition.append_marker(producer_id, 0, Marker(commits, 0), self.clock.wall_ms())
        self._await(appended.round, facts, facts.end)

    def resend(self) -> None:
        """A batch again: it is recognised, and acknowledged when the first one is on disk."""
        place = self.pick()
        if place is None:
            return
        _, facts, partition = place
        mine = [each for each in facts.resendable if each.first >= partition.log_start_offset]
        if mine:
            sent = self.random.choice(mine)
            appended = partition.append(sent.batch, self.clock.wall_ms(), at_once=False)
            if not appended.duplicate or appended.base_offset != sent.first:
                self.problems.append(f"seed {self.seed}: the batch at {sent.first} was sent again and appended as {appended}")
            self._await(appended.round, facts, sent.last + 1)

    def delete_records(self) -> None:
        place = self.pick()
        if place is not None and not place[0].config.compacted:
            _, _, partition = place
            partition.delete_records(self.random.randint(0, partition.high_watermark), self.clock.wall_ms())

    def create(self) -> None:
        free = [name for name in NAMES if all(topic.deleted for topic in self.incarnations if topic.name == name)]
        if not free:
            return
        name, random = self.random.choice(free), self.random
        config = {
            "policy": random.choice(("delete", "compact")),
            "segment": random.choice(("2500", "2500", "9000", "1000000")),
            "retention": random.choice(("-1", "-1", "1", "5000")),
        }
        topic = Topic(name, bytes(random.getrandbits(8) for _ in range(16)), random.randint(1, 2), config)
        self.ids += 10
        facts = [LogFacts(self.ids + 2 * index) for index in range(topic.partition_count)]
        made = LogTopic(name, topic.id, config_of(topic), facts)
        self.incarnations.append(made)

        def noted() -> None:
            self.store.create_topic(name, topic.id, topic.partition_count, made.config)
            made.noted = True

        self._note(topic_record(topic), noted)

    def delete(self) -> None:
        topics = self.alive()
        if not topics or self.random.random() < 0.5:
            return
        topic = self.random.choice(topics)
        topic.delete_asked = True

        def noted() -> None:
            topic.deleted = True
            self.store.delete_topic(topic.name)

        self._note(deletion_record(topic.name), noted)

    def _note(self, record: tuple[bytes, bytes | None], then: Callable[[], None]) -> None:
        appended = self.store.metadata.append_records([record], self.clock.wall_ms())
        self.actions.append((appended.round, then))

    # Crashes.

    def start_again(self) -> None:
        """Stop cleanly, or lose power for good, and go on with what that left."""
        if self.random.random() < 0.4:
            self.settle()
            while self.background:
                self.upkeep()
            self.store.close(clean=True)
            self.answered()
        self.disk = self.disk.crash_image(Random(self.random.getrandbits(32)))
        self.disk.locked.clear()
        self.clock = ManualClock(self.clock.wall_ms() + 1000)
        epoch = self.epoch
        self._begin()
        assert self.opened is not None
        self.problems += [f"seed {self.seed}, after a restart: {problem}" for problem in judge(self.incarnations, self.opened, None, epoch)]
        self.take_stock()

    def take_stock(self) -> None:
        """Let the facts be what the recovered log shows, which was judged to be within the promises."""
        assert self.opened is not None
        for topic in self.incarnations:
            known = self.opened.topics.get(topic.name)
            alive = known is not None and known.id == topic.id
            topic.noted = topic.noted or alive
            topic.deleted = topic.delete_asked = not alive
            for index, facts in enumerate(topic.partitions if alive else ()):
                partition = self.store.partition(topic.name, index)
                assert partition is not None
                facts.sent = [sent for sent in facts.sent if sent.last < partition.end_offset]
                facts.end = facts.kept_end = partition.end_offset
                facts.began, facts.ended = transactions_of(facts, facts.end)
                mine = [sent for sent in facts.sent if sent.producer_id == facts.producer_id]
                facts.sequence = mine[-1].sequence + mine[-1].last - mine[-1].first + 1 if mine else 0

    def moment(self, operation: str, path: str) -> None:
        """Before a change of the disk: perhaps the power goes now."""
        if self.images_left <= 0 or self.crashes.random() > self.chance:
            return
        for _ in range(self.crashes.randint(1, 6)):
            self.images_left -= 1
            self.crash(self.disk, f"before {operation} {path}", self.starts(), self.epoch)

    def starts(self) -> dict[tuple[bytes, int], int] | None:
        """Where each log starts now, in memory."""
        if self.opened is None:
            return None
        found = {}
        for topic in self.incarnations:
            for index in range(len(topic.partitions)):
                partition = self.opened.store.partition(topic.name, index)
                if partition is not None and partition.topic_id == topic.id:
                    found[topic.id, index] = partition.log_start_offset
        return found

    def crash(self, disk: SimulatedDisk, where: str, starts: dict[tuple[bytes, int], int] | None, epoch: int, depth: int = 0) -> None:
        """Take an image, recover on it, judge. Now and then the power goes again while it recovers."""
        seed = self.crashes.getrandbits(32)
        image = disk.crash_image(Random(seed))
        number = image.digest()
        if number in self.distinct:
            return
        self.distinct.add(number)
        self.images += 1
        self.in_flight += len(self.acks) + len(self.actions)
        where = f"seed {self.seed}, image {seed}, {where}"
        if depth == 0 and self.crashes.random() < 0.1:

            def again(operation: str, path: str) -> None:
                if self.crashes.random() < 0.05:
                    self.crash(image, f"{where}; recovering, {operation} {path}", starts, epoch, depth + 1)

            image.before_change = again
        try:
            found = Opened(image, self.settings, ManualClock(self.clock.wall_ms() + 1000), seed)
            image.before_change = None
            self.problems += [f"{where}: {problem}" for problem in judge(self.incarnations, found, starts, epoch)]
            if self.crashes.random() < 0.05:
                self.problems += [f"{where}: {problem}" for problem in judge_continuation(self.incarnations, found, self.settings)]
        except (EvError, AssertionError, BufferError, OSError, LookupError, TypeError, ValueError) as problem:
            self.problems.append(f"{where}: the recovered log fails: {problem!r}\n{''.join(format_exception(problem))}")
