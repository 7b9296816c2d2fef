"""The table of every list: ten thousand rows like ten, columns that give way, a cursor that stays on its row."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from textual.app import App, ComposeResult

from ev_tui.widgets.line_table import Column, LineTable, arranged, fitting, matcher
from support.terminal_ui import text_of

COLUMNS = (
    Column("NAME", 10, keep=0, grow=True),
    Column("COUNT", 6, right=True, keep=1, descending=True),
    Column("NOTE", 8, keep=2),
)


class Shown(App[None]):
    """A table alone."""

    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        super().__init__()
        self.rows = rows
        self.opened: list[Any] = []

    def compose(self) -> ComposeResult:
        self.table = LineTable(COLUMNS, empty="nothing at all")
        yield self.table

    def on_mount(self) -> None:
        self.table.put(self.rows)
        self.table.focus()

    def on_line_table_opened(self, event: LineTable.Opened) -> None:
        self.opened.append(event.key)

    def lines(self) -> list[str]:
        return [self.table.render_line(y).text.rstrip() for y in range(self.table.size.height)]


def test_keys_move_mark_sort_and_open() -> None:
    """What is put again keeps the cursor on its row and the marks on theirs."""

    async def run() -> None:
        app = Shown([("c", 3, "x"), ("a", 1, "y"), ("b", 2, None)])
        async with app.run_test(size=(60, 8)) as pilot:
            table = app.table
            assert app.lines()[:4] == [
                "   NAME↑                                   COUNT  NOTE",
                "▶  a                                           1  y",
                "   b                                           2  -",
                "   c                                           3  x",
            ]
            await pilot.press("j", "m")
            assert (table.current_key, table.chosen_keys) == ("c", ["b"])
            await pilot.press("s")
            assert [row[0] for row in table.view] == ["c", "b", "a"]
            assert table.order_text == "count ↓"
            await pilot.press("S")
            assert [row[0] for row in table.view] == ["a", "b", "c"]
            table.put([("c", 0, ""), ("d", 9, ""), ("b", 5, "")])
            assert (table.current_key, table.cursor, table.chosen_keys) == ("c", 0, ["b"])
            await pilot.press("enter", "G", "enter")
            await pilot.pause()
            assert app.opened == ["c", "d"]
            table.put([])
            assert app.lines()[2].strip() == "nothing at all"
            await pilot.press("enter", "j", "m")
            assert table.current_key is None

    asyncio.run(run())


def test_ten_thousand_rows_cost_like_ten() -> None:
    """Putting them and painting a screen of them is a matter of milliseconds; scrolling shows the last at once."""

    async def run() -> None:
        rows = [(f"topic-{number:05}", number, "note") for number in range(10_000)]
        app = Shown([])
        async with app.run_test(size=(140, 45)) as pilot:
            start = time.process_time()
            for _ in range(5):
                app.table.put(rows)
                app.lines()
            assert (time.process_time() - start) / 5 < 0.1
            await pilot.press("G")
            assert app.lines()[-1].split()[1] == "topic-09999"
            assert app.table.visible_keys[-1] == "topic-09999"
            assert len(app.table.visible_keys) == 44
            await pilot.press("pageup")
            assert app.table.current_key == "topic-09956"
            await pilot.press("k", "k", "m")
            await pilot.pause()
            seen = [line for line in text_of(app).splitlines() if line[:2].strip()]
            assert [line.split()[:2] for line in seen] == [["●", "topic-09954"], ["▶", "topic-09955"]]

    asyncio.run(run())


def test_clicks_choose_sort_and_open() -> None:
    """A click on a title sorts, on a row moves there, a second one opens it."""

    async def run() -> None:
        app = Shown([("a", 1, ""), ("b", 2, "")])
        async with app.run_test(size=(60, 8)) as pilot:
            await pilot.click(LineTable, offset=(44, 0))
            assert app.table.sort_column == 1
            await pilot.click(LineTable, offset=(5, 2))
            assert app.table.current_key == "a"
            await pilot.click(LineTable, offset=(5, 2), times=2)
            await pilot.pause()
            assert app.opened == ["a"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("width", "shown"),
    [(60, [(0, 40), (1, 6), (2, 8)]), (30, [(0, 10), (1, 6), (2, 8)]), (29, [(0, 19), (1, 6)]), (12, [(0, 10)]), (5, [(0, 3)])],
)
def test_columns_give_way_by_their_rank(width: int, shown: list[tuple[int, int]]) -> None:
    """The first that goes is the one with the highest number; the one that always stays takes what is left."""
    assert list(fitting(COLUMNS, width)) == shown


def test_what_nobody_knows_is_sorted_to_the_end() -> None:
    """Whichever way."""
    rows = [("a", None, ""), ("b", 1, ""), ("c", 2, "")]
    assert [row[0] for row in arranged(rows, COLUMNS, 1, False)] == ["c", "b", "a"]
    assert [row[0] for row in arranged(rows, COLUMNS, 1, True)] == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("text", "passes"),
    [("pay", ["pay", "Pay.v2"]), ("Pay", ["Pay.v2"]), ("!pay", ["orders"]), ("^o", ["orders"]), ("v2$", ["Pay.v2"]), ("[", []), ("!", 3)],
)
def test_a_filter_is_a_part_or_an_expression(text: str, passes: list[str] | int) -> None:
    """Small letters match both cases; an expression that is none is text."""
    names = ["pay", "Pay.v2", "orders"]
    matches = matcher(text)
    found = names if matches is None else [name for name in names if matches(name)]
    assert found == passes or len(found) == passes
