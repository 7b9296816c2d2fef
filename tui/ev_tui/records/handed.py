"""Records that one screen hands to the next one, so that what is on screen already need not be fetched again."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ev_tui.records.ring import Row

    Place = tuple[str, int, int]

KEPT = 16

_rows: OrderedDict[Place, Row] = OrderedDict()


def keep(row: Row) -> None:
    _rows[row.place] = row
    _rows.move_to_end(row.place)
    if len(_rows) > KEPT:
        _rows.popitem(last=False)


def take(place: Place) -> Row | None:
    """The record at this place if it was handed over; only once, because a topic of that name may be made anew."""
    return _rows.pop(place, None)
