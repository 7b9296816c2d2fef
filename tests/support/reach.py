"""What a command can ask of a broker: the APIs that its action reaches, read from the source, without running it.

A name is followed to the function or class that it means, an attribute with the name of a method of Admin or Session to that method. So
more is found than can happen, and hardly less. `Session.producer` and `Session.consumer` are not looked into: they ask for leave
themselves.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import textwrap
from importlib import import_module
from types import FunctionType
from typing import Any

from ev.client.admin import Admin
from ev_cli.session import Session

FOLLOWED = ("ev_cli.", "ev.client.")
METHODS: dict[str, Any] = {
    name: method
    for owner in (*Admin.__mro__, Session)
    for name, method in vars(owner).items()
    if isinstance(method, FunctionType) and not name.startswith("_") and name not in ("producer", "consumer", "close")
}


class Reach:
    """Everything that an action may come to: `apis` by Kafka's numbers, `functions` by name."""

    def __init__(self, action: str) -> None:
        self.apis: set[int] = set()
        self.functions: set[str] = set()
        module, _, function = action.partition(":")
        waiting: list[Any] = [getattr(import_module(f"ev_cli.actions.{module}"), function)]
        seen: set[int] = set()
        while waiting:
            found = waiting.pop()
            if id(found) in seen:
                continue
            seen.add(id(found))
            home = getattr(found, "__module__", None) or ""
            if home.startswith("ev.wire.messages.k") and found.__name__.endswith("Request"):
                self.apis.add(int(home.rpartition(".k")[2].partition("_")[0]))
            elif home.startswith(FOLLOWED) and isinstance(found, FunctionType | type):
                self.functions.add(found.__name__)
                is_door = isinstance(found, type) and issubclass(found, (Session, Admin))
                waiting += named_in(vars(found).get("__init__") if is_door else found)


@functools.cache
def named_in(found: Any) -> list[Any]:
    """What a function or class names."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(found)))
    except (OSError, TypeError):
        return []
    around = vars(sys.modules[found.__module__])
    owner = around.get(found.__qualname__.partition(".")[0])
    named: list[Any] = []
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name):
                named.append(around.get(name))
            case ast.Attribute(value=ast.Name(id="self"), attr=name) if isinstance(owner, type):
                named.append(getattr(owner, name, None))
            case ast.Attribute(value=ast.Name(id="keyring")):
                pass
            case ast.Attribute(attr=name):
                named.append(METHODS.get(name))
            case ast.ImportFrom(module=str(module), names=names) if module.startswith(("ev.", "ev_cli.")):
                source = import_module(module)
                named += [getattr(source, alias.name, None) for alias in names]
    return [one for one in named if isinstance(one, FunctionType | type)]
