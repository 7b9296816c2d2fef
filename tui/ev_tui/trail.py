"""The way through the screens: where one is, what was before, and where esc leads from there.

places      as browsers have it: [ and ] go through them, a new place cuts off what would have come
above       from what each place was opened; going up never ends in a circle
"""

from __future__ import annotations

from ev_tui.pages import Place

KEPT = 200


class Trail:
    """Places in the order in which they were come to."""

    def __init__(self) -> None:
        self._places: list[Place] = []
        self._at = -1
        self._above: dict[Place, Place] = {}

    @property
    def here(self) -> Place | None:
        return self._places[self._at] if self._places else None

    @property
    def before(self) -> Place | None:
        return self._places[self._at - 1] if self._at > 0 else None

    @property
    def above(self) -> Place | None:
        """Where esc leads from here; None at the top."""
        here = self.here
        return None if here is None else self._above.get(here)

    def go(self, place: Place, *, is_top: bool) -> None:
        """Be at this place, opened from where one was unless it is one of the `is_top` places."""
        here = self.here
        if here is not None and not is_top and place not in self._line_up(here):
            self._above[place] = here
        del self._places[self._at + 1 :]
        self._places = [*self._places, place][-KEPT:]
        self._at = len(self._places) - 1

    def step(self, count: int) -> Place | None:
        """Go so many places forth, or back when negative; None where there is none."""
        wanted = self._at + count
        if not 0 <= wanted < len(self._places):
            return None
        self._at = wanted
        return self._places[wanted]

    def _line_up(self, place: Place) -> list[Place]:
        """The place, and everything above it."""
        found = [place]
        while (above := self._above.get(found[-1])) is not None:
            found.append(above)
        return found
