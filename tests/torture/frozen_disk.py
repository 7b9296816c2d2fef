"""A disk that stands still for ten seconds (fsfreeze) under load: what needs no disk goes on, and nothing is lost (R13).

A daemon works on a file system of its own, ext4 on a loop device, that is frozen again and again while clients produce small batches with
acks=all (what is larger, acks=1 and the engine's own records are written by the loop, which a frozen disk holds up). Meanwhile a member of
a group sends heartbeats and a consumer fetches what was written a moment ago: both are answered as if nothing were. Nothing that was sent
after the freeze is acknowledged or shown before the thaw; after it everything is answered. In the end the power goes, and everything is
read and judged (`support.promises`). Another process thaws the disk, whatever happens to this one.
"""

from __future__ import annotations

import itertools
import time
from typing import Any, Final

from ev.broker.internal_topic import partition_for
from ev.wire.messages.k12_heartbeat import HeartbeatRequest
from support.file_systems import FileSystem
from support.promises import ALL, FETCH, GROUP, Batch, Promises, TopicPromises, fetch_request, records_of
from support.raw_client import RawClient
from support.raw_load import Load, Pipe
from support.raw_members import ClassicMember, Topic
from support.raw_transactions import asked_over
from torture.run import Run

NEEDS = ("root", "loop", "ext4")
FAULTS = (
    "server.synced_on_the_loop",
    "server.background_unasked",
    "order.answered_when_appended",
    "order.shown_before_synced",
    "coordinator.every_answer_waits",
)
FREEZES, FREEZES_QUICK = 25, 8
FROZEN_S, FROZEN_QUICK_S = 10.0, 2.0
THAWED_AT_LATEST_S = 5.0
"""How long after that another process thaws it."""
LOAD_S: Final = (0.1, 0.5)
EVERY_S = 0.05
"""Between two heartbeats, and two fetches."""
LATE_S = 1.0
"""Who asked so long before the thaw was answered before it."""
ANSWER_MAX_MS = 500.0
THAW_MAX_S = 10.0
GROUPS_PARTITIONS: Final = 4
SETTINGS: Final = {
    "offsets.topic.num.partitions": str(GROUPS_PARTITIONS),
    "ev.checkpoint.interval.ms": "700",  # so that a flush falls into each freeze
    "ev.flush.method": "auto",
}


class Watch:
    """A member of a group and a consumer, who need no disk. They ask at fixed times, whether they were answered or not."""

    def __init__(self, run: Run, load: Load, address: str) -> None:
        self.outcome = run.outcome
        self.random = run.random
        self.load = load
        with RawClient(address) as client:
            ask = asked_over(client)
            self.member = ClassicMember(ask, quiet_group(), Topic(ask, "watched", 1))
            assert self.member.join() == 0
            assert self.member.sync(mine=[0]) == 0
        self.heart, self.reader = Pipe(address), Pipe(address)
        self.next_s = 0.0
        self.open: dict[int, tuple[str, float]] = {}  # what was asked for and not answered: what, and when
        self.number = 0
        self.ends: dict[int, int] = {}  # of each partition, by its identity: what was sent before the freeze
        self.slowest_ms = 0.0

    def turn(self) -> None:
        """Take answers, and ask if it is time."""
        for pipe in (self.heart, self.reader):
            pipe.push()
            pipe.take()
        now = time.monotonic()
        if now >= self.next_s:
            self.next_s = now + EVERY_S
            self.beat()
            self.fetch()

    def beat(self) -> None:
        member = self.member
        asked = HeartbeatRequest(group_id=member.group, generation_id=member.generation, member_id=member.id)
        self._ask(self.heart, "a heartbeat", asked, 4, lambda told: self._told("a heartbeat", told.error_code))

    def fetch(self) -> None:
        """What was acknowledged a moment ago."""
        places = [(topic, index) for topic in self.load.promises.alive() for index in range(len(topic.partitions))]
        if not places:
            return
        topic, index = self.random.choice(places)
        partition = topic.partitions[index]
        start = max(0, partition.kept_end - 3)

        def told(response: Any) -> None:
            found = response.responses[0].partitions[0]
            self._told(f"a fetch of {topic.name}-{index} from {start}", found.error_code)
            for offset, _ in records_of(found, start):
                if offset >= self.ends.get(id(partition), offset + 1):
                    self.outcome.problem(f"{topic.name}-{index}@{offset} was shown, it was sent after the freeze and cannot be on disk")

        self._ask(self.reader, f"a fetch of {topic.name}-{index}", fetch_request(topic.name, index, start, 64 << 10), FETCH, told)

    def _told(self, what: str, error_code: int) -> None:
        if error_code:
            self.outcome.problem(f"{what} was answered error {error_code}")

    def _ask(self, pipe: Pipe, what: str, request: Any, version: int, then: Any) -> None:
        number, asked_s = self.number, time.monotonic()
        self.number += 1
        self.open[number] = (what, asked_s)

        def answered(response: Any) -> None:
            del self.open[number]
            self.slowest_ms = max(self.slowest_ms, 1000 * (time.monotonic() - asked_s))
            then(response)

        pipe.put(request, version, answered)

    def late(self, before_s: float) -> list[str]:
        """What was asked for before this time and is not answered."""
        return [what for what, asked_s in self.open.values() if asked_s < before_s]

    def close(self) -> None:
        self.heart.close()
        self.reader.close()


def quiet_group() -> str:
    """A group whose partition nobody commits to: an answer waits for everything that its partition of the offsets topic was told."""
    names = (f"watching-{number}" for number in itertools.count())
    return next(name for name in names if partition_for(name, GROUPS_PARTITIONS) != partition_for(GROUP, GROUPS_PARTITIONS))


def torture(run: Run) -> None:
    """One engine, frozen again and again."""
    outcome, promises = run.outcome, Promises()
    load = Load(
        promises,
        run.random,
        acks=(ALL,),
        fillings=(0, 100, 900),
        segment_bytes=("100000000",),
        records_max=5000,
        age_max=1 << 30,
        commits=False,
    )
    with FileSystem(run.directory / "disk", "ext4") as disk:
        engine = run.engine(disk.place / "data", settings=SETTINGS)
        engine.log_path = run.directory / "daemon.log"
        try:
            engine.start()
            load.connect(engine.address)
            load.run(0.3)
            load.churns = False  # a topic that is made or deleted needs the disk
            load.settle(THAW_MAX_S)
            watch = Watch(run, load, engine.address)
            for _ in range(run.amount(FREEZES, FREEZES_QUICK)):
                if run.over:
                    break
                freeze_once(run, disk, load, watch, FROZEN_QUICK_S if run.quick else FROZEN_S)
            watch.close()
            disk.cut()
            crashed_s = time.monotonic()
            load.hang_up(1)
            engine.kill()
            disk.unmount()
            disk.mount()
            engine.start()
            load.connect(engine.address)
            for problem in load.judge(crashed_s):
                outcome.problem(f"after the power cut at the end: {problem}")
            load.hang_up(1)
        finally:
            engine.close()
    outcome.add("acknowledged", load.answered)


def freeze_once(run: Run, disk: FileSystem, load: Load, watch: Watch, seconds: float) -> None:
    """Let clients work, freeze the disk under them, and see who is answered."""
    outcome = run.outcome
    load.run(run.random.uniform(*LOAD_S), watch.turn)
    partitions = [partition for topic in load.promises.topics for partition in topic.partitions]
    with disk.frozen(seconds + THAWED_AT_LATEST_S):
        frozen_s, frozen = time.monotonic(), next(load.promises.moments)
        watch.ends = {id(partition): len(partition.values) for partition in partitions}
        watch.slowest_ms = 0.0

        def told(topic: TopicPromises, index: int, batch: Batch) -> None:
            if batch.moment > frozen:
                outcome.problem(f"{topic.name}-{index}: {batch} was acknowledged while nothing could reach the disk")

        load.on_acknowledged = told
        load.run(seconds, watch.turn)
        outcome.injected += 1
        outcome.in_flight += load.waiting
        thawed_s = time.monotonic()
        late = watch.late(max(frozen_s, thawed_s - LATE_S))
        if late:
            outcome.problem(
                f"the disk stood still for {seconds:g} s, and {len(late)} requests that need none were not answered: {late[:3]}"
            )
        load.on_acknowledged = None
        watch.ends = {}
    outcome.bound("slowest_answer_ms", round(max(watch.slowest_ms, outcome.figures.get("slowest_answer_ms", 0.0)), 1), ANSWER_MAX_MS)
    if not load.settle(THAW_MAX_S):
        outcome.problem(f"{load.waiting} requests were not answered within {THAW_MAX_S:g} s of the thaw")
    thaw_ms = 1000 * (time.monotonic() - thawed_s)
    outcome.figures["all_answered_after_thaw_ms"] = round(max(thaw_ms, outcome.figures.get("all_answered_after_thaw_ms", 0.0)), 1)
    for problem in load.problems:
        outcome.problem(problem)
    watch.turn()
