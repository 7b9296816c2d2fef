"""The classes that applications use are typed and say what they do."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from ev.client import Admin, Consumer, Producer


@pytest.mark.parametrize("cls", [Admin, Consumer, Producer])
def test_every_public_call_has_a_docstring_and_types(cls: type) -> None:
    """Without them help() and an editor have nothing to show."""
    public: dict[str, Any] = {name: value for name, value in vars(cls).items() if not name.startswith("_")}
    calls: dict[str, Any] = {name: value.fget if isinstance(value, property) else value for name, value in public.items()}
    signatures = {name: inspect.signature(call) for name, call in calls.items()} | {"": inspect.signature(cls)}
    assert [name for name, call in calls.items() if not inspect.getdoc(call)] == []
    untyped = [
        f"{name}({parameter.name})"
        for name, signature in signatures.items()
        for parameter in signature.parameters.values()
        if parameter.name != "self" and parameter.annotation is parameter.empty
    ]
    assert untyped == []


@pytest.mark.parametrize("cls", [Consumer, Producer])
def test_every_option_is_explained(cls: type) -> None:
    """In the docstring of the class, by its name."""
    of_cluster = {"bootstrap", "client_id", "cluster_options", "open_transport", "check_crcs"}
    options = set(inspect.signature(cls).parameters) - of_cluster
    assert {option for option in options if option not in (inspect.getdoc(cls) or "")} == set()
