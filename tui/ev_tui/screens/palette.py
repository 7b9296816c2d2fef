"""The command palette (`:`): screens, topics, groups, themes, and everything that a key does here, found by a few letters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from ev_tui.pages import BUILT
from ev_tui.widgets.dialog import Dialog
from ev_tui.widgets.line_table import Column, LineTable

if TYPE_CHECKING:
    from ev_tui.page import Page

SHOWN = 200


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that one can choose. `text` is what one types letters of."""

    text: str
    note: str
    do: Callable[[], Any]


class Palette(Dialog[Offer]):
    """A line to type in, and what it finds."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,ctrl+n", "step(1)", "down", show=False),
        Binding("up,ctrl+p", "step(-1)", "up", show=False),
    ]
    DEFAULT_CSS = """
    Palette LineTable { height: 16; background: $surface; }
    Palette.-short LineTable { height: 8; }
    """

    def __init__(self, page: Page | None) -> None:
        super().__init__("command")
        self.below = page
        self.offers: list[Offer] = []

    def inside(self) -> ComposeResult:
        yield Input(placeholder="a screen, a topic, a group, a theme, or what to do")
        columns = (Column("", 30, grow=True, keep=0), Column("", 34, keep=5), Column("", 0, lambda _: "", keep=9))
        self.list = LineTable(columns, sort=None, empty="nothing has these letters", has_header=False)
        self.list.can_focus = False
        yield self.list

    def on_mount(self) -> None:
        self.offers = self._offers()
        self._find("")

    def _offers(self) -> list[Offer]:
        app, page = self.ev, self.below
        found = [Offer(entry.title.lower(), f"screen {entry.key}", lambda name=entry.name: app.go(name)) for entry in BUILT if entry.key]  # type: ignore[misc]
        if page is not None:
            for active in page.active_bindings.values():
                binding = active.binding
                if binding.description and active.enabled and not binding.action.startswith("go("):
                    found.append(
                        Offer(
                            binding.description,
                            f"key {app.get_key_display(binding)}",
                            lambda action=binding.action, node=active.node: app.call_later(app.run_action, action, node),  # type: ignore[misc]
                        )
                    )
        snapshot = app.snapshot
        built = {entry.name for entry in BUILT}
        if snapshot is not None:
            if "topic" in built:
                found += [Offer(name, "topic", lambda name=name: app.go("topic", name)) for name in snapshot.topics]  # type: ignore[misc]
            if "group" in built:
                found += [Offer(name, "group", lambda name=name: app.go("group", name)) for name in snapshot.groups]  # type: ignore[misc]
        found += [Offer(f"context {name}", "another cluster", lambda name=name: app.use_context(name)) for name in app.context_names]  # type: ignore[misc]
        found += [Offer(f"theme {name}", "colours", lambda name=name: setattr(app, "theme", name)) for name in sorted(app.available_themes)]  # type: ignore[misc]
        found.append(Offer("mouse on, off", "the terminal's own selection works while it is off", app.toggle_mouse))
        found.append(Offer("quit", "key ctrl+c", app.action_leave))
        return found

    def on_input_changed(self, event: Input.Changed) -> None:
        self._find(event.value)

    def _find(self, text: str) -> None:
        self.matching = matching(text, self.offers)[:SHOWN]
        self.list.put([(offer.text, offer.note, index) for index, offer in enumerate(self.matching)])
        self.list.action_to(0)
        self.list.refresh()

    def action_step(self, step: int) -> None:
        self.list.action_move(step)

    def on_input_submitted(self) -> None:
        row = self.list.current
        if row is not None:
            self._choose(self.matching[row[2]])

    def on_line_table_opened(self) -> None:
        self.on_input_submitted()

    def _choose(self, offer: Offer) -> None:
        self.dismiss(None)
        self.ev.call_later(offer.do)


def matching(text: str, offers: list[Offer]) -> list[Offer]:
    """Offers that have the letters in their order, the better ones first: beginnings, then whole words, then what is short."""
    letters = text.lower().replace(" ", "")
    scored = []
    for place, offer in enumerate(offers):
        score = fuzzy(letters, offer.text.lower())
        if score is not None:
            scored.append((score, place, offer))
    if letters:
        scored.sort(key=lambda one: one[:2])
    return [offer for _, _, offer in scored]


def fuzzy(letters: str, text: str) -> tuple[int, int] | None:
    """How far the letters lie apart in the text and how long it is; less is better, None when they are not in it."""
    if not letters:
        return (0, 0)
    place = text.find(letters)
    if place >= 0:
        return (0 if place == 0 else 1 if not text[place - 1].isalnum() else 2, len(text))
    at = -1
    gaps = 3
    for letter in letters:
        found = text.find(letter, at + 1)
        if found < 0:
            return None
        gaps += found - at - 1
        at = found
    return (gaps, len(text))
