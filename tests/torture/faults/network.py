"""Faults of the sockets: what hostile or merely many clients leave behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ev.errors import MalformedError
from ev.server import budget, connection, handshake
from ev.server.budget import Answers
from ev.server.connection import Connection
from ev.server.listener import Listener
from ev.wire import frame, header
from torture.faults import Patches

FOR_EVER_S = 86_400.0
BUFFER_BYTES = 64 << 10


def text_that_is_none(patches: Patches) -> None:
    """A client id that is no text raises what nobody catches (such requests have ended network threads of brokers)."""
    honest = header.decode_request_header

    def careless(data: Any, position: int = 0) -> Any:
        try:
            return honest(data, position)
        except MalformedError as problem:
            if "codec" in str(problem):
                raise ValueError(str(problem)) from None
            raise

    patches.put(connection, "decode_request_header", careless)


def stall_is_never_noticed(patches: Patches) -> None:
    """The time of a request that does not go on arriving is never up: the timer is not armed."""
    patches.put(Connection, "_watch", lambda self: None)


def no_limit_on_unsent_answers(patches: Patches) -> None:
    """Requests are answered whether or not the client takes what it was answered before."""
    patches.put(Connection, "_may_take_no_more", lambda self: self._held_until_ms > 0)
    patches.put(Answers, "bytes_max", property(lambda self: 1 << 30))
    patches.put(budget, "ANSWERS_BYTES_MAX", 1 << 40)


def places_are_never_given_back(patches: Patches) -> None:
    """A client that goes in the middle of a request keeps its place: in the end nobody is read any more (a mute that never ends)."""
    honest: Callable[..., None] = Connection.connection_lost

    def forgetful(self: Connection, exc: Exception | None) -> None:
        held = self._reserved
        waits = self._waits_for_room
        honest(self, exc)
        if not waits:
            self._budget.hold(held)

    patches.put(Connection, "connection_lost", forgetful)


def handshakes_never_end(patches: Patches) -> None:
    """A TLS handshake that stops is waited for without an end."""
    patches.put(handshake, "TIME_MAX_S", FOR_EVER_S)


def who_takes_nothing_stays(patches: Patches) -> None:
    """A client that never takes its answers is not idle, and so it stays for ever."""
    patches.put(Connection, "takes_nothing", lambda self: False)


def refused_descriptor_kept(patches: Patches) -> None:
    """Of each connection that is refused a descriptor stays open."""
    honest: Callable[..., None] = Listener._refuse
    kept: list[int] = []

    def careless(self: Listener, client: Any, why: str, linger_ms: int) -> None:
        transport = getattr(client, "_transport", None)
        opened = None if transport is None else transport.get_extra_info("socket")
        if opened is not None:
            kept.append(os.dup(opened.fileno()))
        honest(self, client, why, linger_ms)

    patches.put(Listener, "_refuse", careless)


def gone_and_still_counted(patches: Patches) -> None:
    """Connections that break off are not taken from the count: in the end nobody is let in."""
    honest: Callable[..., None] = Listener.closed

    def forgetful(self: Listener, gone: Connection) -> None:
        if gone.active:  # it was never idle: it broke off
            self.connections.discard(gone)
        else:
            honest(self, gone)

    patches.put(Listener, "closed", forgetful)


def buffer_for_each_connection(patches: Patches) -> None:
    """Every connection has a buffer of its own from the start, whether or not it says anything."""
    honest: Callable[..., None] = frame.FrameBuffer.__init__

    def lavish(self: Any, frame_size_max: int) -> None:
        honest(self, frame_size_max)
        KEPT_BUFFERS.append(bytearray(BUFFER_BYTES))

    patches.put(frame.FrameBuffer, "__init__", lavish)


KEPT_BUFFERS: list[bytearray] = []
"""FrameBuffer has slots, and this no place in it."""
