"""Seeded faults: each makes the engine break one promise, so that a torture is seen to notice.

A fault is a function in a module of this package, named `module.function`: it gets a Patches and replaces parts of ev in this process.
An engine with a fault is started by `python -m torture.faulty FAULT`; nothing of this is in the product.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

INHERITED = object()
Fault = Callable[["Patches"], None]


class Patches:
    """Replaces attributes and can put them back."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def put(self, owner: Any, name: str, value: Any) -> Any:
        """Replace an attribute of a class or module; returns what was there."""
        found = getattr(owner, name)  # what has been renamed fails here: a fault that changes nothing would prove nothing
        self._before.append((owner, name, owner.__dict__.get(name, INHERITED)))
        setattr(owner, name, value)
        return found

    def undo(self) -> None:
        while self._before:
            owner, name, before = self._before.pop()
            if before is INHERITED:
                delattr(owner, name)
            else:
                setattr(owner, name, before)


def fault(name: str) -> Fault:
    """The function of a fault `module.function`."""
    module, _, function = name.partition(".")
    found: Fault = getattr(importlib.import_module(f"torture.faults.{module}"), function)
    return found


def says(name: str) -> str:
    """What a fault does, in one line."""
    return (fault(name).__doc__ or "").strip().split("\n")[0]


@contextmanager
def seeded(name: str | None) -> Iterator[None]:
    """The fault, if one is named, while the block runs: for what is tortured in this process."""
    patches = Patches()
    if name:
        fault(name)(patches)
    try:
        yield
    finally:
        patches.undo()
