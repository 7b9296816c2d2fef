"""What the tests of the interface share: a configuration of their own, and an engine that all of them may add to."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from support.command_line import CommandLine


@pytest.fixture(autouse=True)
def own_places(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the configuration and state of whoever runs it."""
    monkeypatch.setenv("EV_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EV_LISTEN", "127.0.0.1:0")  # an engine that is brought back takes no port that others want
    for name in ("EV_BOOTSTRAP", "EV_CONTEXT", "EV_DATA_DIR", "NO_COLOR", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def one_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """The command line with an engine that runs for all tests that only add to it."""
    command_line = CommandLine(tmp_path_factory.mktemp("one-engine"))
    command_line("up", "-q")
    yield command_line
    command_line.close()


@pytest.fixture
def ev(tmp_path: pathlib.Path) -> Iterator[CommandLine]:
    """The command line with an engine of this test's own, which nobody has started yet."""
    command_line = CommandLine(tmp_path)
    yield command_line
    command_line.close()
