"""Where esc, [ and ] lead."""

from __future__ import annotations

from ev_tui.pages import Place
from ev_tui.trail import KEPT, Trail

TOPICS, ORDERS, BILLING = Place("topics"), Place("topic", ("orders",)), Place("group", ("billing",))


def test_the_history_goes_back_and_forth_and_a_new_place_cuts_it_off() -> None:
    """As in a browser."""
    trail = Trail()
    assert (trail.here, trail.before, trail.above, trail.step(-1)) == (None, None, None, None)
    trail.go(TOPICS, is_top=True)
    trail.go(ORDERS, is_top=False)
    assert (trail.here, trail.before) == (ORDERS, TOPICS)
    assert trail.step(-1) == TOPICS
    assert trail.step(-1) is None
    assert trail.step(1) == ORDERS
    trail.step(-1)
    trail.go(BILLING, is_top=False)
    assert trail.step(1) is None


def test_going_up_always_ends_at_the_top() -> None:
    """Also from a topic that was opened from a group that was opened from the topic."""
    trail = Trail()
    trail.go(TOPICS, is_top=True)
    for place in (ORDERS, BILLING, ORDERS, BILLING):
        trail.go(place, is_top=False)
    line = []
    while (above := trail.above) is not None:
        line.append(above)
        trail.go(above, is_top=above == TOPICS)
    assert line == [ORDERS, TOPICS]


def test_the_history_has_a_bound() -> None:
    """The newest places are kept."""
    trail = Trail()
    for number in range(KEPT * 2):
        trail.go(Place("topic", (str(number),)), is_top=True)
    steps = 0
    while trail.step(-1) is not None:
        steps += 1
    assert steps == KEPT - 1
