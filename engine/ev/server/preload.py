"""Loads what would otherwise be imported when it is first needed, because a running engine imports nothing."""

from __future__ import annotations

import encodings.idna
import linecache
import traceback
from importlib import import_module
from typing import Final

LAZY: Final = (
    "bisect",
    "concurrent.futures.thread",
    "cramjam",
    "ev.wire.compiler",
    "encodings.utf_16_be",
    "ev.wire.compiler",
    "ev.wire.ready.consumer_protocol",
    "gzip",
    "stringprep",
    "tokenize",
    "zlib",
)


def preload() -> None:
    """Import every module that some code of the engine imports late."""
    for name in LAZY:
        import_module(name)
    # Formatting a first traceback pulls in the rest of what logging needs.
    try:
        raise LookupError
    except LookupError as error:
        traceback.format_exception(error)
    linecache.clearcache()
    "a.b".encode("idna")


__all__ = ["encodings", "preload"]
