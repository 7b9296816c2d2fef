"""The broker that other people's clients talk to: one engine per module, or any broker that EV_TESTS_ADDRESS names.

The tests hold on Apache Kafka too: `EV_TESTS_ADDRESS=127.0.0.1:9092 pytest tests/clients` with a Kafka there shows what they are worth.
"""

from __future__ import annotations

import itertools
import os
import pathlib
from collections.abc import Iterator

import pytest

from support.engine import Engine

numbers = itertools.count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = pathlib.Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("clients")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of a broker that the tests of this module share."""
    elsewhere = os.environ.get("EV_TESTS_ADDRESS")
    if elsewhere:
        yield elsewhere
        return
    with Engine(tmp_path_factory.mktemp("engine") / "data") as engine:
        yield engine.address


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    """A name that no other test uses."""
    return f"{request.node.name.partition('[')[0].removeprefix('test_')[:60]}-{os.getpid()}-{next(numbers)}"
