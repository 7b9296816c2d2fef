"""Record: one record, all of it: what it seems to be, its bytes, its headers, its batch; and its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from ev_cli.protection import READS
from ev_cli.times import local_text
from ev_tui.amounts import size
from ev_tui.page import Page
from ev_tui.records import handed
from ev_tui.records.forms import get_words
from ev_tui.records.one import AT, NEXT, PREVIOUS, find
from ev_tui.records.shown import clock, dump, headers_lines, line_of, whole
from ev_tui.widgets.line import Piece, Said
from ev_tui.widgets.text_lines import TextLines, Toned

if TYPE_CHECKING:
    from ev_cli.failures import Failure
    from ev_cli.model.snapshot import Snapshot
    from ev_tui.records.ring import Row

VALUE, KEY, HEADERS, HEX, BATCH = "Value", "Key", "Headers", "Hex", "Batch"
TABS = (VALUE, KEY, HEADERS, HEX, BATCH)
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
TONES = {"bytes": "warn", "schema": "warn", "null": "dim", "empty": "dim"}


class RecordPage(Page):
    """About (topic, partition, offset)."""

    NAME = "record"
    TITLE = "Record"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,n", f"neighbour('{NEXT}')", "next", id="record.next"),
        Binding("k,N", f"neighbour('{PREVIOUS}')", "previous", id="record.previous"),
        Binding("right,tab", "tab(1)", "tab", id="record.tab"),
        Binding("left,shift+tab", "tab(-1)", "tab before", show=False, id="record.tab_before"),
        Binding("y", "copy", "copy", id="record.copy"),
        Binding("p", "produce", "send again", id="record.produce"),
        Binding("t", "tail", "tail", show=False, id="record.tail"),
    ]
    DEFAULT_CSS = """
    RecordPage #place, RecordPage #tabs { background: $surface; }
    """

    def __init__(self, about: tuple[str, ...] = ()) -> None:
        super().__init__(about)
        topic, partition, offset = about
        self.place = topic, int(partition), int(offset)
        self.row: Row | None = handed.take(self.place)
        self.tab = VALUE
        self._trouble = ""
        self._is_looking = False

    def body(self) -> ComposeResult:
        yield Said(id="place")
        yield Said(id="tabs")
        yield TextLines()
        yield Said(id="trouble")

    def command(self) -> Sequence[str]:
        return get_words(self.place, is_transactional=self.row is not None and self.row.origin.is_transactional)

    def show(self, snapshot: Snapshot) -> None:
        """Records do not change."""

    def on_mount(self) -> None:
        self.set_focus(self.query_one(TextLines))
        if self.row is None:
            self._look(AT)
        self._draw()

    # -- what is seen ----------------------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        topic, partition, offset = self.place
        row = self.row
        pieces: list[Piece] = [(f" {topic}/{partition}@{offset:,}", "accent")]
        if row is not None:
            key = line_of(row.key)[0]
            pieces.append((f"   {clock(row.timestamp)} {row.origin.timestamp_type}", ""))
            pieces.append((f"   {size(len(row.value or b''))}", ""))
            pieces.append((f"   key {key[:40]}", ""))
            pieces.append((f"   headers {len(row.headers)}", ""))
        self.query_one("#place", Said).say(*pieces, right=(("◀ k  j ▶ ", "dim"),))
        tabs: list[Piece] = [(f"[{tab}]" if tab == self.tab else f" {tab} ", "key" if tab == self.tab else "dim") for tab in TABS]
        lines, tried = lines_of(row, self.tab)
        self.query_one("#tabs", Said).say((" ", ""), *tabs)
        self.query_one(TextLines).say(lines if row is not None or self._trouble else [("looking for it…", "dim")])
        self.query_one("#trouble", Said).say((f" {self._trouble}", "bad") if self._trouble else (f" {tried}", "dim"))

    def action_tab(self, step: int) -> None:
        self.tab = TABS[(TABS.index(self.tab) + step) % len(TABS)]
        self._draw()

    # -- neighbours ------------------------------------------------------------------------------------------------------------------

    def action_neighbour(self, which: str) -> None:
        if not self._is_looking:
            self._look(which)

    def _look(self, which: str) -> None:
        topic, partition, offset = self.place
        self._is_looking = True

        def found(row: Row) -> None:
            self._is_looking = False
            self._trouble = ""
            self.row, self.place = row, row.place
            self._draw()
            self.command_changed()

        def failed(failure: Failure) -> None:
            self._is_looking = False
            self._trouble = failure.line()
            self._draw()

        self.ev.run_in_thread(lambda: find(self.ev.session_for(READS), topic, partition, offset, which), found, failed)

    # -- with it -----------------------------------------------------------------------------------------------------------------------

    def action_copy(self) -> None:
        if self.row is not None:
            from ev_tui.screens.copying import CopyMenu

            self.app.push_screen(CopyMenu(self.row))

    def action_produce(self) -> None:
        if self.row is not None:
            from ev_tui.screens.produce import produce

            produce(self.ev, self.place[0], self.row)

    def action_tail(self) -> None:
        self.ev.go("tail", self.place[0])


def lines_of(row: Row | None, tab: str) -> tuple[list[Toned], str]:
    """(lines, what was tried to decode them) of one tab."""
    if row is None:
        return [], ""
    if tab in (VALUE, KEY):
        found = whole(row.value if tab == VALUE else row.key)
        return [(line, TONES.get(found.kind, "")) for line in found.lines], f"decode: {found.tried}"
    if tab == HEADERS:
        return [(line, "") for line in headers_lines(row.headers)] or [("no headers", "dim")], ""
    if tab == HEX:
        lines: list[Toned] = []
        for name, data in (("key", row.key), ("value", row.value)):
            lines.append((f"{name}: null" if data is None else f"{name}: {len(data):,} bytes", "accent"))
            lines += [(line, "") for line in dump(data)] if data else []
        return lines, ""
    return [(f"{name:<16}{text}", "") for name, text in batch_facts(row)], ""


def batch_facts(row: Row) -> list[tuple[str, str]]:
    """What the batch says that the record came in."""
    origin = row.origin
    has_producer = origin.producer_id >= 0
    return [
        ("offsets", f"{origin.base_offset:,} to {origin.next_offset - 1:,}"),
        ("records", f"{origin.count:,}"),
        ("on the wire", f"{origin.size:,} bytes"),
        ("compression", CODECS[origin.codec] if origin.codec < len(CODECS) else str(origin.codec)),
        ("time", f"{local_text(row.timestamp)} ({origin.timestamp_type}), {row.timestamp} ms"),
        ("leader epoch", str(origin.leader_epoch)),
        ("producer", f"{origin.producer_id} epoch {origin.producer_epoch}" if has_producer else "without an id"),
        ("transaction", _transaction(row)),
    ]


def _transaction(row: Row) -> str:
    if not row.origin.is_transactional:
        return "none"
    known = {"C": "committed", "A": "aborted", "?": "open, or its end was not read yet"}
    return known.get(row.origin.state, "of one; its end was not looked for")
