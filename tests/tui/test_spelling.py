"""A command that the interface shows means the same in a shell, whatever the names in it are."""

from __future__ import annotations

import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from ev_tui.spelling import command_line

NASTY = [
    "",
    "a b",
    "it's",
    '"',
    "$HOME",
    "`id`",
    "a\nb",
    "\t",
    "\x1b[31m",
    "-n",
    "*",
    "é漢",
    "\\",
    "!",
    "#",
    "~",
    "a;b",
    "\x7f",
    "\udc80",
    "$'x'",
]


def words_in(shell: str, line: str) -> list[bytes]:
    script = f'ev() {{ for word in "$@"; do printf \'%s\\0\' "$word"; done; }}\n{line}'
    done = subprocess.run([shell, "-c", script.encode("utf-8", "surrogateescape")], capture_output=True, check=True)
    return done.stdout.split(b"\0")[:-1]


def test_every_word_arrives_as_it_was() -> None:
    """Through bash: quotes, spaces, control characters, bytes that are no text, expansions."""
    line = command_line(NASTY)
    assert words_in("bash", line) == [word.encode("utf-8", "surrogateescape") for word in NASTY]
    assert "\n" not in line
    assert "\x1b" not in line


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=8), min_size=1, max_size=60))
@settings(max_examples=15, deadline=None)
def test_any_text_arrives_as_it_was(words: list[str]) -> None:
    """A property over all characters that an argument can have."""
    assert words_in("bash", command_line(words)) == [word.encode() for word in words]


def test_plain_words_stay_plain() -> None:
    """Nobody wants to read quotes that are not needed."""
    assert command_line(["topic", "list", "-r", "pay-1.x_y", "-b", "h:9092"]) == "ev topic list -r pay-1.x_y -b h:9092"
