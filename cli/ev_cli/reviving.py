"""A local engine that dies while a command uses it is brought back by that command, once per back-off, and the command goes on.

An engine that was stopped took its engine.json with it: it stays stopped. One that was killed left it behind.
"""

from __future__ import annotations

import time

from ev_cli.failures import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev_cli.session import Session

SILENT_S = 0.5
"""How long nobody may be connected before we look: a connection that broke is usually there again at once."""
PAUSE_S, PAUSE_MAX_S = 1.0, 60.0


class Revival:
    """For one run. `look` is called while nobody is connected."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._silent_since_s: float | None = None
        self._pause_s = PAUSE_S
        self._not_before_s = 0.0

    def connected(self) -> None:
        """Somebody answers: there is nothing to do, and the next time it is tried at once."""
        self._silent_since_s = None
        if time.monotonic() > self._not_before_s:
            self._pause_s = PAUSE_S

    def look(self) -> str | None:
        """Bring the engine back if it has died and it is time; an address at which it can be found when that is a new one."""
        session = self._session
        if not session.target.is_local:
            return None
        now_s = time.monotonic()
        if self._silent_since_s is None:
            self._silent_since_s = now_s
        if now_s - self._silent_since_s < SILENT_S or now_s < self._not_before_s:
            return None
        self._not_before_s = now_s + self._pause_s
        self._pause_s = min(2 * self._pause_s, PAUSE_MAX_S)
        try:
            address = session.engine.revived()
        except Failure as failure:
            session.talk(failure.line())
            return None
        return address if address is not None and address != session.bootstrap else None
