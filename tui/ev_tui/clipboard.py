"""Copy to the clipboard: through the terminal (OSC 52), which works over ssh and in tmux, or with a program of the desktop.

A terminal takes only so much, and never says whether it did; on a desktop a program is surer.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from ev_tui.spelling import bytes_of

if TYPE_CHECKING:
    from collections.abc import Mapping

OSC52_MAX = 74_994
"""Bytes of text that every terminal which knows OSC 52 takes."""
WAYS = ("auto", "osc52", "native")
_TIMEOUT_S = 2


def program(environ: Mapping[str, str]) -> list[str] | None:
    """The desktop's own program, if there is a desktop and it is on this machine."""
    if environ.get("SSH_TTY") or environ.get("SSH_CONNECTION"):
        return None
    known = (
        (environ.get("WAYLAND_DISPLAY"), ["wl-copy"]),
        (environ.get("DISPLAY"), ["xclip", "-selection", "clipboard"]),
        (environ.get("DISPLAY"), ["xsel", "--clipboard", "--input"]),
        (sys.platform == "darwin", ["pbcopy"]),
    )
    for is_there, command in known:
        if is_there and shutil.which(command[0]):
            return command
    return None


def sequence(text: str) -> str:
    """What the terminal is told. The text is base64, so that nothing in it can end the sequence."""
    return f"\x1b]52;c;{base64.b64encode(bytes_of(text)).decode()}\x07"


def fits(text: str) -> bool:
    return len(bytes_of(text)) <= OSC52_MAX


def copy_natively(text: str, command: list[str]) -> bool:
    """Give the text to the program. It may block: not for the thread that draws."""
    try:
        done = subprocess.run(
            command,
            input=bytes_of(text),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            env=os.environ,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
