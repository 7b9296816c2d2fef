"""Whether the reader of an empty pipe waits for more: then it has done everything, although it has not come back."""

from __future__ import annotations

import time

from ev_cli.pipe import PARKED, UNKNOWN, Readers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev_cli.feed import Feed

PAUSE_MS, PAUSE_MAX_MS = 100, 2000
"""How often /proc is looked through at the most: a look costs milliseconds. Less and less often while it shows nothing."""
OPAQUE_MS = 500
"""A reader of which nothing can be seen for this long will not show anything later either."""


class Proof:
    """Looks at the readers of a feed's pipe."""

    def __init__(self, feed: Feed, descriptor: int) -> None:
        self.readers = Readers(descriptor)
        self._feed = feed
        self._looked_s = 0.0
        self._pause_ms = PAUSE_MS
        self._seen = 0
        """How many bytes the reader had taken when /proc was last looked through."""
        self._opaque_since_s: float | None = None

    def look(self, pause_ms: int | None = None) -> bool:
        """When everything was taken and not all of it is known to be done: settle it if the reader waits. Whether /proc was looked at.

        It is looked at again only after a pause.
        """
        feed = self._feed
        if feed.taken != self._seen:
            self._seen, self._pause_ms, self._opaque_since_s = feed.taken, PAUSE_MS, None
        now_s = time.monotonic()
        if not feed.all_taken or not feed.ledger.unsettled or now_s - self._looked_s < (pause_ms or self._pause_ms) / 1000:
            return False
        self._looked_s = now_s
        verdict = self.readers.state()
        feed.look()
        if verdict == PARKED and feed.all_taken:
            feed.settle_all()
        if verdict != UNKNOWN:
            self._opaque_since_s = None
        else:
            self._opaque_since_s = self._opaque_since_s or now_s
            self._pause_ms = min(2 * self._pause_ms, PAUSE_MAX_MS)
        return True

    @property
    def is_opaque(self) -> bool:
        """Everything was taken long ago, and nobody can see whether it is done."""
        return self._opaque_since_s is not None and time.monotonic() - self._opaque_since_s > OPAQUE_MS / 1000

    def wait(self, limit_ms: int) -> None:
        """For at most that long, until everything that was written is known to be done."""
        until = time.monotonic() + limit_ms / 1000
        while self._feed.ledger.unsettled and time.monotonic() < until:
            self._feed.push(PAUSE_MS // 5)
            if not self.look(PAUSE_MS // 2):
                time.sleep(PAUSE_MS / 5000)
