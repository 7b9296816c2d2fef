"""Faults of what is read from the wire: sizes and counts are believed before they are measured."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from ev.wire import binding, compression, records
from torture.faults import Patches

WITHOUT_A_BUDGET = 1 << 29
BELIEVED_MAX = 512 << 20
"""A fault must not bring the machine down."""


def array_length_believed(patches: Patches) -> None:
    """Room for an array is made by the count that a message declares, before anybody looks how many bytes are left (CVE-2022-34917)."""
    honest = binding.refuse_count

    def believing(name: str, count: int, left: int) -> Any:
        room = [None] * min(count, BELIEVED_MAX >> 4)
        del room
        honest(name, count, left)

    patches.put(binding, "SHARED", {**binding.SHARED, "refuse_count": believing})


def elements_not_counted(patches: Patches) -> None:
    """A request may have as many small parts as there are bytes in it."""
    patches.put(binding, "SHARED", {**binding.SHARED, "refuse_elements": lambda name: None})


def decompression_without_a_budget(patches: Patches) -> None:
    """What comes out of a batch may be as large as it likes."""
    honest = compression.decompress

    def generous(codec: int, data: Any, size_max: int = 0) -> bytes:
        return honest(codec, data, WITHOUT_A_BUDGET)

    patches.put(compression, "decompress", generous)


def declared_size_believed(patches: Patches) -> None:
    """The buffer for a batch has the size that its frame declares, whatever the bound says (CVE-2023-34455)."""
    honest: Callable[..., bytes] = compression._decompress_zstd

    def believing(data: Any, size_max: int) -> bytes:
        declared = compression._zstd_content_size(memoryview(data))
        room = bytearray(min(declared or 0, BELIEVED_MAX))
        del room
        return honest(data, size_max)

    patches.put(compression, "_decompress_zstd", believing)


def gzip_opened_before_it_is_measured(patches: Patches) -> None:
    """A gzip batch is decompressed whole, and its size looked at afterwards."""
    honest: Callable[..., bytes] = compression._decompress_gzip

    def hasty(data: Any, size_max: int) -> bytes:
        whole, rest = [], data
        try:
            while rest:
                member = zlib.decompressobj(31)
                whole.append(member.decompress(rest))
                rest = member.unused_data
        except zlib.error:
            pass
        del whole
        return honest(data, size_max)

    patches.put(compression, "_decompress_gzip", hasty)


def record_count_believed(patches: Patches) -> None:
    """Columns are made by the count that a batch's header declares, before its records are there."""
    honest = records.decode_records

    def believing(header: Any, body: bytes) -> Any:
        columns = [None] * min(max(header.record_count, 0), BELIEVED_MAX >> 3)
        del columns
        return honest(header, body)

    patches.put(records, "decode_records", believing)
