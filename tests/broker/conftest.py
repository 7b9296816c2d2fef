"""What the tests that hold on the engine and on Apache Kafka alike talk to: each of them runs once on either."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.engine import Engine
from support.raw_client import RawClient
from support.raw_transactions import Ask, asked_over


@pytest.fixture(params=["ev", pytest.param("kafka", marks=pytest.mark.java)])
def address(request: pytest.FixtureRequest) -> str:
    """HOST:PORT of the broker."""
    if request.param == "kafka":
        return str(request.getfixturevalue("apache").bootstrap)
    engine: Engine = request.getfixturevalue("engine")
    return engine.address


@pytest.fixture
def ask(address: str) -> Iterator[Ask]:
    """Sends it a request, and returns the answer."""
    with RawClient(address) as client:
        yield asked_over(client)
