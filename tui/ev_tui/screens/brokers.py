"""Brokers: who is there, what each of them leads and gets, how much room its disks have; and how the engine of this machine feels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from ev_cli.model.alerts import used_of
from ev_tui import amounts
from ev_tui.engine_part import EnginePart
from ev_tui.page import FilterLine, ListPage
from ev_tui.widgets.line import Said
from ev_tui.widgets.line_table import Column, LineTable, Row

if TYPE_CHECKING:
    from ev_cli.model.rates import Rate
    from ev_cli.model.snapshot import BrokerRow, DirectoryRow, Snapshot

HERE, GONE = "here", "gone"
FULL, NEARLY = 90.0, 75.0


class BrokersPage(ListPage):
    """Every broker in a row, below the directories of the one under the cursor, and what the local engine says about itself."""

    NAME = "brokers"
    TITLE = "Brokers"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "everything", "directories of all", id="brokers.all"),
    ]
    DEFAULT_CSS = """
    BrokersPage #about { background: $surface; }
    BrokersPage #directories { height: auto; max-height: 30%; }
    BrokersPage.-short #directories { max-height: 4; }
    BrokersPage.-short EnginePart { display: none; }
    """

    def __init__(self, about: tuple[str, ...] = ()) -> None:
        super().__init__(about)
        self.about_line = Said(id="about")
        self.of_all = False
        self.directories = LineTable(DIRECTORIES, sort=None, empty="no broker has said where it keeps its logs", id="directories")
        self.engine = EnginePart()

    def body(self) -> ComposeResult:
        self.list = self.table()
        yield Said((f" {self.title}", "accent"), id="heading")
        yield self.list
        yield self.about_line
        yield self.directories
        yield self.engine
        yield FilterLine()

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(1.0, self._ask)

    def _ask(self) -> None:
        self.ask_due(self.engine.asked, then=self.engine.show)

    def hasten(self) -> None:
        if self.engine.asked is not None:
            self.engine.asked.hasten()
            self._ask()

    def table(self) -> LineTable:
        return LineTable(COLUMNS, sort=0, empty="no broker has answered yet")

    def rows(self, snapshot: Snapshot) -> list[Row]:
        return [row_of(broker, snapshot.time_ms) for broker in snapshot.brokers]

    def heading(self, snapshot: Snapshot) -> str:
        gone = sum(not broker.is_here for broker in snapshot.brokers)
        parts = [f"BROKERS {len(snapshot.brokers)}", f"cluster {snapshot.cluster_id}"]
        if gone:
            parts.append(f"{gone} gone")
        if snapshot.controller_id is not None:
            parts.append(f"controller {snapshot.controller_id}")
        return " · ".join(parts)

    def show(self, snapshot: Snapshot) -> None:
        super().show(snapshot)
        self._show_directories(snapshot)
        self._ask()
        self.engine.show()

    def _show_directories(self, snapshot: Snapshot) -> None:
        """Of the broker under the cursor, or of all."""
        node = self.list.current_key
        if "directories" in snapshot.refused:
            self.directories.empty = f"not told: {snapshot.refused['directories']}"
        rows = [directory for directory in snapshot.directories if self.of_all or directory.broker == node]
        self.directories.put([directory_row(directory) for directory in rows])
        of = "all brokers" if self.of_all or node is None else f"broker {node}"
        self.about_line.say((f" directories of {of}", "accent"))

    def on_line_table_moved(self, event: LineTable.Moved) -> None:
        if event.table is not self.list:
            return
        super().on_line_table_moved(event)
        self._seen_anew()

    def command(self) -> Sequence[str]:
        if self.directories.has_focus:
            node = self.list.current_key
            return ["cluster", "logdirs", *([str(node)] if not self.of_all and node is not None else [])]
        return ["cluster", "brokers", "-o", "wide"]

    def on_descendant_focus(self) -> None:
        self.command_changed()

    def action_everything(self) -> None:
        self.of_all = not self.of_all
        self._seen_anew()

    def _seen_anew(self) -> None:
        self.command_changed()
        if self.ev.snapshot is not None:
            self._show_directories(self.ev.snapshot)

    def on_line_table_opened(self, event: LineTable.Opened) -> None:
        if event.table is self.list:
            self.set_focus(self.directories)

    def back(self) -> bool:
        if super().back():
            return True
        if not (self.directories.has_focus or self.engine.table.has_focus):
            return False
        self.set_focus(self.list)
        return True


def row_of(broker: BrokerRow, now_ms: int) -> Row:
    """The values of the columns, in their order."""
    state = HERE
    if not broker.is_here:
        since_ms = broker.gone_since_ms
        state = GONE if since_ms is None else f"{GONE} {amounts.span((now_ms - since_ms) / 1000)}"
    used = used_of(broker.total_bytes, broker.usable_bytes)
    return (
        broker.node_id,
        f"{broker.host}:{broker.port}",
        broker.rack,
        state,
        "controller" if broker.is_controller else "",
        broker.leads,
        broker.replicas,
        broker.rate,
        broker.stored_bytes,
        used,
        broker.usable_bytes,
    )


def directory_row(directory: DirectoryRow) -> Row:
    used = used_of(directory.total_bytes, directory.usable_bytes)
    return (
        (directory.broker, directory.path),
        directory.path,
        directory.replicas,
        directory.stored_bytes,
        used,
        directory.usable_bytes,
        directory.error or "",
    )


def percent(share: float) -> str:
    return f"{share:.0f} %"


def disk_tone(share: float | None) -> str | None:
    if share is None:
        return None
    return "bad" if share >= FULL else "warn" if share >= NEARLY else "good"


def state_tone(state: str) -> str:
    return "good" if state == HERE else "bad"


def _by_rate(rate: Rate) -> float:
    return rate.per_s


COLUMNS = (
    Column("NODE", 5, right=True, keep=0),
    Column("ADDRESS", 24, grow=True, keep=1),
    Column("RACK", 8, keep=8),
    Column("STATE", 10, keep=2, tone=state_tone),
    Column("ROLE", 10, keep=7, tone=lambda _: "accent"),
    Column("LEADS", 6, amounts.full, right=True, keep=5, descending=True),
    Column("REPLICAS", 8, amounts.full, right=True, keep=9, descending=True),
    Column("REC/S", 7, amounts.per_second, right=True, keep=3, order=_by_rate, descending=True),
    Column("STORED", 8, amounts.size, right=True, keep=6, descending=True),
    Column("DISK", 5, percent, right=True, keep=4, tone=disk_tone, descending=True),
    Column("FREE", 8, amounts.size, right=True, keep=10, descending=True),
)
DIRECTORIES = (
    Column("NODE", 5, lambda key: str(key[0]), right=True, keep=0),
    Column("DIRECTORY", 20, grow=True, keep=0),
    Column("REPLICAS", 8, amounts.full, right=True, keep=5),
    Column("STORED", 8, amounts.size, right=True, keep=2),
    Column("DISK", 5, percent, right=True, keep=1, tone=disk_tone),
    Column("FREE", 8, amounts.size, right=True, keep=3),
    Column("ERROR", 12, keep=4, tone=lambda _: "bad"),
)
