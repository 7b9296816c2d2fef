"""The producer's rules about order and sequence numbers, each as a short story about one partition."""

from __future__ import annotations

from ev.client.accumulator import record_sizes, total_size
from ev.client.batch import Batch, following
from ev.client.outbox import ACKNOWLEDGED, AGAIN, EPOCH_MAX, FAILED, Outbox
from ev.errors import ErrorCode, KafkaError, TimedOutError, UnreachableError
from ev.wire.records import decode_batch, read_header

PRODUCER = (7, 0)
LATER = 1_000
LOST = UnreachableError("the connection broke")


def outbox_with(*counts: int, producer_epoch: int | None = None) -> Outbox:
    """An outbox with closed batches of so many records, of a producer that the broker knows."""
    outbox = Outbox("t", 0, 1_000_000)
    outbox.producer_id, outbox.producer_epoch = PRODUCER
    outbox.known = True
    for count in counts:
        batch = outbox.open_batch(0)
        batch.add([b"%d" % number for number in range(count)], None, None, 5, 14 * count, f"tag {count}")
        outbox.close_batch()
    if producer_epoch is not None:
        outbox.producer_id, outbox.producer_epoch = PRODUCER[0], producer_epoch
    return outbox


def take_all(outbox: Outbox, now_ms: int = 0) -> list[Batch]:
    """Send what may be sent."""
    taken = []
    while (batch := outbox.take(now_ms, 5, PRODUCER)) is not None:
        batch.encode(0, None)
        taken.append(batch)
    return taken


def sequences(batches: list[Batch]) -> list[tuple[int, int]]:
    """Epoch and sequence as the encoded bytes have them."""
    found = []
    for batch in batches:
        assert batch.encoded is not None
        header = read_header(batch.encoded)
        assert (header.producer_epoch, header.base_sequence) == (batch.producer_epoch, batch.base_sequence)
        found.append((header.producer_epoch, header.base_sequence))
    return found


def test_batches_leave_in_order_five_at_a_time() -> None:
    """Numbered one after the other; the sixth waits for an answer to the first."""
    outbox = outbox_with(1, 2, 3, 4, 5, 6)
    sent = take_all(outbox)
    assert sequences(sent) == [(0, 0), (0, 1), (0, 3), (0, 6), (0, 10)]
    assert outbox.answered(sent[0], ErrorCode.NONE, LATER) == ACKNOWLEDGED
    assert sequences(take_all(outbox)) == [(0, 15)]


def test_the_first_batch_of_a_producer_goes_alone() -> None:
    """A broker that does not know the producer takes any number as the first: a second batch could come to lie before the first."""
    outbox = outbox_with(1, 2, 3)
    outbox.producer_id = -1
    (first,) = take_all(outbox)
    assert outbox.answered(first, ErrorCode.NOT_LEADER_OR_FOLLOWER, LATER) == AGAIN
    assert take_all(outbox, LATER) == [first]
    assert outbox.answered(first, ErrorCode.NONE, LATER) == ACKNOWLEDGED
    assert sequences(take_all(outbox, LATER)) == [(0, 1), (0, 3)]


def test_a_duplicate_is_a_success() -> None:
    """The first attempt had arrived; its answer had not."""
    outbox = outbox_with(2)
    (batch,) = take_all(outbox)
    outbox.unanswered(batch, LOST, True, LATER)
    assert take_all(outbox, LATER - 1) == []
    assert take_all(outbox, LATER) == [batch]
    assert outbox.answered(batch, ErrorCode.DUPLICATE_SEQUENCE_NUMBER, LATER) == ACKNOWLEDGED
    assert outbox.empty


def test_a_retry_sends_the_same_bytes() -> None:
    """So that the broker can recognise them."""
    outbox = outbox_with(3)
    (batch,) = take_all(outbox)
    before = batch.encoded
    outbox.unanswered(batch, LOST, True, LATER)
    assert take_all(outbox, LATER)[0].encoded is before


def test_retries_go_one_by_one_and_in_order() -> None:
    """Three were lost with their connection: the second is sent again when the first is acknowledged, new ones not before the third."""
    outbox = outbox_with(1, 1, 1, 1)
    sent = [outbox.take(0, 3, PRODUCER) for _ in range(3)]
    for batch in reversed(sent):
        assert batch is not None
        outbox.unanswered(batch, LOST, True, LATER)
    for expected in sent:
        assert expected is not None
        assert outbox.take(LATER, 3, PRODUCER) is expected
        if expected is not sent[-1]:
            assert outbox.take(LATER, 3, PRODUCER) is None
            assert outbox.answered(expected, ErrorCode.NONE, LATER) == ACKNOWLEDGED
    assert sequences(take_all(outbox, LATER)) == [(0, 3)]


def test_out_of_order_behind_an_older_batch_means_wait() -> None:
    """The first was refused for a passing reason, so the others come out of order; all are sent again under their old numbers."""
    outbox = outbox_with(1, 1, 1)
    first, second, third = take_all(outbox)
    assert outbox.answered(first, ErrorCode.NOT_LEADER_OR_FOLLOWER, LATER) == AGAIN
    assert outbox.answered(second, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, LATER) == AGAIN
    assert outbox.answered(third, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, LATER) == AGAIN
    for batch, sequence in ((first, 0), (second, 1), (third, 2)):
        assert take_all(outbox, LATER) == [batch]
        assert sequences([batch]) == [(0, sequence)]
        assert outbox.answered(batch, ErrorCode.NONE, LATER) == ACKNOWLEDGED


def test_a_refused_batch_leaves_a_gap_that_the_next_epoch_closes() -> None:
    """The second batch is not allowed in; what follows starts over from sequence 0 in the next epoch, and nothing is lost or sent twice."""
    outbox = outbox_with(1, 1, 1, 1)
    first, second, third, fourth = take_all(outbox)
    assert outbox.answered(first, ErrorCode.NONE, LATER) == ACKNOWLEDGED
    assert outbox.answered(second, ErrorCode.INVALID_RECORD, LATER, "no key") == FAILED
    assert isinstance(second.last_error, KafkaError)
    assert second.last_error.message == "no key"
    assert outbox.answered(third, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, LATER) == AGAIN
    assert take_all(outbox, LATER) == []  # the fourth is still in flight under the old epoch
    assert outbox.answered(fourth, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, LATER) == AGAIN
    assert take_all(outbox, LATER) == [third]
    assert sequences([third, fourth]) == [(1, 0), (1, 1)]
    assert outbox.answered(third, ErrorCode.NONE, LATER) == ACKNOWLEDGED
    assert take_all(outbox, LATER) == [fourth]


def test_a_lost_log_with_nothing_in_doubt_starts_over() -> None:
    """The broker forgot the producer; every attempt of the batch was refused, so it goes on in the next epoch."""
    outbox = outbox_with(2, 1, producer_epoch=3)
    first, second = take_all(outbox)
    assert outbox.answered(first, ErrorCode.UNKNOWN_PRODUCER_ID, LATER) == AGAIN
    assert outbox.answered(second, ErrorCode.UNKNOWN_PRODUCER_ID, LATER) == AGAIN
    assert take_all(outbox, LATER) == [first]
    assert sequences([first, second]) == [(4, 0), (4, 2)]


def test_a_lost_log_with_a_batch_in_doubt_is_reported() -> None:
    """An attempt ended without an answer and the broker no longer knows: the batch fails, for sent anew it might come twice."""
    outbox = outbox_with(1, 1)
    first, second = take_all(outbox)
    outbox.unanswered(first, LOST, True, LATER)
    outbox.unanswered(second, LOST, True, LATER)
    assert take_all(outbox, LATER) == [first]
    assert outbox.answered(first, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, LATER) == FAILED
    assert take_all(outbox, LATER) == [second]
    assert sequences([second]) == [(0, 1)]


def test_what_never_left_is_not_in_doubt() -> None:
    """The connection could not even be opened."""
    outbox = outbox_with(1)
    (batch,) = take_all(outbox)
    outbox.unanswered(batch, LOST, False, LATER)
    assert take_all(outbox, LATER) == [batch]
    assert outbox.answered(batch, ErrorCode.UNKNOWN_PRODUCER_ID, 2 * LATER) == AGAIN


def test_a_used_up_epoch_needs_a_new_producer_id() -> None:
    """After 32,767 comes nothing: the partition says so and takes the next id it is given, from epoch and sequence 0."""
    outbox = outbox_with(1, producer_epoch=EPOCH_MAX)
    (batch,) = take_all(outbox)
    assert not outbox.has_used_up(PRODUCER[0])
    assert outbox.answered(batch, ErrorCode.UNKNOWN_PRODUCER_ID, LATER) == AGAIN
    assert outbox.has_used_up(PRODUCER[0])
    assert outbox.take(LATER, 5, (8, 0)) is batch
    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == (8, 0, 0)


def test_sequences_wrap() -> None:
    """After 2^31 - 1 comes 0, also in the middle of a batch."""
    assert following(0x7FFFFFFF, 1) == 0
    assert following(0x7FFFFFFE, 5) == 3


def test_a_batch_that_is_too_large_is_halved_in_its_place() -> None:
    """The halves keep order, numbers and tags; batches to come are smaller."""
    outbox = outbox_with(4, 1)
    first, second = take_all(outbox)
    assert outbox.answered(first, ErrorCode.MESSAGE_TOO_LARGE, LATER) == AGAIN
    assert outbox.answered(second, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, LATER) == AGAIN
    (left,) = take_all(outbox, LATER)
    assert outbox.answered(left, ErrorCode.NONE, LATER) == ACKNOWLEDGED
    (right,) = take_all(outbox, LATER)
    assert sequences([left, right, second]) == [(0, 0), (0, 2), (0, 4)]
    assert right.encoded is not None
    assert decode_batch(right.encoded).values == [b"2", b"3"]
    assert (left.tags, right.tags) == ([("tag 4", 2)], [("tag 4", 2)])
    assert outbox.batch_bytes < 1_000_000


def test_a_record_that_is_too_large_fails() -> None:
    """There is nothing left to halve."""
    outbox = outbox_with(1)
    (batch,) = take_all(outbox)
    assert outbox.answered(batch, ErrorCode.MESSAGE_TOO_LARGE, LATER) == FAILED


def test_what_waits_too_long_is_given_up_and_says_whether_it_may_be_there() -> None:
    """Only what is not in flight: an answer may still come for the rest."""
    outbox = outbox_with(1, 1, 1)
    first, second, third = take_all(outbox)
    outbox.unanswered(first, LOST, True, LATER)
    assert outbox.answered(second, ErrorCode.NOT_ENOUGH_REPLICAS, LATER) == AGAIN
    assert outbox.expired(119_999, 120_000) == []
    assert outbox.expired(120_000, 120_000) == [first, second]
    assert isinstance(first.last_error, TimedOutError)
    assert "may or may not be in the log" in str(first.last_error)
    assert "is not in the log; the last answer: NOT_ENOUGH_REPLICAS" in str(second.last_error)
    assert outbox.in_flight == [third]


def test_without_idempotence_nothing_is_numbered() -> None:
    """Batches have no sequence, and retries do not wait for each other."""
    outbox = outbox_with(1, 1)
    first, second = outbox.take(0, 5, None), outbox.take(0, 5, None)
    assert first is not None
    assert second is not None
    assert (first.producer_id, first.base_sequence) == (-1, -1)
    outbox.unanswered(first, LOST, True, LATER)
    assert outbox.take(LATER, 5, None) is first


def test_a_batch_keeps_one_timestamp_while_that_is_close() -> None:
    """Records that come a little later share it; after the tolerance each has its own."""
    batch = Batch((1,), 0)
    batch.add([b"a"], None, None, batch.timestamp(1_000, 20), 15, None)
    batch.add([b"b"], None, None, batch.timestamp(1_020, 20), 15, None)
    assert batch.timestamps == 1_000
    batch.add([b"c"], [b"k"], None, batch.timestamp(1_021, 20), 15, "tag")
    timestamps: object = batch.timestamps
    assert timestamps == [1_000, 1_000, 1_021]
    assert batch.keys == [None, None, b"k"]
    assert batch.tags == [(None, 2), ("tag", 1)]


def transactional(*counts: int) -> Outbox:
    """The same for a producer with transactions."""
    outbox = outbox_with(*counts)
    outbox.transactional = True
    return outbox


def test_in_a_transaction_nothing_is_numbered_anew() -> None:
    """A lost sequence fails the batch: the transaction is aborted, and what comes after it has an epoch of its own."""
    outbox = transactional(1, 2)
    first, second = take_all(outbox)
    assert outbox.answered(second, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, LATER) == AGAIN
    assert outbox.answered(first, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, LATER) == FAILED
    assert take_all(outbox) == [second]
    assert outbox.answered(second, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, LATER) == FAILED
    assert outbox.empty


def test_a_new_epoch_begins_with_sequence_0_and_the_broker_knows_its_producer() -> None:
    """So all five may leave at once; a new producer id begins with one batch again."""
    outbox = transactional(1, 2)
    for batch in take_all(outbox):
        outbox.answered(batch, ErrorCode.NONE, LATER)
    for producer, expected in (((7, 1), [(1, 0), (1, 3)]), ((7, 1), [(1, 7), (1, 10)]), ((8, 0), [(0, 0)])):
        for count in (3, 4):
            outbox.open_batch(0).add([b""] * count, None, None, 5, 14 * count, None)
            outbox.close_batch()
        sent = []
        while (batch := outbox.take(0, 5, producer)) is not None:  # type: ignore[assignment]
            batch.encode(0, None)
            sent.append(batch)
        assert sequences(sent) == expected
        for batch in sent:
            outbox.answered(batch, ErrorCode.NONE, LATER)


def test_the_size_of_all_is_the_sum_of_the_sizes() -> None:
    """Nulls, keys and headers among them; it is counted in another way because it is asked for more often."""
    values = [b"one", None, b"", b"four" * 1000]
    keys = [b"k", b"key", None, b""]
    headers: list[list[tuple[str, bytes | None]]] = [[("name", b"value")], [], [("other", None)], []]
    for some_keys in (None, keys):
        for some_headers in (None, headers):
            assert total_size(values, some_keys, some_headers) == sum(record_sizes(values, some_keys, some_headers))
