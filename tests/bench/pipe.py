"""A connection on which things are asked ahead of their answers, and the loop that keeps so many of them in flight.

The clients of the libraries cost more than the servers that are compared, each in its own way. So what is measured here are bytes that
were made before: a pipe knows how a request looks and how its answers are counted, whatever the protocol.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

ROOM = 1 << 18
PATIENCE_S = 60


class Pipe(Protocol):
    """One connection."""

    socket: socket.socket

    def requests(self, count: int) -> bytes:
        """The bytes of the next `count` requests."""

    def answers(self, data: bytes) -> int:
        """How many answers end in what was received."""


@dataclass(slots=True)
class Driven:
    """What came of it."""

    answered: int = 0
    took_s: float = 0.0
    late_ms: list[float] = field(default_factory=list)  # of each answer, sorted; only with one in flight

    @property
    def per_second(self) -> float:
        return self.answered / self.took_s

    def percentile(self, part: float) -> float:
        return self.late_ms[int(len(self.late_ms) * part)]


def drive(pipes: Sequence[Pipe], in_flight: int, *, seconds: float = 0.0, count: int = 0) -> Driven:
    """Keep so many requests in flight on each pipe, for `seconds` or until `count` were asked; return when all are answered."""
    driven = Driven()
    asked, waiting = 0, 0
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        for pipe in pipes:
            pipe.socket.settimeout(PATIENCE_S)
            selector.register(pipe.socket, selectors.EVENT_READ, pipe)
            stack.callback(selector.unregister, pipe.socket)
        sent = [0.0] * len(pipes)
        places = {id(pipe): place for place, pipe in enumerate(pipes)}
        began = time.perf_counter()
        end = began + seconds
        for place, pipe in enumerate(pipes):
            first = min(in_flight, count - asked) if count else in_flight
            sent[place] = time.perf_counter()
            pipe.socket.sendall(pipe.requests(first))
            asked += first
            waiting += first
        while waiting:
            ready = pipes if len(pipes) == 1 else [key.data for key, _ in selector.select(PATIENCE_S)]
            if not ready:
                raise TimeoutError(f"{waiting} requests were not answered within {PATIENCE_S} s")
            for pipe in ready:
                data = pipe.socket.recv(ROOM)
                if not data:
                    raise ConnectionResetError(f"the connection was closed; {waiting} requests were not answered")
                done = pipe.answers(data)
                if not done:
                    continue
                now, place = time.perf_counter(), places[id(pipe)]
                driven.answered += done
                waiting -= done
                if in_flight == 1:
                    driven.late_ms.append((now - sent[place]) * 1e3)
                more = min(done, count - asked) if count else done if now < end else 0
                if more > 0:
                    sent[place] = now
                    pipe.socket.sendall(pipe.requests(more))
                    asked += more
                    waiting += more
        driven.took_s = time.perf_counter() - began
    driven.late_ms.sort()
    return driven


class SameRequests:
    """Requests that are all the same bytes."""

    def __init__(self, request: bytes) -> None:
        self.size = len(request)
        self.many = request

    def __call__(self, count: int) -> bytes:
        if len(self.many) < count * self.size:
            self.many = self.many[: self.size] * (2 * count)
        return self.many[: count * self.size]
