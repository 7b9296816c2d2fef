"""Values that go on in the next line: all of each is seen, the cursor stays on screen, and nothing is faster or slower for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from ev.wire.records import encode_batch
from ev_tui.harmless import safe
from ev_tui.records.ring import Origin, Ring
from ev_tui.widgets.cells import pieces_of, width_of
from ev_tui.widgets.tail import Tail, wrapped
from support.terminal_ui import SaidModel, check_screen, connected, run_app, text_of
from tui.test_records_as_text import HOSTILE, row
from tui.test_ring import as_fetched
from tui.test_tail_screens import settled, tail_page

SIZE = (80, 12)
ROOM = 11
"""Lines for records: the first is the header's."""


class Window(App[None]):
    def __init__(self, ring: Ring) -> None:
        super().__init__()
        self.tail = Tail(ring)

    def compose(self) -> ComposeResult:
        yield self.tail


def ring_of(*values: bytes) -> Ring:
    ring = Ring()
    for offset, value in enumerate(values):
        found = as_fetched(encode_batch([value], base_offset=offset), 0, -1, 0)
        ring.add(Origin(found), found)
    return ring


def in_window(ring: Ring, steps: Callable[[Tail, Pilot[Any]], Awaitable[None]]) -> None:
    async def run() -> None:
        app = Window(ring)
        async with app.run_test(size=SIZE) as pilot:
            await pilot.press("w")
            await steps(app.tail, pilot)

    asyncio.run(run())


def shown(tail: Tail) -> list[str]:
    """What stands in the column of values, line by line, below the header."""
    begin = tail.size.width - 1 - tail._value_room(tail.scrollable_content_region.width)
    return [line[begin:].rstrip(" ▁▂▃▄▅▆▇█▎") for line in text_of(tail.app).splitlines()[1:12]]


def test_all_of_a_value_is_seen() -> None:
    """Line after line; what is no longer there is one line again after the same key."""
    long = b"".join(b"%04d " % number for number in range(60))

    async def steps(tail: Tail, pilot: Pilot[Any]) -> None:
        assert "".join(shown(tail)).replace(" ", "").startswith("short" + long.decode().replace(" ", ""))
        await pilot.press("w")
        assert sum(bool(line) for line in shown(tail)) == 3

    in_window(ring_of(b"short", long, b"short again"), steps)


def test_it_follows_the_end_of_the_newest() -> None:
    """The last line of the newest record is the last one on screen."""

    async def steps(tail: Tail, pilot: Pilot[Any]) -> None:
        assert tail.following
        assert shown(tail)[-1].endswith("END")
        assert tail.new_below == 0

    in_window(ring_of(*[b"x" * 100] * 20, b"y" * 200 + b"END"), steps)


def test_the_cursor_stays_on_screen() -> None:
    """Wherever keys and wheel bring it: its record is wholly seen, or fills the window."""
    sizes = [(number * 37) % 400 for number in range(60)]

    async def steps(tail: Tail, pilot: Pilot[Any]) -> None:
        for key in [
            "g",
            *["j"] * 30,
            *["k"] * 12,
            "pagedown",
            "pagedown",
            "pageup",
            "ctrl+d",
            "ctrl+u",
            "G",
            "k",
            "g",
            "pagedown",
            "w",
            "w",
        ]:
            await pilot.press(key)
            if tail.following:
                continue
            tail.flush()
            assert tail.top <= tail.cursor <= tail.last_seen(tail.top), key
            assert any(line.startswith("▶") for line in text_of(tail.app).splitlines()), key
        for step in (-3, 3, 7, -20):
            before = tail.top
            tail._scroll_rows(step)
            assert tail.top != before
            assert tail.top <= tail.cursor <= tail.last_seen(tail.top)

    in_window(ring_of(*[b"v" * size for size in sizes]), steps)


def test_a_record_that_is_larger_than_the_window_says_that_it_goes_on() -> None:
    """The next key goes to the next record all the same."""

    async def steps(tail: Tail, pilot: Pilot[Any]) -> None:
        await pilot.press("g")
        assert shown(tail)[-1].endswith("…")
        await pilot.press("j")
        assert tail.cursor == 1

    in_window(ring_of(b"x" * 4000, b"next"), steps)


@given(st.text(max_size=300), st.integers(1, 40), st.integers(1, 12))
@settings(max_examples=200)
def test_lines_fit_and_lose_nothing(text: str, width: int, lines_max: int) -> None:
    """Unless there are more than there is room for; then that is seen."""
    whole = pieces_of(text, max(width, 2))
    assert "".join(whole) == text
    assert all(width_of(piece) <= max(width, 2) for piece in whole)
    pieces = wrapped(row(text.encode("utf-8", "replace")), width, lines_max)
    assert 1 <= len(pieces) <= lines_max
    assert all(safe(piece) == piece for piece in pieces)


def test_hostile_bytes_are_text_in_every_line() -> None:
    """The escape is cut like any other text, and is none."""
    assert all(piece.isprintable() for piece in wrapped(row(HOSTILE * 5), 7, 50))


@pytest.mark.parametrize("size", [(80, 24), (40, 10)], ids=["80x24", "40x10"])
def test_a_tail_with_wrapped_values(size: tuple[int, int]) -> None:
    """As it is seen."""

    async def steps(app: Any, pilot: Pilot[int]) -> None:
        page = await tail_page(app, pilot)
        await pilot.press("g", "j", "j", "w")
        await settled(page, pilot)
        check_screen(app, f"tail-wrapped-{size[0]}x{size[1]}", clock=True)

    run_app(steps, size, model=SaidModel(connected()))
