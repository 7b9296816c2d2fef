"""A notification of the terminal's (OSC 9), for who looks at another window: iTerm2, WezTerm, kitty, Windows Terminal … show it.

The text comes from a cluster. It goes through `safe`, so that nothing in it can end the sequence; and it begins with a word of
ours, because some terminals take a number at that place for an order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev_tui.harmless import safe

if TYPE_CHECKING:
    from collections.abc import Mapping

BELL, TERMINAL, OFF = "bell", "terminal", "off"
WAYS = (BELL, TERMINAL, OFF)
"""How an alert is heard."""
TEXT_MAX = 200


def sequence(text: str, environ: Mapping[str, str]) -> str:
    """What the terminal is told. tmux passes it on to the terminal that it is seen in, if `allow-passthrough` is on there."""
    shown = "".join([character if character.isprintable() else " " for character in safe(f"ev: {text}")])[:TEXT_MAX]
    notification = f"\x1b]9;{shown}\x07"
    return f"\x1bPtmux;\x1b{notification}\x1b\\" if environ.get("TMUX") else notification
