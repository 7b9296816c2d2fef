"""Fetching without a network: positions and answers in, requests and batches out."""

from __future__ import annotations

import pytest

from ev.client.fetcher import READ_COMMITTED, Fetcher, Target
from ev.client.positions import SETTLED, WANTS_RESET, Positions
from ev.errors import CorruptBatchError, ErrorCode, KafkaError
from ev.wire.messages.k01_fetch import AbortedTransaction, FetchableTopicResponse, FetchResponse, PartitionData
from ev.wire.records import CONTROL, HEADER_SIZE, TRANSACTIONAL, encode_batch, read_header

TOPIC_ID = b"i" * 16
ABORT, COMMIT = b"\x00\x00\x00\x00", b"\x00\x00\x00\x01"
EVERYTHING = 1 << 40


def batch(base_offset: int, *values: bytes, attributes: int = 0, producer_id: int = -1, key: bytes | None = None) -> bytes:
    return encode_batch(
        list(values),
        keys=None if key is None else [key],
        base_offset=base_offset,
        attributes=attributes,
        producer_id=producer_id,
        leader_epoch=3,
    )


def empty_batch(base_offset: int, last_offset: int) -> bytes:
    """What compaction leaves of a producer's last batch: the header alone, with its offsets."""
    header = bytearray(encode_batch([b"x"] * (last_offset - base_offset + 1), base_offset=base_offset)[:HEADER_SIZE])
    header[8:12] = (HEADER_SIZE - 12).to_bytes(4, "big")
    header[57:61] = bytes(4)
    return bytes(header)


class Conversation:
    """One fetcher on partition t/0, and the answers that a broker gives it."""

    def __init__(self, offset: int = 0, **options: object) -> None:
        options.setdefault("check_crcs", False)
        options.setdefault("backoff", lambda failures: 100 << failures)
        self.positions = Positions()
        self.positions.assign([("t", 0)])
        self.position = self.positions["t", 0]
        self.position.seek(offset)
        self.fetcher = Fetcher(self.positions, **options)  # type: ignore[arg-type]

    def ask(self) -> None:
        self.request, self.asked = self.fetcher.request([Target(self.position, 3, TOPIC_ID)])

    def answer(
        self, *batches: bytes, error_code: int = 0, aborted: list[AbortedTransaction] | None = None, now_ms: int = 0, replica: int = -1
    ) -> None:
        records = memoryview(b"".join(batches))
        data = PartitionData(
            partition_index=0,
            error_code=error_code,
            high_watermark=100,
            aborted_transactions=aborted,
            records=records,
            preferred_read_replica=replica,
        )
        self.fetcher.answered(self.asked, FetchResponse(responses=[FetchableTopicResponse(topic_id=TOPIC_ID, partitions=[data])]), now_ms)

    def read(self, *batches: bytes, **options: object) -> list[tuple[int, bytes | None]]:
        """Offsets and values that the application gets from one fetch."""
        self.ask()
        self.answer(*batches, **options)  # type: ignore[arg-type]
        return self.drained()

    def drained(self, bytes_max: int = EVERYTHING) -> list[tuple[int, bytes | None]]:
        batches, _ = self.fetcher.drain(bytes_max)
        return [row for found in batches for row in zip(found.columns.offsets, found.columns.values, strict=True)]


def test_batches_come_in_order_and_the_position_follows_them() -> None:
    """Two batches, then the next request asks for what comes after them."""
    talk = Conversation()
    assert talk.read(batch(0, b"a", b"b"), batch(2, b"c")) == [(0, b"a"), (1, b"b"), (2, b"c")]
    assert (talk.position.offset, talk.position.epoch, talk.position.high_watermark) == (3, 3, 100)
    talk.ask()
    assert talk.request.topics[0].partitions[0].fetch_offset == 3
    assert talk.request.topics[0].topic_id == TOPIC_ID


def test_a_batch_that_begins_before_the_offset_asked_for_is_cut() -> None:
    """Brokers send whole batches: what lies before the position is not shown."""
    assert Conversation(offset=2).read(batch(0, b"a", b"b", b"c", b"d")) == [(2, b"c"), (3, b"d")]


def test_a_batch_that_lies_wholly_before_the_offset_is_left_out() -> None:
    """It costs no decoding and shows nothing."""
    assert Conversation(offset=2).read(batch(0, b"a", b"b"), batch(2, b"c")) == [(2, b"c")]


def test_gaps_that_compaction_left_are_passed_over() -> None:
    """Offsets jump from 1 to 7; reading goes on behind the gap."""
    talk = Conversation()
    assert talk.read(batch(0, b"a", b"b"), batch(7, b"h")) == [(0, b"a"), (1, b"b"), (7, b"h")]
    assert talk.position.offset == 8


def test_a_batch_without_records_moves_the_position_and_shows_nothing() -> None:
    """`moved` says that the position went on although there is no batch to hand out."""
    talk = Conversation()
    talk.ask()
    talk.answer(empty_batch(0, 4))
    assert talk.fetcher.drain(EVERYTHING) == ([], True)
    assert talk.position.offset == 5


def test_control_batches_are_never_shown() -> None:
    """A commit marker takes an offset and nothing else."""
    talk = Conversation()
    marker = batch(1, b"\x00\x00\x00\x00\x00\x00", key=COMMIT, attributes=CONTROL | TRANSACTIONAL, producer_id=9)
    assert talk.read(batch(0, b"a", attributes=TRANSACTIONAL, producer_id=9), marker, batch(2, b"b")) == [(0, b"a"), (2, b"b")]
    assert talk.position.offset == 3


def test_read_committed_hides_what_was_aborted_and_only_that() -> None:
    """The aborted transaction of producer 9 ends with its marker; producer 8's and a later one of producer 9 are shown."""
    talk = Conversation(isolation=READ_COMMITTED)
    shown = talk.read(
        batch(0, b"gone", attributes=TRANSACTIONAL, producer_id=9),
        batch(1, b"kept", attributes=TRANSACTIONAL, producer_id=8),
        batch(2, b"plain"),
        batch(3, b"\x00\x00\x00\x00\x00\x00", key=ABORT, attributes=CONTROL | TRANSACTIONAL, producer_id=9),
        batch(4, b"again", attributes=TRANSACTIONAL, producer_id=9),
        aborted=[AbortedTransaction(producer_id=9, first_offset=0)],
    )
    assert shown == [(1, b"kept"), (2, b"plain"), (4, b"again")]


def test_a_batch_that_is_cut_off_at_the_end_is_asked_for_again() -> None:
    """Kafka cuts answers by bytes; the whole batches before the cut count."""
    talk = Conversation()
    assert talk.read(batch(0, b"a") + batch(1, b"b")[:-1]) == [(0, b"a")]
    talk.ask()
    assert talk.request.topics[0].partitions[0].fetch_offset == 1


def test_a_first_batch_that_is_cut_off_is_an_error_that_says_what_to_raise() -> None:
    """It would be asked for, and cut off, for ever."""
    talk = Conversation()
    talk.ask()
    talk.answer(batch(0, b"a" * 100)[:80])
    error = talk.fetcher.failures.pop()
    assert isinstance(error, KafkaError)
    assert error.code == ErrorCode.MESSAGE_TOO_LARGE


def test_an_answer_to_a_question_before_a_seek_is_dropped() -> None:
    """The application seeks while a fetch is on its way: it never sees a record from the old place."""
    talk = Conversation()
    talk.ask()
    talk.position.seek(50)
    talk.answer(batch(0, b"old"))
    assert talk.drained() == []
    assert talk.position.readable(0)
    assert talk.read(batch(50, b"new")) == [(50, b"new")]


def test_what_was_fetched_and_not_handed_out_is_dropped_by_a_seek() -> None:
    """The same for an answer that has arrived already."""
    talk = Conversation()
    talk.ask()
    talk.answer(batch(0, b"old"))
    talk.position.seek(7)
    assert talk.drained() == []
    assert talk.position.offset == 7


def test_a_partition_that_was_taken_away_shows_nothing_more() -> None:
    """After a rebalance the answer for a revoked partition is nobody's."""
    talk = Conversation()
    talk.ask()
    talk.positions.assign([("u", 0)])
    talk.answer(batch(0, b"a"))
    assert talk.drained() == []


def test_a_paused_partition_shows_nothing_and_loses_nothing() -> None:
    """What had been fetched is fetched again after the pause."""
    talk = Conversation()
    talk.ask()
    talk.answer(batch(0, b"a"))
    talk.position.paused = True
    assert talk.drained() == []
    assert not talk.position.readable(0)
    talk.position.paused = False
    assert talk.position.readable(0)
    assert talk.read(batch(0, b"a")) == [(0, b"a")]


def test_small_bites_leave_the_rest_for_later_and_ask_for_nothing_new() -> None:
    """Memory stays bounded: a partition with batches left over is not fetched."""
    talk = Conversation()
    talk.ask()
    talk.answer(batch(0, b"a"), batch(1, b"b"))
    assert talk.drained(bytes_max=1) == [(0, b"a")]
    assert not talk.position.readable(0)
    assert talk.position.offset == 1
    assert talk.drained(bytes_max=1) == [(1, b"b")]
    assert talk.position.readable(0)


def test_bytes_that_are_no_batch_are_reported_and_asked_for_again() -> None:
    """A length that cannot be: the error names the place, and the partition does not hang."""
    talk = Conversation()
    talk.ask()
    talk.answer(bytes(70))
    assert "t/0@0" in str(talk.fetcher.failures.pop())
    assert talk.position.readable(100)


def test_a_wrong_checksum_stops_before_the_batch_until_somebody_seeks_past_it() -> None:
    """The good batch before it is shown; the damage is reported each time, never passed over in silence."""
    talk = Conversation(check_crcs=True)
    damaged = bytearray(batch(1, b"bad"))
    damaged[-2] ^= 1
    good = [encode_batch([b"a"], base_offset=0), encode_batch([b"c"], base_offset=2)]
    talk.ask()
    talk.answer(good[0], bytes(damaged), good[1])
    assert talk.drained() == [(0, b"a")]
    for _ in range(2):
        with pytest.raises(CorruptBatchError, match="t/0@1"):
            talk.fetcher.drain(EVERYTHING)
    assert talk.position.offset == 1
    talk.position.seek(2)
    assert talk.read(good[1]) == [(2, b"c")]


def test_an_offset_out_of_range_waits_for_the_policy() -> None:
    """The fetcher names the partition; what follows is the consumer's policy."""
    talk = Conversation(offset=1000)
    talk.ask()
    talk.answer(error_code=ErrorCode.OFFSET_OUT_OF_RANGE)
    assert talk.fetcher.out_of_range == [(talk.position, talk.position.seeks)]
    talk.position.want_reset(None)
    assert talk.position.state == WANTS_RESET


@pytest.mark.parametrize(
    "code",
    [ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH, ErrorCode.UNKNOWN_TOPIC_ID, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
)
def test_a_leader_that_moved_makes_the_metadata_stale_and_the_partition_wait(code: int) -> None:
    """Nothing is raised, nothing is lost; the partition is asked for again after a pause."""
    talk = Conversation()
    talk.ask()
    talk.answer(error_code=code, now_ms=1000)
    assert talk.fetcher.metadata_is_stale
    assert not talk.position.readable(1099)
    assert talk.position.readable(1100)
    assert (talk.position.state, talk.position.offset) == (SETTLED, 0)


def test_an_error_that_does_not_pass_is_raised_with_its_place() -> None:
    """TOPIC_AUTHORIZATION_FAILED, for one."""
    talk = Conversation()
    talk.ask()
    talk.answer(error_code=ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    error = talk.fetcher.failures.pop()
    assert isinstance(error, KafkaError)
    assert error.code == ErrorCode.TOPIC_AUTHORIZATION_FAILED
    assert "t/0" in str(error)


def test_a_connection_that_broke_loses_nothing() -> None:
    """The same offset is asked for again."""
    talk = Conversation()
    talk.ask()
    talk.fetcher.unanswered(talk.asked, 0)
    assert talk.fetcher.metadata_is_stale
    assert talk.position.readable(100)
    assert talk.read(batch(0, b"a")) == [(0, b"a")]


def test_a_partition_that_keeps_failing_is_asked_for_less_and_less_often() -> None:
    """Each pause is twice the one before, until an answer comes; then the first one is short again."""
    talk = Conversation()
    now_ms = 0
    for pause_ms in (100, 200, 400):
        talk.ask()
        talk.answer(error_code=ErrorCode.NOT_LEADER_OR_FOLLOWER, now_ms=now_ms)
        assert not talk.position.readable(now_ms + pause_ms - 1)
        now_ms += pause_ms
        assert talk.position.readable(now_ms)
    assert talk.read(batch(0, b"a"), now_ms=now_ms) == [(0, b"a")]
    talk.ask()
    talk.fetcher.unanswered(talk.asked, now_ms)
    assert talk.position.readable(now_ms + 100)


def test_batches_know_their_place_and_size() -> None:
    """What a pipeline needs to commit exactly what it has written."""
    talk = Conversation()
    talk.ask()
    data = batch(4, b"a", b"b")
    talk.answer(data)
    (found,), _ = talk.fetcher.drain(EVERYTHING)
    assert (found.topic, found.partition, found.base_offset, found.next_offset, found.size) == ("t", 0, 4, 6, len(data))
    assert [record.offset for record in found.records()] == [4, 5]
    assert read_header(data).record_count == len(found)


def test_a_leader_may_name_a_replica_that_is_near() -> None:
    """It is told where the consumer is. What it names counts for a while, and until somebody seeks."""
    talk = Conversation(rack="north", replica_lease_ms=1_000)
    assert talk.read(replica=2, now_ms=500) == []
    assert talk.request.rack_id == "north"
    assert (talk.position.replica, talk.position.replica_until_ms) == (2, 1_500)
    assert talk.position.readable(500)
    assert talk.read(batch(0, b"a")) == [(0, b"a")]
    assert talk.position.replica == 2
    talk.position.seek(0)
    assert talk.position.replica == -1


@pytest.mark.parametrize("code", [ErrorCode.OFFSET_OUT_OF_RANGE, ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.REPLICA_NOT_AVAILABLE])
def test_a_replica_that_does_not_have_it_is_left_for_the_leader(code: int) -> None:
    """It may lag behind, or be one no more: the position stays what it is."""
    talk = Conversation(offset=7)
    talk.read(replica=2)
    talk.ask()
    talk.answer(error_code=code)
    assert talk.position.replica == -1
    assert talk.position.offset == 7
    assert talk.fetcher.out_of_range == []
    assert talk.fetcher.failures == []
    talk.ask()
    talk.answer(error_code=ErrorCode.OFFSET_OUT_OF_RANGE)
    assert talk.fetcher.out_of_range == [(talk.position, talk.position.seeks)]


def test_a_replica_that_cannot_be_reached_is_left_for_the_leader() -> None:
    """Nothing was read, and nothing is lost."""
    talk = Conversation()
    talk.read(replica=2)
    talk.ask()
    talk.fetcher.unanswered(talk.asked, 0)
    assert talk.position.replica == -1
