"""ev tui: is there a terminal, and which engine; then the interface, which is a package of its own."""

from __future__ import annotations

import os

from ev_cli import output
from ev_cli.failures import UsageFailure
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def tui(options: Any) -> int:
    session = Session(options)
    session.properties("consumer")  # what is wrong with them is said before the screen is taken
    need_terminal()
    from ev_tui.start import run

    return run(session, options)


def need_terminal() -> None:
    """Raise UsageFailure unless a person sits at a terminal that can be drawn on."""
    instead = "`ev top` shows the same as text, once or with --watch"
    for number, name in ((0, "stdin"), (1, "stdout")):
        if not output.is_terminal(number):
            raise UsageFailure(f"ev tui needs a terminal, and {name} is none", instead)
    if os.environ.get("TERM", "") in ("dumb", ""):
        raise UsageFailure("ev tui cannot draw on this terminal (TERM is dumb)", instead)
