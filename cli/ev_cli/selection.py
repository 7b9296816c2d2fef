"""Which records of a batch are wanted: --grep, --where, --key, and so many per partition.

Each filter is a function from a batch to the places of the records that it lets through; they work one after another. What they leave
out counts as read: a group commits past it.
"""

from __future__ import annotations

import os

from ev_cli.failures import UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ev.client.fetched import FetchedBatch

    Filter = Callable[[FetchedBatch], list[int]]


class Selection:
    """The filters of one run."""

    def __init__(self, filters: list[Filter], per_partition: int | None = None) -> None:
        self.found = 0
        """How many records they have let through."""
        self.per_partition = per_partition
        self.is_filter = bool(filters)
        self._filters = filters
        self._taken: dict[tuple[str, int], int] = {}

    def of(self, batch: FetchedBatch, end: int | None) -> FetchedBatch:
        """What is wanted of the batch before the offset `end`; the batch itself when that is all of it."""
        if end is not None and batch.next_offset > end:
            batch = batch.only([place for place, offset in enumerate(batch.columns.offsets) if offset < end])
            batch.next_offset = end
        batch = self.filtered(batch)
        if self.per_partition is not None:
            batch = self._limited(batch, self.per_partition)
        self.found += len(batch)
        return batch

    def filtered(self, batch: FetchedBatch) -> FetchedBatch:
        """What the filters let through; nothing is counted."""
        for places_of in self._filters:
            places = places_of(batch)
            if len(places) < len(batch):
                batch = batch.only(places)
        return batch

    def is_full(self, topic: str, partition: int) -> bool:
        """Whether the partition has given as many records as it may."""
        return self.per_partition is not None and self._taken.get((topic, partition), 0) >= self.per_partition

    def _limited(self, batch: FetchedBatch, limit: int) -> FetchedBatch:
        partition = batch.topic, batch.partition
        left = limit - self._taken.get(partition, 0)
        if len(batch) > left:
            batch = batch.only(range(max(left, 0)))
            offsets = batch.columns.offsets
            batch.next_offset = offsets[-1] + 1 if offsets else batch.first_offset
        self._taken[partition] = self._taken.get(partition, 0) + len(batch)
        return batch


def selection_of(options: Any, now_ms: int) -> Selection | None:
    """What the options ask for; None when it is everything."""
    filters = [grep(text) for text in options.grep or ()]
    if options.key is not None:
        filters.append(with_key(os.fsencode(options.key)))
    if options.where is not None:
        from ev_cli.where import places_where

        filters.append(places_where(options.where, now_ms))
    if options.per_partition is not None and options.per_partition < 0:
        raise UsageFailure("--per-partition takes a number of records")
    return Selection(filters, options.per_partition) if filters or options.per_partition is not None else None


def with_key(key: bytes) -> Filter:
    """The records of one key."""
    return lambda batch: [place for place, found in enumerate(batch.columns.keys) if found == key]


def grep(text: str) -> Filter:
    """[!]k:RE, v:RE, h:NAME=RE, h:NAME, t:RE; without a letter it is the value. Null matches nothing."""
    rest = text.removeprefix("!")
    negated = rest != text
    field, colon, pattern = rest.partition(":")
    if field not in ("k", "v", "h", "t") or not colon:
        field, pattern = "v", rest
    matching = _GREPS[field](pattern)
    if not negated:
        return matching

    def others(batch: FetchedBatch) -> list[int]:
        matched = set(matching(batch))
        return [place for place in range(len(batch)) if place not in matched]

    return others


def _keys(pattern: str) -> Filter:
    search = _search(pattern)
    return lambda batch: [place for place, key in enumerate(batch.columns.keys) if key is not None and search(key)]


def _values(pattern: str) -> Filter:
    search = _search(pattern)
    return lambda batch: [place for place, value in enumerate(batch.columns.values) if value is not None and search(value)]


def _topics(pattern: str) -> Filter:
    search = _search(pattern)
    return lambda batch: list(range(len(batch))) if search(batch.topic.encode()) else []


def _headers(pattern: str) -> Filter:
    name, equals, expression = pattern.partition("=")
    if not equals:
        return lambda batch: [
            place for place, headers in enumerate(batch.columns.headers) if headers and any(header == name for header, _ in headers)
        ]
    search = _search(expression)
    return lambda batch: [
        place
        for place, headers in enumerate(batch.columns.headers)
        if headers and any(header == name and data is not None and search(data) for header, data in headers)
    ]


_GREPS: dict[str, Callable[[str], Filter]] = {"k": _keys, "v": _values, "h": _headers, "t": _topics}


def _search(pattern: str) -> Callable[[bytes], Any]:
    import re

    try:
        return re.compile(os.fsencode(pattern)).search
    except re.error as error:
        raise UsageFailure(
            f"--grep {pattern!r} is no regular expression: {error}", "a backslash takes a character's meaning away"
        ) from None
