"""A screen with several tables, one seen at a time: ← and → go from one to the next, the filter and the cursor stay with each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from ev_tui import amounts
from ev_tui.asked import OLD_S, Asked
from ev_tui.page import FilterLine, ListPage
from ev_tui.widgets.cells import width_of
from ev_tui.widgets.line import Line, Piece, Said
from ev_tui.widgets.line_table import Column, LineTable, Row

if TYPE_CHECKING:
    from ev_cli.model.snapshot import Snapshot


class Tab:
    """One table of such a screen."""

    TITLE: ClassVar[str] = ""
    EMPTY: ClassVar[str] = "nothing here"
    SORT: ClassVar[int | None] = 0

    def __init__(self, page: TabPage) -> None:
        self.page = page
        self.table = LineTable(self.columns(), sort=self.SORT, empty=self.EMPTY)

    # -- what a tab says -------------------------------------------------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        raise NotImplementedError

    def rows(self, snapshot: Snapshot) -> list[Row]:
        raise NotImplementedError

    def heading(self, snapshot: Snapshot) -> str:
        """What is seen, behind the name of the screen."""
        return f"{len(self.table.rows):,}"

    def note(self, snapshot: Snapshot) -> tuple[Piece, ...]:
        """A line between heading and table, or nothing."""
        return ()

    def command(self) -> Sequence[str]:
        return ()

    def open_row(self, key: Any) -> None:
        """Enter on a row."""

    @property
    def asked(self) -> Asked[Any] | None:
        """What is asked beside the model; the heading says how old it is, and why it is not newer."""
        return None

    @property
    def aside(self) -> Asked[Any] | None:
        """What is asked, too, and missed by nobody where it is not told."""
        return None


class TabLine(Line):
    """The names of the tabs. A click chooses one."""

    DEFAULT_CSS = """
    TabLine { background: $surface; color: $text-muted; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._ends: list[int] = []

    def pieces(self) -> list[Piece]:
        page = cast("TabPage", self.screen)
        pieces: list[Piece] = []
        self._ends = []
        used = 0
        for index, tab in enumerate(page.tabs):
            text = f" [{tab.TITLE}] " if index == page.place else f"  {tab.TITLE}  "
            pieces.append((text, "key" if index == page.place else "dim"))
            used += width_of(text)
            self._ends.append(used)
        return pieces

    def on_click(self, event: events.Click) -> None:
        for index, end in enumerate(self._ends):
            if event.x < end:
                cast("TabPage", self.screen).choose(index)
                return


class TabPage(ListPage):
    """A screen of tabs. `list`, of which a ListPage knows, is the table that is seen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l,tab", "tab(1)", "next tab", id="tabs.next"),
        Binding("left,h,shift+tab", "tab(-1)", "tab before", show=False, id="tabs.previous"),
    ]
    DEFAULT_CSS = """
    TabPage LineTable { display: none; }
    TabPage LineTable.-chosen { display: block; }
    TabPage > #note { display: none; background: $surface; }
    TabPage > #note.-open { display: block; }
    TabPage > #heading { background: $surface; }
    """

    def __init__(self, about: tuple[str, ...] = ()) -> None:
        super().__init__(about)
        self.tabs = self.make_tabs()
        self.place = 0
        self.list = self.tabs[0].table

    def make_tabs(self) -> list[Tab]:
        raise NotImplementedError

    @property
    def tab(self) -> Tab:
        return self.tabs[self.place]

    def body(self) -> ComposeResult:
        yield Said((f" {self.title}", "accent"), id="heading")
        yield TabLine()
        yield Said(id="note")
        for index, tab in enumerate(self.tabs):
            tab.table.set_class(index == self.place, "-chosen")
            yield tab.table
        yield FilterLine()

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(1.0, self._ask)

    def choose(self, place: int) -> None:
        """Show another tab."""
        self.place = place
        for index, tab in enumerate(self.tabs):
            tab.table.set_class(index == place, "-chosen")
        self.list = self.tab.table
        line = self.query_one(FilterLine)
        with line.prevent(line.Changed):
            line.value = self.list.filter_text
        line.set_class(bool(line.value), "-open")
        self.set_focus(self.list)
        self.query_one(TabLine).refresh()
        self.ev.wants_changed()
        self.command_changed()
        self.refresh_bindings()
        self._ask()
        self.redraw()

    def redraw(self) -> None:
        """Draw what is known, now."""
        if self.ev.snapshot is not None and self.is_mounted and self.ev.standing_page is not None:
            self.show(self.ev.snapshot)

    def action_tab(self, step: int) -> None:
        self.choose((self.place + step) % len(self.tabs))

    # -- what is asked beside the model ----------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        self.ask_due(self.tab.asked, self.tab.aside, then=self.redraw)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self._ask()

    def hasten(self) -> None:
        for tab in self.tabs:
            for asked in (tab.asked, tab.aside):
                if asked is not None:
                    asked.hasten()
        if self.is_mounted:
            self._ask()

    # -- drawing ---------------------------------------------------------------------------------------------------------------------

    def show(self, snapshot: Snapshot) -> None:
        self._ask()
        asked = self.tab.asked
        if asked is None or asked.answer is not None:
            self.list.empty = self.tab.EMPTY
            self.list.put(self.tab.rows(snapshot))
        elif asked.error is not None:
            self.list.empty = asked.error
            self.list.put([])
        self._say_heading(snapshot)
        note = self.query_one("#note", Said)
        pieces = self.tab.note(snapshot)
        note.set_class(bool(pieces), "-open")
        note.say(*pieces)

    def heading(self, snapshot: Snapshot) -> str:
        parts = [self.headline(snapshot), self.tab.heading(snapshot)]
        asked = self.tab.asked
        if asked is not None:
            age_s = asked.age_s(time.monotonic())
            if age_s is None:
                parts.append("not read" if asked.error else "reading…")
            elif asked.error is not None:
                parts += [f"as of {amounts.span(age_s)} ago", asked.error]
            elif age_s > 2 * OLD_S:
                parts.append(f"as of {amounts.span(age_s)} ago")
        return " · ".join(part for part in parts if part)

    def headline(self, snapshot: Snapshot) -> str:
        """What the heading begins with."""
        return str(self.title).upper()

    def rows(self, snapshot: Snapshot) -> list[Row]:
        return self.tab.rows(snapshot)

    def table(self) -> LineTable:
        return self.list

    def command(self) -> Sequence[str]:
        return self.tab.command()

    def open_row(self, key: Any) -> None:
        self.tab.open_row(key)

    def filter_changed(self) -> None:
        super().filter_changed()
        snapshot = self.ev.snapshot
        if snapshot is not None and self.is_mounted:
            pieces = self.tab.note(snapshot)
            self.query_one("#note", Said).say(*pieces)
