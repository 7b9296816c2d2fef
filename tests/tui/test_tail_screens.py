"""Screens of records as they are seen: at several sizes, empty, in trouble, with bytes that are no text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from ev_tui.app import EvApp
from ev_tui.records.reader import Figures
from ev_tui.screens.diff import Diff
from ev_tui.screens.produce import ProduceDialog
from ev_tui.screens.record import RecordPage
from ev_tui.screens.saved_filters import SavedFilters
from ev_tui.screens.search import SearchPage
from ev_tui.screens.tail import TailPage
from support.flood import Flood
from support.terminal_ui import SaidModel, check_screen, connected, run_app, until
from tui.test_records_as_text import row

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40), (40, 10)], ids=["80x24", "120x40", "40x10"])
FIGURES = Figures(1_204_000, 311_000, 500, 211_000, 0, 47_100.0, 311.0, 0, 0, False, "", 3, 0)


def flooded(app: EvApp) -> Flood:
    flood = Flood(rate=10**9, partitions=3, records_max=500)
    app.session_for = lambda effect: flood  # type: ignore[method-assign, assignment, return-value]
    return flood


async def tail_page(app: EvApp, pilot: Pilot[int], figures: Figures = FIGURES) -> TailPage:
    """A tail of 500 records whose figures are these."""
    flooded(app)
    app.go("tail", "orders")
    await until(pilot, lambda: isinstance(app.page, TailPage) and len(app.page.ring) == 500)
    page = app.page
    assert isinstance(page, TailPage)
    assert page.reader is not None
    page.reader.stop()
    page.reader.figures = lambda now_s: figures  # type: ignore[method-assign]
    await pilot.pause()
    return page


def shown(steps: Callable[[EvApp, Pilot[int]], Any], size: tuple[int, int]) -> None:
    run_app(steps, size, model=SaidModel(connected()))


async def settled(page: TailPage, pilot: Pilot[int]) -> None:
    page.say()
    page.tail.flush()
    await pilot.pause()


@SIZES
def test_a_tail_that_follows(size: tuple[int, int]) -> None:
    """The newest records, what is read and matches, how far behind; columns give way where there is little room."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        page = await tail_page(app, pilot)
        page.where = "value.amount > 250 and key ~ '^k-'"
        await settled(page, pilot)
        check_screen(app, f"tail-{size[0]}x{size[1]}", clock=True)

    shown(steps, size)


def test_a_tail_that_is_paused() -> None:
    """A cursor, marks, what is new below, and that reading waits."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        page = await tail_page(app, pilot, FIGURES._replace(waits=True, behind=1_204_000, behind_ms=192_000, open_transactions=1))
        await pilot.press("g", "j", "m", "j", "m")
        await settled(page, pilot)
        check_screen(app, "tail-paused-120x40", clock=True)

    shown(steps, (120, 40))


def test_a_tail_in_trouble() -> None:
    """Who does not answer is said, and so is a filter that means nothing, while it is typed."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        page = await tail_page(app, pilot, FIGURES._replace(problem="prod does not answer; trying again", unreadable=12, behind=None))
        await settled(page, pilot)
        check_screen(app, "tail-lost-80x24", clock=True)
        await pilot.press("slash", "x", "y")
        await settled(page, pilot)
        check_screen(app, "tail-wrong-filter-80x24", clock=True)

    shown(steps, (80, 24))


def test_one_screen_at_a_time_has_many_records() -> None:
    """Who is left for another tail lets its records go, and reads them again when one comes back."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        flood = Flood(rate=10**9, partitions=3, records_max=10_000)
        app.session_for = lambda effect: flood  # type: ignore[method-assign, assignment, return-value]
        app.go("tail", "orders")
        await until(pilot, lambda: isinstance(app.page, TailPage) and len(app.page.ring) == 10_000)
        first = app.page
        assert isinstance(first, TailPage)
        app.go("tail", "others")
        await until(pilot, lambda: isinstance(app.page, TailPage) and app.page is not first and len(app.page.ring) == 10_000)
        await until(pilot, lambda: len(first.ring) == 0)
        app.go("tail", "orders")
        await until(pilot, lambda: app.page is first and first._note.startswith("begun anew"))

    shown(steps, (80, 24))


def test_a_tail_without_records() -> None:
    """It says what to press."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        page = await tail_page(app, pilot, Figures(0, 0, 0, 0, 0, 0.0, 0.0, 0, 0, False, "", 3, 0))
        page.ring.clear()
        await settled(page, pilot)
        check_screen(app, "tail-empty-80x24", clock=True)

    shown(steps, (80, 24))


JSON = b'{"order_id":128812,"items":[{"sku":"A-1"}],"note":"\\u001b[31m"}'
BYTES = b"\x00\x00\x00\x00\x29\x02\xff\x80"


@pytest.mark.parametrize(("name", "value"), [("json", JSON), ("bytes", BYTES)], ids=["json", "bytes"])
def test_a_record(name: str, value: bytes) -> None:
    """Laid out where it is JSON, as bytes where it is nothing that we know; what was tried stands there."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        flooded(app)
        app.go("record", "orders", "3", "7")
        page = app.page
        assert isinstance(page, RecordPage)
        page.row = row(value, b"eu-9931", (("trace", b"abc"), ("empty", None)), topic="orders")
        page._is_looking = True
        await until(pilot, lambda: page.is_current and page.query("Said"))
        for tab in ("value", "key", "headers", "hex", "batch"):
            page._draw()
            await pilot.pause()
            if name == "json" or tab == "value":
                check_screen(app, f"record-{name}-{tab}-80x24", clock=True, masks=((r"T\d\d:\d\d:\d\d[^ ]* ", "T… "),))
            await pilot.press("tab")

    shown(steps, (80, 24))


def test_windows_over_records() -> None:
    """What differs, what can be copied, a record to send, and filters that have a name."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        one, other = row(b'{"id":1,"same":true}', b"k1", topic="orders"), row(b'{"id":2,"same":true}', b"k1", topic="orders")
        for name, screen in (
            ("diff", Diff(one, other)),
            ("produce", ProduceDialog("orders", row(b'{"id":1}', b"it's", (("h", b"x y"),), topic="orders"))),
            ("produce-bytes", ProduceDialog("orders", row(b"\xff\xfe", None, topic="orders"))),
            ("saved-filters", SavedFilters("value.a > 1", None)),
        ):
            app.push_screen(screen)
            await pilot.pause()
            await until(pilot, lambda screen=screen: screen.is_current)  # type: ignore[misc]
            app.set_focus(None)
            await pilot.pause()
            check_screen(app, f"{name}-80x24")
            app.pop_screen()
            await pilot.pause()

    shown(steps, (80, 24))


@SIZES
def test_a_search(size: tuple[int, int]) -> None:
    """How far it is, in each partition, and what it has found."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        flooded(app)
        app.go("search", "orders")
        page = app.page
        assert isinstance(page, SearchPage)
        await until(pilot, lambda: page.is_current and page.query("Said"))
        page.where = "value.order_id == 128812"
        page._close_question()
        await pilot.pause()
        check_screen(app, f"search-{size[0]}x{size[1]}", clock=True)

    shown(steps, size)
