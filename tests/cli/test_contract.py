"""The contract of the command line (contract.toml) and --help-json say the same, both ways."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ev_cli.help_json import described
from generate import contract
from support.command_line import CommandLine


@pytest.fixture(scope="module")
def agreed() -> dict[str, Any]:
    return contract.contract()


def test_everything_promised_is_there_or_listed_as_missing(agreed: dict[str, Any]) -> None:
    """The list of what is missing shrinks only: what is built leaves it (python -m generate.contract), and nothing new goes in."""
    commands, flags = contract.lacking(agreed, contract.built())
    assert commands == agreed["missing"]["commands"]
    assert {name: " ".join(missing) for name, missing in flags.items()} == agreed["missing"]["flags"]


def test_everything_that_is_there_was_promised_or_is_listed(agreed: dict[str, Any]) -> None:
    """A command or flag that nobody agreed on is seen by whoever reviews the list (python -m generate.contract)."""
    commands, flags = contract.unasked(agreed, contract.built())
    assert commands == agreed["beyond"]["commands"]
    assert {name: " ".join(more) for name, more in flags.items()} == agreed["beyond"]["flags"]


def test_the_exit_statuses_are_those_that_were_agreed(agreed: dict[str, Any]) -> None:
    """Of every promised command, no more and no fewer; what asks may be declined."""
    wrong = {}
    for name, leaf in contract.leaves().items():
        promised = agreed["commands"].get(name)
        if promised is None:
            continue
        engine = [] if promised.get("offline") else agreed["engine_exits"]
        wanted = {*agreed["exits"], *engine, *promised.get("exits", [])}
        asks = any(option["name"] == "yes" for option in leaf["options"])
        wanted = wanted | {8} if asks else wanted - {8}
        if set(leaf["exit_codes"]) != wanted:
            wrong[name] = (sorted(wanted), leaf["exit_codes"])
    assert wrong == {}


def test_the_keys_of_json_are_only_added_to(agreed: dict[str, Any]) -> None:
    """What a program may build on stays."""
    found = contract.leaves()
    for name, keys in agreed["keys"].items():
        assert set(keys.split()) <= set(found[name]["json_keys"]), name


def test_missing_never_grows() -> None:
    """Not even by running the generator: a flag that vanishes is a failure, not an entry."""
    agreed = contract.contract()
    agreed["commands"]["version"]["flags"] = "--no-such-flag"
    assert "--no-such-flag" not in contract.ending(agreed, contract.built())


def test_the_help_for_programs_is_one_object(ev: CommandLine) -> None:
    """At the root, at a noun, at a command; options may stand before it; no engine is started."""
    root = ev("--help-json").json
    assert root == described([])
    assert ev("topic", "--help-json").json == next(one for one in root["commands"] if one["name"] == "ev topic")
    leaf = ev("-b", "h:1", "topic", "ls", "--help-json").json
    assert leaf["name"] == "ev topic list"
    assert {"name", "spellings", "kind", "metavar", "help", "default", "hidden", "group"} == set(leaf["options"][0])
    assert {"name", "metavar", "help", "required", "repeatable"} == set(leaf["arguments"][0])
    assert ev("produce", "t", "-k", "x", "--help-json").json["name"] == "ev produce"
    assert not ev.data_dir.exists()


def test_the_help_for_programs_of_what_is_not_there(ev: CommandLine) -> None:
    """Is a usage error, as an object where JSON was asked for."""
    assert "nonsense" in ev("nonsense", "--help-json", status=2).err
    assert json.loads(ev("topic", "nonsense", "--help-json", "--json", status=2).err)["code"] == 2
