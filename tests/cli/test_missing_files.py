"""A file that is named and is not there, or holds something else: exit 1 and one line with its name, whoever reads it."""

from __future__ import annotations

import pathlib

import pytest

from support.command_line import CommandLine

READS = (
    "produce events {}",
    "produce events -l {}",
    "produce events --schema {} -s value=avro",
    "consume events --proto {} --message M",
    "consume events --schema {} -s value=avro",
    "topic load {} events",
    "topic apply {} -y",
    "topic create more --file {}",
    "topic trim events --file {} -y",
    "group seek readers --to-file {} -y",
    "reassign run {} -y",
    "context import {}",
    "log dump {}",
    "log verify {}",
    "server restore {}",
    "server import {} --data-dir {}.data",
)
READ_WHOLE = ("topic load {} events", "topic apply {} -y", "group seek readers --to-file {} -y", "reassign run {} -y", "context import {}")


def test_what_is_not_there(one_engine: CommandLine, tmp_path: pathlib.Path) -> None:
    """Nothing is done, and nothing goes to stdout."""
    one_engine("topic", "create", "events", "--if-not-exists")
    one_engine("group", "seek", "readers", "--to", "start", "-t", "events", "--new-topics", "-y")
    missing = tmp_path / "missing.proto"
    for text in READS:
        done = one_engine(*text.replace("{}", str(missing)).split(), status=1)
        assert str(missing) in done.err, text
        assert done.err.count("\n") == 1, done.err
        assert done.out == b"", text


@pytest.mark.parametrize("content", ["", "nonsense"])
def test_what_holds_something_else(one_engine: CommandLine, tmp_path: pathlib.Path, content: str) -> None:
    """The same; a plan of moves, offsets, a declaration, a client's configuration."""
    one_engine("topic", "create", "events", "--if-not-exists")
    one_engine("group", "seek", "readers", "--to", "start", "-t", "events", "--new-topics", "-y")
    other = tmp_path / "other.json"
    other.write_text(content)
    for text in READ_WHOLE:
        done = one_engine(*text.replace("{}", str(other)).split(), status=1)
        assert str(other) in done.err, text
        assert done.err.count("\n") == 1, done.err


def test_a_configuration_that_is_not_there_is_a_mistake_in_the_command(one_engine: CommandLine, tmp_path: pathlib.Path) -> None:
    """It does not say what to do: exit 2."""
    assert "missing" in one_engine("topic", "list", "-F", str(tmp_path / "missing"), status=2).err
