"""Two records side by side: what they do not have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from ev_tui.records.differences import differences
from ev_tui.records.forms import place_of
from ev_tui.widgets.dialog import Dialog
from ev_tui.widgets.text_lines import TextLines, Toned

if TYPE_CHECKING:
    from ev_tui.records.differences import Difference
    from ev_tui.records.ring import Row


class Diff(Dialog[None]):
    """Lines with - are the first record's, those with + the second one's."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("equals_sign", "same", "what is the same", id="diff.same"),
        Binding("q,enter", "cancel", "close", id="diff.close"),
    ]
    DEFAULT_CSS = """
    Diff > #window { height: 90%; }
    Diff TextLines { background: $surface; }
    """

    def __init__(self, old: Row, new: Row) -> None:
        super().__init__(f"{place_of(old)} - and {place_of(new)} +")
        self.found = differences(old, new)
        self.with_same = False

    def inside(self) -> ComposeResult:
        yield TextLines()

    def on_mount(self) -> None:
        self._show()

    def action_same(self) -> None:
        self.with_same = not self.with_same
        self._show()

    def _show(self) -> None:
        text = self.query_one(TextLines)
        text.say(diff_lines(self.found, with_same=self.with_same))
        self.set_focus(text)


def diff_lines(found: list[Difference], *, with_same: bool) -> list[Toned]:
    lines: list[Toned] = []
    width = min(40, max([len(one.name) for one in found], default=0))
    same = 0
    for one in found:
        name = one.name.ljust(width)
        if one.is_same:
            same += 1
            if with_same:
                lines.append((f"  {name} {one.old}", "dim"))
            continue
        if one.old is not None:
            lines.append((f"- {name} {one.old}", "bad"))
        if one.new is not None:
            lines.append((f"+ {name} {one.new}", "good"))
    if not lines:
        lines.append(("nothing differs", "dim"))
    if same and not with_same:
        lines += [("", ""), (f"{same} same hidden (=)", "dim")]
    return lines
