"""Where files go: platformdirs' rule, and what happens without a home."""

from __future__ import annotations

import os
import pathlib

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as some

from ev_cli import places
from support.command_line import CommandLine

VARIABLES = ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")


@given(some.fixed_dictionaries({}, optional={name: some.sampled_from(["", "/x", "/x/", "relative", "/a b", " "]) for name in VARIABLES}))
def test_the_rule_is_that_of_platformdirs(variables: dict[str, str]) -> None:
    """The start has a copy of it, which costs no import; both agree whatever the environment says."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        for kind in ("data", "config", "state", "cache"):
            try:
                wanted: str | None = getattr(platformdirs, f"user_{kind}_dir")("ev", appauthor=False)
            except RuntimeError:
                wanted = None
            found = places.directory(kind)
            assert found is not None
            assert wanted is not None
            assert os.path.normpath(found) == os.path.normpath(wanted), (kind, variables)


def test_without_a_home_the_two_variables_are_named(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """In a container without a home directory: exit 2, one line, no folder called ~."""
    for name in ("EV_DATA_DIR", "EV_LISTEN", "EV_CONFIG"):
        del ev.variables[name]
    done = ev("topic", "list", status=2, HOME="/dev/null")
    assert "EV_DATA_DIR" in done.err
    assert "EV_CONFIG" in done.err
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "~").exists()


def test_a_home_that_cannot_be_written_is_no_hindrance(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """With EV_DATA_DIR, nothing else needs a home: configuration, cache and state are optional."""
    del ev.variables["EV_CONFIG"]
    ev("produce", "t", data=b"x\n", HOME="/dev/null")
    assert ev("consume", "t", "-e", HOME="/dev/null").out == b"x\n"
