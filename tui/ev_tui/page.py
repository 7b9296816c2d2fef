"""What every screen is: the frame around a body, which is told of each new snapshot while it is seen.

A screen says:

    NAME, TITLE         its name in `pages`, what the person reads
    BINDINGS            its keys, each with an id (`topics.delete`), so that the configuration can give it another
    body()              its widgets
    show(snapshot)      draw this; called when the screen comes up and then at most every EVERY_S, never while it is frozen or covered
    wants()             what is on screen, so that the model asks for that first
    command()           the words of the `ev` command that shows the same
    back()              True when esc had something to close here (a filter)
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Input

from ev_tui.frame import CommandLine, ContextBar, Keys
from ev_tui.widgets.line import Said
from ev_tui.widgets.line_table import LineTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ev_cli.model.snapshot import Snapshot
    from ev_tui.app import EvApp
    from ev_tui.asked import Asked


class Page(Screen[None]):
    """A screen. `about` are the names that it is about: a topic, a group."""

    NAME: ClassVar[str] = ""
    TITLE = ""
    EVERY_S: ClassVar[float] = 1.0
    DEFAULT_CSS = """
    Page { layout: vertical; }
    Page.-short CommandLine { display: none; }
    """

    def __init__(self, about: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.about = about
        self.title = self.TITLE
        self.shown_version = -1
        self.bar = ContextBar()
        self.is_composed = False
        """Whether its widgets are there: before that it can neither draw nor say what it wants."""

    def compose(self) -> ComposeResult:
        yield self.bar
        yield from self.body()
        yield CommandLine()
        yield Keys()

    def _on_mount(self, event: events.Mount) -> None:
        """Beside those of the classes below and above, which Textual calls by itself."""
        self.is_composed = True
        if self.is_current:
            self.ev.page_came_up(self)

    # -- what a screen says ----------------------------------------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        raise NotImplementedError

    def show(self, snapshot: Snapshot) -> None:
        """Draw this snapshot."""

    def wants(self) -> dict[str, Any]:
        """What ClusterModel.want is given: topics, groups, topic_details, group_details."""
        return {}

    def command(self) -> Sequence[str]:
        """The words behind `ev`; the options that say which cluster are added."""
        return ()

    def back(self) -> bool:
        return False

    def hasten(self) -> None:
        """What it asks by itself, beside the model, is asked anew: the person wants the newest."""

    def ask_due(self, *questions: Asked[Any] | None, then: Callable[[], None]) -> None:
        """Ask what has grown old of this, where the screen is seen and the cluster answers; `then` is called after each answer."""
        snapshot = self.ev.snapshot
        if self.ev.standing_page is not self or self.ev.frozen_at is not None or snapshot is None or not snapshot.is_connected:
            return
        for asked in questions:
            if asked is not None and asked.is_due(time.monotonic()):
                asked.ask(self.ev, then)

    # -- what it has -----------------------------------------------------------------------------------------------------------------

    @property
    def ev(self) -> EvApp:
        return cast("EvApp", self.app)

    def command_changed(self) -> None:
        """The command of the screen is another now."""
        for line in self.query(CommandLine):
            line.look()

    def on_screen_resume(self) -> None:
        self.ev.page_came_up(self)


class FilterLine(Input):
    """Where a filter is typed: seen while it is typed or does something."""

    DEFAULT_CSS = """
    FilterLine { display: none; height: 1; border: none; padding: 0 1; background: $surface; }
    FilterLine:focus { border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "clear", "clear", show=True, id="filter.clear"),
        Binding("down", "done", "to the rows", show=False, id="filter.down"),
    ]

    def __init__(self) -> None:
        super().__init__(placeholder="filter: a part of the name, !part, or a regular expression", select_on_focus=False)

    def open(self) -> None:
        self.display = True
        self.screen.set_focus(self)  # at once: what is typed next belongs here

    def close(self) -> None:
        self.value = ""
        self.display = False

    def action_clear(self) -> None:
        self.close()
        self.post_message(self.Submitted(self, ""))

    def action_done(self) -> None:
        self.post_message(self.Submitted(self, self.value))


class ListPage(Page):
    """A screen that is one table, with a line above that says what is seen and a filter below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", id="list.filter"),
        Binding("y", "copy", "copy name", show=False, id="list.copy"),
    ]
    DEFAULT_CSS = """
    ListPage > #heading { background: $surface; }
    """

    def table(self) -> LineTable:
        """The table, made once."""
        raise NotImplementedError

    def rows(self, snapshot: Snapshot) -> list[tuple[Any, ...]]:
        """The rows that the snapshot has."""
        raise NotImplementedError

    def heading(self, snapshot: Snapshot) -> str:
        """What is seen: how many of what."""
        return self.title or ""

    def open_row(self, key: Any) -> None:
        """Enter on a row."""

    def body(self) -> ComposeResult:
        self.list = self.table()
        yield Said((f" {self.title}", "accent"), id="heading")
        yield self.list
        yield FilterLine()

    def on_mount(self) -> None:
        self.set_focus(self.list)  # at once: what was typed for this screen comes next

    def knows(self, snapshot: Snapshot) -> bool:
        """Whether the rows were asked for already: before that, an empty table does not say that there are none."""
        return True

    def show(self, snapshot: Snapshot) -> None:
        if self.knows(snapshot):
            self.list.put(self.rows(snapshot))
        self._say_heading(snapshot)

    def _say_heading(self, snapshot: Snapshot) -> None:
        parts = [self.heading(snapshot) if self.knows(snapshot) else str(self.title).upper()]
        if self.list.filter_text:
            parts.append(f"/{self.list.filter_text} {len(self.list.view):,} shown")
        if self.list.marks:
            parts.append(f"{len(self.list.marks):,} marked")
        if not snapshot.is_complete:
            parts.append("still reading…")
        for heading in self.query("#heading").results(Said):  # none, once the interface is at its end
            heading.say((" " + " · ".join(parts), "accent"), right=((f"sort: {self.list.order_text} ", "dim"),))

    def action_filter(self) -> None:
        self.query_one(FilterLine).open()

    def action_copy(self) -> None:
        keys = self.list.chosen_keys
        if keys:
            self.ev.copy("\n".join(map(str, keys)), "the name" if len(keys) == 1 else f"{len(keys)} names")

    def back(self) -> bool:
        line = self.query_one(FilterLine)
        if not line.value and not self.list.filter_text:
            return False
        line.close()
        self.set_focus(self.list)
        return True

    def on_input_changed(self, event: Input.Changed) -> None:
        if isinstance(event.input, FilterLine):
            self.list.filter_by(event.value)
            self.filter_changed()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if isinstance(event.input, FilterLine):
            if not event.value:
                event.input.display = False
            self.set_focus(self.list)

    def filter_changed(self) -> None:
        self.command_changed()
        if self.ev.snapshot is not None:
            self._say_heading(self.ev.snapshot)

    def on_line_table_moved(self, event: LineTable.Moved) -> None:
        self.ev.wants_changed()
        self.filter_changed()

    def on_line_table_opened(self, event: LineTable.Opened) -> None:
        self.open_row(event.key)
