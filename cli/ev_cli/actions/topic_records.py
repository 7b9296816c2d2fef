"""ev topic trim and empty: what deletes records. Nothing brings them back, and both say so before."""

from __future__ import annotations

import time

from ev_cli import output
from ev_cli.actions.seeking import read_offsets
from ev_cli.actions.several import EARLIEST, LATEST, offsets_at, partition_numbers, report, show_plan
from ev_cli.actions.topic_offsets import places_of
from ev_cli.failures import DONE, Failure, UsageFailure
from ev_cli.inverses import place_text
from ev_cli.naming import confirm
from ev_cli.positions import END, OFFSET, START, TIME, parse_range
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ev.client.admin import Admin
    from ev_cli.positions import Position

    Partition = tuple[str, int]


def trim(options: Any) -> int:
    """Delete what lies before an offset, or before a point in time."""
    session = Session(options)
    if (options.offset is None) == (options.file is None):
        raise UsageFailure("it is not said up to where to trim", "give -o OFFSET, -o @TIME or --file FILE")
    numbers = None if options.partitions is None else partition_numbers(options.partitions, f"-p {options.partitions!r}")
    place = None if options.offset is None else _position(options.offset)
    with session.admin() as admin:
        places = places_of(admin, [options.topic], session, numbers)
        if place is None:
            asked = {place: offset for place, offset in read_offsets(options.file).items() if place[0] == options.topic}
            if not asked:
                raise Failure(f"{options.file} holds no offsets of {options.topic!r}", "write TOPIC PARTITION OFFSET, one partition a line")
            unknown = [place for place in asked if place not in places]
            if unknown:
                raise Failure(f"there is no partition {place_text(unknown[0])}", f"{options.file} names it", code=3)
            wanted = asked
        else:
            wanted = _before(admin, place, places)
        return _delete(admin, wanted, "trim", options, session)


def empty(options: Any) -> int:
    """Delete all records; the topics stay."""
    session = Session(options)
    with session.admin() as admin:
        places = places_of(admin, options.topics, session)
        _, ends = _bounds(admin, places)
        return _delete(admin, ends, "empty", options, session)


def _position(text: str) -> Position:
    begin, end = parse_range(text, int(time.time() * 1000))
    if begin is None or end is not None or begin.kind not in (START, END, OFFSET, TIME):
        raise UsageFailure(f"-o {text!r} is no place to trim to", "write N, -N, @TIME or end")
    return begin


def _bounds(admin: Admin, places: Iterable[Partition]) -> tuple[dict[Partition, int], dict[Partition, int]]:
    """Where partitions begin and end. One of which nobody says it is a failure: it would be deleted blindly."""
    wanted = list(places)
    bounds = [offsets_at(admin, wanted, EARLIEST), offsets_at(admin, wanted, LATEST)]
    for offsets in bounds:
        for place, offset in offsets.items():
            if offset is None:
                raise Failure(f"nobody says where {place_text(place)} begins and ends", "`ev topic describe` shows its leader", code=4)
    starts, ends = ({place: offset for place, offset in offsets.items() if offset is not None} for offsets in bounds)
    return starts, ends


def _before(admin: Admin, position: Position, places: list[Partition]) -> dict[Partition, int]:
    """The first offset that stays in each partition, within what is there."""
    starts, ends = _bounds(admin, places)
    if position.kind == OFFSET and position.number > max(ends.values()):
        raise Failure(f"no partition reaches offset {position.number}", "`ev topic offsets` shows where they end")
    found = {}
    times = admin.list_offsets(dict.fromkeys(places, position.number)) if position.kind == TIME else {}
    for place in places:
        start, end = starts[place], ends[place]
        if position.kind == TIME:
            offset = times[place].offset if times[place].offset >= 0 else end
        else:
            offset = {START: start, END: end}.get(position.kind, 0) + position.number
        found[place] = max(start, min(offset, end))
    return found


def _delete(admin: Admin, wanted: dict[Partition, int], verb: str, options: Any, session: Session) -> int:
    from ev.client.results import Outcome

    starts, ends = _bounds(admin, wanted)
    table = output.Table(("topic", "partition", "start", "new_start", "end", "records"))
    for place, offset in wanted.items():
        start, end = starts[place], ends[place]
        if offset > end:
            raise Failure(f"{place_text(place)} ends at {end}, it cannot be trimmed to {offset}", "give an offset that is there")
        lost = max(0, offset - start)
        table.add(topic=place[0], partition=place[1], start=start, new_start=max(start, offset), end=end, records=lost)
    names = list(dict.fromkeys(topic for topic, _ in wanted))
    records = sum(row["records"] for row in table.rows)
    if show_plan(table, f"{verb} topic", names, options, session):
        return DONE
    if not records:
        session.talk("there is nothing to delete")
        return DONE
    confirm(f"delete {records} records of {', '.join(map(output.safe, names))} on {session.where}; nothing brings them back", options)
    doomed = {place: offset for place, offset in wanted.items() if offset > starts[place]}
    answers = admin.delete_records(doomed)
    failed = [Outcome(place_text(place), answer.error) for place, answer in answers.items() if answer.error is not None]
    if len(failed) < len(answers):
        gone = sum(max(0, answer.low_watermark - starts[place]) for place, answer in answers.items() if answer.error is None)
        session.talk(f"deleted {gone} records of {', '.join(map(output.safe, names))} on {session.where}")
    return report(failed, verb, options, session)
