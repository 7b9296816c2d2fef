"""Holds clients to their quotas: counts what they do, and says for how long they are held back.

Who is above a quota is answered at once, with the time for which it is to be silent, and its connection is not read for so long
(KIP-219), so that a client is held that does not heed it. Nothing is counted while no quota is set: whoever serves requests looks
at `active` and goes on.

- Produce counts the bytes of requests. Fetch counts the bytes of answers; one that would be too much is answered without records,
  and then does not count. A batch that is too much by itself is sent when nothing else counts, and its reader is held for it
  afterwards; in Kafka it never is.
- Every other request, and those too, count the time for which the event loop is busy with them, where 100 % is the whole loop. Nobody
  is held for it longer than one window at a time. What is done for a request after it has waited does not count.
- Creating and deleting topics and adding partitions counts partitions (KIP-599): who finds the bucket empty is refused, or only
  held, if the version of its request does not know the error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

from ev.broker.client_quotas import (
    CONSUMER_BYTE_RATE,
    CONTROLLER_MUTATION_RATE,
    OF_CLIENTS,
    PRODUCER_BYTE_RATE,
    REQUEST_PERCENTAGE,
)
from ev.broker.rates import Bucket, Rate, Windows
from ev.errors import ErrorCode, KafkaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ev.broker.client_quotas import ClientQuotas
    from ev.broker.runtime import Call
    from ev.clock import Clock
    from ev.settings import Settings

METERS_MIN: Final = 1000
"""So many are kept before it is looked whether some of them say nothing any more."""
CLIENTS_MAX: Final = 10_000
"""For so many clients it is remembered which quota is theirs."""
PERCENT_OF_NS: Final = 100 / 1e9
EXEMPT: Final = frozenset({17, 27, 36})
"""What is not counted: how a client says who it is, and what brokers ask each other (WriteTxnMarkers)."""

Meter = TypeVar("Meter", Rate, Bucket)
Limited = tuple[Meter, float]


class Meters(Generic[Meter]):
    """What is counted for one kind of quota: one meter for all who share a limit."""

    def __init__(self, quotas: ClientQuotas, key: str, new: Callable[[], Meter], is_idle: Callable[[Meter, float, int], bool]) -> None:
        self._quotas = quotas
        self._key = key
        self._new: Callable[[], Meter] = new
        self._is_idle: Callable[[Meter, float, int], bool] = is_idle
        self._version = 0
        self._meters: dict[tuple[str, str], Limited[Meter]] = {}
        self._meters_max = METERS_MIN
        self._found: dict[tuple[str, str], Limited[Meter] | None] = {}  # by user and client id

    def of(self, user: str, client_id: str, now_ms: int) -> Limited[Meter] | None:
        """The meter of a client, and the bound that holds for it; None when nothing holds it back."""
        if self._version != self._quotas.version or len(self._found) > CLIENTS_MAX:
            self._version = self._quotas.version
            self._found.clear()
        who = user, client_id
        if who not in self._found:
            self._found[who] = self._find(user, client_id, now_ms)
        return self._found[who]

    def _find(self, user: str, client_id: str, now_ms: int) -> Limited[Meter] | None:
        limit = self._quotas.limit(self._key, user, client_id)
        if limit is None:
            return None
        shared_by = limit.user, limit.client_id
        known = self._meters.get(shared_by)
        if known is None and len(self._meters) >= self._meters_max:
            self._forget_idle(now_ms)
        meter = self._new() if known is None else known[0]
        self._meters[shared_by] = limited = (meter, limit.bound)
        return limited

    def _forget_idle(self, now_ms: int) -> None:
        """Drop the meters that say no more than new ones would."""
        self._meters = {who: limited for who, limited in self._meters.items() if not self._is_idle(*limited, now_ms)}
        self._meters_max = max(METERS_MIN, 2 * len(self._meters))
        self._found.clear()


class Throttling:
    """The throttling of one broker."""

    def __init__(self, quotas: ClientQuotas, settings: Settings, clock: Clock) -> None:
        windows = Windows(settings.quota_window_num, settings.quota_window_size_seconds * 1000)
        mutation_windows = Windows(settings.controller_quota_window_num, settings.controller_quota_window_size_seconds * 1000)
        self.active = False  # whether there is a quota of any kind for any client
        self._quotas = quotas
        self._clock = clock
        self._windows = windows

        def rates(key: str) -> Meters[Rate]:
            return Meters(quotas, key, lambda: Rate(windows), lambda rate, _bound, now_ms: rate.is_idle(now_ms))

        self._produced = rates(PRODUCER_BYTE_RATE)
        self._fetched = rates(CONSUMER_BYTE_RATE)
        self._busy = rates(REQUEST_PERCENTAGE)
        self._mutations: Meters[Bucket] = Meters(quotas, CONTROLLER_MUTATION_RATE, lambda: Bucket(mutation_windows), Bucket.is_full)
        self._began_ns = 0  # since when the loop is busy with the request in hand, as far as that is not counted yet

    def quotas_changed(self) -> None:
        self.active = any(self._quotas.any_of(key) for key in OF_CLIENTS)

    # Bytes.

    def produced(self, call: Call, size: int) -> int:
        """A produce request of this size is answered: how long its client is held."""
        now_ms = self._clock.monotonic_ms()
        limited = self._produced.of(call.user, call.client_id, now_ms)
        if limited is None:
            return 0
        rate, bound = limited
        rate.record(size, now_ms)
        return rate.throttle_ms(bound, now_ms)

    def fetch_bytes_max(self, call: Call, bytes_max: int) -> int:
        """Of so many bytes that a fetch may bring, those that are not too many even for a client that had none for long."""
        limited = self._fetched.of(call.user, call.client_id, self._clock.monotonic_ms())
        if limited is None:
            return bytes_max
        number, size_ms = self._windows
        return min(bytes_max, int(limited[1] * (number - 1) * size_ms / 1000))

    def fetched(self, call: Call, size: int) -> tuple[int, bool]:
        """A fetch is about to be answered with so many bytes: how long its client is held, and whether it gets them."""
        now_ms = self._clock.monotonic_ms()
        busy_ms = self._charge(call, now_ms)
        limited = self._fetched.of(call.user, call.client_id, now_ms)
        if limited is None:
            return busy_ms, not busy_ms
        rate, bound = limited
        is_first = rate.is_idle(now_ms)
        rate.record(size, now_ms)
        throttle_ms = max(busy_ms, rate.throttle_ms(bound, now_ms))
        is_sent = not throttle_ms or (is_first and not busy_ms)
        if not is_sent:
            rate.record(-size, now_ms)
        return throttle_ms, is_sent

    # Time.

    def now_ns(self) -> int:
        return self._clock.monotonic_ns()

    def begin(self, began_ns: int) -> None:
        """The loop has turned to a request at this time, and is about to carry it out."""
        self._began_ns = began_ns

    def end(self, call: Call) -> None:
        """The loop has done what there was to do for now. What was not counted with the answer counts for the next one."""
        busy = self._busy_percent()
        self._began_ns = 0
        now_ms = self._clock.monotonic_ms()
        limited = self._busy.of(call.user, call.client_id, now_ms)
        if limited is not None and call.header.api_key not in EXEMPT:
            limited[0].record(busy, now_ms)

    def answered(self, call: Call) -> int:
        """A request is answered: how long its client is held for the time that its requests take."""
        return self._charge(call, self._clock.monotonic_ms())

    def _charge(self, call: Call, now_ms: int) -> int:
        busy = self._busy_percent()
        limited = self._busy.of(call.user, call.client_id, now_ms)
        if limited is None or call.header.api_key in EXEMPT:
            return 0
        rate, bound = limited
        rate.record(busy, now_ms)
        return min(rate.throttle_ms(bound, now_ms), self._windows.size_ms)

    def _busy_percent(self) -> float:
        if not self._began_ns:
            return 0.0
        now_ns = self._clock.monotonic_ns()
        busy_ns, self._began_ns = now_ns - self._began_ns, now_ns
        return busy_ns * PERCENT_OF_NS

    # Partitions created and deleted.

    def mutations(self, call: Call, strict_from: int) -> Mutations:
        """What is counted of the topics that this request creates or deletes; strictly so from this version of it on."""
        now_ms = self._clock.monotonic_ms()
        limited = self._mutations.of(call.user, call.client_id, now_ms) if self.active else None
        return Mutations(limited, now_ms, is_strict=call.version >= strict_from)


class Mutations:
    """The partitions that one request creates or deletes."""

    __slots__ = ("_is_strict", "_limited", "_now_ms", "throttle_ms")

    def __init__(self, limited: Limited[Bucket] | None, now_ms: int, *, is_strict: bool) -> None:
        self._limited = limited
        self._now_ms = now_ms
        self._is_strict = is_strict
        self.throttle_ms = 0  # how long the client is held

    def take(self, partition_count: int) -> None:
        """Count so many more. Raises KafkaError THROTTLING_QUOTA_EXCEEDED when the quota is used up, and then nothing is counted."""
        if self._limited is None:
            return
        bucket, bound = self._limited
        if self._is_strict:
            self.throttle_ms = bucket.throttle_ms(bound, self._now_ms)
            if self.throttle_ms:
                raise KafkaError(ErrorCode.THROTTLING_QUOTA_EXCEEDED)
        bucket.take(partition_count, bound, self._now_ms)
        if not self._is_strict:
            self.throttle_ms = bucket.throttle_ms(bound, self._now_ms)
