"""What a person sees and what a program reads: tables, colour, progress, encodings, errors as JSON."""

from __future__ import annotations

import csv
import io
import json
import os
import pathlib
import pty
import select
import subprocess
import sys
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as some

from ev_cli import output, progress, tabulated, units
from ev_cli.manual_text import rendered
from generate.tree import Verb, nouns
from support.command_line import CommandLine
from support.engine import environment

# -- the forms that programs read ----------------------------------------------------------------------------------------------------

COLUMNS = ("name", "value", "plain words")
cells = some.one_of(some.none(), some.booleans(), some.integers(-(2**63), 2**63), some.text(max_size=20))
rows = some.lists(some.fixed_dictionaries({"name": some.text(max_size=20), "value": cells, "plain words": cells}), max_size=4)
HOSTILE = [{"name": 'a,"b"\r\n\t\\n\x1b[31m\u202e\x85\u2028\udcff\ud800\U000e0001', "value": "-", "plain words": "null"}]


def table_of(content: list[dict[str, Any]]) -> output.Table:
    table = output.Table(COLUMNS)
    table.rows = content
    return table


def is_text(content: list[dict[str, Any]]) -> bool:
    """Whether there are no halves of characters in it, which YAML has no way to write."""
    return not any("\ud800" <= mark <= "\udfff" for row in content for value in row.values() for mark in str(value))


@given(rows)
@example(HOSTILE)
def test_json_and_json_lines_are_what_was_put_in(content: list[dict[str, Any]]) -> None:
    """Also names that are no text at all, and nothing in it could move a terminal's cursor."""
    text = tabulated.text_of(table_of(content), "json", True)
    assert json.loads(text) == content
    assert text[:-1].isprintable() or set(filter(lambda one: not one.isprintable(), text[:-1])) <= output._SPACES
    assert [json.loads(line) for line in tabulated.text_of(table_of(content), "jsonl", True).splitlines()] == content


@given(rows.filter(is_text))
def test_yaml_is_what_was_put_in(content: list[dict[str, Any]]) -> None:
    """To a parser of YAML, every text is that text and no number, date or truth."""
    assert yaml.safe_load(tabulated.text_of(table_of(content), "yaml", True)) == content


@given(rows)
@example(HOSTILE)
def test_csv_is_that_of_the_rfc(content: list[dict[str, Any]]) -> None:
    """Any reader of RFC 4180 gets the cells, and null is an empty one."""
    text = tabulated.text_of(table_of(content), "csv", True)
    assert text.count("\r\n") >= len(content) + 1
    read = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert read[0] == list(COLUMNS)
    assert read[1:] == [["" if value is None else tabulated.cell(value) for value in (row[name] for name in COLUMNS)] for row in content]


@given(rows)
@example(HOSTILE)
def test_tsv_is_one_line_a_row(content: list[dict[str, Any]]) -> None:
    """Tabs, line ends and backslashes are escaped, and nothing else is: the escapes read back give the cells."""
    lines = tabulated.text_of(table_of(content), "tsv", True).split("\n")
    assert lines.pop() == ""
    unescaped = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}
    for line, row in zip(lines, content, strict=True):
        found = []
        for cell in line.split("\t"):
            marks = iter(cell)
            found.append("".join([unescaped[next(marks)] if mark == "\\" else mark for mark in marks]))
        assert found == [tabulated.cell(row[name]) for name in COLUMNS]


@given(rows)
@example(HOSTILE)
def test_a_table_never_moves_the_cursor(content: list[dict[str, Any]]) -> None:
    """Whatever a cluster named its things, every row is one line of what prints."""
    lines = tabulated.aligned(table_of(content), False).split("\n")
    assert len(lines) == len(content) + 2
    assert all(mark.isprintable() or mark in output._SPACES for line in lines for mark in line)


def test_a_table_for_a_person() -> None:
    """Numbers to the right, amounts with their units, the unit gone from the heading, wide characters counted as two."""
    table = output.Table(("name", "records", "retention_ms", "size", "in_sync"))
    table.add(name="\u7d19", records=7, retention_ms=604_800_000, size=1_234_567, in_sync=[1, 2])
    assert tabulated.shown("p99_ms", 19.567) == "19.6ms"
    assert tabulated.shown("p99_ms", 90_000.4) == "1m30s"
    table.add(name="payments", records=12345, retention_ms=-1, size=None, in_sync=[])
    assert tabulated.aligned(table, False).split("\n") == [
        "NAME      RECORDS  RETENTION    SIZE  IN-SYNC",
        "\u7d19              7         7d  1.2 MB  1,2",
        "payments    12345    forever       -",
        "",
    ]


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_499, "999 kB"), (999_999, "1.0 MB"), (10**19, "10.0 EB")]
)
def test_sizes(size: int, text: str) -> None:
    assert units.size_text(size) == text


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [
        (0, "0s"),
        (5, "5ms"),
        (1000, "1s"),
        (90_000, "1m30s"),
        (5_400_000, "1h30m"),
        (604_800_000, "7d"),
        (86_400_001, "1d"),
        (-1, "forever"),
    ],
)
def test_durations(duration_ms: int, text: str) -> None:
    assert units.duration_text(duration_ms) == text


# -- colour and encodings ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "variables", "is_terminal", "colour"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"CLICOLOR_FORCE": "1"}, False, True),
        ("auto", {"CLICOLOR_FORCE": "0"}, False, False),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_when_there_is_colour(
    monkeypatch: pytest.MonkeyPatch, said: str, variables: dict[str, str], is_terminal: bool, colour: bool
) -> None:
    """--color, then NO_COLOR, then FORCE_COLOR and CLICOLOR_FORCE, then the terminal."""
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(output, "colour", said)
    monkeypatch.setattr(output, "is_terminal", lambda number: is_terminal)
    assert output.has_colour() is colour


def test_colour_as_it_is_asked_for(ev: CommandLine) -> None:
    """In help and in tables, on a pipe too when it is forced; a CI's variables force nothing."""
    assert b"\x1b[" not in ev("--help", GITHUB_ACTIONS="1").out
    assert b"\x1b[" in ev("--help", "--color", "always").out
    assert b"\x1b[" in ev("--help", FORCE_COLOR="1").out
    assert b"\x1b[" not in ev("--help", "--color=never", FORCE_COLOR="1").out
    for words in ((), ("topic",)):
        assert "\x1b[" in ev("--color", "always", *words, status=2).err
        assert b"\x1b[" in ev("--color=always", *words, "--help").out
        assert "\x1b[" not in ev(*words, "--color", "never", status=2, FORCE_COLOR="1").err
        assert "auto, always, never" in ev("--color", "pink", *words, "--help", status=2).err
    ev("topic", "create", "t")
    assert ev("topic", "list", "-o", "table").out.startswith(b"NAME")
    assert ev("topic", "list", "-o", "table", "--color", "always").out.startswith(b"\x1b[1mNAME")
    assert "auto, always, never" in ev("topic", "list", "--color", "pink", status=2).err


def test_a_stdout_that_knows_only_ascii(ev: CommandLine) -> None:
    """Nothing raises, in help, pages, tables and errors; JSON stays JSON."""
    ev("produce", "t", data=b"x\n")
    ev("consume", "t", "-g", "caf\u00e9 \U0001f375", "-e")
    rich = ev("group", "list", "--json")
    assert rich.json[0]["group"] == "caf\u00e9 \U0001f375"
    ev.variables["PYTHONIOENCODING"] = "ascii"
    for arguments in (["--help"], ["consume", "--help"], ["man", "consume"], ["man", "formats"], ["completion", "zsh"], ["--help-json"]):
        assert ev(*arguments).out.isascii(), arguments
    for form in ("table", "wide", "tsv", "csv", "yaml", "name", "json", "jsonl"):
        assert ev("group", "list", "-o", form).out.isascii()
    assert ev("group", "list", "--json").json == rich.json
    assert ev("topic", "describe", "\u2603", status=3).err.isascii()


def test_the_text_of_a_manual_page() -> None:
    """Paragraphs, tags, fonts and examples, in the width of the terminal."""
    page = '.TH X 1\n.SH NAME\nx \\- y\n.SH OPTIONS\n.TP\n\\fB\\-\\-long\\fR \\fIN\\fR\nSome words of help.\n.TP\n.BR a " or " b\nOther.\n'
    page += ".PP\nText\n.nf\n as  it is\n.fi\n.IP 1. 4\nFirst\n"
    assert rendered(page, 80, colour=False).split("\n") == [
        "NAME",
        "       x - y",
        "",
        "OPTIONS",
        "       --long N",
        "              Some words of help.",
        "",
        "       a or b Other.",
        "",
        "       Text",
        "            as  it is",
        "",
        "       1.     First",
        "",
    ]
    assert "\x1b[1m--long\x1b[0m" in rendered(page, 80, colour=True)


# -- errors --------------------------------------------------------------------------------------------------------------------------


def tabular() -> list[tuple[str, Verb]]:
    return [(noun.name, verb) for noun in nouns() for verb in noun.verbs if any(option.name == "json" for option in verb.options)]


@pytest.mark.parametrize(("noun", "verb"), [pytest.param(noun, verb, id=f"{noun} {verb.name}".strip()) for noun, verb in tabular()])
def test_an_error_is_one_object_where_json_was_asked_for(noun: str, verb: Verb, ev: CommandLine) -> None:
    """Of every command that writes JSON: what is wrong with a command line, and that nobody answers."""
    words = [noun, *([verb.name] if verb.name else [])]
    wrong = ev(*words, "--no-such-flag", "--json", status=2)
    assert one_object(wrong.err)["code"] == 2
    if any(option.name == "bootstrap" for option in verb.options):
        arguments = ["1" for argument in verb.arguments if argument.required]
        done = ev(*words, *arguments, "-b", "127.0.0.1:1", "--json", status=None, EV_AUTOSTART="0")
        if done.status not in (0, 6):  # a doctor tells what he finds on stdout
            assert one_object(done.err)["code"] == done.status


def one_object(text: str) -> dict[str, Any]:
    assert len(text.splitlines()) == 1, text
    found: dict[str, Any] = json.loads(text)
    assert {"code", "kind", "message", "hint"} <= set(found)
    return found


def test_each_item_that_failed_is_an_object_of_its_own(ev: CommandLine) -> None:
    """With its name, where several were asked for."""
    ev("topic", "create", "a", "b")
    done = ev("topic", "create", "a", "b", "c", "-q", "--json", status=1)
    assert [json.loads(line)["item"] for line in done.err.splitlines()] == ["a", "b"]


# -- progress ------------------------------------------------------------------------------------------------------------------------


def test_a_line_of_progress() -> None:
    """It says how much, how fast and how long yet, and fits."""
    line = progress.line("copy", 250_000_000, 1_000_000_000, 50e6, 5.0, "bytes", 100, False)
    assert line == "copy  ########......................   25% of 1.0 GB  50.0 MB/s  0:15 left"
    narrow = progress.line("copy", 250_000_000, 1_000_000_000, 50e6, 5.0, "bytes", 50, False)
    assert narrow == "copy   25% of 1.0 GB  50.0 MB/s  0:15 left"
    assert progress.line("read", 12345, None, 1000.0, 12.0, "records", 80, True) == "read  12,345 records  1,000 records/s  0:12"
    assert len(progress.line("copy", 1, 10, 0.0, 1.0, "bytes", 20, False)) < 20


def test_the_rate_is_that_of_the_last_seconds() -> None:
    """What was fast at first and is slow now is slow."""
    rate = progress.rate_now(None, 1000, 1.0)
    assert rate == 1000
    for _ in range(100):
        rate = progress.rate_now(rate, 1, 0.1)
    assert 10 <= rate < 110


WORK = """
import sys, time
from ev_cli import output
from ev_cli.progress import Progress
class Options: quiet = False
output.occupy_closed_streams()
with Progress(Options, "work", total=10) as progress:
    for _ in range(10):
        time.sleep(0.05)
        progress.advance()
        if progress.done == 9:
            output.say("remark")
output.write(b"data")
"""


def on_a_terminal(script: str, **variables: str) -> str:
    """What a terminal gets that is stdout and stderr of the script."""
    master, slave = pty.openpty()
    command = [sys.executable, "-P", "-c", script]
    worker = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=environment(**{"TERM": "xterm", **variables}), start_new_session=True
    )
    os.close(slave)
    seen = b""
    while select.select([master], [], [], 30)[0]:
        try:
            piece = os.read(master, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        seen += piece
    os.close(master)
    assert worker.wait(30) == 0, seen
    return seen.decode()


def test_progress_is_drawn_on_a_terminal_and_gone_at_the_end() -> None:
    """Between remarks and data, which stand on lines of their own."""
    seen = on_a_terminal(WORK)
    assert "work  " in seen
    assert "left" in seen
    assert f"{progress.TAKE_AWAY}remark\r\n" in seen
    assert seen.rpartition(progress.TAKE_AWAY)[2].rpartition("\n")[2] == "data"


def test_nobody_but_a_terminal_sees_progress(tmp_path: pathlib.Path) -> None:
    """No file, no pipe, no dumb terminal; a stderr that is closed is nothing to fall over."""
    done = subprocess.run([sys.executable, "-P", "-c", WORK], capture_output=True, env=environment(TERM="xterm"), check=True)
    assert done.stderr == b"remark\n"
    assert "work  " not in on_a_terminal(WORK, TERM="dumb")
    (tmp_path / "work.py").write_text(WORK)
    closed = subprocess.run(
        ["sh", "-c", f"{sys.executable} -P work.py 2>&-"], capture_output=True, env=environment(), cwd=tmp_path, check=True
    )
    assert closed.stdout == b"data"
