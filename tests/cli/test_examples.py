"""Every example of the manual runs, and every command has one: on an engine that examples.toml has put something into."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import subprocess
import tomllib
from typing import Any

import pytest

from generate.tree import Noun, Verb, nouns
from support.command_line import MODULE, CommandLine

EXPECTED: dict[str, Any] = tomllib.loads(pathlib.Path(__file__).with_name("examples.toml").read_text())
TREE = {noun.name: noun for noun in nouns()}


def test_every_command_has_an_example() -> None:
    """In its page; the list of those that have none shrinks only."""
    without = [f"{noun.name} {verb.name}".strip() for noun in TREE.values() for verb in noun.verbs if not verb.examples]
    assert set(without) <= set(EXPECTED["without_example"])


def writes_json(verb: Verb) -> bool:
    """Those that show things."""
    names = {option.name for option in verb.options}
    return "json" in names and "dry_run" not in names


def test_every_command_that_writes_json_says_its_keys() -> None:
    """In its page; the list of those that do not shrinks only."""
    without = [
        f"{noun.name} {verb.name}".strip() for noun in TREE.values() for verb in noun.verbs if writes_json(verb) and not verb.json_text
    ]
    assert set(without) <= set(EXPECTED["without_keys"])


def test_what_is_expected_is_expected_of_an_example() -> None:
    """Nothing in examples.toml is about an example that no page has."""
    examples = {example for noun in TREE.values() for verb in noun.verbs for example in verb.examples}
    assert set(EXPECTED["example"]) <= examples
    assert set(EXPECTED["seed"]) <= set(TREE)


@pytest.mark.parametrize("noun", [name for name, noun in TREE.items() if any(verb.examples for verb in noun.verbs)])
def test_the_examples_run(noun: str, ev: CommandLine) -> None:
    """In the order of the page: the exit status, what they show, the keys of the JSON that they write."""
    shop = Shop(ev)
    shop.prepare(EXPECTED["seed"].get(noun, ""))
    for verb in TREE[noun].verbs:
        for example in verb.examples:
            shop.run(TREE[noun], verb, example)


class Shop:
    """The directory and the engine that the examples work in."""

    def __init__(self, ev: CommandLine) -> None:
        self.ev = ev
        for name, text in EXPECTED["files"].items():
            path = ev.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            if text.startswith("#!"):
                path.chmod(0o755)

    def prepare(self, seed: str) -> None:
        if seed:
            done = self.ev.shell(f"set -e\n{seed}")
            assert done.status == 0, done

    def run(self, noun: Noun, verb: Verb, example: str) -> None:
        expected = EXPECTED["example"].get(example, {})
        if expected.get("skip"):
            return
        asks_for_json = bool(verb.json_text) and not any(mark in example for mark in ("|", ">", ";", " -o ", " -- "))
        command = f"{example} --json" if asks_for_json and "--json" not in example else example
        status, out, err = self._run(command, endless=expected.get("endless", False))
        assert status == expected.get("status", 0), (command, status, out, err)
        assert "Traceback" not in err, (command, err)
        if "stdout" in expected and not asks_for_json:
            assert out == expected["stdout"], command
        if asks_for_json:
            self._check_keys(command, verb, out, may_be_empty=expected.get("empty", False))

    def _check_keys(self, command: str, verb: Verb, out: str, *, may_be_empty: bool) -> None:
        """Objects that are written have the promised keys, and none that nothing is said about."""
        if not out.strip():
            return
        found = json.loads(out)
        rows = found if isinstance(found, list) else [found]
        assert rows or may_be_empty, f"{command}: nothing was shown, so that its keys could not be looked at"
        for row in rows:
            assert set(verb.json_keys) <= set(row), command
            assert set(row) <= set(re.findall(r"\w+", verb.json_text)), command

    def _run(self, command: str, *, endless: bool) -> tuple[int, str, str]:
        """The command in a shell. One without end is ended with Ctrl-C when it has shown something."""
        start = f'ev() {{ {" ".join(MODULE)} "$@"; }}\n'
        running = subprocess.Popen(
            ["bash", "-c", start + command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if endless else subprocess.PIPE,
            env=self.ev.variables,
            cwd=self.ev.directory,
            start_new_session=True,
        )
        first = ""
        if endless:
            assert running.stdout is not None
            first = os.read(running.stdout.fileno(), 65536).decode()
            os.killpg(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=60)
        status = 0 if endless and running.returncode in (0, 130, -signal.SIGINT) else running.returncode
        return status, first + out.decode(), (err or b"").decode()
