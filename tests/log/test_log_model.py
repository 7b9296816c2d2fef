"""A partition behaves as a list of records does, whatever is done to it in whatever order, restarts and crashes included."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ev.errors import ErrorCode, KafkaError
from ev.log.config import TopicConfig
from ev.wire.records import encode_batch
from support.stores import HandStore, read_records

SEGMENT_BYTES = 900
INTERVAL_BYTES = 150
RETENTION_MS = 100_000


class LogMachine(RuleBasedStateMachine):
    """`records` is what the log should hold: (offset, timestamp, key, value), in the order of their offsets."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.mkdtemp(prefix="ev-log-model-")
        self.records: list[tuple[int, int, bytes | None, bytes | None]] = []
        self.end = 0
        self.low = 0
        self.sequences: dict[int, int] = {}
        self.batches: dict[int, list[tuple[bytes, int]]] = {}

    @initialize(
        method=st.sampled_from(["auto", "file", "journal"]),
        interval=st.sampled_from([0, INTERVAL_BYTES]),
        open_files=st.sampled_from([1, 100]),
    )
    def start(self, method: str, interval: int, open_files: int) -> None:
        config = TopicConfig(segment_bytes=SEGMENT_BYTES, index_interval_bytes=interval, retention_ms=-1, file_delete_delay_ms=1000)
        self.hand = HandStore(self.directory, config=config, settings={"ev.flush.method": method}, open_files_max=open_files)
        self.let_wait()

    def let_wait(self) -> None:
        """Small batches may wait in memory, as in an engine that has its reserve."""
        self.hand.partition.services.may_wait = self.hand.store.committer.journal is not None

    def teardown(self) -> None:
        if hasattr(self, "hand"):
            self.hand.store.close(clean=False)
        shutil.rmtree(self.directory)

    # What a client does.

    def note(self, values: list[bytes], timestamps: list[int], base: int) -> None:
        assert base == self.end
        self.records += [(base + number, stamp, None, value) for number, (value, stamp) in enumerate(zip(values, timestamps, strict=True))]
        self.end += len(values)

    @rule(values=st.lists(st.binary(max_size=40), min_size=1, max_size=5), age=st.integers(-1000, 100_000), at_once=st.booleans())
    def append(self, values: list[bytes], age: int, at_once: bool) -> None:
        timestamps = [self.hand.clock.wall_ms() - age + number for number in range(len(values))]
        batch = encode_batch(values, timestamps=timestamps)
        appended = self.hand.partition.append(batch, self.hand.clock.wall_ms(), at_once=at_once)
        self.note(values, timestamps, appended.base_offset)
        assert appended.last_offset == self.end - 1

    @rule(producer=st.integers(1, 3), values=st.lists(st.binary(max_size=20), min_size=1, max_size=3), at_once=st.booleans())
    def append_idempotent(self, producer: int, values: list[bytes], at_once: bool) -> None:
        sequence = self.sequences.get(producer, 0)
        stamp = self.hand.clock.wall_ms()
        batch = encode_batch(values, timestamps=stamp, producer_id=producer, producer_epoch=0, base_sequence=sequence)
        appended = self.hand.partition.append(batch, stamp, at_once=at_once)
        assert not appended.duplicate
        self.note(values, [stamp] * len(values), appended.base_offset)
        self.sequences[producer] = sequence + len(values)
        self.batches.setdefault(producer, []).append((batch, appended.base_offset))

    @rule(producer=st.integers(1, 3), back=st.integers(1, 5), at_once=st.booleans())
    def retry(self, producer: int, back: int, at_once: bool) -> None:
        sent = self.batches.get(producer, [])
        if len(sent) >= back:
            batch, offset = sent[-back]
            appended = self.hand.partition.append(batch, self.hand.clock.wall_ms(), at_once=at_once)
            assert appended.duplicate
            assert appended.base_offset == offset

    @rule(producer=st.integers(1, 3), gap=st.integers(1, 10))
    def leave_a_gap(self, producer: int, gap: int) -> None:
        if producer in self.sequences:
            batch = encode_batch([b""], producer_id=producer, producer_epoch=0, base_sequence=self.sequences[producer] + gap)
            with pytest.raises(KafkaError) as refused:
                self.hand.partition.append(batch, self.hand.clock.wall_ms())
            assert refused.value.code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER

    @rule(share=st.floats(0, 1))
    def delete_records(self, share: float) -> None:
        self.hand.commit()
        before = self.low + int((self.end - self.low) * share)
        assert self.hand.partition.delete_records(before, self.hand.clock.wall_ms()) == before
        self.low = before

    # What time does.

    @rule()
    def commit(self) -> None:
        self.hand.commit()

    @rule()
    def checkpoint(self) -> None:
        self.hand.checkpoint()

    @rule(ms=st.integers(0, 5000))
    def chores(self, ms: int) -> None:
        self.hand.clock.advance(ms)
        self.hand.chores()

    @rule()
    def retain(self) -> None:
        self.hand.checkpoint()
        partition = self.hand.partition
        partition.set_config(replace(partition.config, retention_ms=RETENTION_MS))
        partition.enforce_retention(self.hand.clock.wall_ms())
        partition.set_config(self.hand.config)
        oldest_kept = [stamp for offset, stamp, _, _ in self.records if offset >= partition.log_start_offset]
        assert partition.log_start_offset >= self.low
        for offset, stamp, _, _ in self.records:
            if self.low <= offset < partition.log_start_offset:
                assert self.hand.clock.wall_ms() - stamp > RETENTION_MS, "only what is old enough goes"
        assert partition.log_start_offset == self.end or oldest_kept
        self.low = partition.log_start_offset

    @rule(clean=st.booleans())
    def restart(self, clean: bool) -> None:
        if clean or self.hand.partition.services.waiting_bytes:
            self.hand.commit()  # what waits and is in no round yet goes with the process, and nobody was told of it
        low = self.hand.partition.log_start_offset
        self.hand.restart(clean=clean)
        self.let_wait()
        # The log's start is noted within seconds: a crash may bring back records that were deleted just before.
        assert self.hand.partition.log_start_offset <= low
        if clean:
            assert self.hand.partition.log_start_offset == low
        self.hand.partition.delete_records(low, self.hand.clock.wall_ms())
        assert self.hand.partition.end_offset == self.hand.partition.high_watermark == self.end
        assert self.hand.partition.damaged is None
        assert not [report for report in self.hand.store.reports if "journal" not in report]

    # What must always hold.

    @invariant()
    @precondition(lambda self: hasattr(self, "hand"))
    def offsets_are_right(self) -> None:
        partition = self.hand.partition
        assert partition.end_offset == self.end
        assert partition.log_start_offset == self.low

    @rule(bytes_max=st.sampled_from([1, 200, 1 << 20]))
    def read_everything(self, bytes_max: int) -> None:
        self.hand.commit()
        assert read_records(self.hand.partition, bytes_max=bytes_max) == [record for record in self.records if record[0] >= self.low]

    @rule(share=st.floats(0, 1), bytes_max=st.sampled_from([1, 500]))
    def read_from(self, share: float, bytes_max: int) -> None:
        self.hand.commit()
        offset = self.low + int((self.end - self.low) * share)
        expected = [record for record in self.records if record[0] >= offset]
        assert read_records(self.hand.partition, offset, bytes_max=bytes_max) == expected

    @rule(age=st.integers(-2000, 150_000))
    def find_by_time(self, age: int) -> None:
        self.hand.commit()
        wanted = self.hand.clock.wall_ms() - age
        expected = next(((offset, stamp) for offset, stamp, _, _ in self.records if offset >= self.low and stamp >= wanted), None)
        assert self.hand.partition.offset_for_timestamp(wanted) == expected

    @rule()
    def find_the_newest(self) -> None:
        self.hand.commit()
        stamps = [(stamp, -offset) for offset, stamp, _, _ in self.records if offset >= self.low]
        if not stamps:
            return
        stamp, negated = max(stamps)
        found = self.hand.partition.max_timestamp()
        # A segment that begins before the log's start may know of a newer record that was deleted.
        assert found == (-negated, stamp) or any(each >= stamp and offset < self.low for offset, each, _, _ in self.records)


LogMachine.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=40,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestLogModel = LogMachine.TestCase
