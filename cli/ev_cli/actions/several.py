"""What commands over several topics or groups share: ends of partitions, sections, plans, and what became of each item."""

from __future__ import annotations

from ev_cli import output
from ev_cli.ending import complain
from ev_cli.failures import DONE, Failure, UsageFailure, as_failure, heavier

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ev.client.admin import Admin
    from ev.client.results import Outcome
    from ev_cli.session import Session

    Partition = tuple[str, int]

EARLIEST, LATEST, MAX_TIMESTAMP = "earliest", "latest", "max-timestamp"
"""The ends of a partition, and its newest record, as `Admin.list_offsets` names them."""


def offsets_at(admin: Admin, partitions: Iterable[Partition], end: str) -> dict[Partition, int | None]:
    """The offset at one end of each partition; None where the broker gave none."""
    found = admin.list_offsets(dict.fromkeys(partitions, end))
    return {partition: None if offset.error is not None or offset.offset < 0 else offset.offset for partition, offset in found.items()}


def sections_of(text: str | None, known: tuple[str, ...]) -> tuple[str, ...]:
    if text is None:
        return known
    named = tuple(text.split(","))
    for name in named:
        if name not in known:
            raise UsageFailure(f"--section {name} is unknown", f"some of {','.join(known)}")
    return named


def plan(verb: str, names: list[str], session: Session) -> int:
    for name in names:
        session.talk(f"would {verb} {output.safe(name)} on {session.where}")
    return DONE


def show_plan(table: output.Table, verb: str, names: Iterable[str], options: Any, session: Session) -> bool:
    """What a command is about to do, before anybody is asked. True with --dry-run: then the table is all there is, as -o says.

    Otherwise a person who will be asked sees it on stderr.
    """
    if options.dry_run:
        output.show(table, options)
        plan(verb, list(names), session)
        return True
    if not options.yes and output.is_terminal(0) and output.is_terminal(2) and table.rows:
        output.say(output.aligned(table, False).rstrip("\n"))
    return False


def refuse_members(admin: Admin, group: str) -> None:
    """The offsets of a group can be changed only while nobody reads for it."""
    (found,) = admin.describe_groups([group])
    if found.members:
        count = len(found.members)
        raise Failure(
            f"group {group!r} has {count} member{'' if count == 1 else 's'}",
            "stop them first, or their next commit would undo what is done here",
        )


def topic_partitions(items: Iterable[str], flag: str = "-t") -> dict[str, list[int] | None]:
    """`TOPIC` or `TOPIC:0,2-5`, several times: the partitions by topic, None for all."""
    found: dict[str, list[int] | None] = {}
    for item in items:
        topic, colon, indexes = item.partition(":")
        numbers = partition_numbers(indexes, f"{flag} {item!r}") if colon else None
        known = found.get(topic, [])
        found[topic] = None if numbers is None or known is None else [*known, *numbers]
    return found


def partition_numbers(text: str, where: str) -> list[int]:
    """`0,2-5` as numbers; `where` names the place in the command line."""
    found: list[int] = []
    for item in text.split(","):
        first, dash, last = item.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise UsageFailure(f"{where} names no partitions", "write 0 or 0,2-5")
        found += range(int(first), int(last if dash else first) + 1)
    return found


def report(outcomes: Iterable[Outcome], done: str, options: Any, session: Session, *, ignored: tuple[int, ...] = ()) -> int:
    """One line per item on stderr; the exit status is that of the weightiest failure."""
    status = DONE
    for outcome in outcomes:
        error = outcome.error
        if error is None:
            session.talk(f"{done} {output.safe(outcome.name)} on {session.where}")
        elif error.code not in ignored:
            failure = as_failure(error, session.where)
            complain(failure, wants_json=bool(options.json) or options.output in ("json", "jsonl"), about=outcome.name)
            status = heavier(status, failure.code)
    return status
