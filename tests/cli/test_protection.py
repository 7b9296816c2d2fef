"""Contexts that are readonly or protected, and that no command forgets to ask them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ev_cli.protection import DESTROYS, EFFECTS, LOCAL, READS, WRITES
from generate.tree import nouns
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
    if verb.effect in (READS, LOCAL):
        seeds = {19} if verb.effect == LOCAL else set()
        assert not (reach.apis & CHANGING) - seeds, f"ev {name} says that it changes no cluster"
    if verb.effect == DESTROYS:
        assert "confirm" in reach.functions, f"ev {name} destroys, and never asks: see naming.confirm"
        assert any("--yes" in option.spellings for option in verb.options), f"ev {name} destroys, and has no --yes"


def test_what_is_reached_is_seen() -> None:
    """The search would find a command that lies: these do change something."""
    assert {20} <= Reach(COMMANDS["topic delete"].action).apis
    assert {19} <= Reach(COMMANDS["topic create"].action).apis
    assert {51} <= Reach(COMMANDS["user add"].action).apis
    assert not Reach(COMMANDS["topic list"].action).apis & CHANGING


def test_there_are_commands_of_every_kind() -> None:
    """Or the others would prove nothing."""
    assert {verb.effect for verb in COMMANDS.values()} == {READS, WRITES, DESTROYS, LOCAL}
    assert sum(verb.effect == DESTROYS for verb in COMMANDS.values()) > 3


@pytest.fixture
def prod(ev: CommandLine) -> Iterator[CommandLine]:
    """An engine with two topics, whose only name is the context prod; nothing else says where it is."""
    ev("produce", "t", data=b"x\n")
    ev("topic", "create", "u")
    kept = {name: ev.variables.pop(name) for name in ("EV_DATA_DIR", "EV_LISTEN")}
    ev.variables["EV_AUTOSTART"] = "0"
    yield ev
    ev.variables.update(kept)


def context(ev: CommandLine, text: str = "", *, current: bool = False) -> None:
    chosen = 'current = "prod"\n' if current else ""
    (ev.directory / "config.toml").write_text(f'{chosen}[contexts.prod]\nbootstrap = "{ev.address}"\n{text}\n')


def topics(ev: CommandLine) -> list[str]:
    return ev("-C", "prod", "topic", "list", "-o", "name").lines


def test_a_readonly_context_is_only_looked_at(prod: CommandLine) -> None:
    """What writes is refused with exit 2 before anybody is connected to; so is a group, whose offsets would be committed."""
    context(prod, "readonly = true")
    for command in (("produce", "t"), ("topic", "create", "v"), ("topic", "delete", "t", "-y"), ("consume", "t", "-g", "g", "-e")):
        done = prod("-C", "prod", *command, status=2, data=b"y\n")
        assert "readonly" in done.err
        assert str(prod.directory / "config.toml") in done.err
        assert len(done.err.splitlines()) == 1
    assert prod("-C", "prod", "consume", "t", "-e").out == b"x\n"
    assert topics(prod) == ["t", "u"]
    prod("-C", "prod", "topic", "delete", "t", "--dry-run")


def test_a_readonly_context_may_be_copied_from(prod: CommandLine) -> None:
    """Into another one, and without a group, whose offsets would be committed there; never into it."""
    path = prod.directory / "config.toml"
    path.write_text(f'[contexts.prod]\nbootstrap = "{prod.address}"\nreadonly = true\n[contexts.test]\nbootstrap = "{prod.address}"\n')
    prod("copy", "prod/t", "test/u", "-e")
    assert prod("-C", "test", "consume", "u", "-e").out == b"x\n"
    for places in (("test/t", "prod/u"), ("prod/t", "prod/u"), ("prod/t", "test/u", "-g", "g")):
        assert "readonly" in prod("copy", *places, "-e", status=2).err


def test_a_protected_context_wants_its_name(prod: CommandLine) -> None:
    """Before something is lost: typed at the terminal, or -y with -C. Reading and adding go on as everywhere."""
    context(prod, "protected = true", current=True)
    prod("produce", "t", data=b"y\n")
    assert "-y -C prod" in prod("topic", "delete", "t", status=2).err
    assert "-y alone is not enough" in prod("topic", "delete", "t", "-y", status=2).err
    assert "-y alone" in prod("topic", "delete", "t", "-y", status=2, EV_CONTEXT="prod").err
    assert topics(prod) == ["t", "u"]
    for answer, status, left in (("y", 8, ["t", "u"]), ("prod", 0, ["u"])):
        terminal = prod.terminal("topic", "delete", "t")
        terminal.wait_for("type its name")
        terminal.type(f"{answer}\n")
        assert terminal.wait() == status, terminal.seen
        terminal.close()
        assert topics(prod) == left
    prod("topic", "delete", "u", "-y", "-C", "prod")
    assert topics(prod) == []


def test_a_context_that_a_project_has_chosen_is_named_before_anything_is_written(prod: CommandLine) -> None:
    """On stderr, also with -q. Where it is protected, a project cannot choose it for what writes."""
    context(prod)
    (prod.directory / ".ev.toml").write_text('context = "prod"\n')
    assert prod.shell("ev topic list").err == ""
    said = prod.shell("ev produce t -q <<<y")
    assert said.status == 0
    assert "'prod'" in said.err
    assert ".ev.toml" in said.err
    context(prod, "protected = true")
    for command in ("ev produce t <<<y", "ev topic delete t -y"):
        refused = prod.shell(command)
        assert refused.status == 2
        assert "-C prod" in refused.err
    assert prod.shell("ev -C prod produce t <<<y").err == ""
    assert prod.shell("ev topic delete t -y -C prod").status == 0


def test_defaults_of_a_context_are_options_that_were_not_given(prod: CommandLine) -> None:
    """The command line comes before them, and the project's before the context's."""
    context(prod, '[contexts.prod.defaults]\noutput = "json"\nconsume.format = "%o:%v\\\\n"\ntopic.list.output = "name"\n', current=True)
    assert prod("topic", "list").lines == ["t", "u"]
    assert prod("topic", "list", "-o", "csv").lines[0].startswith("name,")
    assert prod("topic", "describe", "t").json["name"] == "t"
    assert prod("consume", "t", "-e").out == b"0:x\n"
    (prod.directory / ".ev.toml").write_text('[defaults]\nconsume.format = "%v;"\n')
    assert prod.shell("ev consume t -e").out == b"x;"
    assert prod.shell("ev consume t -e -f '%o'").out == b"0"


@pytest.mark.parametrize(
    ("defaults", "said"),
    [
        ('consume.fromat = "json"', "'format'"),
        ('consum.format = "json"', "'consume'"),
        ("consume.format = 1", "write a text"),
        ("consume.exit_at_end = 1", "true or false"),
        ("topic.delete.yes = true", "said each time"),
        ('consume.context = "x"', "said each time"),
    ],
)
def test_defaults_that_do_not_fit_are_a_usage_error(ev: CommandLine, defaults: str, said: str) -> None:
    """One line that names the place, the nearest name, or what to write."""
    (ev.directory / "config.toml").write_text(f'[contexts.prod]\nbootstrap = "127.0.0.1:1"\n[contexts.prod.defaults]\n{defaults}\n')
    command = ("topic", "delete", "t") if "delete" in defaults else ("consume", "t", "-e")
    done = ev("-C", "prod", *command, status=2)
    assert said in done.err
    assert "config.toml" in done.err


@pytest.mark.parametrize(("key", "near"), [("protect", "protected"), ("bootstraps", "bootstrap"), ("sals", "sasl"), ("colour", None)])
def test_an_unknown_key_of_a_context_names_the_nearest(ev: CommandLine, key: str, near: str | None) -> None:
    """A key that is misspelled would protect nothing."""
    (ev.directory / "config.toml").write_text(f'[contexts.prod]\nbootstrap = "127.0.0.1:1"\n{key} = true\n')
    done = ev("-C", "prod", "topic", "list", status=2)
    assert f"contexts.prod.{key}" in done.err
    assert (f"did you mean '{near}'?" if near else "there are bootstrap") in done.err
