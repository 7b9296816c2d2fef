"""The screens that were opened: which one is seen, which are kept with what they show, and how one comes from one to another."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from ev_tui.pages import BY_NAME, Place
from ev_tui.trail import Trail

if TYPE_CHECKING:
    from ev_tui.app import EvApp
    from ev_tui.page import Page

KEPT = 24
"""Screens that keep their state for when one comes back to them."""


class Opened:
    """Those of one cluster after the other: no screen of one is seen at another."""

    def __init__(self, app: EvApp) -> None:
        self._app = app
        self._trail = Trail()
        self._pages: OrderedDict[str, Page] = OrderedDict()
        self._clusters = 0
        """How many clusters were looked at before this one."""

    @property
    def here(self) -> Place | None:
        return self._trail.here

    def go(self, place: Place) -> None:
        """To a screen, from where one is. Esc comes back from there unless it is a screen with a key."""
        if place != self._trail.here:
            self._trail.go(place, is_top=bool(BY_NAME[place.name].key))
            self._come_to(place)

    def step(self, count: int) -> None:
        """So many places forth in the history, or back."""
        place = self._trail.step(count)
        if place is not None:
            self._come_to(place)

    def back(self) -> None:
        """Between the last two screens and back again."""
        if self._trail.before is not None:
            self.go(self._trail.before)

    def up(self) -> bool:
        """Where this was opened from; False at the top."""
        above = self._trail.above
        if above is not None:
            self.go(above)
        return above is not None

    def begin_anew(self, first: Place) -> None:
        """Another cluster: what was opened is gone."""
        self._clusters += 1
        self._trail = Trail()
        old, self._pages = self._pages, OrderedDict()
        self.go(first)
        for key, page in old.items():
            self._app.uninstall_screen(key)
            page.remove()

    def _come_to(self, place: Place) -> None:
        app = self._app
        key = f"{self._clusters}\x1f{place.key}"
        page = self._pages.get(key)
        if page is None:
            page = self._pages[key] = BY_NAME[place.name].load()(place.about)
            app.install_screen(page, key)
        self._pages.move_to_end(key)
        if len(app.screen_stack) > 1:
            app.switch_screen(key)
        else:
            app.push_screen(key)
        self._forget_old(key)

    def _forget_old(self, current: str) -> None:
        for key in list(self._pages):
            if len(self._pages) <= KEPT:
                return
            page = self._pages[key]
            if key != current and page not in self._app.screen_stack:
                del self._pages[key]
                self._app.uninstall_screen(key)
                page.remove()
