"""What the local engine says about itself: how long syncs and answers take, connections, the loop's stalls.

It says so to whoever asks its listener for Prometheus (`ev.metrics.listen`), in Prometheus' text format. Its histograms count from the
engine's start; two looks are compared, so that what is shown is of the last seconds. A bucket says only that something took less than its
bound, and so does what is shown.
"""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ev_cli.local_engine import LocalEngine

SYNC = "sync to disk"
WITHIN_S = 3.0
ANSWER_BYTES_MAX = 8 << 20
WINDOW_S = 10.0

TOOK, SYNCED, STARTED = "kafka_network_requestmetrics_totaltimems", "ev_commit_sync_seconds", "process_start_time_seconds"
CONNECTIONS, CONNECTIONS_MAX = "kafka_server_socket_server_metrics_connection_count", "kafka_server_socket_server_metrics_connection_limit"
STALL = "ev_loop_longest_stall_seconds"
_SAMPLE = re.compile(r"([a-z_]+)(?:\{([^}]*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="([^"\\]*)"')


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often something took less than each of the bounds (in seconds, growing, the last one infinite)."""

    bounds_s: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def count(self) -> int:
        return self.counts[-1] if self.counts else 0

    def bound_s(self, share: float) -> float | None:
        """This share of all took less; None when there were none."""
        if not self.count:
            return None
        rank = math.ceil(share * self.count)
        return next(bound for bound, count in zip(self.bounds_s, self.counts, strict=True) if count >= rank)

    def since(self, before: Histogram) -> Histogram:
        """What came after another look at the same."""
        if before.bounds_s != self.bounds_s:
            return self
        return Histogram(self.bounds_s, tuple(now - then for now, then in zip(self.counts, before.counts, strict=True)))


@dataclass(frozen=True, slots=True)
class Figures:
    """One look. None is what was not told."""

    started_s: float | None
    connections: int | None
    connections_max: int | None
    stall_recent_s: float | None
    """The longest within a minute."""
    stall_ever_s: float | None
    times: Mapping[str, Histogram]
    """By what took the time: SYNC, and the names of requests."""


def figures_of(text: str) -> Figures:
    """What the engine's answer says. Lines of other things are passed over."""
    single: dict[str, float] = {}
    buckets: dict[str, list[tuple[float, int]]] = {}
    for line in text.split("\n"):
        if not line.startswith((TOOK, SYNCED, CONNECTIONS, CONNECTIONS_MAX, STALL, STARTED)):
            continue
        found = _SAMPLE.fullmatch(line)
        if found is None:
            continue
        name, labels, value = found[1], dict(_LABEL.findall(found[2] or "")), float(found[3])
        if name == f"{TOOK}_bucket" and "request" in labels:  # whole milliseconds: at most 0 is less than one
            bound = math.inf if labels["le"] == "+Inf" else (float(labels["le"]) + 1) / 1000
            buckets.setdefault(labels["request"], []).append((bound, int(value)))
        elif name == f"{SYNCED}_bucket":
            buckets.setdefault(SYNC, []).append((float(labels["le"]), int(value)))
        else:
            single[name + labels.get("since", "")] = value
    return Figures(
        single.get(STARTED),
        whole(single.get(CONNECTIONS)),
        whole(single.get(CONNECTIONS_MAX)),
        single.get(f"{STALL}minute"),
        single.get(f"{STALL}start"),
        {name: Histogram(*zip(*rows, strict=True)) for name, rows in buckets.items()},
    )


def whole(value: float | None) -> int | None:
    return None if value is None else int(value)


@dataclass(frozen=True, slots=True)
class Took:
    """How long one kind of thing took: of those in the window, and of all since the engine's start. None: there were none."""

    name: str
    count: int | None
    """None as long as there was one look only."""
    half_s: float | None
    most_s: float | None
    """99 of 100 took less."""
    count_ever: int
    most_ever_s: float | None


class Looks:
    """The looks of the last seconds."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, Figures]] = deque()

    @property
    def newest(self) -> Figures | None:
        return self._kept[-1][1] if self._kept else None

    @property
    def window_s(self) -> float | None:
        """Over how long the times are; None as long as there was one look only."""
        return self._kept[-1][0] - self._kept[0][0] if len(self._kept) > 1 else None

    def note(self, now: float, figures: Figures) -> None:
        """Another look. One at another engine, or at one that was started again, begins anew."""
        if self._kept and self._kept[-1][1].started_s != figures.started_s:
            self._kept.clear()
        self._kept.append((now, figures))
        while len(self._kept) > 2 and self._kept[1][0] <= now - WINDOW_S:
            self._kept.popleft()

    def forget(self) -> None:
        self._kept.clear()

    def took(self) -> list[Took]:
        """Syncs first, then requests, those first that were most."""
        if not self._kept:
            return []
        then, now = self._kept[0][1].times, self._kept[-1][1].times
        found = []
        for name, ever in now.items():
            fresh = ever.since(then.get(name, Histogram(ever.bounds_s, (0,) * len(ever.counts))))
            count = None if self.window_s is None else fresh.count
            found.append(Took(name, count, fresh.bound_s(0.5), fresh.bound_s(0.99), ever.count, ever.bound_s(0.99)))
        return sorted(found, key=lambda one: (one.name != SYNC, -one.count_ever, one.name))


# -- asking ------------------------------------------------------------------------------------------------------------------------


def ask(engine: LocalEngine) -> Figures | None:
    """What the engine says now; None when nobody may ask it. It blocks. OSError when it does not answer."""
    facts: dict[str, Any] | None = engine.running()
    if facts is None:
        raise OSError("it does not run")
    address = facts.get("metrics")
    return None if not address else figures_of(answer_of(str(address)))


def answer_of(address: str) -> str:
    import http.client

    host, _, port = address.rpartition(":")
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host.strip("[]"), host.strip("[]"))
    connection = http.client.HTTPConnection(reached, int(port), timeout=WITHIN_S)
    try:
        connection.request("GET", "/metrics", headers={"Host": "127.0.0.1"})
        answer = connection.getresponse()
        data = answer.read(ANSWER_BYTES_MAX)
    except http.client.HTTPException as error:
        raise OSError(f"what answers at {address} is no listener for figures: {error!r}") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise OSError(f"{address} does not tell its figures: {answer.status} {answer.reason}")
    return data.decode("utf-8", "replace")
