"""What the docstrings of the client show works as it stands there."""

from __future__ import annotations

import re
import textwrap
from types import ModuleType
from typing import Any

import pytest

from ev.client import admin, consumer, producer, transactions
from support.engine import Engine
from support.exact_copy import make_topics, read_committed

EXAMPLE = re.compile(r"^    from ev\.client import .*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


def example(module: ModuleType) -> str:
    """The indented block of a module's docstring that begins with what it imports."""
    found = EXAMPLE.search(module.__doc__ or "")
    assert found is not None, f"{module.__name__} shows nothing"
    return textwrap.dedent(found[0])


def run(module: ModuleType, engine: Engine, **names: Any) -> None:
    """As a program of its own, on this engine; `names` are what an application would bring along."""
    exec(example(module).replace("localhost:9092", engine.address), names)


@pytest.fixture
def topics(engine: Engine) -> None:
    make_topics(engine.address, 1, "events", "payments", "bills")
    with producer.Producer(engine.address) as feeder:
        feeder.produce_many("payments", [b"1", b"2", b"3"])


@pytest.mark.usefixtures("topics")
def test_the_producer_of_the_docstring_delivers(engine: Engine) -> None:
    run(producer, engine)
    assert read_committed(engine.address, "events", 1) == {0: [b"hello", b"one", b"two"]}


@pytest.mark.usefixtures("topics")
def test_the_consumer_of_the_docstring_reads(engine: Engine) -> None:
    handled: list[bytes] = []
    run(consumer, engine, done=lambda: len(handled) == 3, handle=handled.extend)
    assert handled == [b"1", b"2", b"3"]


def test_the_admin_of_the_docstring_makes_a_topic(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    run(admin, engine)
    assert capsys.readouterr().out == "{('orders', 0): 0, ('orders', 1): 0, ('orders', 2): 0}\n"


@pytest.mark.usefixtures("topics")
def test_the_copy_of_the_docstring_is_exact(engine: Engine) -> None:
    """And the group has committed what was copied."""

    def done() -> bool:
        return read_committed(engine.address, "bills", 1) == {0: [b"1", b"2", b"3"]}

    run(transactions, engine, done=done)
    with consumer.Consumer(engine.address, group="billing") as reader:
        assert reader.committed([("payments", 0)])["payments", 0].offset == 3
