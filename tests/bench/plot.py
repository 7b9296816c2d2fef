"""Plots as SVG text: bars for what was measured side by side, lines for what grows. They carry their ground and both palettes with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

WIDTH, PAD = 960, 24
LABELS, BAR_END = 200, 610
ROW, TITLE = 19, 34
PANEL = 150

STYLE = """
.ground { fill: #121212; stroke: #292929 } .text { fill: #e0e0e0 } .dim { fill: #9aa0a6 } .own { fill: #8ad4a1 } .other { fill: #4f6f8f }
.spread { stroke: #e0e0e0 } .grid { stroke: #333a40 } .line { stroke: #8ad4a1; fill: none } .second { stroke: #8fb4dc; fill: none }
.most { stroke: #ffc473; fill: none; stroke-dasharray: 5 4 }
text { font-family: Fira Code, ui-monospace, monospace; font-size: 13px }
.head { font: bold 16px arial, sans-serif } .end { text-anchor: end }
.bold { font-weight: bold }
@media (prefers-color-scheme: light) {
.ground { fill: #fafafa; stroke: #d0d4d8 } .text { fill: #1a1a1a } .dim { fill: #5f6368 } .own { fill: #2e9e5e } .other { fill: #a9bfd4 }
.spread { stroke: #1a1a1a } .grid { stroke: #d8dde2 } .line { stroke: #1f8a4c } .second { stroke: #2f6fb0 } .most { stroke: #9a5b00 }
}
"""


def shown(value: float) -> str:
    """A number as people read it: three digits, thousands as k, millions as M."""
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == ' k' else size):.3g}{letter}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def text(x: float, y: float, what: str, classes: str = "text") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{classes}">{escape(what)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, classes: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{classes}"/>'


def picture(title: str, height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}" role="img">'
    ground = f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1:.0f}" rx="8" class="ground"/>'
    lines = [head, f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", ground, text(PAD, 30, title, "text head"), *parts]
    return "\n".join([*lines, "</svg>"]) + "\n"


def bars(title: str, rows: Sequence[dict[str, Any]]) -> str:
    """One block for each row: a bar for each of those who were measured, its length the median, a thin line from the least to the most."""
    parts, y = [], 48.0
    for row in rows:
        y += TITLE
        good = "less is better" if row.get("small_is_good") else ""
        parts += [text(PAD, y - 12, row["figure"], "text bold"), text(WIDTH - PAD, y - 12, good, "dim end")]
        longest = max((max(values) for values in row["samples"].values()), default=0) or 1
        for number, (who, values) in enumerate(row["samples"].items()):
            parts += bar(y, who, values, row["medians"][who], longest, number == 0, said_of(row, who))
            y += ROW
    return picture(title, y + PAD, parts)


def bar(y: float, who: str, values: Sequence[float], median: float, longest: float, own: bool, said: str) -> list[str]:
    reach = BAR_END - LABELS
    middle, least, most = (LABELS + reach * value / longest for value in (median, min(values), max(values)))
    box = f'<rect x="{LABELS}" y="{y:.1f}" width="{max(middle - LABELS, 1):.1f}" height="{ROW - 6}" class="{"own" if own else "other"}"/>'
    spread = line(least, y + ROW / 2 - 3, most, y + ROW / 2 - 3, "spread")
    return [text(LABELS - 10, y + 11, who, "text end"), box, spread, text(max(middle, most) + 8, y + 11, said, "dim")]


def said_of(row: dict[str, Any], who: str) -> str:
    """The value with its unit, and how much of the machine it is."""
    said = f"{shown(row['medians'][who])} {row['unit']}"
    if "machine_percent" in row and who == next(iter(row["samples"])):
        said += f", {shown(row['machine_percent'])} % of the machine"
    return said


def curves(title: str, rows: Sequence[dict[str, Any]]) -> str:
    """One panel for each row with points: the cost over how many there are (tenfold from mark to mark), against what was promised."""
    parts, y = [], 48.0
    for row in rows:
        y += TITLE
        promised = f"{row['medians']['ev']:.3g} x per tenfold, {row.get('must', '')} promised"
        parts += [text(PAD, y - 12, row["figure"], "text bold"), text(WIDTH - PAD, y - 12, promised, "dim end")]
        parts += panel(y, row["points"], float(str(row.get("must", "<= 1")).split()[-1]))
        y += PANEL
    return picture(title, y + PAD, parts)


def panel(top: float, points: Sequence[Sequence[float]], factor: float) -> list[str]:
    """Processor seconds for a million (drawn thick in the own colour), and the line that a growth by `factor` per tenfold would be."""
    left, right, bottom = 110.0, WIDTH - 190.0, top + PANEL - 44
    first, last = math.log10(points[0][0]), math.log10(points[-1][0])
    allowed = [(count, points[0][1] * factor ** (math.log10(count) - first)) for count, *_ in points]
    highest = 1.15 * max([point[1] for point in points] + [cost for _, cost in allowed])

    def place(count: float, cost: float) -> tuple[float, float]:
        return left + (right - left) * (math.log10(count) - first) / (last - first), bottom - (bottom - top) * cost / highest

    parts = [line(left, bottom, right, bottom, "grid"), line(left, top, left, bottom, "grid")]
    parts += [text(left - 8, top + 10, f"{shown(highest)} s", "dim end"), text(left - 8, bottom, "0", "dim end")]
    drawn = [place(count, cost) for count, cost, *_ in points]
    parts.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*each) for each in allowed))}" class="most"/>')
    parts.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)}" class="line" stroke-width="2.5"/>')
    for (x, y), (count, cost, *_) in zip(drawn, points, strict=True):
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="own"/>', text(x - 14, bottom + 18, f"{count:,.0f}", "dim")]
        parts.append(text(x + 8, y + 18, f"{shown(cost)} s", "text"))
    return [*parts, text(right + 70, place(*allowed[-1])[1], "promised", "dim")]
