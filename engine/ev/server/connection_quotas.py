"""Decides whether a new connection is taken: how many there are, of all and of its address, and how fast they come.

By Kafka's settings, which may be changed while the engine runs, and the quotas of addresses (SocketServer.ConnectionQuotas):

- More than `max.connections`, or than `max.connections.per.ip` of one address, are closed at once. `max.connections.per.ip.overrides`
  has other numbers for some addresses.
- What comes faster than `max.connection.creation.rate` is taken, and not listened to before its turn comes.
- What comes from an address faster than its `connection_creation_rate` is closed, after a while, so that trying again is no faster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ev.broker.rates import Rate, Windows
from ev.setting_types import INT_MAX

if TYPE_CHECKING:
    from ev.broker.client_quotas import ClientQuotas
    from ev.settings import Settings

RATES_MAX: Final = 10_000
"""Of so many addresses the rate is remembered before it is looked whether some have none any more."""
MAPPED_PREFIX: Final = "::ffff:"


class Admission(NamedTuple):
    """What becomes of a connection: why it is refused, if it is, and for how long it is not listened to, or is left open."""

    refusal: str | None = None
    wait_ms: int = 0


class ConnectionQuotas:
    """The connections of one engine, as far as they are counted."""

    def __init__(self, quotas: ClientQuotas, settings: Settings, connections_max: int) -> None:
        self._quotas = quotas
        self._connections_max = connections_max  # so many the process may have, whatever was set
        self._windows = Windows(settings.quota_window_num, settings.quota_window_size_seconds * 1000)
        self._rate = Rate(self._windows)
        self._rates: dict[str, Rate] = {}
        self._counts: dict[str, int] = {}
        self.count = 0

    def admit(self, host: str, settings: Settings, now_ms: int) -> Admission:
        """Take a connection of this address, or refuse it."""
        if self.count >= self.limit(settings):
            return Admission(f"there are {self.count}, as many as allowed")
        address = address_of(host)
        throttle_ms = self._throttle_ms(address, now_ms)
        if throttle_ms:
            return Admission("its address has opened too many of late", throttle_ms)
        count = self._counts.get(address, 0)
        if count >= settings.max_connections_per_ip_overrides.get(address, settings.max_connections_per_ip):
            return Admission(f"there are {count} of its address, as many as allowed")
        self._counts[address] = count + 1
        self.count += 1
        if settings.max_connection_creation_rate == INT_MAX:
            return Admission()
        self._rate.record(1, now_ms)
        return Admission(wait_ms=self._rate.throttle_ms(settings.max_connection_creation_rate, now_ms))

    def limit(self, settings: Settings) -> int:
        """How many there may be."""
        return min(settings.max_connections, self._connections_max)

    def closed(self, host: str) -> None:
        """A connection that was taken is gone."""
        address = address_of(host)
        self.count -= 1
        self._counts[address] -= 1
        if not self._counts[address]:
            del self._counts[address]

    def _throttle_ms(self, address: str, now_ms: int) -> int:
        """How long an address is above its quota with one connection more; then that does not count."""
        bound = self._quotas.connections_per_second(address)
        if bound is None:
            return 0
        rate = self._rates.get(address)
        if rate is None:
            if len(self._rates) >= RATES_MAX:
                self._rates = {other: each for other, each in self._rates.items() if not each.is_idle(now_ms)}
            rate = self._rates[address] = Rate(self._windows)
        rate.record(1, now_ms)
        throttle_ms = min(rate.throttle_ms(bound, now_ms), self._windows.size_ms)
        if throttle_ms:
            rate.record(-1, now_ms)
        return throttle_ms


def address_of(host: str) -> str:
    """An address as quotas and settings name it, whichever socket it came through."""
    plain = host.partition("%")[0]
    return plain.removeprefix(MAPPED_PREFIX) if "." in plain else plain
