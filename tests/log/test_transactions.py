"""Readers of committed records see exactly what committed transactions wrote, in whatever order those overlap, end and crash."""

from __future__ import annotations

import pathlib
import shutil
import tempfile
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ev.errors import ErrorCode, KafkaError
from ev.log.config import TopicConfig
from ev.log.partition import Partition, ReadLater
from ev.log.transactions import Marker, read_marker
from ev.wire.records import decode_batch, encode_batch, headers
from support.stores import HandStore

SEGMENT_BYTES = 2000
TRANSACTIONAL = 0x10
CONFIG = TopicConfig(segment_bytes=SEGMENT_BYTES, index_interval_bytes=150, retention_ms=-1, file_delete_delay_ms=1000)


class Written(NamedTuple):
    """A batch of a producer (0: of none), or a marker of one (`commits` is not None)."""

    producer: int
    offset: int
    values: list[bytes]
    commits: bool | None


def committed_values(partition: Partition, offset: int, bytes_max: int) -> tuple[list[bytes | None], int]:
    """(values, the offset reached) of a consumer that reads committed records from here on, as Kafka's client filters them."""
    found: list[bytes | None] = []
    while True:
        answer = partition.read(offset, bytes_max, at_least_one=True, committed=True)
        read = answer.run() if isinstance(answer, ReadLater) else answer
        if not read.pieces:
            return found, offset
        aborted = sorted(partition.aborted_transactions(offset, read.next_offset), key=lambda each: each[1])
        leave_out: set[int] = set()
        for position, header in headers(data := b"".join(bytes(piece) for piece in read.pieces)):
            while aborted and aborted[0][1] <= header.last_offset:
                leave_out.add(aborted.pop(0)[0])
            if header.is_control:
                marker = read_marker(data[position : position + header.size])
                assert marker is not None
                if not marker.commits:
                    leave_out.discard(header.producer_id)
            elif not (header.is_transactional and header.producer_id in leave_out):
                columns = decode_batch(data, position)
                found += [value for at, value in zip(columns.offsets, columns.values, strict=True) if at >= offset]
        offset = read.next_offset


def batch_of(producer: int, sequence: int, values: list[bytes], *, epoch: int = 0) -> bytes:
    return encode_batch(
        values, timestamps=1_700_000_000_000, producer_id=producer, producer_epoch=epoch, base_sequence=sequence, attributes=TRANSACTIONAL
    )


def allow(producer_id: int, epoch: int) -> None:
    """Every transaction may write here."""


class TransactionMachine(RuleBasedStateMachine):
    """`written` is the log, batch by batch; from it follows what a reader of committed records may see."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.mkdtemp(prefix="ev-transactions-")
        self.written: list[Written] = []
        self.sequences: dict[int, int] = {}
        self.number = 0
        self.low = 0

    @initialize(method=st.sampled_from(["auto", "file", "journal"]), open_files=st.sampled_from([1, 100]))
    def start(self, method: str, open_files: int) -> None:
        self.hand = HandStore(self.directory, config=CONFIG, settings={"ev.flush.method": method}, open_files_max=open_files)
        self.let_wait()

    def let_wait(self) -> None:
        self.hand.partition.services.may_wait = self.hand.store.committer.journal is not None

    def teardown(self) -> None:
        if hasattr(self, "hand"):
            self.hand.store.close(clean=False)
        shutil.rmtree(self.directory)

    # What is written.

    @property
    def open(self) -> dict[int, int]:
        """The first offset of every open transaction, by producer."""
        found: dict[int, int] = {}
        for each in self.written:
            if each.commits is not None:
                found.pop(each.producer, None)
            elif each.producer:
                found.setdefault(each.producer, each.offset)
        return found

    def some_values(self, count: int) -> list[bytes]:
        self.number += count
        return [b"%d" % (self.number - count + each) for each in range(count)]

    @rule(
        steps=st.lists(
            st.tuples(st.sampled_from(["write", "write", "commit", "abort", "plain"]), st.integers(1, 3), st.integers(1, 3)),
            min_size=1,
            max_size=14,
        ),
        at_once=st.booleans(),
    )
    def write(self, steps: list[tuple[str, int, int]], at_once: bool) -> None:
        for what, producer, count in steps:
            if what == "write":
                self.append(producer, count, at_once)
            elif what == "plain":
                self.append_without_a_transaction(count, at_once)
            else:
                self.end(producer, what == "commit")

    def append(self, producer: int, count: int, at_once: bool) -> None:
        values, sequence = self.some_values(count), self.sequences.get(producer, 0)
        batch = batch_of(producer, sequence, values)
        appended = self.hand.partition.append(batch, self.hand.clock.wall_ms(), at_once=at_once, in_transaction=allow)
        assert not appended.duplicate
        self.sequences[producer] = sequence + count
        self.written.append(Written(producer, appended.base_offset, values, None))

    def append_without_a_transaction(self, count: int, at_once: bool) -> None:
        values = self.some_values(count)
        batch = encode_batch(values, timestamps=1_700_000_000_000)
        appended = self.hand.partition.append(batch, self.hand.clock.wall_ms(), at_once=at_once)
        self.written.append(Written(0, appended.base_offset, values, None))

    def end(self, producer: int, commits: bool) -> None:
        appended = self.hand.partition.append_marker(producer, 0, Marker(commits, 3), self.hand.clock.wall_ms())
        self.written.append(Written(producer, appended.base_offset, [], commits))

    @rule(producer=st.integers(1, 4))
    def leave_an_open_transaction_out(self, producer: int) -> None:
        """A batch without the transactional bit does not get in between."""
        if producer in self.open:
            plain = encode_batch([b"x"], producer_id=producer, producer_epoch=0, base_sequence=self.sequences[producer])
            with pytest.raises(KafkaError) as refused:
                self.hand.partition.append(plain, self.hand.clock.wall_ms())
            assert refused.value.code == ErrorCode.INVALID_TXN_STATE

    @rule(share=st.floats(0, 1))
    def delete_records(self, share: float) -> None:
        self.hand.commit()
        self.low = self.low + int((self.hand.partition.high_watermark - self.low) * share)
        self.hand.partition.delete_records(self.low, self.hand.clock.wall_ms())

    # What happens to it.

    @rule()
    def commit(self) -> None:
        self.hand.commit()

    @rule()
    def checkpoint(self) -> None:
        self.hand.checkpoint()

    @rule(clean=st.booleans(), without_indexes=st.booleans())
    def restart(self, clean: bool, without_indexes: bool) -> None:
        self.hand.commit()
        self.hand.store.close(clean=clean)
        if without_indexes:  # Kafka's files have no checksum: ev must see that one is gone, and make it again
            for path in pathlib.Path(self.directory).glob("events-0/*.txnindex"):
                path.unlink()
        self.hand.open()
        self.let_wait()
        self.hand.partition.delete_records(self.low, self.hand.clock.wall_ms())
        if not clean:
            self.forget_what_was_dropped()

    def forget_what_was_dropped(self) -> None:
        """A transaction that began in records that are gone begins with what is left of it, or is forgotten if nothing is."""
        known = {producer: began.offset for producer, began in self.hand.partition.transactions.open.items()}
        for producer, offset in self.open.items():
            begins = known.get(producer, self.low)
            gone = [each for each in self.written if each.producer == producer and offset <= each.offset < begins]
            assert all(each.offset + len(each.values) <= self.low for each in gone)
            self.written = [each for each in self.written if each not in gone]

    # What must hold.

    @invariant()
    @precondition(lambda self: hasattr(self, "hand"))
    def open_transactions_are_known(self) -> None:
        partition = self.hand.partition
        known = {producer: began.offset for producer, began in partition.transactions.open.items()}
        assert known == self.open
        assert list(known.values()) == sorted(known.values())

    @rule(share=st.floats(0, 1), bytes_max=st.sampled_from([1, 300, 1 << 20]))
    def read_committed(self, share: float, bytes_max: int) -> None:
        self.hand.commit()
        partition = self.hand.partition
        unstable = min(self.open.values(), default=partition.high_watermark)
        stable = max(unstable, self.low)  # the log's beginning may be moved into an open transaction
        assert partition.last_stable_offset == stable
        offset = self.low + int((stable - self.low) * share)
        outcome: dict[int, bool] = {}
        expected: list[bytes] = []
        for each in reversed(self.written):
            if each.commits is not None:
                outcome[each.producer] = each.commits
            elif each.offset < unstable and outcome.get(each.producer, True):
                expected[:0] = [value for number, value in enumerate(each.values) if each.offset + number >= offset]
        assert committed_values(partition, offset, bytes_max) == (expected, stable)


TransactionMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestTransactionModel = TransactionMachine.TestCase


@pytest.fixture
def hand(tmp_path: pathlib.Path) -> HandStore:
    return HandStore(str(tmp_path), config=CONFIG)


def test_a_transaction_is_open_until_its_marker_is_on_disk(hand: HandStore) -> None:
    """A marker that a power cut could take back does not move the last stable offset."""
    partition = hand.partition
    partition.append(batch_of(1, 0, [b"a"]), hand.clock.wall_ms(), in_transaction=allow)
    hand.commit()
    assert (partition.high_watermark, partition.last_stable_offset) == (1, 0)
    partition.append_marker(1, 0, Marker(True, 0), hand.clock.wall_ms())
    assert partition.last_stable_offset == 0
    hand.commit()
    assert (partition.high_watermark, partition.last_stable_offset) == (2, 2)


def test_the_coordinator_is_asked_about_the_first_batch_only(hand: HandStore) -> None:
    """Its refusal changes nothing; when a transaction is open here it is not asked again."""
    asked: list[tuple[int, int]] = []

    def refuse(producer_id: int, epoch: int) -> None:
        asked.append((producer_id, epoch))
        raise KafkaError(ErrorCode.INVALID_TXN_STATE)

    with pytest.raises(KafkaError):
        hand.partition.append(batch_of(1, 0, [b"a"], epoch=5), hand.clock.wall_ms(), in_transaction=refuse)
    assert asked == [(1, 5)]
    assert hand.partition.end_offset == 0
    hand.partition.append(batch_of(1, 0, [b"a"], epoch=5), hand.clock.wall_ms(), in_transaction=allow)
    hand.partition.append(batch_of(1, 1, [b"b"], epoch=5), hand.clock.wall_ms(), in_transaction=refuse)
    assert asked == [(1, 5)]


def test_a_marker_with_a_new_epoch_fences_the_producer(hand: HandStore) -> None:
    """What the old epoch still sends is refused, before and after a restart, and a retry of what was aborted is none."""
    partition = hand.partition
    batch = batch_of(1, 0, [b"a"])
    partition.append(batch, hand.clock.wall_ms(), in_transaction=allow)
    partition.append_marker(1, 1, Marker(False, 7), hand.clock.wall_ms())
    for clean in (True, False):
        hand.commit()
        hand.restart(clean=clean)
        with pytest.raises(KafkaError) as refused:
            hand.partition.append(batch, hand.clock.wall_ms(), in_transaction=allow)
        assert refused.value.code == ErrorCode.INVALID_PRODUCER_EPOCH
        with pytest.raises(KafkaError) as refused:
            hand.partition.append_marker(1, 1, Marker(False, 6), hand.clock.wall_ms())
        assert refused.value.code == ErrorCode.TRANSACTION_COORDINATOR_FENCED


def test_a_producer_with_an_open_transaction_is_not_forgotten(hand: HandStore) -> None:
    """However long it was silent: its next batch and its marker still mean something."""
    hand.partition.append(batch_of(1, 0, [b"a"]), hand.clock.wall_ms(), in_transaction=allow)
    hand.commit()
    assert hand.partition.expire_producers(hand.clock.wall_ms() + 1) == 0
    hand.partition.append_marker(1, 0, Marker(True, 0), hand.clock.wall_ms())
    assert hand.partition.expire_producers(hand.clock.wall_ms() + 1) == 1


def test_a_reader_is_told_of_every_aborted_transaction_and_of_no_other(hand: HandStore) -> None:
    """One after the other, overlapping, and one that spans all of them."""
    partition, now_ms = hand.partition, hand.clock.wall_ms()
    expected = []
    partition.append(batch_of(9, 0, [b"long"]), now_ms, in_transaction=allow)
    for producer in (1, 2, 3):
        appended = partition.append(batch_of(producer, 0, [b"gone"]), now_ms, in_transaction=allow)
        expected.append((producer, appended.base_offset))
        partition.append(batch_of(producer + 3, 0, [b"kept"]), now_ms, in_transaction=allow)
        partition.append_marker(producer, 0, Marker(False, 0), now_ms)
        partition.append_marker(producer + 3, 0, Marker(True, 0), now_ms)
    hand.commit()
    assert partition.aborted_transactions(0, 13) == expected
    assert committed_values(partition, 0, 1 << 20) == ([], 0)
    partition.append_marker(9, 0, Marker(False, 0), now_ms)
    hand.commit()
    assert partition.aborted_transactions(0, 14) == [*expected, (9, 0)]
    assert partition.aborted_transactions(5, 9) == [(2, 5), (9, 0)]
    assert committed_values(partition, 0, 1 << 20) == ([b"kept"] * 3, 14)
    for producer in (1, 2):
        partition.append(batch_of(producer, 1, [b"gone"]), now_ms, in_transaction=allow)
        partition.append_marker(producer, 0, Marker(False, 0), now_ms)
    hand.commit()
    assert partition.aborted_transactions(14, 18) == [(1, 14), (2, 16)]
