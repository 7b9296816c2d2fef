"""Rows of one kind of thing, as many as there are: only what is on screen is formatted, so that ten thousand rows scroll like ten.

    columns   what a row's values mean, how they look, which of them goes first when there is little room
    rows      plain tuples of values, one for each column; the first value is the row's key
    view      the rows that the filter leaves, in the order of the sorted column

`put` takes the rows anew, as often as the model has some: the cursor stays on its key, marks stay on theirs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ev_tui.widgets.cells import fitted

Row = tuple[Any, ...]

GAP = 2
GUTTER = 3
"""Cells before the first column: the cursor and the mark."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `text` makes the cell's text of the value, `tone` names its colour (good, warn, bad, dim, accent) or None.

    `keep` decides who stays when the terminal is narrow: 0 always does, the highest number goes first. `grow` takes the room that is left.
    """

    title: str
    width: int
    text: Callable[[Any], str] = str
    right: bool = False
    keep: int = 5
    grow: bool = False
    tone: Callable[[Any], str | None] | None = None
    order: Callable[[Any], Any] | None = None
    """What to sort by instead of the value itself."""
    descending: bool = False
    """The largest first, when this column is sorted by."""


TONES = ("good", "warn", "bad", "dim", "accent")


class LineTable(ScrollView, can_focus=True):
    """A table on the line API."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "down", show=False, id="table.down"),
        Binding("up,k", "move(-1)", "up", show=False, id="table.up"),
        Binding("pagedown", "page(1)", "a page down", show=False, id="table.page_down"),
        Binding("pageup", "page(-1)", "a page up", show=False, id="table.page_up"),
        Binding("ctrl+d", "page(0.5)", "half a page down", show=False, id="table.half_down"),
        Binding("ctrl+u", "page(-0.5)", "half a page up", show=False, id="table.half_up"),
        Binding("g,home", "to(0)", "first row", show=False, id="table.first"),
        Binding("G,end", "to(-1)", "last row", show=False, id="table.last"),
        Binding("enter", "open", "open", show=True, id="table.open"),
        Binding("m,space", "mark", "mark", show=False, id="table.mark"),
        Binding("M", "unmark", "clear marks", show=False, id="table.unmark"),
        Binding("s", "sort(1)", "sort by the next column", show=False, id="table.sort"),
        Binding("S", "reverse", "turn the order round", show=False, id="table.reverse"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line-table--header",
        "line-table--cursor",
        "line-table--cursor-blurred",
        "line-table--empty",
        *(f"line-table--{tone}" for tone in TONES),
    }
    DEFAULT_CSS = """
    LineTable { height: 1fr; background: $background; color: $foreground; scrollbar-size-vertical: 1; overflow-x: hidden; }
    LineTable > .line-table--header { background: $panel; color: $text-muted; text-style: bold; }
    LineTable > .line-table--cursor { background: $primary 40%; text-style: bold; }
    LineTable > .line-table--cursor-blurred { background: $surface-lighten-1; }
    LineTable > .line-table--empty { color: $text-muted; }
    LineTable > .line-table--good { color: $text-success; }
    LineTable > .line-table--warn { color: $text-warning; }
    LineTable > .line-table--bad { color: $text-error; }
    LineTable > .line-table--dim { color: $text-muted; }
    LineTable > .line-table--accent { color: $text-accent; }
    """

    cursor: reactive[int] = reactive(0, repaint=False)

    class Opened(Message):
        """Enter, or a second click, on a row."""

        def __init__(self, table: LineTable, key: Any) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> LineTable:
            return self.table

    class Moved(Message):
        """The cursor is on another row, or there is another view."""

        def __init__(self, table: LineTable) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> LineTable:
            return self.table

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        sort: int | None = 0,
        empty: str = "nothing here",
        has_header: bool = True,
        id: str | None = None,
    ) -> None:
        """`sort` is the column that it is sorted by at first, None for the order in which the rows are put."""
        super().__init__(id=id)
        self.header_lines = 1 if has_header else 0
        self.columns = tuple(columns)
        self.rows: Sequence[Row] = ()
        self.view: list[Row] = []
        self.marks: set[Any] = set()
        self.sort_column: int | None = sort
        self.is_reversed = False
        self.filter_text = ""
        self.empty = empty
        self.is_loading = True
        """Nothing was put yet: an empty table says so, and not that there is nothing."""
        self._matches: Callable[[str], object] | None = None
        self._layout: tuple[tuple[int, int], ...] = ()
        """The columns that fit, as (index, width)."""
        self._looks: dict[str, Style] | None = None
        self._drawn: dict[int, Strip] = {}

    # -- what is in it ---------------------------------------------------------------------------------------------------------------

    def put(self, rows: Sequence[Row]) -> None:
        """Show these rows from now on."""
        if rows == self.rows and not self.is_loading:
            return
        self.rows = rows
        self.is_loading = False
        self._arrange()

    def filter_by(self, text: str) -> None:
        """Leave only rows whose key has the text in it, `!text` those that have not; a regular expression when it is one."""
        self.filter_text = text
        self._matches = matcher(text)
        self._arrange()

    def sort_by(self, column: int, *, is_reversed: bool = False) -> None:
        self.sort_column, self.is_reversed = column, is_reversed
        self._arrange()

    def _arrange(self) -> None:
        key = self.current_key
        rows: Iterable[Row] = self.rows
        if self._matches is not None:
            matches = self._matches
            rows = [row for row in rows if matches(str(row[0]))]
        self.view = list(rows) if self.sort_column is None else arranged(rows, self.columns, self.sort_column, self.is_reversed)
        self._lay_out()
        if key is not None and not self._move_to_key(key):
            self.cursor = max(0, min(self.cursor, len(self.view) - 1))
        self._refresh_changed()
        self.post_message(self.Moved(self))

    def _move_to_key(self, key: Any) -> bool:
        here = self.cursor
        if here < len(self.view) and self.view[here][0] == key:
            return True
        for index, row in enumerate(self.view):
            if row[0] == key:
                self.cursor = index
                return True
        return False

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        return self.view[self.cursor] if 0 <= self.cursor < len(self.view) else None

    @property
    def current_key(self) -> Any:
        row = self.current
        return None if row is None else row[0]

    @property
    def chosen_keys(self) -> list[Any]:
        """The marked rows in their order, else the one under the cursor."""
        marked = [row[0] for row in self.view if row[0] in self.marks]
        if marked:
            return marked
        return [] if self.current is None else [self.current_key]

    @property
    def visible_keys(self) -> list[Any]:
        """The keys of the rows on screen, and the one under the cursor: what the model is to ask for first."""
        top = self.scroll_offset.y
        keys = [row[0] for row in self.view[top : top + max(0, self.size.height - self.header_lines)]]
        current = self.current_key
        return keys if current is None or current in keys else [*keys, current]

    def go_to(self, key: Any) -> bool:
        """Put the cursor on the row with this key."""
        return self._move_to_key(key)

    @property
    def order_text(self) -> str:
        """What it is sorted by: `rate ↓`."""
        if self.sort_column is None:
            return "as it comes"
        column = self.columns[self.sort_column]
        return f"{column.title.lower()} {'↓' if column.descending != self.is_reversed else '↑'}"

    # -- keys ------------------------------------------------------------------------------------------------------------------------

    def action_move(self, step: int) -> None:
        self.action_to(max(0, self.cursor + step))

    def action_page(self, pages: float) -> None:
        self.action_move(int(max(1, self.size.height - 2) * pages) or 1)

    def action_to(self, index: int) -> None:
        last = max(0, len(self.view) - 1)
        self.cursor = last if index < 0 else min(index, last)

    def action_open(self) -> None:
        if self.current is not None:
            self.post_message(self.Opened(self, self.current_key))

    def action_mark(self) -> None:
        if self.current is not None:
            self.marks ^= {self.current_key}
            self.action_move(1)
            self.refresh()

    def action_unmark(self) -> None:
        self.marks.clear()
        self.refresh()

    def action_sort(self, step: int) -> None:
        shown = [index for index, _ in self._layout] or [0]
        place = shown.index(self.sort_column) if self.sort_column is not None and self.sort_column in shown else -1
        self.sort_by(shown[(place + step) % len(shown)])

    def action_reverse(self) -> None:
        if self.sort_column is not None:
            self.sort_by(self.sort_column, is_reversed=not self.is_reversed)

    # -- mouse -----------------------------------------------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        if event.y < self.header_lines:
            self._click_header(event.x)
            return
        index = self.scroll_offset.y + event.y - self.header_lines
        if index < len(self.view):
            was_there = index == self.cursor
            self.cursor = index
            if event.chain > 1 and was_there:
                self.action_open()

    def _click_header(self, x: int) -> None:
        left = GUTTER
        for index, width in self._layout:
            if left <= x < left + width + GAP:
                self.sort_by(index, is_reversed=self.sort_column == index and not self.is_reversed)
                return
            left += width + GAP

    # -- drawing ---------------------------------------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        self._lay_out()
        self._show_cursor()
        self.refresh()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def notify_style_update(self) -> None:
        self._looks = None
        super().notify_style_update()

    def _lay_out(self) -> None:
        width = self.size.width
        self._layout = fitting(self.columns, width - GUTTER)
        size = Size(width, len(self.view) + self.header_lines)
        if self.virtual_size != size:
            self.virtual_size = size

    def watch_cursor(self, old: int, new: int) -> None:
        self.refresh_line(old + self.header_lines)
        self.refresh_line(new + self.header_lines)
        self._show_cursor()
        if old != new:
            self.post_message(self.Moved(self))

    def _show_cursor(self) -> None:
        top, height = self.scroll_offset.y, self.size.height - self.header_lines
        if height <= 0:
            return
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, force=True)

    def _refresh_changed(self) -> None:
        """Have only those lines drawn that look different now: a terminal far away gets a few bytes and not a screen a second."""
        drawn = self._drawn
        for y in range(self.size.height):
            if drawn.get(y) != self._line(y):
                self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        strip = self._drawn[y] = self._line(y)
        return strip

    def _line(self, y: int) -> Strip:
        looks = self._looks
        if looks is None:
            looks = self._looks = self._styles_of_parts()
        width = self.size.width
        if y < self.header_lines:
            return Strip([Segment(self._header().ljust(width), looks["header"])]).adjust_cell_length(width, looks["header"])
        index = self.scroll_offset.y + y - self.header_lines
        if index >= len(self.view):
            if y == 2 and not self.view:
                text = "…" if self.is_loading else self.empty
                return Strip([Segment(fitted(" " * GUTTER + text, width), looks["empty"])])
            return Strip.blank(width, looks["base"])
        is_current = index == self.cursor
        base = looks["base"]
        if is_current:
            base = looks["cursor"] if self.has_focus else looks["blurred"]
        return self._row(self.view[index], base, is_current, looks, width)

    def _row(self, row: Row, base: Style, is_current: bool, looks: dict[str, Style], width: int) -> Strip:
        mark = "●" if row[0] in self.marks else " "
        segments = [Segment(f"{'▶' if is_current else ' '}{mark} ", base)]
        used = GUTTER
        columns = self.columns
        for index, cells in self._layout:
            column = columns[index]
            value = row[index]
            tone = column.tone(value) if column.tone is not None else None
            text = fitted("-" if value is None else column.text(value), cells, right=column.right)
            segments.append(Segment(text + " " * GAP, base if tone is None else base + looks[tone]))
            used += cells + GAP
        if used < width:
            segments.append(Segment(" " * (width - used), base))
        return Strip(segments).adjust_cell_length(width, base)

    def _header(self) -> str:
        parts = [" " * GUTTER]
        for index, width in self._layout:
            column = self.columns[index]
            title = column.title
            if index == self.sort_column:
                arrow = "↓" if column.descending != self.is_reversed else "↑"
                title = f"{title[: max(0, width - 1)]}{arrow}"
            parts.append(fitted(title, width, right=column.right) + " " * GAP)
        return "".join(parts)

    def _styles_of_parts(self) -> dict[str, Style]:
        base = self.rich_style
        part = self.get_component_rich_style
        looks = {
            "base": base,
            "header": part("line-table--header"),
            "cursor": part("line-table--cursor"),
            "blurred": part("line-table--cursor-blurred"),
            "empty": part("line-table--empty"),
        }
        for tone in TONES:
            looks[tone] = Style(color=part(f"line-table--{tone}").color)
        if self.app.native_ansi_color:  # without colours the cursor is seen by being the other way round
            looks["cursor"] = Style(reverse=True, bold=True)
            looks["blurred"] = Style(underline=True)
            looks["header"] = Style(bold=True, underline=True)
        return looks


def matcher(text: str) -> Callable[[str], object] | None:
    """Whether a key passes the filter: small letters match both cases, `!` turns it round; None lets all pass."""
    is_negative = text.startswith("!")
    wanted = text[1:] if is_negative else text
    if not wanted:
        return None
    flags = re.IGNORECASE if wanted == wanted.lower() else re.NOFLAG
    try:
        search = re.compile(wanted, flags).search
    except re.error:
        search = re.compile(re.escape(wanted), flags).search
    if is_negative:
        return lambda key: search(key) is None
    return search


def arranged(rows: Iterable[Row], columns: Sequence[Column], index: int, is_reversed: bool) -> list[Row]:
    """Rows in the order of a column. What is not known stands at the end, whichever way the order goes."""
    column = columns[index]
    order = column.order
    known: list[tuple[Any, Row]] = []
    unknown: list[Row] = []
    for row in rows:
        value = row[index]
        key = value if order is None or value is None else order(value)
        if key is None:
            unknown.append(row)
        else:
            known.append((key, row))
    known.sort(key=lambda pair: pair[0], reverse=column.descending != is_reversed)
    return [row for _, row in known] + unknown


def fitting(columns: Sequence[Column], width: int) -> tuple[tuple[int, int], ...]:
    """Which columns fit into so many cells and how wide each is: those of the highest `keep` go first, the growing ones share the rest."""
    kept = list(range(len(columns)))

    def needed() -> int:
        return sum(columns[index].width + GAP for index in kept)

    while needed() > width and len(kept) > 1:
        worst = max(kept, key=lambda index: (columns[index].keep, index))
        if columns[worst].keep == 0:
            break
        kept.remove(worst)
    spare = max(0, width - needed())
    growing = [index for index in kept if columns[index].grow]
    found = []
    for index in kept:
        share = spare // len(growing) if index in growing else 0
        found.append((index, columns[index].width + share))
    over = sum(cells + GAP for _, cells in found) - width
    if over > 0 and found:  # not even those that always stay fit: the widest gives
        widest = max(range(len(found)), key=lambda place: found[place][1])
        found[widest] = (found[widest][0], max(1, found[widest][1] - over))
    return tuple(found)
