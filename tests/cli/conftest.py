"""What the tests of the command line share: `ev`, isolated, and its processes ended with the test."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from support.command_line import CommandLine


@pytest.fixture
def ev(tmp_path: pathlib.Path) -> Iterator[CommandLine]:
    """The command line with an engine of this test's own, which nobody has started yet."""
    command_line = CommandLine(tmp_path)
    yield command_line
    command_line.close()
