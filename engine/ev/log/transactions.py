"""The transactions of one partition: which are open, which were aborted, and up to where everything is settled.

A transaction begins with its producer's first transactional batch here and ends with a marker, a control batch that says commit
or abort. Readers of committed records stop before the first batch of the oldest open transaction, the *last stable offset*; what
an aborted one wrote stays in the log, and who reads is told to leave it out (KIP-98).

A transaction counts as open until its marker is below the high watermark: before that a power cut could take the marker back.

Aborted transactions are kept per segment, in the order of their markers, as Kafka's .txnindex has them:

    offset  size
    0       2     version, 0
    2       8     producer id
    10      8     offset of its first batch
    18      8     offset of its marker
    26      8     last stable offset once it had ended: who reads up to there need look no further
"""

from __future__ import annotations

from collections import deque
from struct import Struct
from struct import error as StructError
from typing import TYPE_CHECKING, Any, NamedTuple

from ev.errors import MalformedError
from ev.wire.checksum import crc32c
from ev.wire.records import decode_batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ev.log.segment import Segment
    from ev.wire.primitives import Buffer

ABORTED = Struct(">hqqqq")
ABORTED_VERSION = 0

COUNT = Struct(">i")
OPEN_ENTRY = Struct(">qq")
INDEX_ENTRY = Struct(">qiI")
EPOCH_ENTRY = Struct(">qi")

ABORT, COMMIT = 0, 1
CONTROL_KEY = Struct(">hh")  # version, type
CONTROL_VALUE = Struct(">hi")  # version, coordinator epoch
DECIDED_AT = "ev.decided.at"


class Beginning(NamedTuple):
    """Where an open transaction's first batch is. `segment`: None where only the offset is known."""

    offset: int
    segment: Segment | None
    position: int


class Ended(NamedTuple):
    """A transaction whose marker is in the log."""

    producer_id: int
    began: Beginning
    marker_offset: int


class Marker(NamedTuple):
    """What the one record of a control batch says.

    `decided_at`: the offset in the coordinator's log of what it knew when it decided, in a header that only this engine reads; -1: none.
    It tells which of a producer's transactions the marker ends, should a power cut leave the marker and take the decision.
    """

    commits: bool
    coordinator_epoch: int
    decided_at: int = -1


def marker_key(*, commit: bool) -> bytes:
    return CONTROL_KEY.pack(0, COMMIT if commit else ABORT)


def marker_value(coordinator_epoch: int) -> bytes:
    return CONTROL_VALUE.pack(0, coordinator_epoch)


def marker_headers(decided_at: int) -> list[tuple[str, bytes]]:
    return [(DECIDED_AT, decided_at.to_bytes(8, "big"))] if decided_at >= 0 else []


def read_marker(batch: Buffer) -> Marker | None:
    """The marker in a control batch; None when it is a control record of another kind, or none that can be read."""
    try:
        columns = decode_batch(batch)
        _, kind = CONTROL_KEY.unpack_from(columns.keys[0] or b"")
        _, coordinator_epoch = CONTROL_VALUE.unpack_from(columns.values[0] or b"")
        decided_at = next((value for name, value in columns.headers[0] if name == DECIDED_AT and value is not None), None)
    except (MalformedError, StructError, IndexError):
        return None
    if kind not in (ABORT, COMMIT):
        return None
    return Marker(kind == COMMIT, coordinator_epoch, -1 if decided_at is None else int.from_bytes(decided_at, "big"))


class Transactions:
    """All that one partition knows of transactions. Plain state: the partition appends, and says what was appended."""

    __slots__ = ("_ending", "_unsaved", "aborted", "coordinator_epochs", "found", "open", "saved")

    def __init__(self) -> None:
        self.open: dict[int, Beginning] = {}  # by producer id, the oldest first
        self.coordinator_epochs: dict[int, int] = {}  # of each producer's last marker
        self.found: dict[int, tuple[Marker, int]] = {}  # until the start is over: each producer's last marker and its epoch, where the log
        # was read, which is where a crash may have left a marker whose decision it took
        self.aborted: dict[int, bytearray] = {}  # by the base offset of the segment with the marker
        self.saved: dict[int, int] = {}  # bytes of these that are in their files
        self._ending: deque[Ended] = deque()  # the marker may not be below the high watermark yet
        self._unsaved: deque[Ended] = deque()  # nor below the recovery point

    # What was appended.

    def begin(self, producer_id: int, offset: int, segment: Segment | None, position: int) -> None:
        """A transactional batch of this producer is at this place; only the first of a transaction begins it."""
        if producer_id not in self.open:
            self.open[producer_id] = Beginning(offset, segment, position)

    def end(self, producer_id: int, marker: Marker, offset: int, segment_base: int) -> None:
        """The producer's marker is at this offset. Without an open transaction it says nothing."""
        self.coordinator_epochs[producer_id] = marker.coordinator_epoch
        began = self.open.pop(producer_id, None)
        if began is None:
            return
        ended = Ended(producer_id, began, offset)
        self._ending.append(ended)
        self._unsaved.append(ended)
        if not marker.commits:
            stable = next((each.offset for each in self.open.values()), offset + 1)
            entry = ABORTED.pack(ABORTED_VERSION, producer_id, began.offset, offset, stable)
            self.aborted.setdefault(segment_base, bytearray()).extend(entry)

    # What is settled.

    def first_unstable(self, high_watermark: int) -> Beginning | None:
        """The beginning of the oldest transaction that may still be taken for open; None when there is none."""
        ending = self._ending
        while ending and ending[0].marker_offset < high_watermark:
            ending.popleft()
        first = next(iter(self.open.values()), None)
        for ended in ending:
            if first is None or ended.began.offset < first.offset:
                first = ended.began
        return first

    def saved_to(self, recovery_point: int) -> None:
        """The checkpoint on disk goes up to here."""
        while self._unsaved and self._unsaved[0].marker_offset < recovery_point:
            self._unsaved.popleft()

    # Aborted transactions.

    def aborted_between(self, bases: Iterable[int], start: int, end: int) -> list[tuple[int, int]]:
        """(producer id, first offset) of the aborted transactions with records from `start` on and before `end`.

        `bases`: of the segments from the one with `start` on.
        """
        found = []
        for base in bases:
            entries = self.aborted.get(base)
            if not entries:
                continue
            for _, producer_id, first, _last, stable in ABORTED.iter_unpack(memoryview(entries)[self._first_ending_at(entries, start) :]):
                if first < end:
                    found.append((producer_id, first))
                if stable >= end:
                    return found
        return found

    @staticmethod
    def _first_ending_at(entries: bytearray, offset: int) -> int:
        """The place of the first entry whose marker is at this offset or behind it."""
        low, high = 0, len(entries) // ABORTED.size
        while low < high:
            middle = (low + high) // 2
            if ABORTED.unpack_from(entries, middle * ABORTED.size)[3] < offset:
                low = middle + 1
            else:
                high = middle
        return low * ABORTED.size

    def drop(self, segment_base: int) -> None:
        """The segment is no longer part of the log."""
        self.aborted.pop(segment_base, None)
        self.saved.pop(segment_base, None)

    def entries_below(self, segment_base: int, offset: int) -> bytes:
        """The entries of a segment whose markers are before this offset."""
        entries = self.aborted.get(segment_base, bytearray())
        return bytes(entries[: self._first_ending_at(entries, offset)])

    # In ev's own checkpoint: what is open at its place, and checksums of Kafka's files, which have none.

    def pack(self, end_offset: int) -> bytes:
        """Everything below `end_offset`, which is how far the log is known to be on disk."""
        open_then = [
            (each.producer_id, each.began.offset) for each in self._unsaved if each.began.offset < end_offset <= each.marker_offset
        ]
        open_then += [(producer_id, began.offset) for producer_id, began in self.open.items() if began.offset < end_offset]
        open_then.sort(key=lambda each: each[1])
        indexes = [(base, self.entries_below(base, end_offset)) for base in sorted(self.aborted)]
        checks = [INDEX_ENTRY.pack(base, len(entries), crc32c(entries)) for base, entries in indexes if entries]
        parts = [COUNT.pack(len(open_then)), *(OPEN_ENTRY.pack(*each) for each in open_then), COUNT.pack(len(checks)), *checks]
        epochs = self.coordinator_epochs.items()
        return b"".join((*parts, COUNT.pack(len(epochs)), *(EPOCH_ENTRY.pack(*each) for each in epochs)))

    def unpack(self, data: Buffer, position: int) -> list[tuple[int, int, int]]:
        """Read what `pack` wrote; (segment base, bytes, checksum) of each .txnindex. Raises MalformedError.

        A checkpoint from before there were transactions ends here.
        """
        if position == len(data):
            return []
        try:
            for producer_id, offset in self._entries(data, position, OPEN_ENTRY):
                self.begin(producer_id, offset, None, 0)
            position += COUNT.size + len(self.open) * OPEN_ENTRY.size
            checks: list[tuple[int, int, int]] = list(self._entries(data, position, INDEX_ENTRY))
            position += COUNT.size + len(checks) * INDEX_ENTRY.size
            self.coordinator_epochs = dict(self._entries(data, position, EPOCH_ENTRY))
        except StructError as problem:
            raise MalformedError(f"a table of transactions is cut off: {problem}") from problem
        return checks

    @staticmethod
    def _entries(data: Buffer, position: int, entry: Struct) -> Iterator[Any]:
        (count,) = COUNT.unpack_from(data, position)
        for number in range(count):
            yield entry.unpack_from(data, position + COUNT.size + number * entry.size)

    def adopt(self, segment_base: int, entries: Buffer) -> None:
        """Take over the entries of a .txnindex, whole."""
        if entries:
            self.aborted[segment_base] = bytearray(entries)
            self.saved[segment_base] = len(entries)


def sound_entries(data: Buffer) -> Buffer | None:
    """The content of a .txnindex that nobody has a checksum of, if it looks like one."""
    if len(data) % ABORTED.size:
        return None
    before = -1
    for version, _, first, last, _ in ABORTED.iter_unpack(data):
        if version != ABORTED_VERSION or first > last or last <= before:
            return None
        before = last
    return data
