"""Records as they come: a window on a ring that a reader fills, of which only the rows on screen are ever decoded.

The window knows its records by their sequence: when the ring goes on, what a person looks at stays where it is. Following, it stands at
the newest record; any step back ends that, `f` or `G` begins it again. What is seen is kept from being pushed out (`Ring.keep_from`).

A record takes one line, or with `w` as many as its value needs: then the window knows by `last_seen` and `top_for` what fits into it.
"""

from __future__ import annotations

import os
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollDown, ScrollTo, ScrollUp
from textual.strip import Strip

from ev_tui.records.ring import ABORTED, OPEN, Ring, Row
from ev_tui.records.shown import BYTES, LINE_BYTES, NULL, clock, line_of, marker_line
from ev_tui.widgets.cells import ELLIPSIS, fitted, pieces_of

FRAMES_PER_S = 20
FRAMES_PER_S_FAR = 10
"""Over ssh, where every frame travels."""
WHEEL_LINES = 3
SIDE_STEP = 16
WRAPPED_KEPT = 500
"""Values that are kept cut into lines: a few windows of them."""
PARTS = ("time", "dim", "key", "value", "bytes", "aborted", "open", "marker", "marked")


class Tail(ScrollView, can_focus=True):
    """The window."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "down", show=False, id="tail.down"),
        Binding("up,k", "move(-1)", "up", show=False, id="tail.up"),
        Binding("pagedown", "page(1)", "a page down", show=False, id="tail.page_down"),
        Binding("pageup", "page(-1)", "a page up", show=False, id="tail.page_up"),
        Binding("ctrl+d", "page(0.5)", "half a page down", show=False, id="tail.half_down"),
        Binding("ctrl+u", "page(-0.5)", "half a page up", show=False, id="tail.half_up"),
        Binding("g,home", "first", "oldest record here", show=False, id="tail.first"),
        Binding("G,end", "follow", "newest record", show=False, id="tail.last"),
        Binding("h,left", "aside(-1)", "left", show=False, id="tail.left"),
        Binding("l,right", "aside(1)", "right", show=False, id="tail.right"),
        Binding("w", "wrap", "wrap", show=False, id="tail.wrap"),
        Binding("space", "pause", "pause", id="tail.pause"),
        Binding("f", "follow", "follow", id="tail.follow"),
        Binding("enter", "open", "open", id="tail.open"),
        Binding("m", "mark", "mark", id="tail.mark"),
        Binding("M", "unmark", "clear marks", show=False, id="tail.unmark"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"tail--header", "tail--cursor", *(f"tail--{part}" for part in PARTS)}
    DEFAULT_CSS = """
    Tail { height: 1fr; background: $background; color: $foreground; scrollbar-size-vertical: 1; overflow-x: hidden; overflow-y: scroll; }
    Tail > .tail--header { background: $panel; color: $text-muted; text-style: bold; }
    Tail > .tail--cursor { background: $primary 40%; text-style: bold; }
    Tail > .tail--time { color: $text-muted; }
    Tail > .tail--dim { color: $text-muted; }
    Tail > .tail--key { color: $text-accent; }
    Tail > .tail--value { color: $foreground; }
    Tail > .tail--bytes { color: $text-warning; }
    Tail > .tail--aborted { color: $text-error; }
    Tail > .tail--open { color: $text-warning; }
    Tail > .tail--marker { color: $text-muted; }
    Tail > .tail--marked { color: $text-success; }
    """

    following: reactive[bool] = reactive(True, repaint=False)

    class Opened(Message):
        """Enter, or a second click, on a record."""

        def __init__(self, tail: Tail, row: Row) -> None:
            super().__init__()
            self.tail = tail
            self.row = row

        @property
        def control(self) -> Tail:
            return self.tail

    class Looked(Message):
        """The window, its marks, or whether it follows, is another one."""

        def __init__(self, tail: Tail) -> None:
            super().__init__()
            self.tail = tail

        @property
        def control(self) -> Tail:
            return self.tail

    def __init__(self, ring: Ring, *, has_topic: bool = False, empty: str = "no records yet", id: str | None = None) -> None:
        super().__init__(id=id)
        self.ring = ring
        self.has_topic = has_topic
        self.empty = empty
        self.top = 0
        """The sequence of the first row."""
        self.cursor = 0
        """The sequence of the row that keys are about."""
        self.left = 0
        """So many characters of each value are left out at the left."""
        self.wraps = False
        """Whether values go on in the next line."""
        self.marks: dict[tuple[str, int, int], Row] = {}
        """By the record's place; they stay when the ring goes on."""
        self.byte_rows = 0
        """How many rows on screen are no text."""
        self.frames = 0
        self._rows: list[Row] = []
        """What is on screen."""
        self._lines: list[tuple[Row, str | None]] = []
        """The lines of it, where values are wrapped: a record and a piece of its value; None where the record begins."""
        self._wrapped: dict[tuple[tuple[str, int, int], int, int], list[str]] = {}
        self._painted: object = None
        self._offset_width = 8
        self._looks: dict[str, Style] | None = None

    def on_mount(self) -> None:
        is_far = "SSH_TTY" in os.environ or "SSH_CONNECTION" in os.environ
        self.set_interval(1 / (FRAMES_PER_S_FAR if is_far else FRAMES_PER_S), self.flush)
        self.flush()

    @property
    def row_count(self) -> int:
        """How many rows there is room for."""
        return max(self.size.height - 1, 1)

    @property
    def current(self) -> Row | None:
        """The record under the cursor."""
        return self.ring.row(self.cursor)

    @property
    def new_below(self) -> int:
        """How many records are newer than what is on screen."""
        return 0 if self.following else max(self.ring.end - 1 - self.last_seen(self.top), 0)

    # -- what fits -------------------------------------------------------------------------------------------------------------------

    def last_seen(self, top: int) -> int:
        """The last sequence that is wholly on screen when this one is at the top."""
        if not self.wraps:
            return top + self.row_count - 1
        left, last = self.row_count, top
        for row in self.ring.rows(top, self.row_count):
            left -= len(self._pieces(row))
            if left < 0:
                break
            last = row.sequence
        return last

    def top_for(self, last: int) -> int:
        """The first sequence at the top when this one is to be the last that is wholly on screen."""
        if not self.wraps:
            return last - self.row_count + 1
        left, top = self.row_count, last
        begin = max(self.ring.start, last - self.row_count + 1)
        for row in reversed(self.ring.rows(begin, last - begin + 1)):
            left -= len(self._pieces(row))
            if left < 0:
                break
            top = row.sequence
        return top

    def _pieces(self, row: Row) -> list[str]:
        """The value in lines; no record takes more than there are."""
        room, lines_max = self._value_room(self.scrollable_content_region.width), self.row_count
        key = row.place, room, lines_max
        found = self._wrapped.get(key)
        if found is None:
            if len(self._wrapped) >= WRAPPED_KEPT:
                self._wrapped.clear()
            found = self._wrapped[key] = wrapped(row, max(room, 1), lines_max)
        return found

    def _value_room(self, width: int) -> int:
        """The cells that are left for the value: mark and cursor take three, the partition four, the transaction's state four."""
        return width - 11 - sum(cells + 1 for cells in self._widths(width) if cells)

    def _wrapped_lines(self, rows: list[Row]) -> list[tuple[Row, str | None]]:
        """As many lines of these records as there is room for: the last ones of them when it follows."""
        lines: list[tuple[Row, str | None]] = []
        for row in rows:
            lines += [(row, None), *[(row, piece) for piece in self._pieces(row)[1:]]]
        return lines[-self.row_count :] if self.following else lines[: self.row_count]

    # -- frames ------------------------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """One frame, if there is something new to see."""
        if not self.is_seen():
            return
        ring, room = self.ring, self.row_count
        start, end = ring.start, ring.end
        if self.following:
            self.top = max(self.top_for(end - 1) - self.wraps, start)  # the end of the one above fills what is left
            self.cursor = max(end - 1, start)
        else:
            self.top = max(min(self.top, end - 1), start)
            self.cursor = max(min(self.cursor, self.last_seen(self.top), end - 1), self.top)
        ring.keep_from = None if self.following else self.top
        rows = ring.rows(self.top, room + 1 if self.wraps else room)
        seen = (
            self.top,
            len(rows),
            rows[-1].sequence if rows else 0,
            self.cursor,
            self.left,
            self.wraps,
            len(self.marks),
            self.size,
            "".join([row.origin.state for row in rows]),
        )
        self._fit_scrollbar(end - start)
        if seen == self._painted:
            return
        self._painted, self._rows = seen, rows
        self.byte_rows = sum(not row.origin.is_control and line_of(row.value)[1] == BYTES for row in rows)
        self._offset_width = max([self._offset_width, *[len(f"{row.offset:,}") for row in rows]])
        self._lines = self._wrapped_lines(rows) if self.wraps else [(row, None) for row in rows]
        self.frames += 1
        self.refresh()

    def is_seen(self) -> bool:
        """Screens that are under another one keep still."""
        return self.is_mounted and self.screen.is_current

    def _fit_scrollbar(self, count: int) -> None:
        size = Size(self.size.width, count + 1)
        if self.virtual_size != size:
            self.virtual_size = size
        y = self.top - self.ring.start
        if round(self.scroll_y) != y:
            self.scroll_to(y=y, animate=False, force=True, immediate=True)

    def watch_following(self) -> None:
        self.flush()
        self.post_message(self.Looked(self))

    # -- keys --------------------------------------------------------------------------------------------------------------------

    def action_move(self, step: int) -> None:
        """The cursor to another row; a step beyond the newest one changes nothing."""
        if self.following and step > 0:
            return
        self.following = False
        ring = self.ring
        self.cursor = max(ring.start, min(self.cursor + step, ring.end - 1))
        if self.cursor < self.top:
            self.top = self.cursor
        elif self.cursor > self.last_seen(self.top):
            self.top = self.top_for(self.cursor)
        self.flush()

    def action_page(self, pages: float) -> None:
        step = int(max(1, self.last_seen(self.top) - self.top) * pages) or 1
        if not (self.following and step > 0):
            self._scroll_rows(step)
            self.action_move(step)

    def _scroll_rows(self, step: int) -> None:
        """The window alone."""
        self.following = False
        ring = self.ring
        self.top = max(ring.start, min(self.top + step, max(self.top_for(ring.end - 1), ring.start)))
        self.cursor = max(self.top, min(self.cursor, self.last_seen(self.top)))
        self.flush()

    def action_first(self) -> None:
        self.following = False
        self.top = self.cursor = self.ring.start
        self.flush()

    def action_aside(self, step: int) -> None:
        self.left = 0 if self.wraps else max(0, self.left + step * SIDE_STEP)
        self.flush()

    def action_wrap(self) -> None:
        """Values in as many lines as they need, or in one each; the record under the cursor stays on screen."""
        self.wraps, self.left = not self.wraps, 0
        if not self.following and self.cursor > self.last_seen(self.top):
            self.top = self.top_for(self.cursor)
        self.flush()

    def action_pause(self) -> None:
        self.following = not self.following

    def action_follow(self) -> None:
        self.following = True

    def action_open(self) -> None:
        row = self.current
        if row is not None:
            self.following = False
            self.post_message(self.Opened(self, row))

    def action_mark(self) -> None:
        row = self.current
        if row is None:
            return
        self.following = False
        if self.marks.pop(row.place, None) is None:
            self.marks[row.place] = row
        self._painted = None
        self.action_move(1)
        self.post_message(self.Looked(self))

    def action_unmark(self) -> None:
        self.marks.clear()
        self.flush()
        self.post_message(self.Looked(self))

    def go_to(self, sequence: int) -> None:
        """Put the cursor on a record, in the middle of the window where it was not in it."""
        self.following = False
        self.cursor = sequence
        if not self.top <= sequence <= self.last_seen(self.top):
            self.top = max(self.ring.start, sequence - self.row_count // 2)
        if sequence > self.last_seen(self.top):
            self.top = self.top_for(sequence)
        self.flush()

    # -- mouse -------------------------------------------------------------------------------------------------------------------

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        event.prevent_default()
        if not self.following:
            self._scroll_rows(WHEEL_LINES)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        event.prevent_default()
        self._scroll_rows(-WHEEL_LINES)

    def on_scroll_to(self, event: ScrollTo) -> None:
        """The scrollbar is drawn along."""
        event.stop()
        event.prevent_default()
        if event.y is not None:
            self._scroll_rows(self.ring.start + round(event.y) - self.top)

    def on_scroll_up(self, event: ScrollUp) -> None:
        event.stop()
        event.prevent_default()
        self.action_page(-1)

    def on_scroll_down(self, event: ScrollDown) -> None:
        event.stop()
        event.prevent_default()
        self.action_page(1)

    def on_click(self, event: events.Click) -> None:
        place = event.y - 1
        if 0 <= place < len(self._lines):
            sequence = self._lines[place][0].sequence
            was_there = sequence == self.cursor and not self.following
            self.following = False
            self.cursor = sequence
            self.flush()
            if event.chain > 1 and was_there:
                self.action_open()

    # -- drawing -----------------------------------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        self.flush()

    def notify_style_update(self) -> None:
        self._looks = None
        self._painted = None
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        looks = self._looks
        if looks is None:
            looks = self._looks = self._styles_of_parts()
        width = self.scrollable_content_region.width
        if y == 0:
            return Strip([Segment(fitted(self._header(width), width), looks["header"])])
        place = y - 1
        if place >= len(self._lines):
            if y == 2 and not self._rows:
                return Strip([Segment(fitted(f"   {self.empty}", width), looks["dim"])])
            return Strip.blank(width, looks["base"])
        row, piece = self._lines[place]
        return self._line(row, looks, width) if piece is None else self._further_line(row, piece, looks, width)

    def _widths(self, width: int) -> tuple[int, int, int, int]:
        """Of time, topic, offset and key; what does not fit on a narrow terminal is 0."""
        return (
            12 if width >= 70 else 8 if width >= 40 else 0,
            min(24, width // 6) if self.has_topic and width >= 60 else 0,
            self._offset_width if width >= 50 else 0,
            max(6, min(32, width // 8)) if width >= 30 else 0,
        )

    def _header(self, width: int) -> str:
        time, topic, offset, key = self._widths(width)
        parts = ["  "]
        parts += ["TIME".ljust(time)] if time else []
        parts += ["TOPIC".ljust(topic)] if topic else []
        parts += ["  P"]
        parts += ["OFFSET".rjust(offset)] if offset else []
        parts += ["KEY".ljust(key)] if key else []
        return " ".join([*parts, "TXN", "VALUE"])

    def _line(self, row: Row, looks: dict[str, Style], width: int) -> Strip:
        origin = row.origin
        time, topic, offset, key = self._widths(width)
        is_current = row.sequence == self.cursor and not self.following
        base = looks["cursor"] if is_current else looks["base"]
        segments = [Segment("▶" if is_current else " ", base), self._mark_of(row, base, looks)]
        if time:
            segments.append(Segment(f"{clock(row.timestamp, whole=time == 12)} ", base + looks["time"]))
        if topic:
            segments.append(Segment(f"{fitted(origin.topic, topic)} ", base + looks["dim"]))
        segments.append(Segment(f"{origin.partition:>3} ", base + looks["key"]))
        if offset:
            segments.append(Segment(f"{row.offset:>{offset},} ", base + looks["dim"]))
        if origin.is_control:
            text, look = marker_line(row), "marker"
            key_text, key_look = "marker", "marker"
        else:
            text, kind = line_of(row.value, self.left)
            look = "bytes" if kind == BYTES else "dim" if kind == NULL else "value"
            key_text, key_kind = line_of(row.key)
            key_look = "dim" if key_kind == NULL else "key"
            if origin.state == ABORTED:
                look = "aborted"
        if key:
            segments.append(Segment(f"{fitted(key_text, key)} ", base + looks[key_look]))
        state_look = "aborted" if origin.state == ABORTED else "open" if origin.state == OPEN else "dim"
        segments.append(Segment(f" {origin.state}  ", base + looks[state_look]))
        room = width - Strip(segments).cell_length
        if self.wraps:
            text = self._pieces(row)[0]
        note = "" if origin.is_control or self.wraps else {ABORTED: " (aborted)", OPEN: " (open transaction)"}.get(origin.state, "")
        if note and room > 2 * len(note):
            segments.append(Segment(fitted(text, room - len(note)), base + looks[look]))
            segments.append(Segment(note, base + looks[state_look]))
        else:
            segments.append(Segment(fitted(text, room), base + looks[look]))
        return Strip(segments).adjust_cell_length(width, base)

    def _further_line(self, row: Row, piece: str, looks: dict[str, Style], width: int) -> Strip:
        """What did not fit into the line above."""
        is_current = row.sequence == self.cursor and not self.following
        base = looks["cursor"] if is_current else looks["base"]
        look = "aborted" if row.origin.state == ABORTED else "value"
        room = max(self._value_room(width), 0)
        return Strip([Segment(" " * (width - room), base), Segment(fitted(piece, room), base + looks[look])]).adjust_cell_length(
            width, base
        )

    def _mark_of(self, row: Row, base: Style, looks: dict[str, Style]) -> Segment:
        is_marked = bool(self.marks) and row.place in self.marks
        return Segment("m " if is_marked else "  ", base + looks["marked"])

    def _styles_of_parts(self) -> dict[str, Style]:
        part = self.get_component_rich_style
        looks = {"base": self.rich_style, "header": part("tail--header"), "cursor": part("tail--cursor")}
        for name in PARTS:
            looks[name] = Style(color=part(f"tail--{name}").color)
        if self.app.native_ansi_color:  # without colours the cursor is seen by being the other way round
            looks["cursor"] = Style(reverse=True, bold=True)
            looks["header"] = Style(bold=True, underline=True)
        return looks


def wrapped(row: Row, width: int, lines_max: int) -> list[str]:
    """The value of a record in lines of so many cells; where it is cut, that is seen."""
    if row.origin.is_control:
        return [marker_line(row)]
    text, kind = line_of(row.value)
    is_cut = kind != BYTES and row.value is not None and len(row.value) > LINE_BYTES
    pieces = pieces_of(text + ELLIPSIS if is_cut else text, width)
    return pieces if len(pieces) <= lines_max else [*pieces[: lines_max - 1], pieces[lines_max - 1][:-1] + ELLIPSIS]
