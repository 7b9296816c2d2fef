"""What commands over several topics or groups share: ends of partitions, sections, plans, and what became of each item."""

from __future__ import annotations

from ev_cli import output
from ev_cli.ending import complain
from ev_cli.failures import DONE, UsageFailure, as_failure, heavier

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
