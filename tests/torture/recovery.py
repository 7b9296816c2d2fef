"""How soon an engine is there again, and with what: after a crash with much that was not noted yet, and after a clean stop (R15).

Three kinds of rounds, one after the other, each on a directory of its own, with a seeded load before:

    unclean        1 GiB that no checkpoint knows of, requests on their way, `kill -9`, nothing of it in the page cache any more
    checkpointed   the same load with checkpoints: what a start reads does not grow with the log
    many           1,000 partitions with something in each: a clean stop, a start; and a kill, and a start

After each start everything is read from the beginning to the end: what was acknowledged is there, in order, and what was sent and not
answered is there or not; a producer that sends its last batch again is told the offset that it has. Figures are times to readiness and to
the first acknowledged record, the processor time and the bytes that the start has taken.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import time
from collections.abc import Callable

from ev.wire.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from ev.wire.records import encode_batch
from support.bulk import Bulk, Written, differences
from support.engine import Engine
from support.one_partition import produce_request
from support.raw_client import RawClient
from torture.run import Run

FAULTS = (
    "recovery.journal_not_applied",
    "recovery.producers_not_learned",
    "recovery.checkpoint_not_used",
)
MIB = 1 << 20
SIZE, SIZE_QUICK = 1024 * MIB, 48 * MIB
MANY, MANY_QUICK = 1_000, 100
ROUNDS, ROUNDS_QUICK = 24, 3
PARTITIONS = 8
TAIL_BYTES = 300_000
"""Small batches before the kill: some of them only the journal has."""
UNCLEAN_S, CLEAN_S, FIRST_S = 10.0, 1.0, 11.0
NOTED_BYTES_MAX = 24 * MIB
"""What a start may read of a log that is noted, with what was written behind the last checkpoint."""
NEVER = {"ev.checkpoint.interval.ms": "3600000", "ev.checkpoint.bytes": str(1 << 50), "log.segment.bytes": str(128 * MIB)}
OFTEN = {"ev.checkpoint.interval.ms": "200", "log.segment.bytes": str(16 * MIB)}


class Round:
    """One engine from an empty directory on."""

    def __init__(self, run: Run, number: int, settings: dict[str, str]) -> None:
        self.run, self.random, self.outcome = run, run.random, run.outcome
        self.engine = run.engine(
            f"data-{number}", settings={**settings, "ev.flush.method": self.random.choice(("auto", "auto", "journal"))}
        )
        self.engine.start()
        self.read_at_first = read_bytes(self.engine)
        self.written: list[Written] = []
        self.resent: tuple[bytes, int] = (b"", -1)

    def create(self, topic: str, partitions: int) -> None:
        with RawClient(self.engine.address) as client:
            wanted = CreatableTopic(name=topic, num_partitions=partitions, replication_factor=1)
            answer = client.ask(19, 5, CreateTopicsRequest(topics=[wanted], timeout_ms=60_000))
            assert answer.topics[0].error_code == 0

    def produce_once(self) -> None:
        """A batch of an idempotent producer, to be sent again after the start."""
        with RawClient(self.engine.address) as client:
            answer = client.ask(22, 4, InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000))
            values = [b"%d" % number for number in range(3)]
            batch = encode_batch(values, producer_id=answer.producer_id, producer_epoch=answer.producer_epoch, base_sequence=0)
            told = client.ask(0, 9, produce_request("once", batch)).responses[0].partition_responses[0]
            assert told.error_code == 0
            self.resent = bytes(batch), told.base_offset

    def start(self, what: str, ready_max_s: float) -> int:
        """Start the engine again; how many bytes that has read beside what an empty one reads."""
        forget(self.engine.directory)
        began = time.monotonic()
        self.engine.start(timeout_s=60)
        ready_s = time.monotonic() - began
        read, busy_s = read_bytes(self.engine) - self.read_at_first, processor_s(self.engine)
        self._first_record()
        first_s = time.monotonic() - began
        figures = self.outcome.figures
        self.outcome.bound(f"{what}_ready_s", round(max(ready_s, figures.get(f"{what}_ready_s", 0)), 3), ready_max_s)
        figures[f"{what}_first_record_s"] = round(max(first_s, figures.get(f"{what}_first_record_s", 0)), 3)
        figures[f"{what}_processor_s"] = round(max(busy_s, figures.get(f"{what}_processor_s", 0)), 3)
        figures[f"{what}_read_bytes"] = max(read, figures.get(f"{what}_read_bytes", 0))
        return read

    def _first_record(self) -> None:
        with RawClient(self.engine.address) as client:
            answer = client.ask(0, 9, produce_request("first", encode_batch([b"x"]))).responses[0].partition_responses[0]
            if answer.error_code:
                self.outcome.problem(f"the first record after a start was answered {answer.error_code} {answer.error_message}")

    def kill(self, load: Bulk | None) -> None:
        if load is not None:
            self.outcome.in_flight += load.leave_open(self.random.randint(1, 8))
        self.engine.kill()
        self.outcome.injected += 1
        if load is not None:
            load.close()

    def judge(self) -> None:
        """Everything that was acknowledged is there, and nothing else."""
        for line in differences(self.engine.address, "bulk", self.written):
            self.outcome.problem(f"{line} (after {self.outcome.injected} kills)")
        batch, offset = self.resent
        if batch:
            with RawClient(self.engine.address) as client:
                told = client.ask(0, 9, produce_request("once", batch)).responses[0].partition_responses[0]
                if (told.error_code, told.base_offset) != (0, offset):
                    self.outcome.problem(f"a batch at {offset}, sent again, was answered {told.error_code} with {told.base_offset}")

    def end(self) -> None:
        if not self.outcome.problems and (status := self.engine.stop()):
            self.outcome.problem(f"the engine ended with status {status}")
        self.engine.close()
        shutil.rmtree(self.engine.directory, ignore_errors=True)


def torture(run: Run) -> None:
    kinds: tuple[Callable[[Run, int], None], ...] = (unclean, checkpointed, many)
    done = 0
    while not run.over and done < run.amount(ROUNDS, ROUNDS_QUICK):
        kinds[done % len(kinds)](run, done)
        done += 1
    run.outcome.figures |= {"rounds": done, "kills": run.outcome.injected}


def unclean(run: Run, number: int) -> None:
    """Nothing is noted, everything has to be walked: that is read once, and not much more."""
    size = run.amount(SIZE, SIZE_QUICK)
    one = Round(run, number, NEVER)
    load = begin(one)
    load.write(size)
    one.produce_once()
    load.write(TAIL_BYTES, small=True)
    one.kill(load)
    one.start("unclean", UNCLEAN_S)
    one.judge()
    one.kill(None)  # at once: what the journal gave back is in the files now, and only there
    one.start("killed_again", UNCLEAN_S)
    one.judge()
    clean(one)
    one.end()


def clean(one: Round) -> None:
    """After a clean stop there is nothing to read again."""
    if one.outcome.problems:
        return
    if status := one.engine.stop():
        one.outcome.problem(f"the engine ended with status {status}")
    if (read := one.start("clean", CLEAN_S)) > NOTED_BYTES_MAX:
        one.outcome.problem(f"a start after a clean stop has read {read} bytes")
    one.judge()


def checkpointed(run: Run, number: int) -> None:
    """What a checkpoint covers is not walked again, however much it is."""
    size = run.amount(SIZE, SIZE_QUICK)
    one = Round(run, number, OFTEN)
    load = begin(one)
    load.write(size)
    one.produce_once()
    time.sleep(1.5)  # several checkpoints: the last one covers it all
    load.write(TAIL_BYTES, small=True)
    one.kill(load)
    if (read := one.start("checkpointed", CLEAN_S + 1)) > NOTED_BYTES_MAX:
        one.outcome.problem(f"a start after a kill has read {read} bytes of {size}, which a checkpoint covers")
    one.judge()
    one.end()


def begin(one: Round) -> Bulk:
    for topic, partitions in (("bulk", PARTITIONS), ("once", 1), ("first", 1)):
        one.create(topic, partitions)
    load = Bulk(one.random, one.engine.address, "bulk", PARTITIONS)
    one.written = load.written
    return load


def many(run: Run, number: int) -> None:
    """Many partitions: each is opened, none is read."""
    partitions = run.amount(MANY, MANY_QUICK)
    one = Round(run, number, OFTEN)
    for topic, count in (("bulk", partitions), ("once", 1), ("first", 1)):
        one.create(topic, count)
    load = Bulk(run.random, one.engine.address, "bulk", partitions)
    one.written = load.written
    load.write(partitions * 4_000, small=True)
    load.close()
    clean(one)
    if not run.outcome.problems:
        load = Bulk(run.random, one.engine.address, "bulk", partitions, one.written)
        load.write(TAIL_BYTES, small=True)
        one.kill(load)
        one.start("many_unclean", CLEAN_S + 1)
        one.judge()
    one.end()


def forget(directory: pathlib.Path) -> None:
    """Take the directory's files out of the page cache, so that a start reads them from the disk."""
    for path in directory.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def processor_s(engine: Engine) -> float:
    """How much of a processor the engine's process has used so far; what else the machine does counts less there."""
    fields = pathlib.Path(f"/proc/{engine.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_bytes(engine: Engine) -> int:
    """What the engine's process has read so far, from wherever it came."""
    lines = pathlib.Path(f"/proc/{engine.pid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar"))
