"""[tui] of the configuration: theme, keymap, mouse, clipboard, the colours of contexts. What is wrong there is a warning.

[tui]
theme = "textual-dark"      keymap = "default" | "vim" | "k9s"      mouse = true      clipboard = "auto" | "osc52" | "native"
alerts = "bell" | "terminal" | "off"
[tui.keys]                  see keys.py
[tui.colors]                NAME OF A CONTEXT = "success" | "error" | "primary" | "secondary" | "accent" | "warning"
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ev_tui import clipboard, notification

DEFAULT_THEME = "textual-dark"
COLOURS = ("success", "error", "primary", "secondary", "accent", "warning")

KINDS = {"theme": str, "keymap": str, "clipboard": str, "alerts": str, "mouse": bool, "keys": dict}
CHOICES = {"clipboard": clipboard.WAYS, "alerts": notification.WAYS}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person has chosen."""

    theme: str = DEFAULT_THEME
    keymap: str = "default"
    mouse: bool = True
    clipboard: str = "auto"
    alerts: str = notification.BELL
    keys: dict[str, Any] = field(default_factory=dict)
    colors: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def settings_of(configuration: dict[str, Any]) -> Settings:
    """What [tui] says."""
    table = configuration.get("tui", {})
    if not isinstance(table, dict):
        return Settings(warnings=("tui in the configuration is no table: write [tui]",))
    warnings: list[str] = []
    found: dict[str, Any] = {}
    for key, value in table.items():
        if key in KINDS and isinstance(value, KINDS[key]) and value in CHOICES.get(key, (value,)):
            found[key] = value
        elif key == "colors" and isinstance(value, dict):
            good = {name: colour for name, colour in value.items() if colour in COLOURS}
            warnings += [f"[tui.colors] {name!r}: one of {', '.join(COLOURS)}" for name in value if name not in good]
            found[key] = good
        else:
            warnings.append(f"[tui] {key} = {value!r} means nothing")
    return Settings(**found, warnings=tuple(warnings))
