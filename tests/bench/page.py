"""The page of the benchmark book: a table and a plot for each group, made from the newest results that were kept."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from bench import kept, plot
from bench.names import GROUPS
from bench.plot import shown

INTRODUCTION = """\
# The benchmark book

Written by `python -m tests.bench NAME --keep`, made anew from the kept results by `python -m tests.bench page`. Every figure can be had
again with one command: that of its group.

Whoever is compared was measured in turn within one run; a value is the median of its rounds, behind it the least and the most. Machines
are noisy and differ: read ratios. *Of the machine* is the share of what this machine can do at most, measured in the same run: records that
are written against one sequential write, records that are read against a copy over loopback, requests that are each on disk before they
are answered against writes that are synced one by one (times the clients that wait for theirs). Where nothing was promised, nothing is
said to be kept.
"""


def write(directory: pathlib.Path = kept.DIRECTORY) -> pathlib.Path:
    """The page and the plots, from what was kept."""
    results = kept.newest(kept.all_kept(directory))
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("*.svg"):
        old.unlink()
    lines = [INTRODUCTION]
    for name, group in GROUPS.items():
        lines += chapter(name, group.title, results.get(name))
        if (result := results.get(name)) is not None:
            (directory / f"{name}.svg").write_text(drawn(group.title, result["rows"]))
    path = directory / "README.md"
    path.write_text("\n".join(lines))
    return path


def drawn(title: str, rows: Sequence[dict[str, Any]]) -> str:
    growing = [row for row in rows if row.get("points")]
    return plot.curves(plain(title), growing) if growing else plot.bars(plain(title), rows)


def plain(title: str) -> str:
    return title.replace("`", "")


def chapter(name: str, title: str, result: Mapping[str, Any] | None) -> list[str]:
    """One group: where it was measured, its table, its plot."""
    lines = [f"## {name}", "", f"{title}: `python -m tests.bench {name}`.", ""]
    if result is None:
        return [*lines, "Not kept yet.", ""]
    kind = "a quick run, " if result["quick"] else ""
    lines.append(f"{result['date'][:10]}, {kind}commit {result['commit']}, {result['machine']}, load before it {result['load_before']:g}.")
    if note := result.get("note"):
        lines.append(f"**{note}**")
    lines += ["", "| figure | unit | measured | ratio | asked for | of the machine |", "|---|---|---|---|---|---|"]
    lines += [table_row(row) for row in result["rows"]]
    settings = {who: how for row in result["rows"] for who, how in row.get("settings", {}).items()}
    lines += ["", *([f"- {who}: {how}" for who, how in settings.items()] or [f"{result['durability']}."])]
    if result["left_out"]:
        lines += ["", f"Left out: {'; '.join(result['left_out'])}."]
    return [*lines, "", f"![{plain(title)}]({name}.svg)", ""]


def table_row(row: Mapping[str, Any]) -> str:
    measured = "<br>".join(value_of(who, row["medians"][who], samples) for who, samples in row["samples"].items())
    ratio = f"{row['ratio']:.3g} x {row['peer']}" if row.get("ratio") is not None else ""
    share = f"{shown(row['machine_percent'])} % of {row['machine_limit']}" if "machine_percent" in row else ""
    cells = [row["figure"], row["unit"], measured, ratio, asked_for(row), share]
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", "\\n") for cell in cells) + " |"


def value_of(who: str, median: float, samples: Sequence[float]) -> str:
    spread = f" ({shown(min(samples))} to {shown(max(samples))})" if len(samples) > 1 else ""
    return f"{who} **{shown(median)}**{spread}"


def asked_for(row: Mapping[str, Any]) -> str:
    """What must be and what should be reached, and whether it was."""
    told = []
    for wish in ("must", "reach"):
        if wish in row:
            verdict = {True: "kept", False: "**not kept**", None: "not compared"}[row.get(f"{wish}_met")]
            told.append(f"{wish} {row[wish].replace('<', '&lt;')}: {verdict}")
    return "<br>".join(told)
