"""How a group's lag, and what becomes of it, looks in a cell; and its name in a command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ev_cli.model.lag import WORSE, Verdict
from ev_cli.model.snapshot import urgency
from ev_tui import amounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev_cli.model.rates import Rate
    from ev_cli.model.snapshot import GroupPartitionRow, GroupRow

    Behind = GroupRow | GroupPartitionRow

TONES = {
    Verdict.OK: "good",
    Verdict.DRAINING: "good",
    Verdict.STEADY: "warn",
    Verdict.GROWING: "bad",
    Verdict.STALLED: "bad",
    Verdict.DEAD: "warn",
}
STALE_S = 15.0
"""A row that was read longer ago says so."""
NOBODY = "---"
ABANDONED = 1e-9
"""Where groups that are behind and have no members stand among times to catch up: before those that are not behind."""


def drain(rate: Rate | None) -> str:
    """By how much the lag shrinks in a second, with its sign."""
    if rate is None:
        return amounts.UNKNOWN
    if abs(rate.per_s) < 0.05:
        return "0"
    sign = "+" if rate.per_s > 0 else "-"
    size = abs(rate.per_s)
    return f"{sign}{size:.1f}" if size < 10 else f"{sign}{amounts.short(size)}"


def drain_tone(rate: Rate | None) -> str | None:
    return "bad" if rate is not None and rate.per_s <= -0.05 else None


def per_s(rate: Rate) -> float:
    return rate.per_s


def eta(row: Behind) -> str:
    """When it has caught up: `---` where nobody reads."""
    return NOBODY if row.verdict is Verdict.DEAD else amounts.span(row.eta_s)


def group_urgency(row: GroupRow) -> tuple[float, int, int] | None:
    """What the groups are sorted by at first: those that catch up last come first, those that nobody reads for behind them.

    Of a group without a lag that is known nothing is known.
    """
    if row.lag is None:
        return None
    eta_s, verdict, lag = urgency(row)
    return (ABANDONED if row.verdict is Verdict.DEAD else eta_s, verdict, lag)


def partition_urgency(row: GroupPartitionRow) -> tuple[float, int] | None:
    if row.lag is None:
        return None
    is_still = row.verdict in (Verdict.DEAD, Verdict.STALLED)
    return (float("inf") if is_still else -1.0 if row.eta_s is None else row.eta_s, row.lag)


def time_lag(time_lag_ms: int) -> str:
    """hh:mm:ss; with days, seconds say nothing any more."""
    days, rest_s = divmod(time_lag_ms // 1000, 86_400)
    return f"{days}d{rest_s // 3600:02}h{rest_s // 60 % 60:02}m" if days else amounts.ago(rest_s)


def verdict_of(row: GroupRow, now: float) -> tuple[Verdict | None, str]:
    """(verdict, the cell's text): which partitions it is about where not all are, what went wrong, how old it is."""
    if row.error is not None:
        return row.verdict, row.error
    text = "" if row.verdict is None else f"{row.verdict.value}{about(row)}"
    old_s = 0.0 if row.seen_at is None else now - row.seen_at
    return row.verdict, f"{text} ({amounts.span(old_s)} ago)".lstrip() if old_s > STALE_S else text or amounts.UNKNOWN


def about(row: GroupRow) -> str:
    """The partitions that a verdict is about, if they are not all."""
    places = row.verdict_about
    if not places or row.partitions is None or len(places) == row.partitions:
        return ""
    if len(places) > 1:
        return f" {len(places)} of {row.partitions}"
    topic, index = places[0]
    return f" p{index} only" if row.topics is not None and len(row.topics) == 1 else f" {topic}/{index} only"


def verdict_text(cell: tuple[Verdict | None, str]) -> str:
    return cell[1]


def verdict_tone(cell: tuple[Verdict | None, str]) -> str | None:
    return tone_of(cell[0])


def tone_of(verdict: Verdict | None) -> str | None:
    return None if verdict is None else TONES[verdict]


def verdict_order(cell: tuple[Verdict | None, str]) -> int | None:
    return None if cell[0] is None else WORSE[cell[0]]


def lag_tone(lag: int | None) -> str | None:
    return "warn" if lag else None


def named(name: str) -> list[str]:
    """The name as the last word of a command, also when it looks like an option."""
    return ["--", name] if name.startswith("-") else [name]


def given(flag: str, value: str) -> list[str]:
    """An option with its value, also when that looks like an option."""
    return [f"{flag}={value}"] if value.startswith("-") else [flag, value]


def partition_words(places: Sequence[str]) -> list[str]:
    """`-t TOPIC:0,3` for places as they are written in tables."""
    topics: dict[str, list[str]] = {}
    for place in places:
        topic, _, index = place.rpartition("/")
        topics.setdefault(topic, []).append(index)
    words: list[str] = []
    for topic, indexes in topics.items():
        words += ["-t", f"{topic}:{','.join(indexes)}"]
    return words


def first_row(rows: Sequence[Any], key: str) -> Any:
    """The row of a partition by its place."""
    return next((row for row in rows if f"{row.topic}/{row.index}" == key), None)
