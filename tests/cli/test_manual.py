"""The manual pages and completions are those of the command tree."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from ev_cli.formats import VERBS
from generate import completions, manual
from generate.tree import nouns
from support.engine import ROOT


def test_the_pages_are_those_of_the_tree() -> None:
    """Whoever changes a command runs `python -m generate.manual`."""
    wanted = manual.pages()
    there = {path.name: path.read_text() for path in (ROOT / "man").glob("*.1")}
    assert sorted(there) == sorted(wanted)
    for name, page in wanted.items():
        assert there[name] == page, f"{name} is stale: run python -m generate.manual"


def test_the_completion_is_that_of_the_tree() -> None:
    """Whoever changes a command runs `python -m generate.completions`."""
    assert completions.BASH.read_text() == completions.bash(), "ev.bash is stale: run python -m generate.completions"


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


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ev gr", "group groups"),
        ("ev topic ", "list describe create alter delete clone apply"),
        ("ev topic des", "describe"),
        ("ev topics del", "delete"),
        ("ev -b localhost:9092 group l", "list lag"),
        ("ev consume --exit", "--exit-at-end"),
        ("ev consume payments --comm", "--commit"),
        ("ev server st", "start stop status"),
        ("ev --ver", "--version"),
    ],
)
def test_tab_in_bash(line: str, found: str) -> None:
    """Without starting Python."""
    if shutil.which("bash") is None:
        pytest.skip("bash is missing")
    words = line.split(" ")
    typed = " ".join(word or '""' for word in words)
    script = f'source "{completions.BASH}"; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _ev; echo "${{COMPREPLY[*]}}"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == found
