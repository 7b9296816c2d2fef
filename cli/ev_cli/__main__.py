"""Start: `ev …` and `python -m ev_cli …`.

The ordinary command line is parsed here with a generated table, which costs nothing; whatever the table does not know (help,
mistakes, clusters of short options) goes to Typer, which parses it again and is the only one that complains.
"""

from __future__ import annotations

import sys

from ev_cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    Option = tuple[str, str, Any]
    Command = tuple[str, tuple[tuple[str, int, bool], ...], dict[str, Option], dict[str, Any]]

# The options that may stand before the verb. A test holds this equal to the declarations.
GLOBAL_VALUES = frozenset(
    ("-b", "--bootstrap-server", "-C", "--context", "--data-dir", "--listen", "-F", "--config-file", "-X", "--set", "--timeout", "--color")
)
GLOBAL_FLAGS = frozenset(("--insecure", "-q", "--quiet", "-v", "--verbose", "-vv"))

NOUNS = {
    "topic": "topic",
    "topics": "topic",
    "group": "group",
    "groups": "group",
    "acl": "acl",
    "acls": "acl",
    "user": "user",
    "users": "user",
    "context": "context",
    "contexts": "context",
    "server": "server",
    "cluster": "cluster",
    "config": "config",
    "quota": "quota",
    "quotas": "quota",
    "txn": "txn",
    "txns": "txn",
    "reassign": "reassign",
    "token": "token",
    "tokens": "token",
    "log": "log",
    "bench": "bench",
}
VERBS = {"ls": "list", "rm": "delete"}

# The hidden option that takes the words of `-- CMD ARG…`, one by one, where a command has a handler.
HANDLER = "--handler"

# Options whose value may be left out, and what it then is.
BARE = {"--create": "--create=0", "--transaction": "--transaction=", "--watch": "--watch=2s"}


def main() -> NoReturn:
    """Run the command line and leave the process with its exit status."""
    output.occupy_closed_streams()
    arguments = sys.argv[1:]
    if arguments == ["--version"] or arguments == ["-V"]:
        arguments = ["version"]
    status = run(arguments)
    if status > 2:
        from ev_cli.ending import leave

        leave(status)
    import os

    os._exit(status)


def run(arguments: list[str]) -> int:
    words, rest = arranged(arguments)
    table = table_of(words[0]) if words else None
    if table is not None:
        command = table.get(words[1] if len(words) > 1 else "")
        if command is not None:
            if HANDLER in command[2] and "--" in rest:
                rest = with_handler(command, rest)
            given = parse(command, rest)
            if given is not None:
                from ev_cli.running import run_action

                try:
                    return run_action(command[0], given)
                except KeyboardInterrupt:
                    return 130
    return _unknown(arguments, words) or _typer([*words, *rest])


def _unknown(arguments: list[str], words: list[str]) -> int:
    """A word that is no command may be a plug-in's, which takes over this process. What comes back is the status of its failure, or 0."""
    if not words or table_of(words[0]) is not None:
        return 0
    try:
        from ev_cli import plugins

        plugin = plugins.find(arguments)
        if plugin is not None:
            plugin.run()
    except Exception as error:  # noqa: BLE001 - a person gets one line, never a traceback
        from ev_cli.ending import end_of

        return end_of(error, {})
    return 0


def arranged(arguments: list[str]) -> tuple[list[str], list[str]]:
    """(noun and verb, the rest): global options that stand before or between them go behind, aliases become names."""
    leading: list[str] = []
    words: list[str] = []
    position = 0
    count = len(arguments)
    while position < count:
        argument = arguments[position]
        if argument in GLOBAL_FLAGS or (argument[:2] == "--" and argument.partition("=")[0] in GLOBAL_VALUES and "=" in argument):
            leading.append(argument)
        elif argument in GLOBAL_VALUES and position + 1 < count:
            leading += arguments[position : position + 2]
            position += 1
        elif argument[:1] == "-":
            break
        elif not words:
            words.append(NOUNS.get(argument, argument))
            if argument not in NOUNS:
                position += 1
                break
            plural = argument != words[0]
            if plural and not _is_verb(words[0], arguments, position + 1):
                words.append("list")
                position += 1
                break
        else:
            words.append(VERBS.get(argument, argument))
            position += 1
            break
        position += 1
    if not words:
        leading = _about_colour(leading)  # nothing else could be about what is left, which gets the root's help
    return words, [*leading, *with_values(arguments[position:])]


def _about_colour(options: list[str]) -> list[str]:
    """--color and its value, as often as they stand there."""
    return [
        option
        for place, option in enumerate(options)
        if option.partition("=")[0] == "--color" or (place > 0 and options[place - 1] == "--color")
    ]


def with_values(arguments: list[str]) -> list[str]:
    """Options that stand alone get the value that they then have; a time behind --watch is its value."""
    found: list[str] = []
    for place, argument in enumerate(arguments):
        if argument == "--":
            return found + arguments[place:]
        if found and found[-1] == "--watch=2s" and argument[:1].isdigit() and argument[-1] in "smh":
            found[-1] = f"--watch={argument}"
        else:
            found.append(BARE.get(argument, argument))
    return found


def _is_verb(noun: str, arguments: list[str], position: int) -> bool:
    table = table_of(noun)
    return position < len(arguments) and table is not None and VERBS.get(arguments[position], arguments[position]) in table


def table_of(name: str) -> dict[str, Command] | None:
    """The generated parser table of a noun or verb, None when there is none of that name."""
    if not name.isidentifier():
        return None
    try:
        module = __import__(f"ev_cli.tables.{name}", fromlist=["TABLE"])
    except ModuleNotFoundError:
        return None
    table: dict[str, Command] = module.TABLE
    return table


def parse(command: Command, arguments: list[str]) -> dict[str, Any] | None:
    """The options and arguments by name, or None when Typer has to look at them."""
    _, positional, options, defaults = command
    given = {name: [] if default == [] else default for name, default in defaults.items()}
    said: set[str] = set()
    given["said"] = said
    words: list[str] = []
    position = 0
    count = len(arguments)
    while position < count:
        argument = arguments[position]
        position += 1
        if argument == "--":
            words += arguments[position:]
            break
        if argument[:1] != "-" or argument == "-":
            words.append(argument)
            continue
        if argument[:2] == "--":
            name, equals, value = argument.partition("=")
        else:
            name, value = argument[:2], argument[2:]
            equals = value
        option = options.get(name)
        if option is None:
            return None
        target, kind, constant = option
        said.add(target)
        if kind == "flag" or kind == "count":
            if equals:
                return None
            given[target] = given[target] + 1 if kind == "count" else constant
            continue
        if not equals:
            if position >= count:
                return None
            value = arguments[position]
            position += 1
        if kind == "list":
            given[target].append(value)
        elif kind == "int":
            try:
                given[target] = int(value)
            except ValueError:
                return None
        else:
            given[target] = value
    return given if _assign(positional, words, given) else None


def with_handler(command: Command, arguments: list[str]) -> list[str]:
    """The arguments with the words behind `--` as values of the hidden option, so that both parsers see where they begin."""
    options = command[2]
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        if argument == "--":
            return [*arguments[:position], *[f"{HANDLER}={word}" for word in arguments[position + 1 :]]]
        name = argument if argument[:2] == "--" else argument[:2]
        takes_value = name in options and options[name][1] not in ("flag", "count")
        joined = argument[:2] != "--" and len(argument) > 2
        position += 2 if argument[:1] == "-" and takes_value and not joined else 1
    return arguments


def _assign(positional: tuple[tuple[str, int, bool], ...], words: list[str], given: dict[str, Any]) -> bool:
    """Give the words to the arguments in order; the last one may take any number. False when they do not fit."""
    for name, places, required in positional:
        if places == 1:
            if required and not words:
                return False
            given[name] = words.pop(0) if words else None
        else:
            if required and not words:
                return False
            given[name] = words
            words = []
    return not words


def _typer(arguments: list[str]) -> int:
    """Typer's way: help, mistakes, and spellings that the tables do not know."""
    from ev_cli.ending import end_of

    try:
        from ev_cli import app

        return app.run(arguments)
    except Exception as error:  # noqa: BLE001 - help into a full or closed stdout ends in one line too
        return end_of(error, {})
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    main()
