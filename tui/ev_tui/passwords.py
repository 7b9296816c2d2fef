"""Passwords of another context: they are asked for where they always are, on the terminal as it was before."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from ev_cli.failures import Failure

if TYPE_CHECKING:
    from ev_cli.session import Session
    from ev_tui.app import EvApp


def ask_outside(app: EvApp, session: Session) -> None:
    """Have what may ask a person for a password ask now, and not while the interface has the terminal."""
    from ev_cli.contexts import is_asked_once

    security = session.target.security
    sasl = None if security is None else security.sasl
    if sasl is not None and sasl.password is not None and is_asked_once(sasl.password):
        with app.outside():
            signal.signal(signal.SIGINT, signal.default_int_handler)  # until `outside` ends
            try:
                _ = session.security
            except KeyboardInterrupt:
                raise Failure("no password was given") from None
