"""The screens that the test with hostile bytes goes through: add a line for each screen, and for each dialog that shows text of others.

`keys` are pressed when the screen stands; `shows` is whether hostile text is on it then (a screen that shows none proves nothing).
"""

from __future__ import annotations

from dataclasses import dataclass

from support.hostile import HOSTILE

ABOUT = HOSTILE
"""A name for screens that are about something: Visit("topic", (ABOUT,))."""


@dataclass(frozen=True)
class Visit:
    name: str
    about: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    shows: bool = True


VISITS = (
    Visit("topics"),
    Visit("topics", keys=("s", "s", "m", "slash", "E", "V", "enter", "Y", "y")),
    Visit("topics", keys=("colon", "E", "V", "I", "L")),
    Visit("topics", keys=("at",), shows=False),
    Visit("tail"),
    Visit("tail", (ABOUT,)),
    Visit("tail", (ABOUT,), keys=("w", "g", "j", "h")),
    Visit("record", (ABOUT, "0", "1")),
    Visit("search", (ABOUT,)),
    Visit("groups", keys=("f", "b", "s", "s", "slash", "E", "V", "enter", "Y")),
    Visit("groups", keys=("D", "x", "enter")),
    Visit("group", (HOSTILE,), ("s", "t", "enter", "Y")),
    Visit("group", (HOSTILE,), ("m", "s", "space")),
    Visit("reset", (HOSTILE, f"{HOSTILE}/0"), ("right", "left", "tab", "x")),
    Visit("topics", keys=("e",)),
    Visit("topics", keys=("D", "x", "enter")),
    Visit("topics", keys=("m", "D")),
    Visit("topic", (HOSTILE,)),
    Visit("topic", (HOSTILE,), keys=("right",)),
    Visit("topic", (HOSTILE,), keys=("e",)),
    Visit("topic", (HOSTILE,), keys=("D", "x", "enter")),
    Visit("topic", (HOSTILE,), keys=("right",)),
    Visit("topic", (HOSTILE,), keys=("right",)),
    Visit("topic", (HOSTILE,), keys=("right",)),
    Visit("security"),
    Visit("security", keys=("n",)),
    Visit("security", keys=("D", "x", "enter")),
    Visit("security", keys=("right",)),
    Visit("security", keys=("e",)),
    Visit("security", keys=("D",)),
    Visit("security", keys=("right",)),
    Visit("security", keys=("e",)),
    Visit("security", keys=("D",)),
    Visit("contexts"),
    Visit("overview"),
    Visit("brokers"),
    Visit("alerts"),
    Visit("alerts", keys=("u",), shows=False),
)
