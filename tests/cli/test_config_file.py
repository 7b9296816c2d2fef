"""The configuration as text: a change leaves everything else as its owner wrote it, and is there in full or not at all."""

from __future__ import annotations

import copy
import os
import pathlib
import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ev_cli.config_file import edited, read_text, renamed, sections_of, write_text
from ev_cli.failures import Failure

TEXT = """\
# mine
current = "a"  # the usual one

# about a
[contexts.a]  # old
bootstrap = [
  "h:1",  # first
  "h:2",
]

[contexts.a.sasl]
mechanism = "PLAIN"  # for now

# about b
[contexts."b c"]
bootstrap = "x:1"

# the engine
[server]
listen = "127.0.0.1:9092"
[server.settings]
log.retention.ms = 5
"""


def comments(text: str) -> set[str]:
    return {line.partition("#")[2].strip() for line in text.splitlines() if "#" in line}


def changed(change: Any) -> str:
    """The text after a change of what it says; every comment that is about something else is still there."""
    wanted = tomllib.loads(TEXT)
    change(wanted)
    text, keeps_comments = edited(TEXT, wanted)
    assert keeps_comments
    assert tomllib.loads(text) == wanted
    return text


def test_a_text_is_its_parts() -> None:
    """Nothing is lost when it is taken apart."""
    assert "".join(section.text() for section in sections_of(TEXT)) == TEXT


def test_one_value_changes_one_line() -> None:
    """The others stay to the letter."""
    text = changed(lambda content: content.update(current="b c", previous="a"))
    assert [line for line in text.splitlines() if line not in TEXT.splitlines()] == ['current = "b c"', 'previous = "a"']
    assert comments(TEXT) - comments(text) == {"the usual one"}


def test_what_comes_and_what_goes_leaves_other_comments() -> None:
    """A context that is added, changed in part, or removed."""
    added = changed(lambda content: content["contexts"].update(new={"bootstrap": ["n:1"], "tls": {"ca": "x"}}))
    assert comments(added) == comments(TEXT)
    assert 'bootstrap = ["n:1"]' in added
    below = changed(lambda content: content["contexts"]["a"].update(tls={"ca": "x"}))
    assert comments(below) == comments(TEXT)
    assert below.index("[contexts.a.tls]") < below.index("# about b")
    removed = changed(lambda content: content["contexts"].pop("a"))
    assert {"mine", "about b", "the engine"} <= comments(removed)
    assert "h:1" not in removed
    part = changed(lambda content: content["contexts"]["a"].update(bootstrap=["z:1"]))
    assert comments(TEXT) - comments(part) == {"first"}


def test_a_context_with_another_name_is_the_same_text() -> None:
    """Its headers are what changes."""
    wanted = tomllib.loads(TEXT)
    wanted["contexts"] = {"z z" if name == "a" else name: table for name, table in wanted["contexts"].items()}
    text, keeps_comments = edited(renamed(TEXT, ("contexts", "a"), ("contexts", "z z")), wanted)
    assert keeps_comments
    assert comments(text) == comments(TEXT)
    assert '[contexts."z z"]  # old' in text


@pytest.mark.parametrize("text", ['contexts = { a = { bootstrap = "h:1" } }  # inline\n', 'contexts.a.bootstrap = "h:1"  # dotted\n'])
def test_what_is_written_in_another_way_is_written_anew(text: str) -> None:
    """And it is said that comments are lost, when there were some."""
    wanted = tomllib.loads(text)
    wanted["contexts"]["a"]["protected"] = True
    new, keeps_comments = edited(text, wanted)
    assert tomllib.loads(new) == wanted
    assert not keeps_comments


names = some.sampled_from(["a", "b c", "d-e", 'f"g', "h.i"])
values = some.one_of(some.booleans(), some.integers(-5, 5), some.text(max_size=8), some.lists(some.text(max_size=4), max_size=3))
tables: Any = some.recursive(
    some.dictionaries(names, values, max_size=3), lambda inner: some.dictionaries(names, values | inner, max_size=3)
)


@settings(max_examples=60, deadline=None)
@given(tables, tables)
def test_whatever_was_there_what_was_wanted_is_there(before: dict[str, Any], wanted: dict[str, Any]) -> None:
    """From any configuration to any other."""
    text, _ = edited("", before)
    assert tomllib.loads(text) == before
    new, _ = edited(text, copy.deepcopy(wanted))
    assert tomllib.loads(new) == wanted


def test_the_file_is_its_owners_alone_and_replaced_as_a_whole(tmp_path: pathlib.Path) -> None:
    """Mode 600 whatever it was; a link stays one; what cannot be written leaves the old file and nothing beside it."""
    target, link = tmp_path / "real.toml", tmp_path / "folder" / "config.toml"
    target.write_text("a = 1\n")
    target.chmod(0o644)
    link.parent.mkdir()
    link.symlink_to(target)
    write_text(str(link), "a = 2\n")
    assert link.is_symlink()
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("a = 2\n", 0o600)
    write_text(str(tmp_path / "new" / "config.toml"), "")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises(Failure, match="cannot write"):
        write_text(str(tmp_path / "file" / "config.toml"), "")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "new", "real.toml"]


def test_a_file_that_is_no_toml_is_not_touched(tmp_path: pathlib.Path) -> None:
    """It is a usage error that names it."""
    path = tmp_path / "config.toml"
    path.write_text("nonsense")
    with pytest.raises(Failure, match=r"config\.toml"):
        read_text(str(path))
    assert read_text(str(tmp_path / "none.toml")) == ""
