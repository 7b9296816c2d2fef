"""The producer id under which an idempotent producer numbers its batches: asked for once, and again when its epochs are used up."""

from __future__ import annotations

from ev.errors import KafkaError, TimedOutError, UnreachableError, UnsupportedApiError
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ev.client.cluster import Cluster
    from ev.client.connection import Ticket
    from ev.errors import EvError

_LONG_AGO = -(1 << 62)


class ProducerId:
    """`current` is id and epoch, None while there is none. `refused` is told when none will come for the batches that wait."""

    __slots__ = ("_attempts", "_cluster", "_refused", "_ticket", "current", "retry_at_ms", "wanted")

    def __init__(self, cluster: Cluster, wanted: bool, refused: Callable[[EvError], None]) -> None:
        self.current: tuple[int, int] | None = None
        self.wanted = wanted
        """Whether batches are numbered at all: not without idempotence, nor where no broker gives out ids."""
        self.retry_at_ms = _LONG_AGO
        self._cluster = cluster
        self._refused = refused
        self._ticket: Ticket | None = None
        self._attempts = 0

    @property
    def missing(self) -> bool:
        """Whether there is none, and none was asked for."""
        return self.wanted and self.current is None and self._ticket is None

    def ask(self, now_ms: int) -> None:
        """Ask for one, unless it is there, on its way, or was refused a moment ago."""
        if not self.missing or now_ms < self.retry_at_ms:
            return
        request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=0x7FFFFFFF)
        ticket = self._cluster.send(request, callback=self._answered)
        self._ticket = None if ticket.done else ticket

    def _answered(self, ticket: Ticket) -> None:
        self._ticket = None
        error = ticket.error
        if error is None and ticket.response.error_code:
            error = KafkaError(ticket.response.error_code)
        if error is None:
            self.current = ticket.response.producer_id, ticket.response.producer_epoch
            self._attempts = 0
        elif isinstance(error, UnsupportedApiError):
            self.wanted = False  # a broker from before 0.11, or one that leaves it out
        elif not (error.retriable if isinstance(error, KafkaError) else isinstance(error, (UnreachableError, TimedOutError))):
            self.retry_at_ms = self._cluster.now_ms() + self._cluster.backoff.max_ms
            self._refused(error)
        else:
            self.retry_at_ms = self._cluster.now_ms() + self._cluster.backoff.after(self._attempts)
            self._attempts += 1
