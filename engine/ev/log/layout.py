"""The names of the files and directories in a data directory, and whose they are."""

from __future__ import annotations

import re
from typing import Final

from ev.log.checkpoint import (
    CLEAN_SHUTDOWN,
    CLEANER_OFFSETS,
    HIGH_WATERMARKS,
    LOG_STARTS,
    META_PROPERTIES,
    RECOVERY_POINTS,
    STATE,
)
from ev.log.chores import RESERVE
from ev.log.journal import HALF_NAMES

METADATA_TOPIC: Final = "__ev_metadata"
METADATA_TOPIC_ID: Final = bytes(15) + b"\x01"
LOCK: Final = ".lock"
ENGINE_FILE: Final = "engine.json"
"""Where the engine that runs here listens; there only while it runs."""
NAME_BYTES_MAX: Final = 255
PARTITION_NAME: Final = re.compile(r"(.+)-(\d+)")
DELETED_DIRECTORY: Final = re.compile(r".+\.[0-9a-f]{32}-delete")
OWN_NAMES: Final = frozenset(
    (
        LOCK,
        META_PROPERTIES,
        STATE,
        CLEAN_SHUTDOWN,
        RECOVERY_POINTS,
        LOG_STARTS,
        HIGH_WATERMARKS,
        CLEANER_OFFSETS,
        RESERVE,
        ENGINE_FILE,
        *HALF_NAMES,
    )
)
