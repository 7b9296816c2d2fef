"""Finishes at a start what a crash has stopped while compacted segments took the place of old ones (LogLoader.java).

.cleaned    not complete: it goes
.log.swap   complete and synced: the segments that it covers go, and it gets its name
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ev.log.compaction import CLEANED, SWAP
from ev.log.scan import Scan
from ev.log.segment import INDEX, LOG, TIME_INDEX, TRANSACTION_INDEX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ev.disk import Disk

LOG_NAME: Final = re.compile(r"\d{20}\.log")
BASE: Final = slice(20)


def finish_swapping(disk: Disk, directory: str, found: Sequence[str], *, by_kafka: bool, report: Callable[[str], None]) -> bool:
    """Whether there was anything to finish, so that the directory's names have changed. `by_kafka`: Kafka was the last to write here."""
    unfinished = [name for name in found if name.endswith(CLEANED)]
    swaps = [name for name in found if name.endswith(SWAP)]
    if not unfinished and not swaps:
        return False
    names = set(found)
    for name in unfinished:
        disk.remove(f"{directory}/{name}")
    if by_kafka and unfinished:
        # Kafka renames the files of one compaction from the last to the first: those from here on do not belong together.
        lowest = min(unfinished)[BASE]
        for name in [name for name in swaps if name[BASE] >= lowest]:
            disk.remove(f"{directory}/{name}")
            names.discard(name)
    for name in sorted(name for name in names if name.endswith(LOG + SWAP)):
        _swap_in(disk, directory, name, names, report)
    for name in [name for name in names if name.endswith(SWAP)]:
        disk.remove(f"{directory}/{name}")
    disk.sync_directory(directory)
    return True


def _swap_in(disk: Disk, directory: str, name: str, names: set[str], report: Callable[[str], None]) -> None:
    """Give a compacted segment its name, and let go of the segments that it covers."""
    path, base = f"{directory}/{name}", int(name[BASE])
    file = disk.open(path, read_only=True)
    try:
        scan = Scan(file.read_at, 0, disk.size(path), None, contiguous=False)
        for _ in scan:
            pass
    finally:
        file.release()
    if scan.problem is not None:
        report(f"{path} was to replace segments and is damaged ({scan.problem}); those stay")
        return
    end = scan.offset if scan.offset is not None else base
    for other in [each for each in names if LOG_NAME.fullmatch(each) and base <= int(each[BASE]) < max(end, base + 1)]:
        is_same = int(other[BASE]) == base
        for suffix in (INDEX, TIME_INDEX, TRANSACTION_INDEX, *(() if is_same else (LOG,))):
            if f"{other[BASE]}{suffix}" in names:
                disk.remove(f"{directory}/{other[BASE]}{suffix}")
    for suffix in (INDEX, TIME_INDEX, LOG):
        swap = f"{name[BASE]}{suffix}{SWAP}"
        if swap in names:
            disk.rename(f"{directory}/{swap}", f"{directory}/{name[BASE]}{suffix}")
            names.discard(swap)
