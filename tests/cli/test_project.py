"""The file of a project: how far it is looked for, and how little it may say."""

from __future__ import annotations

import os
import pathlib

import pytest

from ev_cli.failures import UsageFailure
from ev_cli.project import find_project
from support.command_line import CommandLine


@pytest.fixture
def root(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A directory of ours with directories below, in the lowest of which we are."""
    (tmp_path / "project" / "src" / "deep").mkdir(parents=True)
    for folder in (tmp_path / "project", tmp_path / "project" / "src", tmp_path / "project" / "src" / "deep"):
        folder.chmod(0o755)
    monkeypatch.chdir(tmp_path / "project" / "src" / "deep")
    return tmp_path


def found() -> str | None:
    project = find_project()
    return None if project is None else project.path


def test_it_is_looked_for_up_to_the_root_of_the_repository(root: pathlib.Path) -> None:
    """The nearest counts; what is above the repository does not."""
    (root / ".ev.toml").write_text('context = "above"')
    (root / "project" / ".git").mkdir()
    assert found() is None
    (root / "project" / ".ev.toml").write_text('context = "prod"')
    assert found() == str(root / "project" / ".ev.toml")
    (root / "project" / "src" / ".ev.toml").write_text('context = "prod"')
    assert found() == str(root / "project" / "src" / ".ev.toml")


def test_a_directory_that_everybody_may_write_to_ends_the_search(root: pathlib.Path) -> None:
    """Neither the file in it nor one above is read: anybody could have put it there."""
    (root / "project" / ".ev.toml").write_text('context = "prod"')
    (root / "project" / "src" / ".ev.toml").write_text('context = "prod"')
    (root / "project" / "src").chmod(0o1777)
    assert found() is None
    (root / "project" / "src" / "deep" / ".ev.toml").write_text('context = "prod"')
    assert found() == str(root / "project" / "src" / "deep" / ".ev.toml")


@pytest.mark.root
def test_somebody_elses_directory_or_file_is_not_read(root: pathlib.Path) -> None:
    """Nor what is above it."""
    (root / "project" / ".ev.toml").write_text('context = "prod"')
    os.chown(root / "project" / "src", 12345, 12345)
    assert found() is None
    os.chown(root / "project" / "src", 0, 0)
    assert found() is not None
    os.chown(root / "project" / ".ev.toml", 12345, 12345)
    assert found() is None


@pytest.mark.parametrize(
    "content",
    [
        'bootstrap = "h:1"',
        'current = "prod"',
        '[contexts.prod]\nbootstrap = "h:1"',
        '[server]\nlisten = "0.0.0.0:1"',
        'password_command = "make me"',
        "[tls]\ninsecure = true",
        "context = 1",
        'context = ""',
        "defaults = 1",
    ],
)
def test_it_says_nothing_but_a_context_and_defaults(root: pathlib.Path, content: str) -> None:
    """Anything else is refused, with the file's name."""
    (root / "project" / ".ev.toml").write_text(content)
    with pytest.raises(UsageFailure, match=r"project/\.ev\.toml"):
        find_project()


@pytest.mark.parametrize(
    "default", ["consume.group = 'g'", "produce.format = 'json'", "yes = true", "consume.dlq = 'x'", "listen = '0.0.0.0:1'"]
)
def test_its_defaults_are_of_output_alone(ev: CommandLine, default: str) -> None:
    """It cannot make a command do something else than it says."""
    (ev.directory / ".ev.toml").write_text(f"[defaults]\n{default}\n")
    command = "produce" if default.startswith("produce") else "consume"
    done = ev.shell(f"ev {command} t -q </dev/null")
    assert done.status == 2
    assert ".ev.toml" in done.err
    assert not ev.data_dir.exists()


def test_a_context_that_is_not_there_is_exit_3(ev: CommandLine) -> None:
    """The project may only name what the user has."""
    (ev.directory / ".ev.toml").write_text('context = "prod"\n')
    kept = {name: ev.variables.pop(name) for name in ("EV_DATA_DIR", "EV_LISTEN")}
    done = ev.shell("ev topic list")
    ev.variables.update(kept)
    assert done.status == 3
    assert "'prod'" in done.err
