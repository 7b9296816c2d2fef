"""What somebody types who does not know `ev` yet: each mistake is one line that names it and the way out, on stderr."""

from __future__ import annotations

import pytest

from support.command_line import CommandLine

MISTAKES = [
    ("produc t", 2, "did you mean 'produce'?"),
    ("topic lst", 2, "Did you mean 'list'?"),
    ("nosuch", 2, "`ev --help` shows how"),
    ("topic create bad/name", 1, "letters (a-z, A-Z), digits, dots, underscores and dashes"),
    ("topic create x -p 0", 2, "-p 0 makes no topic"),
    ("topic create x -r 0", 2, "-r 0 makes no topic"),
    ("topic create x -c retention.hours=1", 1, "did you mean retention.ms?"),
    ("config set broker/1 log.retention.hours=1", 1, "set log.retention.ms"),
    ("config set broker/1 log.retention.sm=1", 1, "did you mean log.retention.ms?"),
    ("config set group/g consumer.session.timeout=1", 1, "did you mean consumer.session.timeout.ms?"),
    ("group seek g --to start --to-group h", 2, "give one of them"),
    ("topic list --timeout 0", 2, "--timeout 0 leaves no time"),
    ("produce t --value x -H =v", 2, "names no header"),
    ("user add carl --password-command true", 2, "a password has"),
    ("user add carl --iterations 1 --password-command echo\\ secret", 1, "Too few iterations"),
]


@pytest.mark.parametrize(("line", "status", "said"), MISTAKES, ids=[line for line, _, _ in MISTAKES])
def test_a_mistake_is_one_line(one_engine: CommandLine, line: str, status: int, said: str) -> None:
    """And nothing goes to stdout."""
    done = one_engine(*[word.replace("\0", " ") for word in line.replace("\\ ", "\0").split()], status=status)
    assert said in done.err
    assert done.err.count("\n") == 1, done.err
    assert done.out == b""


def test_a_noun_alone_shows_its_verbs_where_talk_goes(one_engine: CommandLine) -> None:
    """It is a mistake, and a program that reads stdout reads nothing. Help that was asked for is what stdout is for."""
    for noun in ((), ("topic",), ("group",)):
        done = one_engine(*noun, status=2)
        assert "Usage: ev" in done.err
        assert done.out == b""
    assert b"Usage: ev topic" in one_engine("topic", "--help").out


def test_what_can_be_set_nowhere_cannot_be_unset(one_engine: CommandLine) -> None:
    """The nearest name is said. To unset what is not set is no mistake."""
    one_engine("topic", "create", "unset-me", "--if-not-exists")
    for words in (("config", "unset", "topic/unset-me", "retention.mss"), ("topic", "alter", "unset-me", "--unset", "retention.mss")):
        done = one_engine(*words, status=3)
        assert "topic/unset-me has no setting 'retention.mss': did you mean 'retention.ms'?" in done.err
        one_engine(*words[:-1], "retention.ms")


def test_the_name_of_an_api_is_its_name(one_engine: CommandLine) -> None:
    """Not the broker's."""
    names = one_engine("cluster", "api-versions", "-o", "name").lines
    assert names[0] == "Produce"


def test_times_in_hours_come_into_force(ev: CommandLine) -> None:
    """From the configuration, the environment and the command line: the later place wins, whatever unit it speaks in."""
    (ev.directory / "config.toml").write_text('[server.settings]\n"log.retention.hours" = 2\n"log.roll.ms" = 5000\n')
    ev("up", "--set", "log.roll.hours=1", EV_LOG_RETENTION_MINUTES="30")
    values = {row["key"]: row["value"] for row in ev.json("config", "get", "broker/1", "log.retention.ms", "log.roll.ms")}
    assert values == {"log.retention.ms": "1800000", "log.roll.ms": "3600000"}
