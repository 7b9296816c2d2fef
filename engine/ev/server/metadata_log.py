"""Reads the metadata log of a data directory from outside, beside the engine that may run there. Changes nothing."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ev.broker.topics import read_record
from ev.errors import DiskError, MalformedError
from ev.log.layout import METADATA_TOPIC
from ev.log.scan import Scan
from ev.log.scrub import LOG_NAME
from ev.wire.records import LOG_OVERHEAD, decode_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ev.disk import Disk


def metadata_records(disk: Disk, directory: str) -> Iterator[tuple[str, str, dict[str, Any] | None]]:
    """(kind, name, state) of every record that its files hold, as far as they can be read: what is damaged is said elsewhere."""
    folder = f"{directory}/{METADATA_TOPIC}-0"
    for name in disk.list(folder) if disk.exists(folder) else ():
        if not LOG_NAME.fullmatch(name):
            continue
        with contextlib.suppress(OSError, MalformedError, DiskError):
            file = disk.open(f"{folder}/{name}", read_only=True)
            try:
                for position, fields in Scan(file.read_at, 0, file.size(), None, contiguous=False):
                    columns = decode_batch(file.read_at(fields[1] + LOG_OVERHEAD, position))
                    for key, value in zip(columns.keys, columns.values, strict=True):
                        yield read_record(key or b"", value)
            finally:
                file.release()
