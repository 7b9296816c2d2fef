"""Results that are kept: one JSON file for each commit and group, `docs/results/bench/COMMIT/NAME.json`."""

from __future__ import annotations

import datetime
import json
import pathlib
from collections.abc import Iterable
from typing import Any

from support.engine import ROOT

DIRECTORY = ROOT / "docs" / "results" / "bench"


def keep(result: dict[str, Any], directory: pathlib.Path = DIRECTORY) -> pathlib.Path:
    """Write a result with the time of now; an older one of the same commit and group is replaced."""
    path = directory / str(result["commit"]) / f"{result['name']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    path.write_text(json.dumps({"date": date, **result}, indent=1) + "\n")
    return path


def all_kept(directory: pathlib.Path = DIRECTORY) -> list[dict[str, Any]]:
    """Everything that was kept, the oldest first."""
    found = [json.loads(path.read_text()) for path in directory.glob("*/*.json")]
    return sorted(found, key=lambda result: (result["date"], result["name"]))


def newest(results: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By group the result that counts: the last whole one, or the last quick one where there is no other."""
    chosen: dict[str, dict[str, Any]] = {}
    for result in results:
        before = chosen.get(result["name"])
        if before is None or before["quick"] or not result["quick"]:
            chosen[result["name"]] = result
    return chosen
