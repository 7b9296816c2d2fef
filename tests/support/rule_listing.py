"""A plugin of pytest that writes down which tests show which rules: `-p support.rule_listing`, the file in EV_RULE_LISTING."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

import pytest

from support.rules import runs_against


def pytest_collection_finish(session: pytest.Session) -> None:
    found: dict[int, list[dict[str, Any]]] = {}
    for item in session.items:
        names = list(getattr(item, "fixturenames", ()))
        if isinstance(item, pytest.Function) and "Engine" in item.function.__code__.co_names:
            names.append("engine")  # started by the test itself
        line = {"test": item.nodeid, "fixtures": names, "against": runs_against(item)}
        for number in {number for mark in item.iter_markers("rule") for number in mark.args}:
            found.setdefault(number, []).append(line)
    pathlib.Path(os.environ["EV_RULE_LISTING"]).write_text(json.dumps(found))
