"""Which offsets may be committed: two plain accounts, without I/O.

`Ledger` is for a stream of records of which only the number of bytes is known that its reader has handled: every record that lies wholly
within them is done. `Unfinished` is for records that finish one by one in any order: a partition may be committed up to its lowest
unfinished record. Both forget a partition that belongs to somebody else by now: what finishes later counts for nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from itertools import accumulate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Partition = tuple[str, int]


class Stretch:
    """Neighbouring records of one partition as they lie in a stream.

    `ends` says where each record ends, counted from the beginning of `data`; `next_offset` is where reading goes on after the last.
    """

    __slots__ = ("begin", "data", "done", "ends", "next_offset", "offsets", "partition")

    def __init__(self, partition: Partition | None, data: bytes, ends: list[int], offsets: Sequence[int], next_offset: int) -> None:
        self.partition = partition
        self.data = data
        self.ends = ends
        self.offsets = offsets
        self.next_offset = next_offset
        self.begin = 0
        """The place of `data` in the stream, known when its first byte is written."""
        self.done = 0
        """How many of the records are done."""

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def size(self) -> int:
        return self.ends[-1] if self.ends else 0

    def rest(self) -> Stretch:
        """The records that are not done, to be handed over once more."""
        start = self.ends[self.done - 1] if self.done else 0
        ends = [end - start for end in self.ends[self.done :]]
        return Stretch(self.partition, self.data[start:], ends, self.offsets[self.done :], self.next_offset)

    def first(self, count: int) -> Stretch:
        """Only the first records, at the same place in the stream."""
        shorter = Stretch(
            self.partition, self.data[: self.ends[count - 1]], self.ends[:count], self.offsets[:count], self.offsets[count - 1] + 1
        )
        shorter.begin, shorter.done = self.begin, self.done
        return shorter


def stretch_of(partition: Partition, pieces: list[bytes], delimiter: bytes, offsets: Sequence[int], next_offset: int) -> Stretch:
    """The pieces, each with the delimiter behind it."""
    extra = len(delimiter)
    ends = list(accumulate([len(piece) + extra for piece in pieces]))
    return Stretch(partition, delimiter.join([*pieces, b""]), ends, offsets[: len(pieces)], next_offset)


def next_offset_after(offsets: Sequence[int], count: int, whole: int) -> int:
    """Where reading goes on after the first `count` records of a batch: compaction may have removed its last ones."""
    return whole if count == len(offsets) else offsets[count - 1] + 1


class Ledger:
    """What was written into a stream, and how far it is done."""

    def __init__(self) -> None:
        self._written: deque[Stretch] = deque()
        self._settled: dict[Partition, int] = {}

    @property
    def unsettled(self) -> int:
        """How many records were written and are not known to be done."""
        return sum(len(stretch) - stretch.done for stretch in self._written)

    def add(self, stretch: Stretch) -> None:
        """The stretch is written behind everything that was added before; its `begin` says where."""
        self._written.append(stretch)

    def settle(self, handled: int) -> None:
        """Every record that lies wholly within the first `handled` bytes of the stream is done."""
        written = self._written
        while written:
            stretch = written[0]
            here = handled - stretch.begin
            if here >= stretch.size:
                written.popleft()
                stretch.done = len(stretch)
                if stretch.partition is not None:
                    self._settled[stretch.partition] = stretch.next_offset
                continue
            count = bisect_right(stretch.ends, here)
            if count > stretch.done:
                stretch.done = count
                if stretch.partition is not None:
                    self._settled[stretch.partition] = stretch.offsets[count - 1] + 1
            return

    def take(self) -> dict[Partition, int]:
        """What may be committed and was not taken before."""
        found, self._settled = self._settled, {}
        return found

    def keep(self, offsets: dict[Partition, int]) -> None:
        """What was taken and could not be committed, unless there is something later."""
        for partition, offset in offsets.items():
            self._settled[partition] = max(offset, self._settled.get(partition, 0))

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Nothing of these partitions may be committed; their bytes still count as bytes."""
        gone = set(partitions)
        for stretch in self._written:
            if stretch.partition in gone:
                stretch.partition = None
        for partition in gone:
            self._settled.pop(partition, None)

    def shorten(self, stretch: Stretch, shorter: Stretch) -> None:
        """The last stretch that was added ends earlier than was said."""
        assert self._written[-1] is stretch
        self._written[-1] = shorter

    def give_back(self) -> list[Stretch]:
        """What is not done, to be written into another stream; the ledger is empty then, but for what may be committed."""
        unsettled = [stretch.rest() for stretch in self._written if stretch.partition is not None]
        self._written.clear()
        return unsettled


class Track:
    """The records of one partition that were begun, in their order."""

    __slots__ = ("begun", "finished", "partition")

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.begun: deque[tuple[int, int]] = deque()
        """(offset, the offset after it) of those at and behind the lowest unfinished one."""
        self.finished: set[int] = set()


class Unfinished:
    """Records that were begun in order and finish in any."""

    def __init__(self) -> None:
        self._tracks: dict[Partition, Track] = {}
        self._committable: dict[Partition, int] = {}

    def begin(self, partition: Partition, offset: int, next_offset: int) -> Track:
        """A record is begun; the track has to be shown when it is finished."""
        track = self._tracks.get(partition)
        if track is None:
            track = self._tracks[partition] = Track(partition)
        track.begun.append((offset, next_offset))
        return track

    def finish(self, track: Track, offset: int) -> None:
        """It is finished. When the partition was forgotten since it was begun, that means nothing."""
        if self._tracks.get(track.partition) is not track:
            return
        track.finished.add(offset)
        begun, finished = track.begun, track.finished
        while begun and begun[0][0] in finished:
            first, next_offset = begun.popleft()
            finished.remove(first)
            self._committable[track.partition] = next_offset

    def is_ours(self, track: Track) -> bool:
        """Whether the partition has not been forgotten since."""
        return self._tracks.get(track.partition) is track

    @property
    def count(self) -> int:
        """How many records were begun and not finished."""
        return sum(len(track.begun) - len(track.finished) for track in self._tracks.values())

    def take(self) -> dict[Partition, int]:
        found, self._committable = self._committable, {}
        return found

    def keep(self, offsets: dict[Partition, int]) -> None:
        for partition, offset in offsets.items():
            self._committable[partition] = max(offset, self._committable.get(partition, 0))

    def forget(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            self._tracks.pop(partition, None)
            self._committable.pop(partition, None)
