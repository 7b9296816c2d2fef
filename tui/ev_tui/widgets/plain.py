"""Text of several lines that is nothing but text: no markup, no escapes."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from ev_tui.harmless import safe


class Plain(Static):
    """Shows text as it is. Line ends stay line ends."""

    def __init__(self, text: str = "", *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(content_of(text), id=id, classes=classes)

    def say(self, text: str) -> None:
        self.update(content_of(text))


def content_of(text: str) -> Content:
    return Content("\n".join([safe(line) for line in text.split("\n")]))
