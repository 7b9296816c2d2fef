"""Every option that takes a value, of every command, given one that it cannot have: found by walking the declarations."""

from __future__ import annotations

import os
import pathlib
from typing import NoReturn

import pytest

from ev_cli import __main__ as start
from ev_cli import output
from ev_cli.tree import Noun, Option, Verb, nouns

FREE = frozenset((
    "[=ID]", "ADDRESS", "COMMAND", "CONTEXT", "DELIM", "DIR", "FILE", "GROUP", "HANDLER", "ID", "KCAT_GROUP", "KEY", "NAME", "PRINCIPAL",
    "TEXT", "TOPIC", "VARIABLE",
))  # fmt: skip
"""What any text may be, or what only a cluster or a disk can say about."""
NUMBER = ("many", "1.5", "-5", "")
WRONG: dict[str, tuple[str, ...]] = {
    "BYTES": NUMBER,
    "CODEC": ("rar",),
    "CMD": ("", " "),
    "COMMAND.OPTION=VALUE": ("nonsense",),
    "EXPR": ("value.a = ", "open('/etc/passwd')"),
    "FORM": ("xml",),
    "FORMAT": ("%q",),
    "FROM[:TO]": ("nowhere", "\u00b2"),
    "HOST:PORT,…": ("h:nonsense", "h:99999"),
    "ID,…": ("x",),
    "KEY=VALUE": ("nonsense",),
    "KIND": ("nothing",),
    "LIST": ("wat",),
    "MODE": ("maybe",),
    "N": ("many", "-5", "0"),
    "N,N-N": ("x", "5-2", "0-9999999999"),
    "N/s": ("fast", "-5", "0"),
    "NAME,…": ("k,wat",),
    "NAME=VALUE": ("nonsense",),
    "N|+N": ("many", "-5", "+"),
    "OFFSET": NUMBER,
    "ORDER": ("size",),
    "PLACE": ("nowhere",),
    "SIZE": ("large",),
    "STATE": ("asleep",),
    "TIME": ("soon", "\u00b2"),
    "TIME..TIME": ("soon..later", "5s..1s"),
    "TIME|FIELD": ("2026-99-99",),
    "TOPIC[:PARTITIONS]": ("t:x",),
    "TOPIC[:PARTITION,…]": ("t:x",),
    "TOPIC[:P,…]": ("t:x",),
    "TYPE": ("strange",),
    "WHAT": ("perhaps",),
    "[!]WHAT:RE": ("v:(",),
    "[!][k:|v:|h:NAME=|t:]RE": ("v:(",),
    "[=PARTITIONS]": ("=x", "=-5"),
    "[NAME://]HOST:PORT": ("h:nonsense",),
    "[TIME]": ("=often",),
    "[key|value=]SERDE,…": ("value=rot13", "header=hex"),
    "all|1|0": ("2",),
    "auto|always|never": ("pink",),
    "bash|zsh|fish|powershell": ("csh",),
    "key=NAME,value=NAME": ("value=rot13",),
    "name|size|records": ("colour",),
    "original|Nx": ("fast", "0x"),
    "plaintext|ssl|sasl_plaintext|sasl_ssl": ("open",),
    "stop|skip|dlq=TOPIC": ("go on",),
    "topic|partition|key|hour": ("colour",),
    "zstd|none": ("rar",),
}
NOT_WRONG = {("produce", "--header", "nonsense"): "a header that is null"}
ALSO = {
    "topic create": "t",
    "topic trim": "t -o 3",
    "topic dump": "t -O file",
    "topic alter": "t -c a=b",
    "topic apply": "file",
    "group seek": "g --to start",
    "group forget": "g -t t",
    "group wait": "g --lag 0",
    "config set": "topic/t a=b",
    "config get": "topic/t",
    "config unset": "topic/t a",
    "quota set": "a=1 --user u",
    "quota unset": "--user u",
    "acl add": "--topic t --operation read --principal User:a",
    "acl remove": "--topic t",
    "context add": "n -b h:1",
    "context edit": "local",
    "copy": "a b",
    "consume": "t",
    "tail": "t",
    "produce": "t",
    "get": "t/0/0",
    "log dump": "file",
    "reassign run": "plan.json",
    "server exec": "-- true",
    "server unit": "systemd",
    "txn abort": "i",
    "undo": "1",
    "completion": "bash",
}
"""What else a command needs. Others get a word for each argument that they must have."""
COMMANDS = [(noun, verb) for noun in nouns() for verb in noun.verbs if noun.name != "tui"]  # which wants a terminal before anything else


def words_of(noun: Noun, verb: Verb) -> list[str]:
    return f"{noun.name} {verb.name}".split()


def lines(noun: Noun, verb: Verb) -> list[tuple[Option, str, list[str]]]:
    """The command lines that are wrong in one option: the option, its value, the words."""
    name = " ".join(words_of(noun, verb))
    also = ALSO[name].split() if name in ALSO else [argument.name for argument in verb.arguments if argument.required]
    if any(option.name == "yes" for option in verb.options):
        also.append("-y")
    place = also.index("--") if "--" in also else len(also)
    before, behind = also[:place], also[place:]  # what is given twice counts as it is given last
    found = []
    for option in verb.options:
        if option.kind in ("flag", "count") or option.metavar in FREE:
            continue
        spelling = max(option.spellings, key=len)
        values = NUMBER if option.kind == "int" and not option.metavar.startswith("[") else WRONG[option.metavar]
        found += [
            (option, value, [*words_of(noun, verb), *before, f"{spelling}={value.removeprefix('=')}", *behind])
            for value in values
            if (name, spelling, value) not in NOT_WRONG
        ]
    return found


@pytest.mark.parametrize(("noun", "verb"), COMMANDS, ids=[" ".join(words_of(noun, verb)) for noun, verb in COMMANDS])
def test_a_wrong_value_is_one_line_and_exit_2(noun: Noun, verb: Verb, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the option or the value; nobody is asked, no engine is started, nothing goes to stdout."""
    for variable, value in {
        "EV_DATA_DIR": str(tmp_path / "data"),
        "EV_LISTEN": "127.0.0.1:0",
        "EV_CONFIG": str(tmp_path / "config.toml"),
        "EV_AUTOSTART": "0",
        "HOME": str(tmp_path),
    }.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.json").write_text('{"partitions": []}')
    monkeypatch.setattr(os, "execve", became_another)
    for option, value, line in lines(noun, verb):
        said: list[str] = []
        written: list[bytes] = []
        monkeypatch.setattr(output, "draw", said.append)
        monkeypatch.setattr(output, "write", written.append)
        monkeypatch.setattr(output, "colour", "auto")
        status = start.run(line)
        message = "".join(said)
        assert status == 2, f"ev {' '.join(line)}: {status}, {message}"
        assert message.count("\n") == 1, message
        assert any(part and part in message for part in (*option.spellings, value.removeprefix("="))), f"ev {' '.join(line)}: {message}"
        assert not written, line
        assert sorted(path.name for path in tmp_path.iterdir()) == ["plan.json"]


def became_another(*arguments: object) -> NoReturn:
    raise AssertionError(f"the process became another: {arguments[1]}")
