"""How fast something grows, over a window that is said."""

from __future__ import annotations

from collections import deque

WINDOW_S = 5.0


class Rate:
    """Looks at a count now and then, and says by how much it grew per second over the last WINDOW_S."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def look(self, now_s: float, count: int) -> float | None:
        """Per second, None while there is nothing to compare with."""
        seen = self._seen
        if seen and count < seen[-1][1]:  # it began anew
            seen.clear()
        seen.append((now_s, count))
        while len(seen) > 2 and now_s - seen[1][0] >= WINDOW_S:
            seen.popleft()
        elapsed = now_s - seen[0][0]
        return (count - seen[0][1]) / elapsed if elapsed > 0.2 else None
