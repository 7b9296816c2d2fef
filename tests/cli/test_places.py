"""Where files go: platformdirs' rule, and what happens without a home."""

from __future__ import annotations

import os
import pathlib
import subprocess

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as some

from ev_cli import places
from support.command_line import MODULE, CommandLine

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


def run(command: list[str], variables: dict[str, str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, input=data, capture_output=True, env=variables, timeout=60, cwd="/")


def test_an_empty_environment_is_enough(ev: CommandLine) -> None:
    """`env -i`, as cron and containers have it: only what makes this Python run, and where the data is."""
    variables = {"PYTHONPATH": ev.variables["PYTHONPATH"], "EV_DATA_DIR": str(ev.data_dir), "EV_LISTEN": "127.0.0.1:0"}
    assert run([*MODULE, "produce", "t"], variables, b"x\n").returncode == 0
    done = run([*MODULE, "consume", "t", "-e"], variables)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"x\n", b"")
    assert run([*MODULE, "down"], variables).returncode == 0


@pytest.mark.root
def test_a_user_that_nobody_knows_and_a_home_that_cannot_be_written(ev: CommandLine) -> None:
    """A uid without an entry in the user database, without rights of its own; HOME read-only or missing: records go in and come out."""
    home = ev.directory / "home"
    home.mkdir(mode=0o555)
    ev.data_dir.mkdir(mode=0o700)
    somebody = ["unshare", "--user", "--map-user=54321", "--map-group=54321", "sh", "-euc"]
    script = (
        f'ev() {{ {" ".join(MODULE)} "$@"; }}; echo x | ev produce t -q; ev consume t -n 1; ev context list -o name; ev doctor -q >&2\n'
    )
    script += "ev context use local || echo $?; ev down -q"
    variables = {"PATH": os.environ["PATH"], **{name: ev.variables[name] for name in ("PYTHONPATH", "EV_DATA_DIR", "EV_LISTEN")}}
    for more, status in (({"HOME": str(home)}, 1), ({}, 2)):
        done = run([*somebody, script], {**variables, **more})
        assert (done.returncode, done.stdout.decode().split()) == (0, ["x", "local", str(status)]), done.stderr
        assert b"EV_CONFIG" in done.stderr
        assert b"Traceback" not in done.stderr
    assert list(home.iterdir()) == []
