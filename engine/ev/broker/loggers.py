"""The engine's loggers as Kafka's tools know a broker's: their names and levels, described and changed while it runs.

A level holds until the engine ends. Kafka has two words that Python's logging does not know: FATAL is its CRITICAL, and TRACE is below
DEBUG. (LoggingController.java, RuntimeLoggerManager.java)
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from ev.broker.config_rules import APPEND, DELETE, SET, Rules
from ev.errors import ErrorCode, KafkaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT: Final = "root"
OURS: Final = "ev."
TRACE: Final = 5
LEVELS: Final = {
    "DEBUG": logging.DEBUG,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
    "INFO": logging.INFO,
    "TRACE": TRACE,
    "WARN": logging.WARNING,
}
INHERITED: Final = ""
"""The level of a logger that was deleted: the one of the logger above."""


def levels() -> dict[str, str]:
    """The level that holds for each logger, in Kafka's words."""
    there = {name: each for name, each in logging.root.manager.loggerDict.items() if isinstance(each, logging.Logger)}
    ours = {name: logger for name, logger in sorted(there.items()) if name.startswith(OURS)}
    return {name: _word(logger.getEffectiveLevel()) for name, logger in {**ours, ROOT: logging.root}.items()}


def change_levels(changes: Mapping[str, str]) -> None:
    """Let loggers have these levels."""
    for name, level in changes.items():
        logger = logging.root if name == ROOT else logging.getLogger(name)
        logger.setLevel(LEVELS[level] if level else logging.NOTSET)


def check_broker(name: str, node_id: int) -> None:
    """Whether this is the broker whose loggers are meant. Raises KafkaError INVALID_REQUEST."""
    digits = name[1:] if name[:1] == "-" else name
    if not (digits.isascii() and digits.isdigit()):
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Node id must be an integer, but it is: {name}")
    if int(name) != node_id:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unexpected node id. Expected {node_id}, but received {name}")


class LoggerRules(Rules):
    """A logger that is there may be set to a level, or back to the one above it."""

    def checked(self, config: Mapping[str, str | None]) -> dict[str, str]:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Unknown resource type 8")

    def altered(self, config: Mapping[str, str], operations: Iterable[tuple[str, int, str | None]]) -> dict[str, str]:
        changes: dict[str, str] = {}
        for name, operation, level in operations:
            if name in changes:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")
            if operation not in (SET, DELETE):
                verb = "APPEND" if operation == APPEND else "SUBTRACT"
                raise KafkaError(ErrorCode.INVALID_REQUEST, f"{verb} operation is not allowed for the BROKER_LOGGER resource")
            if operation == SET and level is None:
                raise KafkaError(ErrorCode.INVALID_REQUEST, f"Null value not supported for : {name}")
            if name not in config:
                raise KafkaError(ErrorCode.INVALID_CONFIG, f"Logger {name} does not exist!")
            if operation == DELETE and name == ROOT:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "Removing the log level of the root logger is not allowed")
            if operation == SET and level not in LEVELS:
                words = f"Cannot set the log level of {name} to {level} as it is not a supported log level."
                raise KafkaError(ErrorCode.INVALID_CONFIG, f"{words} Valid log levels are {', '.join(LEVELS)}")
            changes[name] = INHERITED if operation == DELETE or level is None else level
        return changes


def _word(level: int) -> str:
    """The word for a level, or for the next one above."""
    return min((each for each in LEVELS.items() if each[1] >= level), key=lambda each: each[1], default=("FATAL", 0))[0]
