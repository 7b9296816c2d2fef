"""Has compacted partitions compacted: which one, when, and how new segments take the place of old ones.

The work is done elsewhere (`ev.log.compaction`). Here it is decided what is due, by Kafka's rules (LogCleanerManager.java):

* only whole, sealed segments below the last stable offset are touched, none whose records are younger than
  `min.compaction.lag.ms`, and none that a checkpoint has yet to note;
* a log is due when the share of its bytes that was not compacted yet is above `min.cleanable.dirty.ratio`, or when some of it waits
  for longer than `max.compaction.lag.ms`; the one with the largest share comes first.

New segments take the place of old ones in steps, so that a crash leaves one or the other:

    the .swap files are complete and synced       from here on a start finishes the rest by itself
    in memory, the new segments replace the old   readers of the old ones keep their open files
    the old files are renamed away ──synced──>    the .swap files get their names
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from ev.log.compaction import SWAP, CleaningPlan, Compaction, Part
from ev.log.segment import DELETED, INDEX, LOG, SUFFIXES, TIME_INDEX, Segment

if TYPE_CHECKING:
    from collections.abc import Callable

    from ev.disk import File
    from ev.log.compaction import Cleaned
    from ev.log.partition import Partition

SWAPPED: Final = (INDEX, TIME_INDEX, LOG)


def cleanable(partition: Partition, now_ms: int) -> list[Segment]:
    """The segments that may be compacted now, from the beginning of the log on."""
    config = partition.config
    if not config.compacted or partition.damaged is not None or partition.gone:
        return []
    limit = min(partition.last_stable_offset, partition.recovery_segment_base)
    found = []
    for segment, following in zip(partition.segments, partition.segments[1:], strict=False):
        young = config.min_compaction_lag_ms and segment.max_timestamp > now_ms - config.min_compaction_lag_ms
        if following.base_offset > limit or not (segment.sealed and segment.saved) or segment.swapping or young:
            break
        found.append(segment)
    return found


def dirty_share(partition: Partition, segments: list[Segment], now_ms: int) -> float:
    """The share of these segments' bytes that was not compacted yet; 0 when that is not enough to do something about it."""
    ends = [following.base_offset for following in partition.segments[1 : len(segments) + 1]]
    dirty = [segment for segment, end in zip(segments, ends, strict=True) if end > partition.cleaned_to]
    total = sum(segment.size for segment in segments)
    if not dirty or not total:
        return 0.0
    share = sum(segment.size for segment in dirty) / total
    oldest = min((segment.max_timestamp for segment in dirty if segment.max_timestamp >= 0), default=now_ms)
    overdue = now_ms - oldest > partition.config.max_compaction_lag_ms
    return share if share > partition.config.min_cleanable_ratio or overdue else 0.0


def plan_for(partition: Partition, segments: list[Segment], now_ms: int) -> Compaction:
    """The job that compacts these."""
    config = partition.config
    limit = partition.segments[len(segments)].base_offset
    start = segments[0].base_offset
    last_offsets = {producer_id: producer.batches[-1][3] for producer_id, producer in partition.producers.by_id.items() if producer.batches}
    plan = CleaningPlan(
        partition.directory,
        tuple(Part(segment.base_offset, segment.size) for segment in segments),
        max(partition.cleaned_to, start),
        limit,
        tuple(partition.aborted_transactions(start, limit)),
        last_offsets,
        config.segment_bytes,
        config.index_interval_bytes,
        config.delete_retention_ms,
        now_ms,
    )
    return Compaction(plan)


class Swap:
    """New segments taking the place of old ones in one partition. A chore: `run` in a thread, `done` on the loop."""

    def __init__(self, partition: Partition, cleaned: Cleaned, finished: Callable[[], None]) -> None:
        self._partition = partition
        self._disk = partition.services.disk
        self._finished = finished
        self._made: list[Segment] = []
        self._away: list[str] = []
        self._replaced: list[str] = []  # old files that new ones take the name of
        for new in cleaned.segments:
            covered = [segment for segment in partition.segments if segment.base_offset in new.covers]
            whole = [segment.base_offset for segment in covered] == list(new.covers)
            segment = Segment(partition.directory, new.base_offset, new.size, exists=True)
            segment.swapping = True
            if not whole or any(old.swapping for old in covered):  # some of it was dropped meanwhile
                self._away += [segment.path(suffix) for suffix in SWAPPED]
                continue
            segment.sealed = segment.times_known = True
            segment.index_saved = segment.time_index_saved = -1
            segment.max_timestamp, segment.max_timestamp_offset = new.max_timestamp, new.max_timestamp_offset
            segment.roll_timestamp = new.roll_timestamp
            segment.written_from = 0
            partition.replace_segments(covered, segment)
            self._made.append(segment)
            for old in covered:
                kept = (LOG,) if old.base_offset == segment.base_offset else ()
                self._replaced += [old.path(suffix) for suffix in kept]
                self._away += [old.path(suffix) for suffix in SUFFIXES if suffix not in kept]
        if cleaned.segments:
            partition.cleaned_to = cleaned.dirty_from
        self.away: list[str] = []  # what is to be unlinked, after `run`
        self.held: list[File] = []  # what loses its name in `done`; whoever lets go of it last waits for the disk

    def run(self) -> None:
        """Rename the old files away, all but those that a new one takes the name of. Raises OSError."""
        for path in self._away:
            with contextlib.suppress(FileNotFoundError):
                self._disk.rename(path, path + DELETED)
                self.away.append(path + DELETED)
        for path in self._replaced:
            with contextlib.suppress(FileNotFoundError):
                self.held.append(self._disk.open(path, read_only=True))
        with contextlib.suppress(FileNotFoundError):  # deleted since then, and renamed away
            self._disk.sync_directory(self._partition.directory)

    def done(self) -> None:
        if not self._partition.gone:
            for segment in self._made:
                for suffix in SWAPPED:
                    path = segment.path(suffix)
                    self._disk.rename(path, path.removesuffix(SWAP))
                segment.swapping = False
            self._partition.names_changed()
        self._finished()
