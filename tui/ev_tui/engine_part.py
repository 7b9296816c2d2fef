"""What the engine of this machine says about itself, as a part of the brokers' screen: connections, stalls, how long things take.

Where it may not be asked, that is said with the command that changes it, and where it cannot be asked, too: nothing here is 0 because
nobody knows it.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.containers import Vertical

from ev_cli.failures import UNREACHABLE, Failure
from ev_cli.model.engine_figures import Figures, Looks, Took, ask
from ev_tui import amounts
from ev_tui.asked import Asked
from ev_tui.widgets.line import Piece, Said
from ev_tui.widgets.line_table import Column, LineTable, Row

if TYPE_CHECKING:
    from ev_cli.session import Session
    from ev_tui.app import EvApp

EVERY_S = 2.0
SWITCH_ON = ("server", "restart", "--set", "ev.metrics.listen=127.0.0.1:0")


class EnginePart(Vertical):
    """A line, and where it is known a table. Whose screen it is on asks `asked`, and calls `show`."""

    DEFAULT_CSS = """
    EnginePart { height: auto; }
    EnginePart #engine { background: $surface; }
    EnginePart LineTable { height: auto; max-height: 10; display: none; }
    EnginePart.-known LineTable { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.looks = Looks()
        self.line = Said((" engine", "accent"), id="engine")
        self.table = LineTable(COLUMNS, sort=None, empty="it has not done anything yet", id="times")
        is_local = self.ev.session.target.is_local
        self.asked: Asked[Figures | None] | None = Asked(self._ask, old_s=EVERY_S) if is_local else None

    @property
    def ev(self) -> EvApp:
        return cast("EvApp", self.app)

    def compose(self) -> ComposeResult:
        yield self.line
        yield self.table

    def _ask(self, session: Session) -> Figures | None:
        """In a thread: what it says now, noted."""
        try:
            found = ask(session.engine)
        except (OSError, ValueError) as error:
            raise Failure(f"the engine does not tell its figures: {error}", code=UNREACHABLE) from None
        if found is not None:
            self.looks.note(time.monotonic(), found)
        else:
            self.looks.forget()
        return found

    def show(self) -> None:
        """Draw what is known."""
        asked = self.asked
        figures = None if asked is None else self.looks.newest
        self.set_class(figures is not None, "-known")
        if asked is None:
            self.line.say((" engine", "accent"), (": its times are known only where it is on this machine", "dim"))
        elif figures is None:
            self.line.say((" engine", "accent"), *self._unknown(asked))
        else:
            age_s = asked.age_s(time.monotonic()) if asked.error else None
            self.line.say((" engine", "accent"), *figure_pieces(figures, self.looks.window_s), *stale_pieces(age_s, asked.error))
            self.table.put([took_row(one) for one in self.looks.took()])

    def _unknown(self, asked: Asked[Figures | None]) -> list[Piece]:
        if asked.error is not None:
            return [(f": not known: {asked.error}", "warn")]
        if asked.answered_at is None:
            return [(" …", "dim")]
        return [(": not known: ev.metrics.listen is off", "warn"), (f"  {self.ev.command_of(SWITCH_ON)}", "")]


def figure_pieces(figures: Figures, window_s: float | None) -> list[Piece]:
    """Connections and stalls; what is not told is not said to be 0."""
    return [
        (f" · connections {amounts.full(figures.connections)}", ""),
        (f" · longest stall {took_text(figures.stall_recent_s)} in 1m, {took_text(figures.stall_ever_s)} ever", ""),
        ("" if window_s is None else f" · last {window_s:.0f}s", "dim"),
    ]


def stale_pieces(age_s: float | None, error: str | None) -> list[Piece]:
    return [] if age_s is None else [(f" · as of {amounts.span(age_s)} ago: {error}", "warn")]


def took_row(took: Took) -> Row:
    """The values of the columns, in their order."""
    name = "Fetch, with waiting" if took.name == "Fetch" else took.name
    return (name, took.count, took.half_s, took.most_s, took.count_ever, took.most_ever_s)


def took_text(seconds: float | None) -> str:
    """`0.13 ms`, `8 ms`, `1.2 s`."""
    if seconds is None:
        return amounts.UNKNOWN
    if seconds < 0.001:
        return f"{seconds * 1000:.2f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def below(bound_s: float) -> str:
    """A bucket says what something took less than."""
    return "no bound" if math.isinf(bound_s) else f"<{took_text(bound_s)}"


def tone_of(bound_s: float | None) -> str | None:
    return None if bound_s is None else "bad" if bound_s > 1 else "warn" if bound_s > 0.1 else None


COLUMNS = (
    Column("WHAT", 20, grow=True, keep=0),
    Column("COUNT", 8, amounts.full, right=True, keep=2),
    Column("P50", 8, below, right=True, keep=3),
    Column("P99", 8, below, right=True, keep=1, tone=tone_of),
    Column("EVER", 11, amounts.full, right=True, keep=5),
    Column("P99 EVER", 8, below, right=True, keep=4),
)
