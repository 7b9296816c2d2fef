"""ev topic analyze: what the records of topics are like: how many, how large, how fast, with which keys, how evenly spread."""

from __future__ import annotations

import time

from ev_cli import output
from ev_cli.actions.topic_offsets import places_of
from ev_cli.failures import DONE
from ev_cli.progress import Progress
from ev_cli.ranges import ranges_of, read, size_of
from ev_cli.session import Session
from ev_cli.times import local_text, moments_of
from ev_cli.units import duration_text, size_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ev.client.fetched import FetchedBatch

PERCENTILES = (25, 50, 75, 95, 99)
EXACT_SIZE_MAX = 4096
"""Sizes above this are counted with a precision of one percent, so that their number has a bound."""
KEYS_MAX = 500_000
TOP_KEYS = 5


class Analysis:
    """What was seen of one topic."""

    def __init__(self, topic: str, partitions: Sequence[int]) -> None:
        self.topic = topic
        self.by_partition = {index: [0, 0] for index in partitions}
        """Records and bytes of keys and values."""
        self.batches = self.stored_bytes = self.tombstones = self.null_keys = self.with_headers = 0
        self.first_ms: int | None = None
        self.last_ms: int | None = None
        self.sizes: dict[int, int] = {}
        self.keys: dict[bytes, int] = {}
        self.other_keys = 0
        """Records whose keys were not among the first KEYS_MAX different ones."""
        self.codecs: dict[str, int] = {}

    def add(self, batch: FetchedBatch, wanted: int) -> None:
        from ev.client.fetched import COMPRESSIONS

        columns = batch.columns
        keys, values, times = columns.keys[:wanted], columns.values[:wanted], columns.timestamps[:wanted]
        sizes = [len(key or b"") + len(value or b"") for key, value in zip(keys, values, strict=True)]
        place = self.by_partition[batch.partition]
        place[0] += wanted
        place[1] += sum(sizes)
        self.batches += 1
        self.stored_bytes += batch.size
        name = COMPRESSIONS[batch.codec]
        self.codecs[name] = self.codecs.get(name, 0) + 1
        self.tombstones += values.count(None)
        self.null_keys += keys.count(None)
        self.with_headers += sum(1 for headers in columns.headers[:wanted] if headers)
        known = [time for time in (min(times), max(times)) if time >= 0]
        if known:
            self.first_ms = known[0] if self.first_ms is None else min(self.first_ms, known[0])
            self.last_ms = known[-1] if self.last_ms is None else max(self.last_ms, known[-1])
        self._add_sizes(sizes)
        self._add_keys(keys)

    def _add_sizes(self, sizes: list[int]) -> None:
        counts = self.sizes
        for size in sizes:
            if size > EXACT_SIZE_MAX:
                low_bits = size.bit_length() - 8
                size = size >> low_bits << low_bits
            counts[size] = counts.get(size, 0) + 1

    def _add_keys(self, keys: Sequence[bytes | None]) -> None:
        counts = self.keys
        for key in keys:
            if key is None:
                continue
            if key in counts:
                counts[key] += 1
            elif len(counts) < KEYS_MAX:
                counts[key] = 1
            else:
                self.other_keys += 1

    def described(self) -> dict[str, Any]:
        """Everything as one JSON object."""
        records = sum(count for count, _ in self.by_partition.values())
        size = sum(amount for _, amount in self.by_partition.values())
        span_ms = (self.last_ms or 0) - (self.first_ms or 0)
        most = max((count for count, _ in self.by_partition.values()), default=0)
        top = sorted(self.keys.items(), key=lambda item: (-item[1], item[0]))[:TOP_KEYS]
        return {
            "topic": self.topic,
            "partitions": len(self.by_partition),
            "records": records,
            "bytes": size,
            "stored_bytes": self.stored_bytes,
            "batches": self.batches,
            "first_timestamp": self.first_ms,
            "last_timestamp": self.last_ms,
            "records_per_s": round(records * 1000 / span_ms, 3) if span_ms else None,
            "bytes_per_s": round(size * 1000 / span_ms) if span_ms else None,
            "sizes": percentiles(self.sizes),
            "distinct_keys": len(self.keys),
            "distinct_keys_exact": not self.other_keys,
            "top_keys": [{"key": key.decode("utf-8", "backslashreplace"), "records": count} for key, count in top],
            "null_keys": self.null_keys,
            "tombstones": self.tombstones,
            "with_headers": self.with_headers,
            "codecs": self.codecs,
            "skew": round(most * len(self.by_partition) / records, 3) if records else None,
            "by_partition": [
                {"partition": index, "records": count, "bytes": amount} for index, (count, amount) in sorted(self.by_partition.items())
            ],
        }


def percentiles(counts: dict[int, int]) -> dict[str, int | None]:
    """The sizes below which so many percent of the records are, the largest, and the mean."""
    total = sum(counts.values())
    if not total:
        return {**{f"p{percent}": None for percent in PERCENTILES}, "max": None, "mean": None}
    found: dict[str, int | None] = {}
    wanted = [(percent, -(-total * percent // 100)) for percent in PERCENTILES]
    seen = 0
    for size, count in sorted(counts.items()):
        seen += count
        while wanted and seen >= wanted[0][1]:
            found[f"p{wanted.pop(0)[0]}"] = size
    found["max"] = max(counts)
    found["mean"] = round(sum(size * count for size, count in counts.items()) / total)
    return found


def analyze(options: Any) -> int:
    session = Session(options)
    since, until = moments_of(options, int(time.time() * 1000))
    with session.admin() as admin:
        places = places_of(admin, options.topics, session)
        ranges = ranges_of(admin, places, since, until)
    seen = {name: Analysis(name, [index for topic, index in places if topic == name]) for name in options.topics}
    with Progress(options, "analyzing", total=size_of(ranges), unit="records") as progress:
        for batch, wanted in read(session, ranges):
            if wanted:
                seen[batch.topic].add(batch, wanted)
            progress.advance(batch.next_offset - batch.first_offset)
    found = [analysis.described() for analysis in seen.values()]
    if output.output_format(options) in ("table", "wide"):
        output.write_text("\n".join(_text(one) for one in found))
        return DONE
    table = output.Table(("topic", "records", "bytes", "records_per_s", "distinct_keys", "null_keys", "tombstones", "skew"))
    for one in found:
        table.add(**one)
    output.show(table, options, one=len(found) == 1)
    return DONE


def _text(found: dict[str, Any]) -> str:
    """One topic for a person."""
    records, size = found["records"], found["bytes"]
    lines = [f"{output.safe(found['topic'])}  {records:,} records, {size_text(size)}, {found['partitions']} partitions"]
    if not records:
        return lines[0] + "\n"
    if found["first_timestamp"] is not None:
        first, last = found["first_timestamp"], found["last_timestamp"]
        lines.append(f"  time     {local_text(first)} to {local_text(last)}, {duration_text(last - first)}")
    if found["records_per_s"] is not None:
        lines.append(f"  rate     {found['records_per_s']:,.1f} records/s, {size_text(found['bytes_per_s'])}/s")
    lines.append("  size     " + ", ".join(f"{name} {size_text(value)}" for name, value in found["sizes"].items()))
    at_least = "" if found["distinct_keys_exact"] else "more than "
    top = ", ".join(f"{output.safe(one['key'])} {one['records'] / records:.1%}" for one in found["top_keys"][:3])
    most = f"; most: {top}" if top else ""
    lines.append(f"  keys     {at_least}{found['distinct_keys']:,} different, {found['null_keys']:,} null{most}")
    lines.append(f"  values   {found['tombstones']:,} null; {found['with_headers']:,} records with headers")
    codecs = ", ".join(f"{name} {count / found['batches']:.0%}" for name, count in found["codecs"].items())
    lines.append(f"  batches  {found['batches']:,}, {size_text(found['stored_bytes'])} as stored, {codecs}")
    lines.append(f"  spread   the largest partition has {found['skew']:.2f} times its share")
    table = output.Table(("partition", "records", "bytes"))
    for row in found["by_partition"]:
        table.add(**row)
    return "\n".join(lines) + "\n" + output.aligned(table, False)
