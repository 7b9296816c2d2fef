"""A group: how far it is behind in each partition, who reads it, and what its members have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from ev_cli.protection import DESTROYS
from ev_tui import amounts, group_cells
from ev_tui.frame import counted
from ev_tui.group_deletion import ask_to_delete
from ev_tui.harmless import safe
from ev_tui.page import FilterLine, ListPage
from ev_tui.widgets.line import Piece, Said
from ev_tui.widgets.line_table import Column, LineTable, Row

if TYPE_CHECKING:
    from ev_cli.model.snapshot import GroupPartitionRow, GroupRow, MemberRow, Snapshot

SPARK = 8


class Places(LineTable):
    """A table on this screen, where `m` shows the members; space marks."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("m", "screen.members", "members", id="group.members")]


class GroupPage(ListPage):
    """The partitions of the group that it is about, or its members."""

    NAME = "group"
    TITLE = "Group"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "members", "members", id="group.members"),
        Binding("t", "tail", "tail", id="group.tail"),
        Binding("R", "reset", "reset", id="group.reset"),
        Binding("D", "delete", "delete", id="group.delete"),
        Binding("left,right,h,l", "members", "partitions or members", show=False, id="group.view"),
    ]
    DEFAULT_CSS = """
    GroupPage > .-hidden { display: none; }
    """

    def __init__(self, about: tuple[str, ...]) -> None:
        super().__init__(about)
        self.group = about[0]
        self.partitions = Places(PARTITIONS, sort=ETA, empty="this group has committed nothing, and nobody reads for it", id="partitions")
        self.members = Places(MEMBERS, sort=0, empty="nobody reads for this group", id="members")
        self.members.add_class("-hidden")
        self.places: tuple[GroupPartitionRow, ...] | None = None
        """The partitions as they were last known; None when nobody has said yet. While another screen is seen nobody asks."""
        self.readers: tuple[MemberRow, ...] = ()

    def table(self) -> LineTable:
        return self.partitions

    def body(self) -> ComposeResult:
        self.list = self.table()
        yield Said((f" {self.group}", "accent"), id="heading")
        yield Said(id="standing")
        yield self.partitions
        yield self.members
        yield FilterLine()

    @property
    def shows_members(self) -> bool:
        return self.list is self.members

    # -- drawing ---------------------------------------------------------------------------------------------------------------------

    def show(self, snapshot: Snapshot) -> None:
        group = snapshot.groups.get(self.group)
        if self.group in snapshot.group_partitions:
            self.places, self.readers = snapshot.group_partitions[self.group], snapshot.members.get(self.group, ())
        elif group is None and snapshot.knows_groups:
            self.places, self.readers = (), ()
        if self.places is not None:
            super().show(snapshot)
        else:
            self._say_heading(snapshot)
        self.query_one("#standing", Said).say(*standing_pieces(group, snapshot))

    def rows(self, snapshot: Snapshot) -> list[Row]:
        if self.shows_members:
            return [member_row(row) for row in self.readers]
        return [partition_row(row) for row in self.places or ()]

    def heading(self, snapshot: Snapshot) -> str:
        view = counted(len(self.list.rows), "member" if self.shows_members else "partition")
        return f"GROUP {safe(self.group)} ▸ {view}"

    def wants(self) -> dict[str, Any]:
        return {"groups": [self.group], "group_details": [self.group]}

    def command(self) -> Sequence[str]:
        section = ["--section", "members"] if self.shows_members else []
        return ["group", "describe", *section, *group_cells.named(self.group)]

    # -- keys ------------------------------------------------------------------------------------------------------------------------

    def back(self) -> bool:
        if super().back():
            return True
        if not self.shows_members:
            return False
        self.action_members()
        return True

    def action_members(self) -> None:
        """Between the partitions and the members."""
        self.list.filter_by("")
        self.query_one(FilterLine).action_clear()
        self.list.add_class("-hidden")
        self.list = self.partitions if self.shows_members else self.members
        self.list.remove_class("-hidden")
        self.set_focus(self.list)
        self.command_changed()
        if self.ev.snapshot is not None:
            self.show(self.ev.snapshot)

    def place(self, key: Any) -> GroupPartitionRow | None:
        found: GroupPartitionRow | None = group_cells.first_row(self.places or (), str(key))
        return found

    def open_row(self, key: Any) -> None:
        if self.shows_members:
            self._open_member(str(key))
            return
        row = self.place(key)
        if row is not None:
            offset, remark = next_record(row)
            if remark:
                self.ev.tell(remark)
            if offset is not None:
                self.ev.go("record", row.topic, str(row.index), str(offset))

    def _open_member(self, member_id: str) -> None:
        """The first partition that the member has."""
        places = [place for member in self.readers if member.member_id == member_id for place in member.partitions]
        self.action_members()
        if places:
            self.partitions.go_to(f"{places[0][0]}/{places[0][1]}")
        else:
            self.ev.tell("this member has no partition")

    def action_tail(self) -> None:
        """The partition under the cursor, if the group lags there, or the one that catches up last."""
        row = None if self.shows_members else self.place(self.list.current_key)
        if row is None or not row.lag:
            row = max(self.places or (), key=lambda one: group_cells.partition_urgency(one) or (-2.0, 0), default=None)
        if row is None:
            self.ev.tell("the group has committed nothing, so there is nothing to tail")
        else:
            self.ev.go("tail", f"{row.topic}:{row.index}")

    def action_reset(self) -> None:
        """The marked partitions, or all that the group has committed for."""
        if self.ev.may(DESTROYS):
            marked = [str(row[0]) for row in self.partitions.view if row[0] in self.partitions.marks]
            self.ev.go("reset", self.group, *marked)

    def action_delete(self) -> None:
        ask_to_delete(self.ev, [self.group], lambda: self.ev.go("groups"))


def next_record(row: GroupPartitionRow) -> tuple[int | None, str]:
    """(where the record is that the group reads next, a remark when that is not quite so)."""
    place = f"{row.topic}/{row.index}"
    if row.committed is None or row.start is None or row.end is None:
        return None, f"it is not known what the group reads next in {place}"
    if row.start >= row.end:
        return None, f"{place} is empty"
    if row.committed >= row.end:
        return row.end - 1, f"the group has read all of {place}: this is the last record"
    if row.committed < row.start:
        return row.start, f"{place} begins at {row.start:,} by now: what was committed, {row.committed:,}, is gone"
    return row.committed, ""


def standing_pieces(group: GroupRow | None, snapshot: Snapshot) -> list[Piece]:
    """The line that says how the group is."""
    if group is None:
        return [(" there is no such group" if snapshot.knows_groups else " …", "bad" if snapshot.knows_groups else "dim")]
    members = "" if group.members is None else f", {counted(group.members, 'member')}"
    pieces: list[Piece] = [(f" {group.state or '?'}{members}", "")]
    verdict, text = group_cells.verdict_of(group, snapshot.at)
    if text != amounts.UNKNOWN:
        pieces.append((f"  {text}", "dim" if verdict is None else group_cells.TONES[verdict]))
    pieces.append((f"  lag {amounts.full(group.lag)}", ""))
    if group.lag:
        pieces.append((f"  ETA {group_cells.eta(group)}", ""))
        if group.drain is not None:
            pieces.append((f"  drain {group_cells.drain(group.drain)}/s over {group.drain.window_s:.0f}s", ""))
    if group.time_lag_ms:
        pieces.append((f"  time lag {group_cells.time_lag(group.time_lag_ms)}", ""))
    if group.rebalances:
        pieces.append((f"  {counted(group.rebalances, 'rebalance')}", "dim"))
    return pieces


def partition_row(row: GroupPartitionRow) -> Row:
    return (
        f"{row.topic}/{row.index}",
        row.committed,
        row.end,
        row.lag,
        row.history,
        row.drain,
        row,
        row.time_lag_ms,
        row.member,
        row.host,
        row.verdict,
    )


def member_row(row: MemberRow) -> Row:
    places = ", ".join([f"{topic}/{index}" for topic, index in row.partitions])
    return (row.member_id, row.client_id, row.host, row.instance_id, len(row.partitions), row.lag, places)


PARTITIONS = (
    Column("TOPIC/P", 16, grow=True, keep=0),
    Column("COMMITTED", 11, amounts.full, right=True, keep=3, descending=True),
    Column("END", 11, amounts.full, right=True, keep=4, descending=True),
    Column("LAG", 9, amounts.full, right=True, keep=1, descending=True, tone=group_cells.lag_tone),
    Column(
        "SPARK", SPARK, lambda values: amounts.sparkline(values, SPARK), keep=9, tone=lambda _: "accent", order=lambda values: values[-1]
    ),
    Column("DRAIN/S", 7, group_cells.drain, right=True, keep=9, order=group_cells.per_s, tone=group_cells.drain_tone),
    Column("ETA", 6, group_cells.eta, right=True, keep=2, order=group_cells.partition_urgency, descending=True),
    Column("TIME LAG", 9, group_cells.time_lag, right=True, keep=6, descending=True),
    Column("MEMBER", 12, keep=5),
    Column("HOST", 11, keep=7),
    Column("VERDICT", 8, str, keep=10, tone=group_cells.tone_of),
)
ETA = 6
MEMBERS = (
    Column("MEMBER ID", 20, grow=True, keep=0),
    Column("CLIENT", 12, keep=2),
    Column("HOST", 12, keep=4),
    Column("INSTANCE", 10, keep=6),
    Column("PARTS", 5, amounts.full, right=True, keep=3, descending=True),
    Column("LAG", 9, amounts.short, right=True, keep=1, descending=True, tone=group_cells.lag_tone),
    Column("PARTITIONS", 20, keep=5),
)
