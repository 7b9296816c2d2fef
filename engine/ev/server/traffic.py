"""What passes through all connections, counted: requests, bytes, and how long answers took.

The counters are plain integers in lists that are as long as they will ever be: to count a request is three additions (in
`Connection.drain`). How long a request took is the time from its arrival to the moment when its answer was handed to the socket, in
whole milliseconds, and is counted by the number of its bits: bucket N has those that took less than 2^N ms.
"""

from __future__ import annotations

from typing import Final

APIS: Final = 128
BUCKETS: Final = 64  # a clock that is set while a request waits may say anything; most of them stay 0
SUM_MS: Final = BUCKETS
REPLY_BYTES: Final = BUCKETS + 1


class Traffic:
    """The counters of all listeners together."""

    __slots__ = ("answered", "authentications_failed", "bytes_in", "connections_closed", "connections_opened")

    def __init__(self) -> None:
        self.answered = [[0] * (BUCKETS + 2) for _ in range(APIS)]  # by API key: the buckets, then the two sums
        self.bytes_in = 0
        self.connections_opened = 0
        self.connections_closed = 0  # by us, because of what was in a request
        self.authentications_failed = 0


class Durations:
    """How long something took, by the bits of its microseconds: bucket N has those below 2^N µs."""

    __slots__ = ("buckets", "sum_us")

    def __init__(self) -> None:
        self.buckets = [0] * BUCKETS
        self.sum_us = 0

    def add(self, seconds: float) -> None:
        microseconds = int(seconds * 1e6)
        self.buckets[microseconds.bit_length()] += 1
        self.sum_us += microseconds
