"""How a quota is measured: the rate of the last windows, or a bucket of tokens. By Kafka's arithmetic, with the time passed in.

A rate adds up what came in windows of a second, of which it remembers the last eleven (`quota.window.num`), and divides by the time
that these span. It never assumes less than ten whole windows, so that a client that begins with a burst is not held for it. What is
above the bound is answered by the time after which, if nothing else comes, the rate is down at the bound again. (Rate.java,
SampledStat.java, QuotaUtils.throttleTime)

A bucket fills at the rate of the bound and holds as much as all windows together. Whoever finds it not below zero may take out as
much as it wants, once. (TokenBucket.java)
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple


class Windows(NamedTuple):
    """How many windows are remembered, and how long each of them is."""

    number: int
    size_ms: int

    @property
    def span_ms(self) -> int:
        return self.number * self.size_ms


class Sample:
    """What came in one window."""

    __slots__ = ("last_ms", "start_ms", "value")

    def __init__(self, now_ms: int) -> None:
        self.start_ms = self.last_ms = now_ms
        self.value = 0.0


class Rate:
    """So much per second."""

    __slots__ = ("_samples", "_windows")

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._samples: deque[Sample] = deque(maxlen=windows.number + 1)

    def record(self, value: float, now_ms: int) -> None:
        samples = self._samples
        if not samples or now_ms - samples[-1].start_ms >= self._windows.size_ms:
            samples.append(Sample(now_ms))
        newest = samples[-1]
        newest.value += value
        newest.last_ms = now_ms

    def throttle_ms(self, bound: float, now_ms: int) -> int:
        """How long nothing may come, so that the rate is at the bound; 0 when it is not above it."""
        self._forget(now_ms)
        if not self._samples:
            return 0
        span_ms = self._span_ms(now_ms)
        rate = sum(sample.value for sample in self._samples) * 1000 / span_ms
        return int((rate - bound) / bound * span_ms + 0.5) if rate > bound else 0

    def is_idle(self, now_ms: int) -> bool:
        """Whether nothing that came still counts."""
        self._forget(now_ms)
        return not any(sample.value for sample in self._samples)

    def _forget(self, now_ms: int) -> None:
        span_ms = self._windows.span_ms
        while self._samples and now_ms - self._samples[0].last_ms >= span_ms:
            self._samples.popleft()

    def _span_ms(self, now_ms: int) -> int:
        number, size_ms = self._windows
        elapsed_ms = now_ms - self._samples[0].start_ms
        missing = number - 1 - elapsed_ms // size_ms
        return max(1, elapsed_ms + max(0, missing) * size_ms)


class Bucket:
    """Tokens. It is full when it is new."""

    __slots__ = ("_filled_ms", "_tokens", "_windows")

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._tokens = float("inf")  # as much as the bound lets it hold
        self._filled_ms = 0

    def take(self, tokens: float, bound: float, now_ms: int) -> None:
        self._fill(bound, now_ms)
        self._tokens = min(self._tokens - tokens, self._most(bound))

    def throttle_ms(self, bound: float, now_ms: int) -> int:
        """How long it takes until there is a token again; 0 when there is no less than none."""
        self._fill(bound, now_ms)
        return int(-self._tokens / bound * 1000 + 0.5) if self._tokens < 0 else 0

    def is_full(self, bound: float, now_ms: int) -> bool:
        self._fill(bound, now_ms)
        return self._tokens >= self._most(bound)

    def _most(self, bound: float) -> float:
        return bound * self._windows.span_ms / 1000

    def _fill(self, bound: float, now_ms: int) -> None:
        self._tokens = min(self._tokens + bound * (now_ms - self._filled_ms) / 1000, self._most(bound))
        self._filled_ms = now_ms
