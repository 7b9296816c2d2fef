"""Options from EV_<FLAG> variables, and properties of clients with -X."""

from __future__ import annotations

import pytest

from ev.settings import rows
from ev_cli import running, variables
from ev_cli.handler_processes import _OURS
from ev_cli.tree import nouns
from support.command_line import CommandLine

COMMANDS = [f"{noun.name} {verb.name}".strip() for noun in nouns() for verb in noun.verbs]


def test_a_variable_stands_for_an_option_that_is_not_given(one_engine: CommandLine) -> None:
    """The command line comes before it, also where it says what is the default; the project's and the context's defaults come behind."""
    ev = one_engine
    ev("topic", "create", "variables", "-p", "2")
    assert ev("topic", "list", "variables", EV_OUTPUT="json").json[0]["name"] == "variables"
    assert ev("topic", "list", "variables", "-o", "name", EV_OUTPUT="json").lines == ["variables"]
    assert ev("topic", "list", "variables", "--partitions", status=2, EV_OUTPUT="json").out == b""
    assert b"\x1b[" in ev("topic", "list", EV_COLOR="always", EV_OUTPUT="table").out
    assert ev("topic", "delete", "variables", EV_DRY_RUN="yes").err == ev("topic", "delete", "variables", "--dry-run").err
    assert "needs a yes" in ev("topic", "delete", "variables", status=2, EV_YES="1").err
    ev("produce", "variables", "-p", "1", data=b"a\nb\n", EV_KEY="k", EV_PARTITION="0", EV_COUNT="1", EV_TOPIC="other")
    assert ev("consume", "variables", "-e", "-f", "%p[%k]%v\\n", EV_NULL="1").out.count(b"[]") == 2
    assert ev("consume", "variables", "-e", "-p", "1", EV_FORMAT="%o\\n").lines == ["0", "1"]
    assert ev("consume", "variables", "-e", "-p", "1", "-J", "--fields", "v", EV_FORMAT="pretty").lines == [
        '{"value":"a"}',
        '{"value":"b"}',
    ]
    assert ev("topic", "list", "--verbose", EV_QUIET="1", EV_NOTHING="x").status == 0
    (ev.directory / "config.toml").write_text(f'[contexts.here]\nbootstrap = "{ev.address}"\ndefaults.output = "yaml"\n')
    try:
        assert ev("-C", "here", "topic", "list", "variables").out.startswith(b"- name:")
        assert ev("-C", "here", "topic", "list", "variables", EV_OUTPUT="name").lines == ["variables"]
        assert ev("-C", "here", "topic", "list", "variables", "-o", "name", EV_OUTPUT="csv").lines == ["variables"]
    finally:
        (ev.directory / "config.toml").unlink()


@pytest.mark.parametrize(
    ("arguments", "variable", "value", "said"),
    [
        (("topic", "list"), "EV_QUIET", "perhaps", "write 1 or 0"),
        (("topic", "list"), "EV_VERBOSE", "much", "write a number"),
        (("topic", "create", "t"), "EV_PARTITIONS", "many", "write a number"),
        (("topic", "list"), "EV_TIMEOUT", "soon", "EV_TIMEOUT says so"),
        (("topic", "list"), "EV_COLOR", "pink", "EV_COLOR says so"),
        (("topic", "list"), "EV_WATCH", "often", "EV_WATCH says so"),
        (("consume", "t"), "EV_IDLE", "long", "EV_IDLE says so"),
    ],
)
def test_a_variable_that_says_nothing_is_named(ev: CommandLine, arguments: tuple[str, ...], variable: str, value: str, said: str) -> None:
    """One line and exit status 2, and no engine is started."""
    ev.variables[variable] = value
    done = ev(*arguments, status=2)
    del ev.variables[variable]
    assert variable in done.err
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    assert not ev.data_dir.exists()


def test_no_variable_means_two_things() -> None:
    """What a handler is told of its record, and settings of the engine, are no options."""
    settings = {f"EV_{row.name.removeprefix('ev.').replace('.', '_').upper()}" for row in rows()}
    options = {name for command in COMMANDS for name in variables.options_of(command)}
    assert _OURS < running.NO_OPTIONS
    assert not settings & options
    assert {"EV_TIMEOUT", "EV_OUTPUT", "EV_EXIT_AT_END", "EV_MAX_MESSAGES"} <= options
    assert not options & {"EV_YES", "EV_HANDLER", "EV_DATA_DIR", "EV_SET"}


def test_properties_of_the_client(one_engine: CommandLine) -> None:
    """-X list shows them, for each command its own; what is none, or no number, is a usage error of every command."""
    ev = one_engine
    for arguments, name in (
        (("topic", "list"), "client.id"),
        (("doctor",), "default.api.timeout.ms"),
        (("consume", "t"), "session.timeout.ms"),
        (("produce",), "linger.ms"),
        (("server", "start"), "log.segment.bytes"),
    ):
        assert name in [line.split("\t")[0] for line in ev(*arguments, "-X", "list").lines]
    assert "session.timeout.ms" in ev("topic", "list", "-X", "session.timeout.ms=1", status=2).err
    assert "takes a number" in ev("produce", "t", "-X", "linger.ms=-1", status=2).err
    assert "takes a number" in ev("doctor", "-X", "request.timeout.ms=soon", status=2).err
    ev("doctor", "-q", "-X", "client.id=doctor", "-X", "request.timeout.ms=5000")
    assert ev("-b", "127.0.0.1:1", "topic", "list", "-X", "default.api.timeout.ms=10", status=4).err
