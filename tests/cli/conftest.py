"""What the tests of the command line share: `ev`, isolated, and its processes ended with the test."""

from __future__ import annotations

import pathlib
import uuid
from collections.abc import Callable, Iterator

import pytest

from support.command_line import CommandLine


@pytest.fixture
def ev(tmp_path: pathlib.Path) -> Iterator[CommandLine]:
    """The command line with an engine of this test's own, which nobody has started yet."""
    command_line = CommandLine(tmp_path)
    yield command_line
    command_line.close()


@pytest.fixture(scope="session")
def one_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """The command line with an engine that runs for all tests that only add to it."""
    command_line = CommandLine(tmp_path_factory.mktemp("one-engine"))
    command_line("up", "-q")
    yield command_line
    command_line.close()


@pytest.fixture(params=["ev", pytest.param("apache", marks=pytest.mark.java)])
def either(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[CommandLine]:
    """The command line on the local engine, and, with EV_BOOTSTRAP and nothing else, on an Apache Kafka: the same scripts on both."""
    if request.param == "ev":
        yield request.getfixturevalue("one_engine")
        return
    command_line = CommandLine(tmp_path, EV_BOOTSTRAP=request.getfixturevalue("apache").bootstrap)
    yield command_line
    assert not command_line.data_dir.exists(), "it has started an engine of its own"


@pytest.fixture
def fresh() -> Callable[[str], str]:
    """Names that no other test uses."""
    return lambda kind: f"{kind}-{uuid.uuid4().hex[:12]}"
