"""Where `ev group seek` moves a group to: the --to grammar and the files with offsets.

    start end N @T          as -o of consume: the ends, an offset, the first record at or after a time
    +N -N                   so many records on or back from what is committed
    stored                  what is committed

A file has one partition a line, TOPIC PARTITION OFFSET, with tabs, spaces or commas between them; lines of four fields begin with the
group, as Kafka's kafka-consumer-groups.sh --export writes them for several groups.
"""

from __future__ import annotations

from ev_cli.actions.several import topic_partitions
from ev_cli.failures import Failure, UsageFailure
from ev_cli.positions import END, OFFSET, START, STORED, TIME, Position, parse_range

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ev.client.admin import Admin
    from ev.client.results import CommittedOffset

    Partition = tuple[str, int]
    Ends = Mapping[Partition, int | None]


class Seek:
    """What was asked for: a place (`to`) or a distance (`shift`), another group's offsets, or those of a file."""

    def __init__(self, options: Any, now_ms: int) -> None:
        self.group: str | None = options.to_group
        self.file: str | None = options.to_file
        self.topics: list[str] = options.topic
        topic_partitions(self.topics)
        self.new_topics: bool = options.new_topics
        self.to: Position | None = None
        self.shift: int | None = None
        given = [name for name in (options.to, options.to_group, options.to_file) if name is not None]
        if not given and options.export:
            self.to = Position(STORED)
        elif len(given) > 1:
            raise UsageFailure("--to, --to-group and --to-file are three places to seek to", "give one of them")
        elif not given:
            raise UsageFailure("it is not said where to seek", "give one of --to, --to-group and --to-file")
        if options.to is not None:
            self._read_to(options.to, now_ms)

    @property
    def offset(self) -> int | None:
        """The one offset that all partitions shall have."""
        return self.to.number if self.to is not None and self.to.kind == OFFSET else None

    def _read_to(self, text: str, now_ms: int) -> None:
        if text[:1] in ("+", "-") and text[1:].isdigit():
            self.shift = int(text)
            return
        try:
            begin, end = parse_range(text, now_ms)
        except UsageFailure:
            begin, end = None, None
        if begin is None or end is not None:
            raise UsageFailure(f"--to {text!r} is no place", "write start, end, N, +N, -N, @TIME or stored")
        self.to = begin


def targets(
    admin: Admin,
    seek: Seek,
    places: Iterable[Partition],
    asked: Mapping[Partition, int],
    committed: Mapping[Partition, CommittedOffset],
    starts: Ends,
    ends: Ends,
) -> dict[Partition, int]:
    """The offset of each partition, within what is there. Partitions without a commit have nothing to count from and are left out."""
    wanted = list(places)
    if asked:
        raw: dict[Partition, int | None] = {place: asked[place] for place in wanted}
    elif seek.to is not None and seek.to.kind == TIME:
        found = admin.list_offsets(dict.fromkeys(wanted, seek.to.number))
        raw = {place: found[place].offset if found[place].offset >= 0 else ends[place] for place in wanted}
    else:
        raw = {place: _place(seek, committed.get(place), starts[place], ends[place]) for place in wanted}
    found_offsets = {}
    for place, offset in raw.items():
        start, end = starts[place], ends[place]
        if start is None or end is None:
            raise Failure(f"nobody says where {place[0]}/{place[1]} begins and ends", "try again, or leave it out with -t", code=4)
        if offset is not None:
            found_offsets[place] = max(start, min(offset, end))
    return found_offsets


def _place(seek: Seek, committed: CommittedOffset | None, start: int | None, end: int | None) -> int | None:
    if seek.shift is not None:
        return None if committed is None else committed.offset + seek.shift
    assert seek.to is not None
    if seek.to.kind == STORED:
        return None if committed is None else committed.offset
    base = {START: start, END: end}.get(seek.to.kind, 0)
    return None if base is None else base + seek.to.number


def offsets_text(offsets: Mapping[Partition, int]) -> str:
    """The file form, as --to-file reads it."""
    return "".join(f"{topic}\t{index}\t{offset}\n" for (topic, index), offset in sorted(offsets.items()))


def read_offsets(path: str, group: str | None = None) -> dict[Partition, int]:
    """The offsets in a file. Lines of other groups are passed over."""
    try:
        with open(0 if path == "-" else path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}") from None
    found: dict[Partition, int] = {}
    for number, line in enumerate(lines, 1):
        fields = [field.strip('"') for field in line.replace(",", " ").split()]
        if not fields or fields[0].startswith("#"):
            continue
        if len(fields) == 4 and group is not None:
            if fields[0] != group:
                continue
            fields = fields[1:]
        if len(fields) != 3 or not fields[1].isdigit() or not fields[2].isdigit():
            raise Failure(f"line {number} of {path} holds no offset: {line[:80]!r}", "write TOPIC PARTITION OFFSET")
        found[fields[0], int(fields[1])] = int(fields[2])
    if not found:
        raise Failure(f"{path} holds no offsets", "write TOPIC PARTITION OFFSET, one partition a line")
    return found
