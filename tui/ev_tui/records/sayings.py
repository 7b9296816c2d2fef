"""What is said about a reading, as pieces of text in tones: decided here from figures and a width, drawn elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev_tui.amounts import short, span
from ev_tui.records.reader import UNCOMMITTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev_tui.records.reader import Figures

    Piece = tuple[str, str]

WIDE, MIDDLE, NARROW = 120, 100, 80


def figure_pieces(
    topics: Sequence[str], figures: Figures, records_max: int, isolation: str, width: int, *, following: bool
) -> tuple[list[Piece], list[Piece]]:
    """(left, right) of the line that says how reading goes; what matters less goes when the terminal is narrow."""
    left: list[Piece] = [(f" TAIL {topics[0] if len(topics) == 1 else f'{len(topics)} topics'}", "accent")]
    if figures.partitions:
        left.append((f"[{figures.partitions}]", "dim"))
    left.append((" FOLLOW ● ", "good") if following else (" PAUSED ", "warn"))
    has_filter = figures.matched != figures.read
    left.append((f" {rate_text(figures.read_rate)} read", ""))
    if has_filter:
        left.append((f"  {rate_text(figures.match_rate)} match", ""))
    if width >= MIDDLE:
        left.append((f" (5s)  read {short(figures.read)}", "dim"))
        if has_filter:
            left.append((f" matched {short(figures.matched)}", "dim"))
    left += behind_pieces(figures)
    right: list[Piece] = []
    if width >= WIDE:
        right.append((f"ring {short(figures.held)}/{short(records_max)}  ", "dim"))
    if width >= NARROW:
        right.append((f"{isolation.removeprefix('read_')} (u) ", "warn" if isolation == UNCOMMITTED else "dim"))
    return left, right


def behind_pieces(figures: Figures) -> list[Piece]:
    if figures.behind is None:
        return []
    if figures.behind == 0:
        return [("  behind 0", "dim")]
    late = "" if figures.behind_ms is None else f" ({span(figures.behind_ms / 1000)})"
    return [(f"  behind {short(figures.behind)}{late}", "warn")]


def rate_text(rate: float | None) -> str:
    if rate is None:
        return "-/s"
    if 0 < rate < 10:
        return f"{rate:.1f}/s"
    return f"{rate / 1000:.1f}k/s" if 1000 <= rate < 100_000 else f"{short(rate)}/s"


def state_pieces(figures: Figures, *, new_below: int | None, byte_rows: int, trouble: str, note: str) -> list[Piece]:
    """What a person needs to know just now, the worst first. `new_below` is None for who follows."""
    if trouble:
        return [(f" {trouble}", "bad")]
    pieces: list[Piece] = []
    if figures.problem:
        pieces.append((f" ● {figures.problem}", "bad"))
    if figures.unreadable:
        pieces.append((f" {figures.unreadable:,} records could not be read", "bad"))
    if new_below is not None:
        waits = ", reading waits for you" if figures.waits else ""
        pieces.append((f" paused: {new_below:,} new below{waits} (f follow)", "warn"))
    if figures.open_transactions:
        plural = "" if figures.open_transactions == 1 else "s"
        pieces.append((f"  {figures.open_transactions} open transaction{plural}", "warn"))
    if figures.forgotten:
        pieces.append((f"  {short(figures.forgotten)} older ones let go", "dim"))
    if byte_rows:
        pieces.append((f"  {byte_rows} rows are no text: shown as bytes", "dim"))
    if note:
        pieces.append((f"  {note}", "dim"))
    return pieces
