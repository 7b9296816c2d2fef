"""Looks over a data directory, partition by partition: which damage is in it. Changes nothing, beside an engine that runs or not.

    units()         what there is to look at: one segment, or the small files of a partition or of the directory itself
    Scrub.check()   the damage in one unit

A unit is independent of all others, so they may be shared out over processes. Damage is what is found twice; see
`ev.log.verification`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from ev.errors import DiskError, MalformedError
from ev.log.checkpoint import (
    CLEAN_SHUTDOWN,
    CLEANER_OFFSETS,
    LEADER_EPOCHS,
    META_PROPERTIES,
    OWN_CHECKPOINT,
    PARTITION_METADATA,
    STATE,
    Identity,
    State,
    parse_offsets,
)
from ev.log.found import Found, examine
from ev.log.journal import HALF_NAMES, damaged_block
from ev.log.layout import PARTITION_NAME
from ev.log.producers import read_snapshot
from ev.log.segment import DELETED, LOG, SNAPSHOT, TRANSACTION_INDEX
from ev.log.verification import Damage, SegmentCheck, Surroundings
from ev.wire.checksum import crc32c

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ev.disk import Disk

LOG_NAME: Final = re.compile(r"\d{20}\.log")
KNOWN_NAME: Final = re.compile(
    r"\d{20}(\.(log|index|timeindex|txnindex|snapshot)(\.(deleted|cleaned|swap|tmp))?|\.log(\.\d+)?\.torn|\.journal)"
    rf"|({re.escape(OWN_CHECKPOINT)}|{re.escape(LEADER_EPOCHS)}|{re.escape(PARTITION_METADATA)})(\.tmp)?"
)
SWAP: Final = ".swap"


class Unit(NamedTuple):
    """What is looked at in one go. Without a partition: the files of the data directory; without an offset: those of a partition."""

    partition: str
    base_offset: int | None
    bytes: int


class Checked(NamedTuple):
    """What came of a unit."""

    damages: list[Damage]
    batches: int
    bytes: int


def units(disk: Disk, directory: str, wanted: Callable[[str, int], bool]) -> list[Unit]:
    """Everything in the partitions that are wanted, by topic and number."""
    found = [Unit("", None, 0)]
    for name in disk.list(directory):
        matched = PARTITION_NAME.fullmatch(name)
        if matched is None or not wanted(matched[1], int(matched[2])) or not disk.is_directory(f"{directory}/{name}"):
            continue
        found.append(Unit(name, None, 0))
        try:
            logs = [each for each in disk.list(f"{directory}/{name}") if LOG_NAME.fullmatch(each)]
        except OSError:
            continue  # deleted just now, or the look at the partition itself will say why not
        found += [Unit(name, int(log[:20]), _size(disk, f"{directory}/{name}/{log}")) for log in logs]
    return found


def _size(disk: Disk, path: str) -> int:
    try:
        return disk.size(path)
    except FileNotFoundError:
        return 0


class Scrub:
    """Looks over units of one data directory.

    `compacted`: topics that compaction may have made holes in. `live`: whether an engine runs here just now. `progress` is told of
    bytes as they are read, once each.
    """

    def __init__(
        self, disk: Disk, directory: str, compacted: Collection[str], live: Callable[[], bool], progress: Callable[[int], None]
    ) -> None:
        self.disk = disk
        self.directory = directory
        self.compacted = compacted
        self.live = live
        self.progress = progress

    def check(self, unit: Unit) -> Checked:
        """The damage in one unit, if it is there at a second look too."""
        first = self._look(unit, self.progress)
        if not first.damages:
            return first
        again = self._look(unit, lambda _: None).damages
        return first._replace(damages=[damage for damage in first.damages if damage in again])

    def _look(self, unit: Unit, progress: Callable[[int], None]) -> Checked:
        if not unit.partition:
            return Checked(_common_files(self.disk, self.directory, self.live), 0, 0)
        try:
            found = examine(self.disk, f"{self.directory}/{unit.partition}")
        except FileNotFoundError:
            return Checked([], 0, 0)  # its topic was deleted, or a file replaced
        except OSError as problem:
            return Checked([Damage(unit.partition, "", None, None, "a directory that can be read", str(problem))], 0, 0)
        logs = [int(name[:20]) for name in found.names if LOG_NAME.fullmatch(name)]
        has_holes = self._has_holes(unit.partition, found)
        is_clean = self.disk.exists(f"{self.directory}/{CLEAN_SHUTDOWN}")
        if unit.base_offset is None:
            return Checked(_partition_files(self.disk, unit.partition, found, logs, has_holes, is_clean), 0, 0)
        around = Surroundings(
            unit.partition,
            found.directory,
            frozenset(found.names),
            found.checkpoint,
            min((base for base in logs if base > unit.base_offset), default=None),
            is_clean,
            has_holes,
            self.live,
        )
        segment = SegmentCheck(self.disk, around, unit.base_offset, progress)
        return Checked(segment.run(), segment.batches, segment.bytes)

    def _has_holes(self, partition: str, found: Found) -> bool:
        """Whether compaction may have taken batches out: by the topic's name, by its note, or because a segment was replaced just now."""
        topic, _, number = partition.rpartition("-")
        if topic.startswith("__") or topic in self.compacted or any(name.endswith((LOG + DELETED, SWAP)) for name in found.names):
            return True
        try:
            noted = parse_offsets(self.disk.read(f"{self.directory}/{CLEANER_OFFSETS}"))
        except FileNotFoundError:
            return False
        return (topic, int(number)) in noted


# The files of a partition beside its segments.


def _partition_files(disk: Disk, partition: str, found: Found, logs: list[int], has_holes: bool, is_clean: bool) -> list[Damage]:
    damages = [
        Damage(partition, name, None, None, "a file of a partition", "an unknown name")
        for name in found.names
        if not KNOWN_NAME.fullmatch(name)
    ]
    if _is_unborn(disk, found, logs):
        return damages
    if OWN_CHECKPOINT in found.names and found.checkpoint is None:
        damages.append(Damage(partition, OWN_CHECKPOINT, None, None, "a checkpoint that matches its checksum", "one that does not"))
    if PARTITION_METADATA not in found.names:
        damages.append(Damage(partition, PARTITION_METADATA, None, None, "the topic's id", "no such file"))
    elif found.said is None or not found.metadata_is_sound:
        damages.append(Damage(partition, PARTITION_METADATA, None, None, "the topic's id", "another one, or none"))
    for name in found.names:
        if name.endswith(SNAPSHOT):
            damages += _snapshot(disk, partition, found.directory, name)
    if found.checkpoint is not None:
        damages += _lost_segments(partition, found, logs, has_holes, is_clean)
        damages += _transaction_checksums(disk, partition, found, logs, has_holes)
    return damages


def _is_unborn(disk: Disk, found: Found, logs: list[int]) -> bool:
    """Whether it was being made when the engine ended, so that nobody was told of it: its files may be empty, the next start fills them."""
    if logs:
        return False
    own = found.checkpoint
    if own is not None:
        return own.recovery_offset == own.log_start_offset == 0
    return OWN_CHECKPOINT not in found.names or not disk.read(f"{found.directory}/{OWN_CHECKPOINT}").strip(b"\0")


def _snapshot(disk: Disk, partition: str, directory: str, name: str) -> list[Damage]:
    try:
        for _ in read_snapshot(disk.read(f"{directory}/{name}")):
            pass
    except FileNotFoundError:
        return []
    except (MalformedError, OSError) as problem:
        return [Damage(partition, name, None, None, "a snapshot that matches its checksum", str(problem))]
    return []


def _lost_segments(partition: str, found: Found, logs: list[int], has_holes: bool, is_clean: bool) -> list[Damage]:
    """Segments that the checkpoint knows of and that are not there. Where the log starts it may say too late, but for a clean stop."""
    own = found.checkpoint
    assert own is not None
    if has_holes:
        return []
    first = min(logs, default=None)
    missing = None
    if first is None:
        missing = own.segment_base if own.recovery_offset > own.log_start_offset else None
    elif own.segment_base not in logs and first < own.recovery_offset:
        missing = own.segment_base
    damages = []
    if missing is not None:
        damages.append(Damage(partition, f"{missing:020d}{LOG}", None, missing, "a segment that was on disk", "no such file"))
    if is_clean and first is not None and first > own.log_start_offset and own.recovery_offset > own.log_start_offset:
        expected = f"a segment with offset {own.log_start_offset}, where the log starts"
        damages.append(Damage(partition, f"{first:020d}{LOG}", 0, own.log_start_offset, expected, f"the first one begins at {first}"))
    return damages


def _transaction_checksums(disk: Disk, partition: str, found: Found, logs: list[int], has_holes: bool) -> list[Damage]:
    """The .txnindex files against the checksums that the checkpoint has of them."""
    own = found.checkpoint
    assert own is not None
    try:
        _, _, checks = own.producers()
    except MalformedError as problem:
        return [Damage(partition, OWN_CHECKPOINT, None, None, "tables of producers and transactions", str(problem))]
    damages = []
    for base, size, checksum in checks:
        name = f"{base:020d}{TRANSACTION_INDEX}"
        if base not in logs or has_holes:
            continue
        try:
            data = disk.read(f"{found.directory}/{name}")[:size]
        except FileNotFoundError:
            data = b""
        if len(data) != size or crc32c(data) != checksum:
            damages.append(
                Damage(partition, name, 0, base, f"{size} bytes with checksum {checksum:08x}", f"{len(data)} bytes, {crc32c(data):08x}")
            )
    return damages


# The files of the data directory.


def _common_files(disk: Disk, directory: str, live: Callable[[], bool]) -> list[Damage]:
    damages = []
    for name in (META_PROPERTIES, STATE, *HALF_NAMES):
        try:
            found = _problem_of(name, disk.read(f"{directory}/{name}"), live)
        except FileNotFoundError:
            continue
        except OSError as problem:
            found = (None, str(problem))
        if found is not None:
            damages.append(Damage("", name, found[0], None, "what matches its checksum", found[1]))
    return damages


def _problem_of(name: str, data: bytes, live: Callable[[], bool]) -> tuple[int | None, str] | None:
    """(place, what is wrong) of a file with a checksum of its own; None when it is whole."""
    if name in HALF_NAMES:
        position = damaged_block(data, last_may_be_torn=live())  # an engine may be writing it just now
        return None if position is None else (position, "a block that does not")
    try:
        if name == META_PROPERTIES:
            Identity.parse(data)
        elif State.parse(data) is None:
            return None, "a file that does not"
    except DiskError as problem:
        return None, str(problem)
    return None
