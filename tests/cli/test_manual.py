"""The manual pages are those of the command tree, and `ev man` shows them."""

from __future__ import annotations

from ev_cli.formats import VERBS
from generate import manual
from generate.tree import nouns
from support.command_line import CommandLine
from support.engine import ROOT


def test_the_pages_are_those_of_the_tree() -> None:
    """Whoever changes a command runs `python -m generate.manual`."""
    wanted = manual.pages()
    there = {path.name: path.read_text() for path in (ROOT / "man").glob("*.1")}
    assert sorted(there) == sorted(wanted)
    for name, page in wanted.items():
        assert there[name] == page, f"{name} is stale: run python -m generate.manual"


def test_every_verb_of_a_format_is_in_the_manual() -> None:
    """ev-formats(7) is written by hand, and complete."""
    page = (ROOT / "man" / "ev-formats.7").read_text()
    assert all(f"%{verb}" in page for verb in VERBS)


def test_every_option_says_what_it_is_for() -> None:
    """In the help, and so in the manual."""
    for noun in nouns():
        for verb in noun.verbs:
            assert verb.help, (noun.name, verb.name)
            assert all(option.help or option.hidden for option in verb.options), (noun.name, verb.name)
            assert all(argument.help for argument in verb.arguments), (noun.name, verb.name)


def test_every_command_has_a_page(ev: CommandLine) -> None:
    """`ev man` finds it by the words that a person types, aliases and verbs too; as text where nobody looks."""
    for noun in nouns():
        for verb in noun.verbs:
            page = ev("man", noun.name, *([verb.name] if verb.name else [])).out.decode()
            assert f"ev {noun.name} {verb.name}".strip() in page
    assert ev("man").lines[0] == "NAME"
    assert ev("man", "topics", "ls").out == ev("man", "topic").out
    assert "drained" in ev("man", "pipelines").out.decode() or "pipe" in ev("man", "pipelines").out.decode()
    assert "configuration file" in ev("man", "5", "config").out.decode()
    assert "data directory of an ev engine" in " ".join(ev("man", "5", "log").out.decode().split())
    assert not ev.data_dir.exists()


def test_a_page_that_is_not_there(ev: CommandLine) -> None:
    """Is exit status 3 with the nearest, when one is near; else with all."""
    assert "there are acl, bench, " in ev("man", "nosuch", status=3).err
    assert "'topic'" in ev("man", "topik", status=3).err
