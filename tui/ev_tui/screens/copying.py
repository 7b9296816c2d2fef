"""Copy a record: its value, its key, JSON, a link, or a command that reads it or sends it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from ev_tui.records.forms import as_json, as_text, get_words, link_of, resend_words
from ev_tui.widgets.dialog import Dialog
from ev_tui.widgets.line import Said

if TYPE_CHECKING:
    from ev_tui.records.ring import Row

CHOICES = (
    ("v", "value", "the value"),
    ("k", "key", "the key"),
    ("j", "json", "the record as JSON, as `ev consume -J` writes it"),
    ("l", "link", "a link: ev://CONTEXT/TOPIC/PARTITION/OFFSET"),
    ("c", "command", "the command that shows it"),
    ("p", "resend", "the command that sends it again"),
)


class CopyMenu(Dialog[None]):
    """One key chooses."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(key, f"copy('{what}')", text, show=False, id=f"copy.{what}") for key, what, text in CHOICES),
        Binding("q", "cancel", "close", show=False, id="copy.close"),
    ]
    DEFAULT_CSS = """
    CopyMenu > #window { width: 64; }
    """

    def __init__(self, row: Row) -> None:
        super().__init__("copy")
        self.row = row

    def inside(self) -> ComposeResult:
        for key, _, text in CHOICES:
            yield Said((f" {key}  ", "key"), (text, ""))

    def action_copy(self, what: str) -> None:
        text = self.text_of(what)
        self.dismiss(None)
        if text is None:
            self.ev.tell("this record cannot stand on a command line (bytes that are no text): copy its JSON", "warning")
        else:
            self.ev.copy(text, {"json": "the JSON", "command": "the command", "resend": "the command"}.get(what, f"the {what}"))

    def text_of(self, what: str) -> str | None:
        row = self.row
        match what:
            case "value":
                return as_text(row.value)
            case "key":
                return as_text(row.key)
            case "json":
                return as_json(row)
            case "link":
                return link_of(self.ev.session.target.name, row)
            case "command":
                return self.ev.command_of(get_words(row.place, is_transactional=row.origin.is_transactional))
        words = resend_words(row)
        return None if words is None else self.ev.command_of(words)
