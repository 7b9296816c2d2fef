"""Whose engine.json it is, when the lock of the data directory is younger than it: an engine may touch its lock while it runs."""

from __future__ import annotations


def has_written(lock_path: str, text: str) -> bool:
    """Whether this engine.json is by the process whose id stands in the lock."""
    try:
        with open(lock_path, encoding="ascii") as file:
            holder = file.read(32).strip()
    except (OSError, UnicodeDecodeError):
        return False
    return holder.isdecimal() and f'"pid": {holder},' in text
