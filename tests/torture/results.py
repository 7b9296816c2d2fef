"""The page of results: one JSON file per torture in docs/results/torture, and the table that is made of them."""

from __future__ import annotations

import datetime
import json
import pathlib
from typing import Any

from support.checkout import here
from support.engine import ROOT
from torture import names

DIRECTORY = ROOT / "docs" / "results" / "torture"
PAGE = DIRECTORY / "README.md"
COMMON = ("name", "seed", "quick", "ok", "injected", "ops_in_flight_at_fault", "took_s", "date", "commit", "machine", "skipped")


def keep(result: dict[str, Any]) -> pathlib.Path:
    """Write a result with date, commit and machine; the page is made anew."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    path = DIRECTORY / f"{result['name'].replace(' ', '-')}.json"
    path.write_text(json.dumps({**result, "date": datetime.datetime.now(datetime.UTC).date().isoformat(), **here()}, indent=1) + "\n")
    write_page()
    return path


def write_page() -> pathlib.Path:
    """The page, from what was kept."""
    found = [json.loads(path.read_text()) for path in sorted(DIRECTORY.glob("*.json"))]
    kept = {result["name"]: result for result in found}
    lines = [
        "# Results of the torture suite",
        "",
        "Written by `python -m tests.torture NAME --seed N --keep`; each line can be had again with its seed.",
        "",
    ]
    lines += [
        "| torture | what | ok | faults | in flight | figures | seed | took | date | commit |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in names.NAMES:
        result = kept.get(name)
        if result is None:
            lines.append(f"| {name} | {names.title(name)} | not run | | | | | | | |")
            continue
        figures = ", ".join(f"{key} {value}" for key, value in result.items() if key not in COMMON and isinstance(value, (int, float)))
        verdict = (
            f"skipped: {result['skipped']}"
            if "skipped" in result
            else ("yes" if result["ok"] else "**no**") + (" (quick)" if result["quick"] else "")
        )
        cells = [name, names.title(name), verdict, result["injected"], result["ops_in_flight_at_fault"], figures, result["seed"]]
        cells += [f"{result.get('took_s', 0)} s", result["date"], result["commit"]]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += ["", "## Seeded faults", "", "Each torture is run against engines with faults that it must catch.", ""]
    lines += ["| torture | caught | of | missed | commit |", "|---|---|---|---|---|"]
    for name in names.NAMES:
        if proof := kept.get(f"prove {name}"):
            missed = ", ".join(proof.get("missed", ())) or "none"
            lines.append(f"| {name} | {len(proof.get('caught', ()))} | {proof.get('faults', 0)} | {missed} | {proof['commit']} |")
    machines = sorted({result["machine"] for result in found})
    lines += ["", f"Machine: {'; '.join(machines)}." if machines else "Nothing was kept yet."]
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text("\n".join(lines) + "\n")
    return PAGE
