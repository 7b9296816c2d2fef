"""Keys as a person wants them: presets, and [tui.keys] of the configuration, by the ids of bindings.

    [tui]
    keymap = "vim"                  default, vim or k9s
    [tui.keys]
    "table.down" = "down,n"         the id of a binding = its keys

An id that no screen has, and a key that is none, is a warning and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.binding import Binding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PRESETS: dict[str, dict[str, str]] = {
    "default": {},
    "vim": {
        "table.page_down": "pagedown,ctrl+f",
        "table.page_up": "pageup,ctrl+b",
        "table.mark": "m,space,v",
        "app.back": "q,h",
        "table.open": "enter,l",
    },
    "k9s": {
        "table.page_down": "pagedown,ctrl+f",
        "table.page_up": "pageup,ctrl+b",
        "table.mark": "space",
        "app.refresh": "ctrl+r,r",
        "app.back": "q",
        "list.copy": "c",
    },
}

_NAMES = """
    up down left right home end pageup pagedown enter escape tab backspace delete insert space comma colon slash backslash question_mark at
    minus plus equals_sign less_than_sign greater_than_sign left_square_bracket right_square_bracket full_stop semicolon ampersand
    number_sign dollar_sign percent_sign circumflex_accent asterisk exclamation_mark vertical_line tilde grave_accent apostrophe
    quotation_mark underscore left_parenthesis right_parenthesis left_curly_bracket right_curly_bracket
"""
_NAMED = frozenset(_NAMES.split()) | {f"f{number}" for number in range(1, 25)}
_HELD = ("ctrl+", "shift+", "alt+", "super+", "hyper+", "meta+")


def is_key(text: str) -> bool:
    """Whether the text names a key as Textual does: one character, a name, either with ctrl+ and the like before it."""
    bare = text.strip()
    while True:
        held = next((one for one in _HELD if bare.startswith(one)), None)
        if held is None:
            break
        bare = bare[len(held) :]
    return len(bare) == 1 or bare in _NAMED


def keymap_of(preset: str, wanted: Mapping[str, Any], known: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """(keys by binding id, warnings)."""
    warnings: list[str] = []
    if preset not in PRESETS:
        warnings.append(f"keymap {preset!r} is unknown: one of {', '.join(PRESETS)}")
    found = dict(PRESETS.get(preset, {}))
    ids = set(known)
    for name, keys in wanted.items():
        if name not in ids:
            warnings.append(f"[tui.keys] {name!r} is no binding")
            continue
        if not isinstance(keys, str) or not keys or not all(is_key(key) for key in keys.split(",")):
            warnings.append(f"[tui.keys] {name!r}: {keys!r} is no key")
            continue
        found[name] = keys
    return found, warnings


def ids_of(classes: Iterable[type]) -> dict[str, Binding]:
    """The bindings that these classes, and what they stand on, declare, by id."""
    found: dict[str, Binding] = {}
    for one in classes:
        for base in one.__mro__:
            for binding in vars(base).get("BINDINGS", ()):
                if isinstance(binding, Binding) and binding.id:
                    found.setdefault(binding.id, binding)
    return found
