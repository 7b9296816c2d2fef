"""Contexts that are readonly or protected, and that no command forgets to ask them."""

from __future__ import annotations

import pathlib

import pytest

from ev_cli.protection import DESTROYS, EFFECTS, LOCAL, READS, WRITES
from generate.tree import Verb, nouns
from support.command_line import CommandLine
from support.reach import Reach

COMMANDS = {f"{noun.name} {verb.name}".strip(): verb for noun in nouns() for verb in noun.verbs}

# Kafka's numbers of the APIs that change what a cluster holds or how it works. Members of groups come and go by themselves.
CHANGING = frozenset(
    {0, 8, 19, 20, 21, 22, 24, 25, 26, 27, 28, 30, 31, 33, 34, 37, 38, 39, 40, 42, 43, 44, 45, 47, 49, 51, 57, 64, 80, 81, 91, 92}
)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_does_what_it_says(name: str) -> None:
    """Its declaration has an `effect`. What only reads or stays here reaches no API that changes something; what destroys asks before."""
    verb = COMMANDS[name]
    assert verb.effect in EFFECTS, f"declare(…, effect=…) of ev {name}: one of {', '.join(EFFECTS)}, see ev_cli/protection.py"
    reach = Reach(verb.action)
    if verb.effect == READS:
        assert not reach.apis & CHANGING, f"ev {name} says that it only reads"
    if verb.effect == DESTROYS:
        assert "confirm" in reach.functions, f"ev {name} destroys, and never asks: see naming.confirm"
        assert any("--yes" in option.spellings for option in verb.options), f"ev {name} destroys, and has no --yes"


def test_what_is_reached_is_seen() -> None:
    """The search would find a command that lies: these do change something."""
    assert {20} <= Reach("topic:delete_topics").apis
    assert {0} <= Reach("produce:produce").apis
    assert {51} <= Reach("user:add_user").apis
    assert not Reach("topic:list_topics").apis & CHANGING


def destroying() -> list[Verb]:
    return [verb for verb in COMMANDS.values() if verb.effect == DESTROYS]


def test_there_are_commands_of_every_kind() -> None:
    """Or the others would prove nothing."""
    assert {verb.effect for verb in COMMANDS.values()} == {READS, WRITES, DESTROYS, LOCAL}
    assert len(destroying()) > 3


@pytest.fixture
def prod(ev: CommandLine) -> CommandLine:
    """An engine with a topic, which a context calls prod; nothing else says where it is."""
    ev("produce", "t", data=b"x\n")
    ev("group", "list")
    ev.variables["EV_DATA_DIR_KEPT"] = ev.variables.pop("EV_DATA_DIR")
    del ev.variables["EV_LISTEN"]
    return ev


@pytest.fixture(autouse=True)
def restore(ev: CommandLine) -> None:
    """The engine is ended by its directory."""


def context(ev: CommandLine, text: str) -> pathlib.Path:
    path = ev.directory / "config.toml"
    path.write_text(f'[contexts.prod]\nbootstrap = "{ev.address}"\n{text}\n')
    return path
