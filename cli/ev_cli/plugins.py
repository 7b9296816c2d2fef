"""Commands that others add: a program called ev-NAME on the PATH is `ev NAME`.

It never takes the place of a command of ev. It gets what stands behind its name, untouched, and finds the engine that was chosen before it
(`ev -C prod NAME`, or as for any command) in EV_BOOTSTRAP, KAFKA_BOOTSTRAP_SERVERS and EV_CONTEXT or EV_DATA_DIR.
"""

from __future__ import annotations

import os
import re
import shutil

from ev_cli.failures import Failure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from ev_cli.__main__ import Command

NOT_EXECUTABLE = 126
SELECTORS = ("EV_CONTEXT", "EV_BOOTSTRAP", "EV_DATA_DIR", "EV_LISTEN")
HELP = frozenset(("-h", "--help", "-V", "--version", "help"))


class Plugin:
    """One call of a plug-in: its program, the options before its name, and everything behind it."""

    def __init__(self, program: str, before: list[str], arguments: list[str]) -> None:
        self.program = program
        self.before = before
        self.arguments = arguments

    def run(self) -> NoReturn:
        """Become the program."""
        ours = self.variables()
        environ = {name: value for name, value in os.environ.items() if name not in SELECTORS} | ours
        try:
            os.execve(self.program, [self.program, *self.arguments], environ)
        except OSError as error:
            raise Failure(f"cannot run {self.program}: {error.strerror}", code=NOT_EXECUTABLE) from None

    def variables(self) -> dict[str, str]:
        """What tells the program which engine is meant. The local engine is started, unless it is only asked for help."""
        from ev_cli.session import Session

        options = _options(self.before)
        session = Session(options, effect="reads")
        found: dict[str, str] = {}
        if session.target.is_local:
            engine = session.engine
            found["EV_DATA_DIR"] = engine.data_dir
            is_wanted = not (set(self.arguments[:1]) & HELP) and os.environ.get("EV_AUTOSTART", "1").lower() not in (
                "0",
                "no",
                "false",
                "off",
            )
            address = engine.address_for_use() if is_wanted else engine.listening_address()
        else:
            address = session.bootstrap
            if session.target.place:
                found["EV_CONTEXT"] = session.target.name
        if address:
            found |= {"EV_BOOTSTRAP": address, "KAFKA_BOOTSTRAP_SERVERS": address}
        if options.config_file:
            found["EV_CONFIG"] = os.path.abspath(options.config_file)
        return found


def find(arguments: list[str]) -> Plugin | None:
    """The plug-in that a command line means, None when it means none."""
    from ev_cli.__main__ import GLOBAL_FLAGS, GLOBAL_VALUES
    from ev_cli.summaries import ALIASES, COMMANDS

    position = 0
    while position < len(arguments) and arguments[position][:1] == "-":
        word = arguments[position]
        if word in GLOBAL_VALUES:
            position += 2
        elif word in GLOBAL_FLAGS or (word.partition("=")[0] in GLOBAL_VALUES and "=" in word):
            position += 1
        else:
            return None
    if position >= len(arguments):
        return None
    name = arguments[position]
    if name in COMMANDS or name in ALIASES or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        return None
    program = shutil.which(f"ev-{name}")
    return None if program is None else Plugin(program, arguments[:position], arguments[position + 1 :])


def _options(before: list[str]) -> Any:
    """The global options that stand before the name."""
    from ev_cli.__main__ import parse, table_of
    from ev_cli.running import Options

    table = table_of("topic")
    assert table is not None
    action, _, options, defaults = table["list"]
    command: Command = (action, (), options, {**defaults, "command_name": "", "effect": "local"})
    given = parse(command, before)
    if given is None:
        raise UsageFailure(f"{' '.join(before)} is not understood", "`ev --help` shows the options that may stand before a command")
    return Options(given)
