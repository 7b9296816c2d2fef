"""How a command starts: what it imports, what help and mistakes look like."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig

import pytest

import ev as package
from support.command_line import CommandLine

HEAVY = (
    "typer",
    "rich",
    "textual",
    "ev_tui",
    "asyncio",
    "json",
    "re",
    "enum",
    "dataclasses",
    "argparse",
    "tomllib",
    "pathlib",
    "platformdirs",
    "subprocess",
    "ssl",
    "socket",
)


def imported_by(ev: CommandLine, *arguments: str, data: bytes = b"") -> set[str]:
    """The modules that are loaded when the command ends."""
    script = f"import os, sys\nfrom ev_cli.__main__ import run\nstatus = run({list(arguments)!r})\n"
    script += "os.write(2, ' '.join(sys.modules).encode())\nassert status == 0"
    done = subprocess.run(
        [sys.executable, "-P", "-S", "-c", script], input=data, capture_output=True, env=with_site(ev), check=True, timeout=60
    )
    return set(done.stderr.decode().split())


def with_site(ev: CommandLine) -> dict[str, str]:
    """-S keeps out what site-packages' .pth files import; the packages themselves are put on the path by hand."""
    path = ev.variables["PYTHONPATH"] + ":" + sysconfig.get_path("purelib") + ":" + sysconfig.get_path("platlib")
    return {**ev.variables, "PYTHONPATH": path}


def test_version_is_one_line(ev: CommandLine) -> None:
    """On stdout, in both spellings; it starts no engine."""
    for spelling in ("--version", "-V", "version"):
        assert ev(spelling).out == f"ev {package.__version__}\n".encode()
    assert ev("version", "--json").json["ev"] == package.__version__
    assert not ev.data_dir.exists()


def test_the_version_costs_no_imports(ev: CommandLine) -> None:
    """Neither the parser nor the client."""
    assert not imported_by(ev, "version") & {*HEAVY, "ev.client", "ev_cli.session"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("produce", "t"),
        ("produce", "t", "-K", ":", "-z", "lz4"),
        ("consume", "t", "-e"),
        ("consume", "t", "-e", "-g", "g"),
        ("consume", "t", "-e", "-f", "%o %v\\n"),
        ("topic", "list"),
        ("topic", "list", "-o", "table"),
        ("topic", "list", "-o", "csv"),
        ("topic", "describe", "t"),
        ("topic", "create", "t", "--if-not-exists"),
        ("group", "list"),
        ("topic", "list", "--color", "never", "--timeout", "5s"),
    ],
    ids=" ".join,
)
def test_the_hot_verbs_import_nothing_heavy(ev: CommandLine, arguments: tuple[str, ...]) -> None:
    """With the engine up, the verbs of every day need neither Typer nor Rich, asyncio, json, re or enum."""
    ev("produce", "t", data=b"x\n")
    assert not imported_by(ev, *arguments, data=b"y:z\n") & set(HEAVY)


@pytest.mark.parametrize(
    "arguments", [("produce", "t"), ("consume", "t", "-e"), ("topic", "list", "-o", "wide"), ("group", "list")], ids=" ".join
)
def test_the_hot_verbs_compile_no_messages(ev: CommandLine, arguments: tuple[str, ...]) -> None:
    """What they and an engine of the same release say to each other is compiled beforehand (READY in engine/codegen/ready.py)."""
    ev("produce", "t", data=b"x\n")
    assert "ev.wire.compiler" not in imported_by(ev, *arguments, data=b"y\n")


def test_the_help_for_programs_costs_an_ordinary_start_nothing(ev: CommandLine) -> None:
    """Nor do the manual, the completions, progress or colour."""
    ev("produce", "t", data=b"x\n")
    extra = {"tree", "help_json", "exits", "packaged", "manual_text", "progress", "units", "app", "options", "variables", "properties"}
    extra = {f"ev_cli.{name}" for name in extra}
    assert not imported_by(ev, "produce", "t", data=b"y\n") & extra
    assert not imported_by(ev, "topic", "list") & extra


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("-h",),
        ("produce", "--help"),
        ("topic", "-h"),
        ("topic", "create", "--help"),
        ("-b", "h:1", "consume", "-h"),
        ("-b", "h:1", "--help"),
    ],
)
def test_help_goes_to_stdout(ev: CommandLine, arguments: tuple[str, ...]) -> None:
    """And it starts no engine."""
    done = ev(*arguments)
    assert b"Usage: ev" in done.out
    assert done.err == ""
    assert not ev.data_dir.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("consume", "--fo"), "--fo"),
        (("nonsense",), "nonsense"),
        (("topic", "crate", "t"), "crate"),
        (("topic", "create"), "TOPIC"),
        (("produce",), "no topic"),
        (("consume",), "no topic"),
        (("consume", "t", "-n", "many"), "many"),
        (("consume", "t", "-o", "nowhere"), "-o"),
        (("consume", "t", "-f", "%q"), "%q"),
        (("consume", "t", "-J", "-f", "value"), "two forms"),
        (("consume", "t", "-J", "--fields", "k,wat"), "wat"),
        (("consume", "t", "-f", "value", "--embed-json"), "--embed-json"),
        (("consume", "t", "-s", "value=rot13"), "rot13"),
        (("consume", "t", "-s", "header=hex"), "header"),
        (("consume", "t", "--grep", "v:("), "no regular expression"),
        (("consume", "t", "--where", "value.a = "), "column 11"),
        (("consume", "t", "--order", "size"), "--order size"),
        (("consume", "t", "--order", "time", "-g", "g"), "-g"),
        (("consume", "t", "--tail", "3", "-o", "start"), "--tail"),
        (("consume", "t", "--tail", "1000000"), "--tail"),
        (("consume", "t", "--key", "k", "-g", "g"), "--key"),
        (("consume", "t", "-G", "g"), "-g GROUP"),
        (("consume", "t", "-p", "5-2"), "5-2"),
        (("consume", "t", "-p", "0-9999999999"), "range"),
        (("consume", "t", "-o", "\u00b2"), "-o"),
        (("get", "t/0"), "TOPIC/PARTITION/OFFSET"),
        (("get", "t/x/0"), "TOPIC/PARTITION/OFFSET"),
        (("get", "c/t/0/0", "-b", "h:1"), "-b"),
        (("trace",), "KEY"),
        (("consume", "t", "--idle", "soon"), "soon"),
        (("consume", "t", "-p", "1", "-g", "g"), "-g"),
        (("consume", "t", "--reset"), "-g GROUP"),
        (("produce", "t", "-z", "rar"), "rar"),
        (("produce", "t", "--acks", "2"), "--acks"),
        (("produce", "t", "-f", "%k%v"), "%k"),
        (("produce", "t", "-D", ""), "delimiter"),
        (("produce", "t", "-X", "no.such=1"), "no.such"),
        (("-b", "h:1", "-C", "local", "topic", "list"), "-b and -C"),
        (("-b", "h:nonsense", "topic", "list"), "HOST:PORT"),
        (("topic", "list", "-o", "xml"), "xml"),
        (("topic", "alter", "t"), "nothing to alter"),
        (("topic", "create", "t", "-c", "nonsense"), "KEY=VALUE"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(ev: CommandLine, arguments: tuple[str, ...], said: str) -> None:
    """It says what was wrong; nothing goes to stdout and no engine is started."""
    done = ev(*arguments, status=2)
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    assert done.out == b""
    assert not ev.data_dir.exists()


def test_two_engines_in_the_environment_contradict_each_other(ev: CommandLine) -> None:
    """EV_BOOTSTRAP and EV_CONTEXT are on one level."""
    assert "EV_BOOTSTRAP and EV_CONTEXT" in ev("topic", "list", status=2, EV_BOOTSTRAP="h:1", EV_CONTEXT="x").err


def test_contexts_come_from_the_configuration(ev: CommandLine) -> None:
    """By -C, by EV_CONTEXT, by the project's file or as the current one; an unknown name is exit 3 with the nearest."""
    ev("produce", "t", data=b"x\n")
    (ev.directory / "config.toml").write_text(f'[contexts.here]\nbootstrap = ["{ev.address}"]\n')
    assert ev("-C", "here", "topic", "list", "-o", "name").lines == ["t"]
    assert ev("topic", "list", "-o", "name", EV_CONTEXT="here").lines == ["t"]
    assert "'here'" in ev("-C", "hree", "topic", "list", status=3).err
    (ev.directory / ".ev.toml").write_text('context = "here"\n')
    for name in ("EV_DATA_DIR", "EV_LISTEN"):
        del ev.variables[name]
    assert ev.shell("ev topic list -o name").lines == ["t"]
    (ev.directory / ".ev.toml").unlink()
    (ev.directory / "config.toml").write_text(f'current = "here"\n[contexts.here]\nbootstrap = "{ev.address}"\n')
    assert ev("topic", "list", "-o", "name").lines == ["t"]
    ev.variables["EV_DATA_DIR"] = str(ev.data_dir)


def test_a_configuration_that_is_no_toml_is_a_usage_error(ev: CommandLine) -> None:
    """Named with its file."""
    (ev.directory / "config.toml").write_text("nonsense")
    assert "config.toml" in ev("-C", "x", "topic", "list", status=2).err
    assert "nowhere.toml" in ev("-F", "nowhere.toml", "topic", "list", status=2).err


def test_nobody_answers_is_exit_4(ev: CommandLine) -> None:
    """With the address."""
    done = ev("-b", "127.0.0.1:1", "consume", "t", "-e", status=4)
    assert "127.0.0.1:1" in done.err
    done = ev("-b", "127.0.0.1:1", "produce", "t", data=b"x\n", status=4)
    assert "127.0.0.1:1" in done.err


def test_an_error_is_an_object_where_json_was_asked_for(ev: CommandLine) -> None:
    """On stderr, with code, kind, message and hint."""
    done = ev("topic", "describe", "nothere", "--json", status=3)
    found = json.loads(done.err.splitlines()[-1])
    assert (found["code"], found["kind"]) == (3, "not-found")
    assert "nothere" in found["message"]
