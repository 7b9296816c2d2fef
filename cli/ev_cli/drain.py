"""Into a pipe, as a member of a group on Linux: what its reader has handled is committed, never what was merely written.

While records flow, the reader shows how far it is by coming back for more (`feed`). At the end of what there is nothing more comes for
which it could come back; then /proc shows whether it waits (`proof`). Where that cannot be seen (another user's process, one with threads,
a loop over many descriptors) the tail is committed at a clean end when the pipe is empty, or with --commit proven not at all.
"""

from __future__ import annotations

import time

from ev_cli import output
from ev_cli.commit import INTERVAL_MS, PROVEN
from ev_cli.failures import StdoutClosed
from ev_cli.feed import Feed
from ev_cli.formats import filled
from ev_cli.ledger import next_offset_after, stretch_of
from ev_cli.proof import PAUSE_MS, Proof
from ev_cli.sink import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ev.client.fetched import FetchedBatch
    from ev_cli.formats import Renderer
    from ev_cli.session import Session

    Partition = tuple[str, int]

TURN_MS = 100
HURRY_MS = 1000
"""How long a group is kept waiting, so that what lies in the pipe can be handled before its partitions go to others."""
STOP_MS = 1000
"""How long a signal lets us wait for a proof."""
QUEUE_BYTES = 1 << 20


class Drained(Sink):
    """Stdout is a pipe of which we see how far its reader is."""

    poll_bytes_max = QUEUE_BYTES

    def __init__(self, renderer: Renderer, left: int | None, session: Session, mode: str, max_stall_ms: int) -> None:
        super().__init__(renderer, left)
        self._session = session
        self._mode = mode
        self._max_stall_ms = max_stall_ms
        self._feed = Feed(1, 1, output.write_some)
        self._proof = Proof(self._feed, 1)
        self._next_commit_ms = 0
        self._stopped_s: float | None = None
        self._told = False
        self._stages_told = False

    def add(self, batch: FetchedBatch, end: int | None) -> None:
        partition = (batch.topic, batch.partition)
        pieces = filled(self.wanted(batch, end), self.renderer.null)
        if pieces or not len(batch):
            offsets = batch.columns.offsets
            following = next_offset_after(offsets, len(pieces), batch.next_offset)
            self._feed.put(stretch_of(partition, pieces, self.renderer.delimiter, offsets, following))

    @property
    def full(self) -> bool:
        return self._feed.waiting

    def patience_ms(self, longest_ms: int) -> int:
        if self._feed.waiting:
            return 0
        return min(longest_ms, TURN_MS // 2) if self._feed.ledger.unsettled else longest_ms

    def turn(self) -> None:
        feed = self._feed
        feed.push(TURN_MS)
        if feed.reader_is_gone:
            feed.look()
            raise StdoutClosed
        self._prove()

    def _prove(self, pause_ms: int | None = None) -> None:
        if self._proof.look(pause_ms):
            self._tell_about_stages()

    def due(self, now_ms: int) -> dict[Partition, int]:
        if now_ms < self._next_commit_ms:
            return {}
        offsets = self.all()
        if offsets:
            self._next_commit_ms = now_ms + INTERVAL_MS
            self._tell_about_stages()
        return offsets

    def all(self) -> dict[Partition, int]:
        self._feed.look()
        return self._feed.ledger.take()

    def keep(self, offsets: dict[Partition, int]) -> None:
        self._feed.ledger.keep(offsets)

    def hurry(self, partitions: Iterable[Partition]) -> None:
        self._forget(self._feed.drop(partitions))
        self._proof.wait(HURRY_MS)

    def dropped(self, partitions: Iterable[Partition]) -> None:
        self._forget(self._feed.drop(partitions))
        self._feed.ledger.forget(partitions)

    def _forget(self, records: int) -> None:
        """They were not written: somebody else reads them."""
        if self.left is not None:
            self.left += records

    def stalled_ms(self, now_ms: int) -> int:
        return max(0, int((time.monotonic() - self._feed.moved_s) * 1000))

    # -- the end -------------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        self._stopped_s = time.monotonic()
        self._feed.cut()

    def ended(self) -> bool:
        feed = self._feed
        if feed.waiting:
            return False
        feed.look()
        self._prove(PAUSE_MS)
        if not feed.ledger.unsettled:
            return True
        now_s = time.monotonic()
        if self._stopped_s is not None:
            return now_s - self._stopped_s > STOP_MS / 1000 and self._leave_tail("nothing shows that its reader has handled them")
        if feed.all_taken and self._proof.is_opaque:
            if self._mode == PROVEN:
                return self._leave_tail("what reads our pipe does not show whether it has handled them")
            if self._session.options.verbose:
                self._session.talk(f"{feed.ledger.unsettled} records were taken by a reader that does not show whether it has handled them")
            feed.settle_all()
            return True
        if self.stalled_ms(0) > self._max_stall_ms:
            return self._leave_tail("the reader of our pipe does not get on")
        return False

    def _leave_tail(self, why: str) -> bool:
        if not self._told:
            self._told = True
            count = self._feed.ledger.unsettled
            self._session.talk(f"{count} records that were written are not committed and will come again: {why}")
        return True

    # -- more than one stage -------------------------------------------------------------------------------------------------

    def _tell_about_stages(self) -> None:
        """In `ev … | jq … | handler` it is jq that we see. Say so once, with the command that loses nothing."""
        if self._stages_told:
            return
        self._stages_told = True
        from ev_cli.stages import warning

        text = warning(self._proof.readers)
        if text:
            self._session.talk(text)
