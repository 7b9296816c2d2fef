"""Standard streams that are closed or full: one line, exit 1, nothing lost and nothing said to the wrong place."""

from __future__ import annotations

import pytest

from ev_cli.output import safe
from support.command_line import CommandLine

COMMANDS = (
    "topic list --json",
    "topic describe t -o table",
    "group list --json",
    "server status",
    "server logs",
    "version",
    "--help",
    "consume t -e",
    "consume t -e -J",
    "produce t --value x --report %o",
)


@pytest.fixture
def shop(ev: CommandLine) -> CommandLine:
    ev("produce", "t", data=b"x\n")
    return ev


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("where", [">/dev/full", ">&-"])
def test_nowhere_to_write_is_one_line_and_exit_1(shop: CommandLine, command: str, where: str) -> None:
    """A full disk or a closed stdout, whoever prints."""
    done = shop.shell(f"ev {command} {where}")
    assert done.status == 1, done
    assert len(done.err.splitlines()) == 1
    assert "stdout" in done.err


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full"])
def test_without_stderr_the_work_is_done_all_the_same(shop: CommandLine, where: str) -> None:
    """What would have been said is lost, and never written into another descriptor."""
    assert shop.shell(f"echo y | ev produce u {where}").status == 0
    assert shop.shell(f"ev consume u -e {where}").out == b"y\n"
    assert shop.shell(f"ev consume nothere -e {where}").status == 3
    assert shop.shell(f"ev consume --nonsense {where}").status == 2


def test_with_all_three_closed(shop: CommandLine) -> None:
    """Nothing can be said, the exit status remains."""
    assert shop.shell("ev consume t -e <&- >&- 2>&-; echo $?").lines == ["1"]
    assert shop.shell("ev produce t <&- >&- 2>&-; echo $?").lines == ["1"]
    assert shop.shell("ev topic create u <&- >&- 2>&-; echo $?").lines == ["0"]
    assert shop("consume", "t", "-e").out == b"x\n"


@pytest.mark.parametrize("command", ["topic list --json", "consume t", "--help", "version"])
def test_a_reader_that_has_gone_is_exit_141_and_silence(shop: CommandLine, command: str) -> None:
    """The reader has left before anything was written."""
    done = shop.shell(f"(sleep 0.5; ev {command}; echo $? >status) | true; wait; cat status")
    assert done.lines == ["141"]
    assert done.err == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("caf\u00e9 \u2603 \U0001f375", "caf\u00e9 \u2603 \U0001f375"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\tb\nc\rd", "a\\tb\\nc\\rd"),
        ("\x9b1m", "\\x9b1m"),
        ("\u202eevil", "\\u202eevil"),
        ("\x7f", "\\x7f"),
    ],
)
def test_what_is_safe_to_show(text: str, shown: str) -> None:
    """Control characters, C1 controls and direction overrides become escapes; everything else is itself."""
    assert safe(text) == shown


def test_a_stdout_that_knows_no_unicode(ev: CommandLine) -> None:
    """In the C locale nothing raises: what cannot be said is said in ASCII."""
    done = ev("produce", "t", "-v", data=b"x\n", LANG="C", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert "t/0@0" in done.err
