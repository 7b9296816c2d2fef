"""An error of our own: a file with all of it, for whoever mends it, and one line for whoever sees it."""

from __future__ import annotations

import os
import platform
import tempfile
import time
import traceback

from ev_cli import places
from ev_cli.failures import UsageFailure


def record(error: BaseException) -> str:
    """Write the file; its path, or empty when there is nowhere to write it."""
    text = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {platform.platform()} Python {platform.python_version()}\n\n"
    text += "".join(traceback.format_exception(error))
    for folder in (_state(), tempfile.gettempdir()):
        if folder is None:
            continue
        path = os.path.join(folder, f"tui-crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt")
        try:
            os.makedirs(folder, 0o700, exist_ok=True)
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError:
            continue
        with open(opened, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        return path
    return ""


def _state() -> str | None:
    try:
        return places.directory("state")
    except UsageFailure:
        return None
