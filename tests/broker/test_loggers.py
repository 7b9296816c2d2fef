"""The broker's loggers: described, and their levels changed while it runs, on the engine and on Apache Kafka alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ev.broker.configs import BROKER_LOGGER, DYNAMIC_BROKER_LOGGER
from ev.errors import ErrorCode
from support.configured import APPEND, DELETE, SET, Resource
from support.engine import Engine
from support.raw_client import RawClient
from support.raw_transactions import Ask, asked_over

ROOT = "root"
SUBTRACT = 3


@pytest.fixture
def loggers(ask: Ask) -> Iterator[Resource]:
    """Those of the broker; the level of root is what it was afterwards."""
    loggers = Resource(ask, BROKER_LOGGER, "1")
    before = loggers.entry(ROOT)[0]
    yield loggers
    assert loggers.altered((ROOT, SET, before)) == (0, None)


def some(loggers: Resource) -> str:
    """The name of one of them, which is not root."""
    return str(min(each.name for each in loggers.described().configs if each.name != ROOT))


def test_every_logger_tells_its_level(loggers: Resource) -> None:
    """Those that are asked for by name, and are there, or all."""
    everything = {each.name: each.value for each in loggers.described().configs}
    assert len(everything) > 3
    assert set(everything.values()) <= {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "OFF"}
    name = some(loggers)
    assert loggers.entry(name) == (everything[name], DYNAMIC_BROKER_LOGGER, [])
    assert loggers.described("no.such.logger").configs == []


def test_a_level_is_set_and_taken_back(loggers: Resource) -> None:
    """A logger that has none of its own has that of root."""
    name = some(loggers)
    for level in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"):
        assert loggers.altered((name, SET, level)) == (0, None)
        assert loggers.entry(name)[0] == level
    assert loggers.altered((ROOT, SET, "ERROR"), validate_only=True) == (0, None)
    assert loggers.altered((ROOT, SET, "ERROR"), (name, DELETE, None)) == (0, None)
    assert (loggers.entry(ROOT)[0], loggers.entry(name)[0]) == ("ERROR", "ERROR")


def test_what_makes_no_sense_is_refused(ask: Ask, loggers: Resource) -> None:
    """As a whole: nothing of it is changed."""
    name = some(loggers)
    before = loggers.entry(name)[0]
    words = f"Cannot set the log level of {name} to loud as it is not a supported log level."
    levels = "Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN"
    refused = int(ErrorCode.INVALID_REQUEST)
    assert loggers.altered((name, SET, "loud")) == (ErrorCode.INVALID_CONFIG, f"{words} {levels}")
    assert loggers.altered((name, SET, "FATAL"), ("nobody", SET, "INFO")) == (ErrorCode.INVALID_CONFIG, "Logger nobody does not exist!")
    assert loggers.altered(("nobody", DELETE, None)) == (ErrorCode.INVALID_CONFIG, "Logger nobody does not exist!")
    assert loggers.altered((name, APPEND, "INFO")) == (refused, "APPEND operation is not allowed for the BROKER_LOGGER resource")
    assert loggers.altered((name, SUBTRACT, "INFO")) == (refused, "SUBTRACT operation is not allowed for the BROKER_LOGGER resource")
    assert loggers.altered((ROOT, DELETE, None)) == (refused, "Removing the log level of the root logger is not allowed")
    assert loggers.altered((name, SET, "INFO"), (name, SET, "WARN")) == (refused, "Error due to duplicate config keys")
    assert loggers.altered((name, SET, None)) == (refused, f"Null value not supported for : {name}")
    assert loggers.replaced({name: "INFO"}) == (refused, "Unknown resource type 8")
    assert loggers.entry(name)[0] == before
    for other, described, altered in (
        ("", "Broker id must not be empty", "Node id must be an integer, but it is: "),
        ("7", "Unexpected broker id, expected 1 but received 7", "Unexpected node id. Expected 1, but received 7"),
        ("x", "Broker id must be an integer, but it is: x", "Node id must be an integer, but it is: x"),
    ):
        resource = Resource(ask, BROKER_LOGGER, other)
        answer = resource.described()
        assert (answer.error_code, answer.error_message) == (refused, described)
        assert resource.altered((ROOT, SET, "INFO")) == (refused, altered)


def test_a_level_is_in_force_at_once_and_until_the_engine_ends(engine: Engine) -> None:
    """What is logged under it stays unsaid."""
    with RawClient(engine.address) as client:
        loggers = Resource(asked_over(client), BROKER_LOGGER, "1")
        assert loggers.altered((ROOT, SET, "ERROR")) == (0, None)
        before = engine.log()
        with RawClient(engine.address) as refused:
            refused.send(b"\xff\xff\xff\xff")
            assert refused.closed()
        assert engine.log() == before
    assert engine.stop() == 0
    engine.start()
    with RawClient(engine.address) as client:
        assert Resource(asked_over(client), BROKER_LOGGER, "1").entry(ROOT)[0] == "INFO"
