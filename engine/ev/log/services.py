"""What all partitions of a store share: the disk, the open files, the committer, and whom to tell what."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ev.disk import Disk
    from ev.log.commit import Committer
    from ev.log.partition import Partition
    from ev.log.segment import OpenFiles, Segment

OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT)


class Services:
    """What all partitions of a store share."""

    __slots__ = (
        "committer",
        "dirty",
        "disk",
        "files",
        "leftovers",
        "may_wait",
        "on_dirty",
        "on_dropped",
        "on_failure",
        "on_full",
        "report",
        "root_unsynced",
        "starts_moved",
        "unsaved_bytes",
        "waiting_bytes",
        "writable",
    )

    def __init__(self, disk: Disk, files: OpenFiles, report: Callable[[str], None]) -> None:
        self.disk = disk
        self.files = files
        self.report = report
        self.committer: Committer | None = None
        self.writable = True
        self.may_wait = False  # whether small batches may wait to be written (see ev.log.tail)
        self.waiting_bytes = 0
        self.starts_moved = 0  # how often a log's beginning has moved
        self.dirty: dict[Partition, None] = {}  # partitions whose checkpoint is behind
        self.leftovers: list[str] = []  # files to be unlinked
        self.root_unsynced = False  # whether a partition's directory was made whose name is not on disk yet
        self.unsaved_bytes = 0  # about how many bytes recovery would look at that it need not
        self.on_dirty: Callable[[], None] | None = None
        self.on_full: Callable[[bool], bool] | None = None  # for an internal topic (True) it may make room; whether it did
        self.on_dropped: Callable[[Partition, Segment], None] | None = None
        self.on_failure: Callable[[OSError], None] | None = None  # what was acknowledged cannot be written: the engine must end
