"""How long things took, as a histogram: each bucket is one per cent wider than the one below, so any number of them takes little room."""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_STEP = math.log(1.01)


class Latencies:
    """Durations in seconds, each with how many took it."""

    def __init__(self, buckets: Mapping[int, int] | None = None) -> None:
        self.buckets: dict[int, int] = dict(buckets or {})

    def add(self, seconds: float, count: int = 1) -> None:
        bucket = int(math.log(max(seconds, 1e-7) * 1e7) / _STEP)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + count

    def merge(self, other: Latencies) -> None:
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count

    def percentile(self, share: float) -> float | None:
        """The duration in seconds that this share did not exceed; None when there are none."""
        left = math.ceil(sum(self.buckets.values()) * share)
        for bucket in sorted(self.buckets):
            left -= self.buckets[bucket]
            if left <= 0:
                return math.exp((bucket + 0.5) * _STEP) / 1e7
        return None
