"""Nouns and verbs whose modules are imported when they run, not when they are listed.

Running, help and completion all go through make_context, so that is where the real command is loaded and takes over. The root's
help needs only the name and the one line that stand here.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command


class LazyCommand(TyperGroup):
    """Stands in for one command module."""

    def __init__(self, name: str, module: str, summary: str, hidden: bool) -> None:
        super().__init__(name=name, help=summary, hidden=hidden)
        self._module = module

    def load(self) -> Any:
        """The command as its module declares it: a group for a noun, the command itself for a verb of its own."""
        command = get_command(import_module(self._module).app)
        command.name = self.name
        return command

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        return self.load().make_context(*args, **kwargs)


def lazy_group(package: str, commands: Mapping[str, str], aliases: Mapping[str, str]) -> type[TyperGroup]:
    """A group class whose commands are the modules of a package."""

    class Commands(TyperGroup):
        def list_commands(self, ctx: Any) -> list[str]:
            return [*commands]

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            name = aliases.get(cmd_name, cmd_name)
            if name not in commands:
                return None
            return LazyCommand(cmd_name, f"{package}.{name}", commands[name], cmd_name in aliases)

    return Commands
