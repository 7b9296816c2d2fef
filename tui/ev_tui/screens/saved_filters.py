"""Saved filters: choose one or several, save the one that is on, delete."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from ev_cli.failures import Failure
from ev_tui.records import saved_filters
from ev_tui.widgets.dialog import Dialog
from ev_tui.widgets.line import Said
from ev_tui.widgets.line_table import Column, LineTable


class SavedFilters(Dialog[str]):
    """Gives the expression that shall be on; None leaves everything as it is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "name", "save", id="saved_filters.save"),
        Binding("D", "delete", "delete", id="saved_filters.delete"),
    ]
    DEFAULT_CSS = """
    SavedFilters LineTable { height: 10; background: $surface; }
    SavedFilters Input { display: none; }
    SavedFilters Input.-open { display: block; }
    """

    def __init__(self, where: str, path: str | None) -> None:
        super().__init__("saved filters")
        self.where = where
        self.path = path
        self.filters: dict[str, str] = {}

    def inside(self) -> ComposeResult:
        self.list = LineTable(
            (Column("NAME", 16, keep=0), Column("WHERE", 30, grow=True, keep=0)), empty="none is saved yet: n saves the one that is on"
        )
        yield self.list
        yield Input(placeholder="a name for the filter that is on")
        keys = (("enter", "on"), ("m", "several"), ("n", "save"), ("D", "delete"))
        yield Said(*[piece for key, text in keys for piece in ((key, "key"), (f" {text}   ", "dim"))])

    def on_mount(self) -> None:
        try:
            self.filters = saved_filters.read(self.path)
        except Failure as failure:
            self.ev.tell(failure.line(), "error")
        self._show()

    def _show(self) -> None:
        self.list.put(list(self.filters.items()))
        self.set_focus(self.list)

    def on_line_table_opened(self) -> None:
        chosen = [self.filters[name] for name in self.list.chosen_keys]
        if chosen:
            self.dismiss(saved_filters.joined(chosen))

    def action_name(self) -> None:
        if not self.where:
            self.ev.tell("no filter is on: / types one, then it can be saved", "warning")
            return
        question = self.query_one(Input)
        question.add_class("-open")
        self.set_focus(question)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        name = event.value.strip()
        event.input.remove_class("-open")
        if name:
            self._save({**self.filters, name: self.where})
        self.set_focus(self.list)

    def action_delete(self) -> None:
        name = self.list.current_key
        if name is not None:
            self._save({key: text for key, text in self.filters.items() if key != name})

    def _save(self, filters: dict[str, str]) -> None:
        try:
            saved_filters.write(self.path, filters)
        except Failure as failure:
            self.ev.tell(failure.line(), "error")
            return
        self.filters = filters
        self._show()
