"""The two parsers: the generated tables and Typer read every command line alike."""

from __future__ import annotations

import pathlib
import shlex
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ev_cli import __main__ as start
from ev_cli import app, output
from ev_cli import options as declarations
from ev_cli.summaries import ALIASES, COMMANDS, NOUNS, VERB_ALIASES
from generate import parser_tables
from support.engine import ROOT


def test_the_tables_are_those_of_the_tree() -> None:
    """A command that was changed and whose table was not fails here: run python -m generate.parser_tables."""
    wanted = parser_tables.tables()
    there = {path.name: path.read_text() for path in parser_tables.TABLES.glob("*.py") if path.name != "__init__.py"}
    assert sorted(there) == sorted(wanted)
    for name, source in wanted.items():
        assert there[name] == source, f"{name} is stale: run python -m generate.parser_tables"


def test_the_global_options_are_those_that_are_declared() -> None:
    """The start knows which options may stand before the verb; it has no list of its own making."""
    values: set[str] = set()
    flags: set[str] = set()
    for annotation, default in declarations.COMMON.values():
        option = get_args(annotation)[1]
        spellings = {option.default, *option.param_decls} - {...}
        (flags if default in (False, 0) and default is not None else values).update(spellings)
    assert values == start.GLOBAL_VALUES
    assert flags | {"-vv"} == start.GLOBAL_FLAGS


def test_nouns_and_aliases_are_those_of_the_tree() -> None:
    """The start resolves plurals and short verbs by the names that the tree has."""
    assert {noun: noun for noun in NOUNS} | ALIASES == start.NOUNS
    assert start.VERBS == VERB_ALIASES
    assert all(alias in ALIASES or alias in COMMANDS for alias in start.NOUNS)


class Seen(Exception):
    """What the action was called with."""


def by_typer(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> tuple[str, dict[str, Any]] | None:
    """The action and its options as Typer parses them; None when Typer refuses."""
    found: list[tuple[str, dict[str, Any]]] = []

    def seen(action: str, given: dict[str, Any]) -> int:
        found.append((action, {name: list(value or []) if isinstance(value, list | tuple) else value for name, value in given.items()}))
        return 0

    monkeypatch.setattr(declarations, "run_action", seen)
    monkeypatch.setattr(output, "say", lambda text: None)
    app.run(arguments)
    return found[0] if found else None


def by_table(arguments: list[str]) -> tuple[str, dict[str, Any]] | None:
    words, rest = start.arranged(arguments)
    table = start.table_of(words[0]) if words else None
    command = table.get(words[1] if len(words) > 1 else "") if table is not None else None
    if command is None:
        return None
    given = start.parse(command, rest)
    return None if given is None else (command[0], given)


def normal(parsed: tuple[str, dict[str, Any]], lists: set[str]) -> tuple[str, dict[str, Any]]:
    """Typer gives None where no value of a list came."""
    return parsed[0], {name: (value or []) if name in lists else value for name, value in parsed[1].items()}


def lists_of(arguments: list[str]) -> set[str]:
    words, _ = start.arranged(arguments)
    table = start.table_of(words[0])
    assert table is not None
    _, positional, options, _ = table[words[1] if len(words) > 1 else ""]
    return {name for name, places, _ in positional if places != 1} | {name for name, kind, _ in options.values() if kind == "list"}


def every_command() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name in COMMANDS:
        table = start.table_of(name)
        assert table is not None
        found += [(name, verb) if verb else (name,) for verb in table]
    return found


def options_of(words: tuple[str, ...]) -> list[tuple[str, str]]:
    table = start.table_of(words[0])
    assert table is not None
    return [(name, kind) for name, (_, kind, _) in table[words[1] if len(words) > 1 else ""][2].items()]


@some.composite
def command_lines(draw: some.DrawFn) -> list[str]:
    """Commands with options in all spellings, and now and then something that is no option."""
    words = draw(some.sampled_from(every_command()))
    rest: list[str] = []
    value = some.sampled_from(["5", "x", "a=b", "-1", "--", "", "%k %v\\n", "127.0.0.1:1", "1:2", "-", "--quiet"])
    for name, kind in draw(some.lists(some.sampled_from(options_of(words)), max_size=4)):
        if kind in ("flag", "count"):
            rest.append(name)
            continue
        text = draw(some.sampled_from(["7", "0", "x"]) if kind == "int" else value)
        joined = draw(some.booleans())
        if joined and name.startswith("--"):
            rest.append(f"{name}={text}")
        elif joined and text:
            rest.append(name + text)
        else:
            rest += [name, text]
    extra = draw(some.lists(some.sampled_from(["orders", "payments", "-", "--", "--nonsense", "-qv", "file.txt"]), max_size=3))
    for word in extra:
        rest.insert(draw(some.integers(0, len(rest))), word)
    return [*words, *rest]


@settings(max_examples=400, deadline=None)
@given(command_lines())
def test_both_parsers_agree(arguments: list[str]) -> None:
    """Whatever the table accepts Typer accepts too, with the same values; what it does not, it leaves to Typer."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        quick = by_table(arguments)
        if quick is None:
            return
        words, rest = start.arranged(arguments)
        slow = by_typer(monkeypatch, [*words, *rest])
        assert slow is not None, f"only the table accepts {shlex.join(arguments)}"
        lists = lists_of(arguments)
        assert normal(quick, lists) == normal(slow, lists), shlex.join(arguments)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("-b h:1 topic list", "topic list -b h:1"),
        ("topic -b h:1 list", "topic list -b h:1"),
        ("--bootstrap-server=h:1 -q consume t", "consume --bootstrap-server=h:1 -q t"),
        ("topics", "topic list"),
        ("topics pay*", "topic list pay*"),
        ("topics describe t", "topic describe t"),
        ("groups --json", "group list --json"),
        ("topic ls", "topic list"),
        ("topic rm t", "topic delete t"),
        ("produce t --create", "produce t --create=0"),
    ],
)
def test_spellings_that_mean_the_same(typed: str, meant: str) -> None:
    """Global options stand before the verb, between noun and verb or behind; plural nouns alone list."""
    words, rest = start.arranged(shlex.split(typed))
    assert [*words, *rest] == shlex.split(meant)


def test_every_module_of_a_command_is_listed(tmp_path: pathlib.Path) -> None:
    """A command that the root's help does not know would never be found."""
    modules = {path.stem for path in (ROOT / "cli" / "ev_cli" / "commands").glob("*.py")} - {"__init__"}
    assert modules == set(COMMANDS)
