"""A history of what clients sent, were told and read, and the search for what must not be in it.

Values are unique within a run. The rules are those of Jepsen's Kafka workload as far as they apply to one broker without transactions:

    lost          acknowledged, and not in the final read of its partition
    duplicate     one value at two offsets (producers are idempotent)
    conflict      two values at one offset: two readers, or a reader and an acknowledgement, disagree
    phantom       read, and never sent
    rejected      read, though its sender was told that it was refused for good
    reordered     of two values from one sender to one partition the later one has the lower offset
    gap           offsets of the final read of a partition are not consecutive
    backwards     a reader that did not seek got an offset again, or one before it
    skipped       a reader that did not seek passed over a record
    ahead         a committed offset beyond the end of the log
    regressed     a group's committed offset is lower than one that was acknowledged before

The final read goes from the beginning to the high watermark after everything has stopped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple


class Place(NamedTuple):
    """A topic's partition."""

    topic: str
    partition: int


@dataclass(slots=True)
class History:
    """Everything that happened, as it is reported; `anomalies` judges it."""

    sent: dict[str, list[tuple[Place, bytes]]] = field(default_factory=lambda: defaultdict(list))
    acked: dict[Place, dict[bytes, int | None]] = field(default_factory=lambda: defaultdict(dict))
    refused: set[tuple[Place, bytes]] = field(default_factory=set)
    reads: dict[tuple[str, Place], list[tuple[int, bytes]]] = field(default_factory=lambda: defaultdict(list))
    final: dict[Place, list[tuple[int, bytes]]] = field(default_factory=dict)
    starts: dict[Place, int] = field(default_factory=dict)
    commits: dict[tuple[str, Place], int] = field(default_factory=dict)
    final_commits: dict[tuple[str, Place], int] = field(default_factory=dict)

    def send(self, sender: str, place: Place, value: bytes) -> None:
        """A sender handed this to its client; senders report in the order in which they sent."""
        self.sent[sender].append((place, value))

    def acknowledge(self, place: Place, value: bytes, offset: int | None = None) -> None:
        self.acked[place][value] = offset

    def refuse(self, place: Place, value: bytes) -> None:
        self.refused.add((place, value))

    def read(self, reader: str, place: Place, records: Iterable[tuple[int, bytes]]) -> None:
        """What a reader got next, without a seek since its last read (another name for it after one)."""
        self.reads[reader, place].extend(records)

    def read_all(self, place: Place, records: Iterable[tuple[int, bytes]], start: int = 0) -> None:
        """The final read, from the log's start offset to its end."""
        self.final[place] = list(records)
        self.starts[place] = start

    def commit(self, group: str, place: Place, offset: int) -> None:
        """A commit was acknowledged."""
        self.commits[group, place] = offset

    def commit_found(self, group: str, place: Place, offset: int) -> None:
        """What OffsetFetch says at the end."""
        self.final_commits[group, place] = offset

    def anomalies(self) -> dict[str, list[str]]:
        """What is wrong, by kind, a line each; empty when nothing is."""
        found: dict[str, list[str]] = defaultdict(list)
        for kind, line in [*self._of_the_log(), *self._of_senders(), *self._of_readers(), *self._of_commits()]:
            found[kind].append(line)
        return dict(found)

    def _of_the_log(self) -> Iterable[tuple[str, str]]:
        known = {(place, value) for sent in self.sent.values() for place, value in sent}
        for place, records in self.final.items():
            start = self.starts[place]
            offsets: dict[bytes, int] = {}
            for expected, (offset, _) in enumerate(records, start):
                if offset != expected:
                    yield "gap", f"{place} has offset {offset} where {expected} was due"
                    break
            for offset, value in records:
                if value in offsets:
                    yield "duplicate", f"{place} {value!r} at {offsets[value]} and {offset}"
                offsets.setdefault(value, offset)
                if (place, value) not in known:
                    yield "phantom", f"{place}@{offset} {value!r}"
                if (place, value) in self.refused:
                    yield "rejected", f"{place}@{offset} {value!r}"
            for value, told in self.acked[place].items():
                if value not in offsets:
                    if told is None or told >= start:
                        yield "lost", f"{place} {value!r}, acknowledged at {told}"
                elif told is not None and told != offsets[value]:
                    yield "conflict", f"{place} {value!r} acknowledged at {told}, found at {offsets[value]}"
        for place in self.acked:
            if place not in self.final and self.acked[place]:
                yield "lost", f"{place} was never read to its end"

    def _of_senders(self) -> Iterable[tuple[str, str]]:
        found = {place: {value: offset for offset, value in reversed(records)} for place, records in self.final.items()}
        for sender, sent in self.sent.items():
            last: dict[Place, tuple[int, bytes]] = {}
            for place, value in sent:
                offset = found.get(place, {}).get(value)
                if offset is None:
                    continue
                if place in last and offset < last[place][0]:
                    yield "reordered", f"{sender} {place} {value!r}@{offset} was sent after {last[place][1]!r}@{last[place][0]}"
                last[place] = (offset, value)

    def _of_readers(self) -> Iterable[tuple[str, str]]:
        for (reader, place), records in self.reads.items():
            log = dict(self.final.get(place, ()))
            previous: int | None = None
            for offset, value in records:
                if log.get(offset, value) != value:
                    yield "conflict", f"{place}@{offset} {reader} read {value!r}, the final read {log[offset]!r}"
                if previous is not None and offset <= previous:
                    yield "backwards", f"{reader} {place} read {offset} after {previous}"
                elif previous is not None and offset > previous + 1:
                    yield "skipped", f"{reader} {place} read {offset} after {previous}"
                previous = offset

    def _of_commits(self) -> Iterable[tuple[str, str]]:
        for (group, place), offset in [*self.commits.items(), *self.final_commits.items()]:
            end = self.starts.get(place, 0) + len(self.final.get(place, ()))
            if offset > end:
                yield "ahead", f"{group} {place} committed {offset}, the log ends at {end}"
        for (group, place), offset in self.commits.items():
            now = self.final_commits.get((group, place), -1)
            if now < offset:
                yield "regressed", f"{group} {place} committed {offset}, found {now}"
