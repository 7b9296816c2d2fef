"""Faults of the log: what it checks when it starts, and what it writes out."""

from __future__ import annotations

from typing import Any

from ev.disk import RealDisk
from ev.log import checkpoint, partition_appends, scan, store, validation
from ev.log.checkpoint import CLEAN_SHUTDOWN, FORMAT, OWN_CHECKPOINT
from ev.log.commit import Committer
from ev.log.epochs import LeaderEpochs
from ev.log.found import Found
from ev.log.partition import Partition
from ev.log.producers import Producers
from ev.log.recovery import Recovery
from ev.log.scan import Fields
from ev.log.segment import LOG, Segment
from ev.log.store import Store
from ev.log.store_upkeep import StoreUpkeep
from torture.faults import Patches


class Agreeable(int):
    """A checksum that is never wrong."""

    def __ne__(self, other: object) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


def no_checksum(patches: Patches) -> None:
    """The checksum of batches is not looked at when a log is walked."""
    patches.put(scan, "crc32c", lambda *_: Agreeable())


def forgetful_flush(patches: Patches) -> None:
    """The journal's half is used again though batches that it held still wait in memory."""
    flush, write = Committer._retire, Partition.write_out
    flushing = False

    def forgetful(self: Committer, now_ms: int) -> None:
        nonlocal flushing
        flushing = True
        flush(self, now_ms)
        flushing = False

    def unless_flushing(self: Partition) -> None:
        if not flushing:
            write(self)

    patches.put(Committer, "_retire", forgetful)
    patches.put(Partition, "write_out", unless_flushing)


def epochs_unknown(patches: Patches) -> None:
    """Nobody looks whether a batch says the leader epoch that it was written in: no checksum covers that field."""
    patches.put(LeaderEpochs, "at", lambda self, offset: -1)


def cut_where_damaged(patches: Patches) -> None:
    """A start takes the first damage of a log for its torn end, wherever it is: what follows is cut off for good."""
    honest = Recovery._segments

    def cut(self: Recovery) -> list[Segment]:
        for name in [name for name in self.found.names if name.endswith(LOG)]:
            file = self.disk.open(f"{self.directory}/{name}")
            walk = scan.Scan(file.read_at, 0, file.size(), None, contiguous=False)
            for _ in walk:
                pass
            if walk.problem is not None:
                file.truncate(walk.position)
            file.release()
        return honest(self)

    patches.put(Recovery, "_segments", cut)


def orphans_deleted(patches: Patches) -> None:
    """A partition whose checkpoint cannot be read is taken for what is left of a deleted topic, and deleted."""
    honest = Store._examined

    def impatient(self: Store, directory: str, topic_id: bytes) -> Found | None:
        found = honest(self, directory, topic_id)
        if found is not None and found.checkpoint is None and OWN_CHECKPOINT in found.names:
            self._finish_deletion(directory)
            return None
        return found

    patches.put(Store, "_examined", impatient)


def journal_passed_over(patches: Patches) -> None:
    """A start does not look into the commit journal."""
    patches.put(store, "read_entries", lambda *_: [])


def clean_marker_kept(patches: Patches) -> None:
    """A start leaves the marker of the last clean stop where it is: after a crash the next one believes it."""
    honest = RealDisk.remove

    def remove(self: RealDisk, path: str) -> None:
        if not path.endswith(CLEAN_SHUTDOWN):
            honest(self, path)

    patches.put(RealDisk, "remove", remove)


def producers_not_recovered(patches: Patches) -> None:
    """What a start finds behind the last checkpoint does not count for the sequence numbers of producers."""
    honest = Recovery._take

    def forgetful(self: Recovery, segment: Segment, position: int, fields: Fields) -> None:
        kept, self.producers = self.producers, Producers()
        honest(self, segment, position, fields)
        self.producers = kept

    patches.put(Recovery, "_take", forgetful)


def no_cut_back(patches: Patches) -> None:
    """What a failed write has left of a batch stays in the file."""
    patches.put(Partition, "_cut_back", lambda self, file, position: None)


def full_for_ever(patches: Patches) -> None:
    """A disk that was full is taken for full until the next start."""
    honest = StoreUpkeep._check_space

    def once(self: StoreUpkeep) -> None:
        if self._services.writable:
            honest(self)
        else:
            self._next_space_check_ms = None

    patches.put(StoreUpkeep, "_check_space", once)


def newer_format_opened(patches: Patches) -> None:
    """A data directory is opened whatever format it says to have."""
    patches.put(checkpoint, "FORMAT", 1 << 30)


def format_raised_at_start(patches: Patches) -> None:
    """Every start gives the data directory the newest format, so that the engine of before cannot be put back."""
    honest = Store._begin_epoch

    def raised(self: Store) -> None:
        self.format = FORMAT
        honest(self)

    patches.put(Store, "_begin_epoch", raised)


def no_checksum_of_what_is_produced(patches: Patches) -> None:
    """A batch is taken though it does not match its checksum."""
    patches.put(partition_appends, "crc32c", lambda *_: Agreeable())


def lying_count_believed(patches: Patches) -> None:
    """A batch is taken though it says another number of records than its offsets do."""
    honest = validation.refusal

    def believing(*arguments: Any) -> Any:
        refused = honest(*arguments)
        return None if refused is not None and "last offset delta" in str(refused) else refused

    patches.put(partition_appends, "refusal", believing)
