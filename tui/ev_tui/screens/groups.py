"""Groups: who is behind, by how much, since when, and when that will be over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType

from ev_cli.protection import DESTROYS
from ev_tui import amounts, group_cells
from ev_tui.group_deletion import ask_to_delete
from ev_tui.page import ListPage
from ev_tui.screens.topics import filter_words
from ev_tui.widgets.line_table import Column, LineTable, Row

if TYPE_CHECKING:
    from ev_cli.model.snapshot import GroupRow, Snapshot

SPARK = 10


class GroupsPage(ListPage):
    """Every group in a row."""

    NAME = "groups"
    TITLE = "Groups"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "behind", "only behind", id="groups.behind"),
        Binding("f", "state", "state", id="groups.state"),
        Binding("R", "reset", "reset", id="groups.reset"),
        Binding("D", "delete", "delete", id="groups.delete"),
    ]

    def __init__(self, about: tuple[str, ...] = ()) -> None:
        super().__init__(about)
        self.only_behind = False
        self.state: str | None = None

    def table(self) -> LineTable:
        return LineTable(COLUMNS, sort=ETA, empty="no groups: whoever reads with one (`ev consume -g NAME TOPIC`) is seen here")

    def rows(self, snapshot: Snapshot) -> list[Row]:
        return [row_of(group, snapshot.at) for group in snapshot.groups.values() if self.passes(group)]

    def passes(self, group: GroupRow) -> bool:
        return not (self.only_behind and not group.lag) and self.state in (None, group.state)

    def knows(self, snapshot: Snapshot) -> bool:
        return snapshot.knows_groups

    def heading(self, snapshot: Snapshot) -> str:
        parts = [f"GROUPS {len(snapshot.groups):,}", f"state {self.state or 'any'} (f)"]
        if self.only_behind:
            parts.append("lag>0 (b)")
        if len(self.list.rows) != len(snapshot.groups):
            parts.append(f"{len(self.list.rows):,} shown")
        current = snapshot.groups.get(str(self.list.current_key))
        if current is not None and current.drain is not None:
            parts.append(f"drain over {current.drain.window_s:.0f}s")
        if "groups" in snapshot.refused:
            parts.append(f"not told: {snapshot.refused['groups']}")
        return " · ".join(parts)

    def wants(self) -> dict[str, Any]:
        return {"groups": self.list.visible_keys}

    def command(self) -> Sequence[str]:
        words = ["group", "list"]
        if self.state:
            words += group_cells.given("--state", self.state)
        if self.only_behind:
            words.append("--lagging")
        return [*words, *filter_words(self.list.filter_text)]

    def back(self) -> bool:
        if super().back():
            return True
        if self.state is None and not self.only_behind:
            return False
        self.state, self.only_behind = None, False
        self._seen_anew()
        return True

    def action_behind(self) -> None:
        self.only_behind = not self.only_behind
        self._seen_anew()

    def action_state(self) -> None:
        """Only groups of the next of the states that there are; after the last one, of any."""
        snapshot = self.ev.snapshot
        states = [] if snapshot is None else sorted({group.state for group in snapshot.groups.values()})
        later = [state for state in states if self.state is None or state > self.state]
        self.state = later[0] if later else None
        self._seen_anew()

    def _seen_anew(self) -> None:
        self.command_changed()
        if self.ev.snapshot is not None:
            self.show(self.ev.snapshot)

    def action_reset(self) -> None:
        if self.list.current_key is not None and self.ev.may(DESTROYS):
            self.ev.go("reset", str(self.list.current_key))

    def action_delete(self) -> None:
        """The marked groups, or the one under the cursor."""
        ask_to_delete(self.ev, [str(key) for key in self.list.chosen_keys], self.list.action_unmark)

    def open_row(self, key: Any) -> None:
        self.ev.go("group", str(key))


def row_of(group: GroupRow, now: float) -> Row:
    """The values of the columns, in their order."""
    return (
        group.group,
        group.state,
        group.members,
        None if group.topics is None else len(group.topics),
        group.lag,
        group.history,
        group.drain,
        group,
        group.time_lag_ms,
        group_cells.verdict_of(group, now),
    )


COLUMNS = (
    Column("GROUP", 16, grow=True, keep=0),
    Column("STATE", 10, keep=6),
    Column("MEMBERS", 7, amounts.full, right=True, keep=7, descending=True),
    Column("TOPICS", 6, amounts.full, right=True, keep=9, descending=True),
    Column("LAG", 7, amounts.short, right=True, keep=1, descending=True, tone=group_cells.lag_tone),
    Column(
        "TREND 10M",
        SPARK,
        lambda values: amounts.sparkline(values, SPARK),
        keep=8,
        tone=lambda _: "accent",
        order=lambda values: values[-1] if values else None,
    ),
    Column("DRAIN/S", 8, group_cells.drain, right=True, keep=5, order=group_cells.per_s, tone=group_cells.drain_tone),
    Column("ETA", 7, group_cells.eta, right=True, keep=2, order=group_cells.group_urgency, descending=True),
    Column("TIME LAG", 9, group_cells.time_lag, right=True, keep=4, descending=True),
    Column(
        "VERDICT",
        16,
        group_cells.verdict_text,
        keep=3,
        order=group_cells.verdict_order,
        tone=group_cells.verdict_tone,
        descending=True,
    ),
)
ETA = 7
