"""Moving a group from the interface: the kinds of places, what a move would mean, the records there, and the move itself.

Nothing here draws. What talks to the cluster blocks, and is called in a thread.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ev_cli.failures import Failure, UsageFailure
from ev_cli.group_moves import check_there, committed_by, move, planned
from ev_cli.output import safe, safe_bytes
from ev_cli.running import Options
from ev_tui.frame import counted
from ev_tui.group_cells import given, named, partition_words
from ev_tui.group_deletion import raise_first, undo_text

if TYPE_CHECKING:
    from ev.client.consumer import Consumer
    from ev.client.fetched import FetchedBatch
    from ev_cli.actions.seeking import Seek
    from ev_cli.group_moves import Move
    from ev_cli.session import Session

    Partition = tuple[str, int]

RECORDS_MAX = 200
"""First records of so many partitions are looked at."""
RECORDS_WAIT_S = 5.0
POLL_MS = 200
BYTES_OF_RECORD = 1 << 18
SHOWN_BYTES = 200


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of place to go to. `hint` says what is typed for it; nothing is where that is empty."""

    name: str
    hint: str = ""
    example: str = ""


KINDS = (
    Kind("time", "a time: -15m, today, 2026-01-31T12:00:00, milliseconds since 1970", "-15m"),
    Kind("start"),
    Kind("end"),
    Kind("offset", "one offset for all partitions: 1200"),
    Kind("shift", "so many records on or back: +100, -100", "-100"),
    Kind("group", "the group where this one shall stand"),
    Kind("file", "a file with TOPIC PARTITION OFFSET in each line"),
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where to: as `ev group seek` takes it, and the words that say the same at any later time."""

    seek: Seek
    words: tuple[str, ...]


def read_target(kind: Kind, text: str, places: Sequence[str], with_new_topics: bool, now_ms: int) -> Target:
    """What was chosen and typed. A Failure says what is missing."""
    from ev_cli.actions.seeking import Seek

    text = text.strip()
    if kind.hint and not text:
        raise UsageFailure(f"type {kind.hint}")
    words = words_of(kind.name, text, now_ms)
    flag, _, value = words[0].partition("=")
    value = value if len(words) == 1 else words[1]
    options = {"to": None, "to_group": None, "to_file": None, flag[2:].replace("-", "_"): value}
    seek = Seek(
        Options({**options, "topic": partition_words(places)[1::2], "new_topics": with_new_topics, "export": False}),
        now_ms,
    )
    return Target(seek, (*words, *(["--new-topics"] if with_new_topics else [])))


def words_of(kind: str, text: str, now_ms: int) -> list[str]:
    if kind in ("start", "end"):
        return ["--to", kind]
    if kind == "offset":
        if not text.isdecimal():
            raise UsageFailure(f"{text!r} is no offset", "write digits")
        return ["--to", text]
    if kind == "shift":
        signed = text if text[0] in "+-" else f"+{text}"
        if not signed[1:].isdecimal():
            raise UsageFailure(f"{text!r} is no distance", "write +100 or -100")
        return given("--to", signed)
    if kind == "group":
        return given("--to-group", text)
    if kind == "file":
        return ["--to-file", os.path.abspath(os.path.expanduser(text))]
    return ["--to", f"@{moment(text.removeprefix('@'), now_ms)}"]


def moment(text: str, now_ms: int) -> str:
    """A time as it stays: `-15m` means the same later, too."""
    from ev_cli.times import timestamp_ms

    time_ms = timestamp_ms(text, now_ms)
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        raise UsageFailure(f"{text!r} is too far away") from None


def word_of(group: str, target: Target, places: Sequence[str]) -> list[str]:
    """The command that does the same."""
    return ["group", "seek", *target.words, *partition_words(places), "-y", *named(group)]


# -- the preview -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Preview:
    """A move that has not been made, and whether it could be made then. `at` is time.monotonic()."""

    move: Move
    state: str
    members: int
    at: float

    def before(self, place: Partition) -> int | None:
        found = self.move.committed.get(place)
        return None if found is None else found.offset


def preview(session: Session, group: str, target: Target) -> Preview:
    """Ask the cluster what the move would mean."""
    with session.admin() as admin:
        check_there(admin, group, target.seek, session.where)
        found = planned(admin, group, target.seek, session.where)
        (described,) = admin.describe_groups([group])
    return Preview(found, described.state, len(described.members), time.monotonic())


def still_has_members(session: Session, group: str) -> tuple[str, int]:
    """(state, number of members)."""
    with session.admin() as admin:
        (described,) = admin.describe_groups([group])
    return described.state, len(described.members)


def sums(plan: Move) -> tuple[int, int, int]:
    """(records read again, records never read, partitions that had no commit). What is gone from the log is neither."""
    again = skipped = fresh = 0
    for place, after in plan.wanted.items():
        committed = plan.committed.get(place)
        if committed is None:
            fresh += 1
            continue
        before = max(committed.offset, plan.starts[place] or 0)
        if after < before:
            again += before - after
        else:
            skipped += after - before
    return again, skipped, fresh


@dataclass(frozen=True, slots=True)
class FirstRecord:
    """What the group would read first in a partition."""

    offset: int | None
    text: str


AT_THE_END = FirstRecord(None, "(the end: whatever comes next)")
NOT_SEEN = FirstRecord(None, "(did not come in time)")


def first_records(session: Session, plan: Move) -> dict[Partition, FirstRecord]:
    """The record at or after each new offset."""
    found = {place: AT_THE_END for place, offset in plan.wanted.items() if offset >= (plan.ends[place] or 0)}
    missing = dict([(place, offset) for place, offset in plan.wanted.items() if place not in found][:RECORDS_MAX])
    if missing:
        with session.consumer(
            isolation="read_uncommitted",
            partition_max_bytes=BYTES_OF_RECORD,
            request_timeout_ms=session.timeout_ms,
            timeout_ms=session.timeout_ms,
        ) as consumer:
            found.update(_read(consumer, missing))
    return {**dict.fromkeys(missing, NOT_SEEN), **found}


def _read(consumer: Consumer, wanted: Mapping[Partition, int]) -> dict[Partition, FirstRecord]:
    found: dict[Partition, FirstRecord] = {}
    consumer.assign(dict(wanted))
    deadline = time.monotonic() + RECORDS_WAIT_S
    while len(found) < len(wanted) and time.monotonic() < deadline:
        for batch in consumer.poll_batches(POLL_MS):
            place = batch.topic, batch.partition
            if place not in found and batch.columns.offsets:
                found[place] = first_of(batch)
                consumer.pause(place)
    return found


def first_of(batch: FetchedBatch) -> FirstRecord:
    columns = batch.columns
    key, value = columns.keys[0], columns.values[0]
    when = datetime.fromtimestamp(columns.timestamps[0] / 1000).astimezone() if columns.timestamps[0] >= 0 else None
    parts = [
        "-" if when is None else f"{when:%H:%M:%S}.{when.microsecond // 1000:03}",
        "" if key is None else safe_bytes(bytes(key[:SHOWN_BYTES])),
        "null" if value is None else safe_bytes(bytes(value[:SHOWN_BYTES])),
    ]
    return FirstRecord(columns.offsets[0], " ".join(part for part in parts if part))


# -- the move ----------------------------------------------------------------------------------------------------------------------


def go(session: Session, found: Preview) -> str:
    """Make the move as it was shown. A group that was moved in between is not touched."""
    from ev_cli.actions.several import refuse_members

    plan = found.move
    session.options.quiet = True
    with session.admin() as admin:
        refuse_members(admin, plan.group)
        now = committed_by(admin, plan.group)
        for place in plan.wanted:
            there = now.get(place)
            if (None if there is None else there.offset) != found.before(place):
                raise Failure(f"group {plan.group!r} has committed something else since the preview", "look at the new one, and type again")
        change, outcomes = move(session, admin, plan)
    raise_first(outcomes, session)
    return f"moved group {safe(plan.group)}: {counted(len(outcomes), 'partition')}{undo_text([change])}"
