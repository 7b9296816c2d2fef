"""Turns positions into Fetch requests and Fetch responses into batches. No I/O: the consumer sends, receives and waits.

One request is on its way per broker, for all readable partitions that it leads. An answer is first only walked over by its batch
headers; its batches wait in `ready` until `drain` hands them out, and with that their partitions are readable again, so that the next
request leaves before the application opens the batches: the broker works while the records are decoded. Memory is bounded by that:
what was drained last, plus one answer per broker of at most `max_bytes` (and one batch, where a single batch is larger than that).
"""

from __future__ import annotations

from ev.client.fetched import FetchedBatch
from ev.client.positions import UNKNOWN
from ev.errors import CorruptBatchError, ErrorCode, EvError, KafkaError, MalformedError
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from ev.wire.records import MAGIC, check_crc, decode_batch, headers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ev.client.positions import Position, Positions
    from ev.wire.messages.k01_fetch import AbortedTransaction, FetchResponse, PartitionData
    from ev.wire.primitives import Buffer
    from ev.wire.records import BatchHeader

MAX_WAIT_MS = 500
MAX_BYTES = 50 * 1024 * 1024
PARTITION_MAX_BYTES = 1024 * 1024
REPLICA_LEASE_MS = 300_000
"""How long another replica than the leader is read from before the leader is asked again which one is near."""
READ_UNCOMMITTED, READ_COMMITTED = 0, 1
ABORT_MARKER = b"\x00\x00\x00\x00"
"""The key of the control record that ends a transaction in vain: version 0, type 0."""

METADATA_IS_STALE = frozenset((
    ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.REPLICA_NOT_AVAILABLE, ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.FENCED_LEADER_EPOCH,
    ErrorCode.OFFSET_NOT_AVAILABLE, ErrorCode.LEADER_NOT_AVAILABLE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID,
    ErrorCode.INCONSISTENT_TOPIC_ID,
))  # fmt: skip
PASSES_BY_ITSELF = frozenset((ErrorCode.UNKNOWN_LEADER_EPOCH, ErrorCode.UNKNOWN_SERVER_ERROR, ErrorCode.REQUEST_TIMED_OUT))


class Target:
    """A readable partition with what its leader has to be told."""

    __slots__ = ("leader_epoch", "position", "topic_id")

    def __init__(self, position: Position, leader_epoch: int, topic_id: bytes) -> None:
        self.position = position
        self.leader_epoch = leader_epoch
        self.topic_id = topic_id


class Asked:
    """What one Fetch request asked for, to make sense of its answer: older versions name topics, newer ones give their ids."""

    __slots__ = ("partitions", "topics")

    def __init__(self) -> None:
        self.topics: dict[bytes, str] = {}
        self.partitions: dict[tuple[str, int], tuple[Position, int, int]] = {}
        """Position, its count of seeks at the time, the offset asked for."""


class Piece:
    """The part of an answer that one partition got; its batches with the next one at the end."""

    __slots__ = (
        "aborted",
        "asked_offset",
        "batches",
        "buffer",
        "high_watermark",
        "last_stable_offset",
        "log_start_offset",
        "position",
        "seeks",
    )

    def __init__(self, position: Position, asked_offset: int, buffer: Buffer, data: PartitionData) -> None:
        self.position = position
        self.seeks = position.seeks
        self.asked_offset = asked_offset
        self.buffer = buffer
        self.batches = list(headers(buffer))
        self.batches.reverse()
        self.high_watermark = data.high_watermark
        self.last_stable_offset = data.last_stable_offset
        self.log_start_offset = data.log_start_offset
        self.aborted = Aborted(data.aborted_transactions or ())


class Aborted:
    """The transactions that came to nothing, as a reader walks past them: those that are still ahead, the next one at the end."""

    __slots__ = ("open", "waiting")

    def __init__(self, transactions: Iterable[AbortedTransaction]) -> None:
        self.waiting = sorted(((t.first_offset, t.producer_id) for t in transactions), reverse=True)
        self.open: set[int] = set()

    def hides(self, header: BatchHeader, buffer: Buffer, at: int) -> bool:
        """Whether the batch belongs to such a transaction; called with every batch in order, control batches included."""
        while self.waiting and self.waiting[-1][0] <= header.last_offset:
            self.open.add(self.waiting.pop()[1])
        if header.is_control:
            if header.producer_id in self.open and decode_batch(buffer, at).keys[:1] == [ABORT_MARKER]:
                self.open.discard(header.producer_id)
            return True
        return header.is_transactional and header.producer_id in self.open


class Fetcher:
    """The requests to send, the answers to take in, the batches to hand out."""

    def __init__(
        self,
        positions: Positions,
        *,
        max_wait_ms: int = MAX_WAIT_MS,
        min_bytes: int = 1,
        max_bytes: int = MAX_BYTES,
        partition_max_bytes: int = PARTITION_MAX_BYTES,
        isolation: int = READ_UNCOMMITTED,
        check_crcs: bool = True,
        backoff: Callable[[int], int],
        rack: str = "",
        replica_lease_ms: int = REPLICA_LEASE_MS,
        control_batches: bool = False,
    ) -> None:
        self.positions = positions
        self.max_wait_ms = max_wait_ms
        self.min_bytes = min_bytes
        self.max_bytes = max_bytes
        self.partition_max_bytes = partition_max_bytes
        self.isolation = isolation
        self.check_crcs = check_crcs
        self.backoff = backoff
        self.rack = rack
        self.replica_lease_ms = replica_lease_ms
        self.control_batches = control_batches
        self.ready: list[Piece] = []
        self.metadata_is_stale = False
        self.out_of_range: list[tuple[Position, int]] = []
        """With the count of seeks: who has sought elsewhere meanwhile is not meant."""
        self.failures: list[EvError] = []

    # ---- asking ----

    def request(self, targets: list[Target]) -> tuple[FetchRequest, Asked]:
        """One request for partitions of one broker; they are marked as being fetched."""
        asked = Asked()
        topics: dict[str, FetchTopic] = {}
        for target in targets:
            position = target.position
            topic = topics.get(position.topic)
            if topic is None:
                topic = topics[position.topic] = FetchTopic(topic=position.topic, topic_id=target.topic_id, partitions=[])
            topic.partitions.append(
                FetchPartition(
                    partition=position.index,
                    current_leader_epoch=target.leader_epoch,
                    fetch_offset=position.fetch_offset,
                    partition_max_bytes=self.partition_max_bytes,
                )
            )
            asked.topics[target.topic_id] = position.topic
            asked.partitions[position.topic, position.index] = (position, position.seeks, position.fetch_offset)
            position.fetching = True
        request = FetchRequest(
            max_wait_ms=self.max_wait_ms,
            min_bytes=self.min_bytes,
            max_bytes=self.max_bytes,
            isolation_level=self.isolation,
            topics=list(topics.values()),
            rack_id=self.rack,
        )
        return request, asked

    def unanswered(self, asked: Asked, now_ms: int) -> None:
        """The connection broke: nothing was read, all of it may be asked for again after a pause."""
        for position, seeks, _ in asked.partitions.values():
            if position.seeks == seeks:
                position.fetching = False
                position.replica = UNKNOWN
                position.put_off(now_ms, self.backoff)
        self.metadata_is_stale = True

    def not_read(self, asked: Asked) -> None:
        """The broker did not look at the request: all of it may be asked for again at once."""
        self.release(asked.partitions.values())

    @staticmethod
    def release(partitions: Iterable[tuple[Position, int, int]]) -> None:
        for position, seeks, _ in partitions:
            if position.seeks == seeks:
                position.fetching = False

    # ---- taking in ----

    def answered(self, asked: Asked, response: FetchResponse, now_ms: int) -> None:
        if response.error_code:
            self.unanswered(asked, now_ms)
            if response.error_code not in METADATA_IS_STALE | PASSES_BY_ITSELF:
                self.failures.append(KafkaError(response.error_code))
            return
        left = dict(asked.partitions)
        for topic in response.responses:
            name = topic.topic or asked.topics.get(topic.topic_id, "")
            for data in topic.partitions:
                found = left.pop((name, data.partition_index), None)
                if found is not None:
                    self.take(*found, data, now_ms)
        self.release(left.values())  # a broker may leave out what has nothing new

    def take(self, position: Position, seeks: int, offset: int, data: PartitionData, now_ms: int) -> None:
        """One partition's part of an answer. After a seek, or when the partition was taken away, nobody wants it any more."""
        if position.seeks != seeks or self.positions.get((position.topic, position.index)) is not position:
            return
        position.fetching = False
        if data.error_code:
            self.refused(position, data.error_code, now_ms)
            return
        position.failures = 0
        if data.preferred_read_replica >= 0:
            position.replica = data.preferred_read_replica
            position.replica_until_ms = now_ms + self.replica_lease_ms
        position.high_watermark = data.high_watermark
        position.log_start_offset = data.log_start_offset
        position.last_stable_offset = data.last_stable_offset
        if not data.records:
            return
        assert not isinstance(data.records, list), "a decoded message holds one buffer"
        try:
            piece = Piece(position, offset, data.records, data)
        except MalformedError as error:
            position.put_off(now_ms, self.backoff)
            self.failures.append(CorruptBatchError(f"what {position.topic}/{position.index}@{offset} holds is no record batch: {error}"))
            return
        if not piece.batches:
            message = (
                f"the batch at {position.topic}/{position.index}@{offset} is larger than partition_max_bytes={self.partition_max_bytes}"
            )
            self.failures.append(KafkaError(ErrorCode.MESSAGE_TOO_LARGE, message))
            return
        position.fetch_offset = max(offset, piece.batches[0][1].last_offset + 1)
        position.buffered = len(data.records)
        self.ready.append(piece)
        self.positions.rotate((position.topic, position.index))

    def refused(self, position: Position, code: int, now_ms: int) -> None:
        position.put_off(now_ms, self.backoff)
        replica, position.replica = position.replica, UNKNOWN
        if code == ErrorCode.OFFSET_OUT_OF_RANGE and replica != UNKNOWN:
            return  # a replica may lag behind: the leader knows
        if code == ErrorCode.OFFSET_OUT_OF_RANGE:
            self.out_of_range.append((position, position.seeks))
        elif code in METADATA_IS_STALE:
            self.metadata_is_stale = True
        elif code not in PASSES_BY_ITSELF:
            self.failures.append(KafkaError(code, f"reading {position.topic}/{position.index} at offset {position.fetch_offset} failed"))

    # ---- handing out ----

    def drain(self, bytes_max: int) -> tuple[list[FetchedBatch], bool]:
        """Batches of about `bytes_max` bytes, at least one if there is one; and whether a position moved, which it may without a batch."""
        batches: list[FetchedBatch] = []
        size, moved = 0, False
        while self.ready and (size < bytes_max or not batches):
            piece = self.ready[0]
            position = piece.position
            if position.seeks != piece.seeks or self.positions.get((position.topic, position.index)) is not position:
                self.ready.pop(0)
                continue
            if position.paused:  # what was fetched before the pause is dropped, and fetched again
                self.ready.pop(0)
                position.seek(position.offset, position.epoch)
                continue
            while piece.batches and (size < bytes_max or not batches):
                at, header = piece.batches[-1]
                try:
                    batch = self.open(piece, at, header)
                except CorruptBatchError:
                    if batches:
                        return batches, moved  # what is before it comes first
                    raise
                piece.batches.pop()
                position.delivered(max(position.offset, header.last_offset + 1), header.leader_epoch)
                moved = True
                if batch is not None:
                    batches.append(batch)
                    size += header.size
            if not piece.batches:
                self.ready.pop(0)
                position.buffered = 0
        return batches, moved

    def open(self, piece: Piece, at: int, header: BatchHeader) -> FetchedBatch | None:
        """The batch, if it has something for the application. A CorruptBatchError comes again until somebody seeks past it."""
        position = piece.position
        if header.last_offset < piece.asked_offset:
            return None
        if header.magic == MAGIC and self.check_crcs and not check_crc(piece.buffer, at, header.size):
            place = f"{position.topic}/{position.index}@{header.base_offset}"
            raise CorruptBatchError(f"the batch at {place} has a wrong checksum; seek to {header.last_offset + 1} to read on after it")
        is_shown = self.control_batches and header.is_control
        if self.isolation == READ_COMMITTED and piece.aborted.hides(header, piece.buffer, at) and not is_shown:
            return None
        if header.record_count == 0 or (header.is_control and not is_shown):
            return None
        return FetchedBatch(
            position.topic,
            position.index,
            piece.buffer,
            at,
            header,
            piece.asked_offset,
            piece.high_watermark,
            piece.last_stable_offset,
            piece.log_start_offset,
        )
