"""The keys of the screen below, from its bindings: what `?` shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ev_tui.widgets.dialog import Look

if TYPE_CHECKING:
    from textual.screen import Screen


class Help(Look):
    """Keys and what they do, the screen's own first."""

    def __init__(self, screen: Screen[Any]) -> None:
        super().__init__(f"keys of {screen.title}", help_text(groups_of(screen)))


def groups_of(screen: Screen[Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(heading, [(keys, what they do)]) by where the bindings come from."""
    app = screen.app
    groups: dict[str, dict[str, tuple[str, list[str]]]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if not binding.description or not binding.id:
            continue  # what Textual itself binds is of no use here
        heading = (
            "everywhere"
            if active.node is app
            else "this screen"
            if active.node is screen
            else "rows"
            if hasattr(active.node, "rows")
            else "here"
        )
        entry = groups.setdefault(heading, {}).setdefault(binding.action, (binding.description, []))
        entry[1].append(app.get_key_display(binding))
    order = ("this screen", "rows", "here", "everywhere")
    return [(name, [(" ".join(keys), text) for text, keys in groups[name].values()]) for name in order if name in groups]


def help_text(groups: Iterable[tuple[str, list[tuple[str, str]]]]) -> str:
    parts = []
    for heading, keys in groups:
        width = max(len(key) for key, _ in keys)
        parts.append("\n".join([heading.upper(), *(f"  {key:<{width}}  {text}" for key, text in keys)]))
    return "\n\n".join(parts)
