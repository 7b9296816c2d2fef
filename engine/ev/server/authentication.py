"""What stands before a connection until its client has said who it is: little is read, little is kept, little is served.

Frames are cut and taken one after the other, so that what a client sends in advance waits for the answer to what it sent before. When
the exchange (see `ev.broker.sasl`) is over, the transport is handed to the connection, with the bytes that came after it; from then
on this object is gone, and a connection that is authenticated costs what any other does.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from ev.broker.handlers import k17_sasl_handshake, k18_api_versions, k36_sasl_authenticate
from ev.broker.sasl import Sasl, SaslRules, State

if TYPE_CHECKING:
    from ev.broker.runtime import Handle
    from ev.server.connection import Connection

TIME_MAX_MS: Final = 10_000


class Authentication(asyncio.Protocol):
    """The protocol of a transport whose client has not said yet who it is."""

    __slots__ = ("_connection", "_frame_size_max", "_paused", "_received", "_sasl", "_strangers", "_timer", "_transport")

    def __init__(self, connection: Connection, rules: SaslRules) -> None:
        self._connection = connection
        self._strangers = connection.listener.limits.strangers
        self._frame_size_max = rules.token_size_max
        self._received = bytearray()
        self._paused = False
        self._transport: asyncio.Transport | None = None
        self._timer: Handle | None = None
        self._sasl = connection.sasl = Sasl(rules, connection)
        self._sasl.on_moved = self._go_on

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connection.connection_made(transport)
        broker = self._connection.broker
        self._timer = broker.runtime.call_at(broker.clock.monotonic_ms() + TIME_MAX_MS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()

    def data_received(self, data: bytes) -> None:
        self._connection.active = True
        self._received += data
        self._strangers.hold(len(data))
        self._go_on()

    def _go_on(self) -> None:
        """Take the frames that are whole, one after the other."""
        sasl = self._sasl
        while self._transport is not None and not sasl.busy and sasl.state is not State.AUTHENTICATED:
            frame = self._next_frame()
            if frame is None:
                break
            self._take(frame)
        if self._transport is None:
            return
        self._pause(sasl.busy)
        if sasl.state is State.AUTHENTICATED:
            self._hand_over(self._transport)
        elif self._strangers.exceeded:
            self._close("clients that have not said who they are have sent too much together")

    def _next_frame(self) -> bytes | None:
        """The next frame, if it is whole; one that says a size which is out of bounds ends the connection."""
        received = self._received
        if len(received) < 4:
            return None
        size = int.from_bytes(received[:4], "big", signed=True)
        if not 0 <= size <= self._frame_size_max:
            self._close(f"a frame says that it has {size} bytes; before authentication 0 to {self._frame_size_max} are allowed")
            return None
        if len(received) < 4 + size:
            return None
        frame = bytes(received[4 : 4 + size])
        del received[: 4 + size]
        self._strangers.give_back(4 + size)
        return frame

    def _pause(self, wanted: bool) -> None:
        """Do not read while the last frame is not answered."""
        if wanted != self._paused and self._transport is not None:
            self._paused = wanted
            if wanted:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _take(self, frame: bytes) -> None:
        sasl = self._sasl
        if sasl.in_exchange and sasl.tokens_are_raw:
            sasl.take(frame, RawAnswer(self._transport))
            return
        key, version = int.from_bytes(frame[:2], "big"), int.from_bytes(frame[2:4], "big")
        if len(frame) < 8 or not self._fits(key):
            sasl.refuse(f"API {key} is not what follows in this state of authentication")
            return
        self._connection.take(frame)
        if key == k18_api_versions.KEY and version <= k18_api_versions.VERSIONS[1]:
            sasl.versions_told()

    def _fits(self, key: int) -> bool:
        """Whether a request of this API may come now."""
        match self._sasl.state:
            case State.STRANGER:
                return key in (k17_sasl_handshake.KEY, k18_api_versions.KEY)
            case State.VERSIONS_KNOWN:
                return key == k17_sasl_handshake.KEY
            case State.EXCHANGE:
                return key == k36_sasl_authenticate.KEY
        return False

    def _hand_over(self, transport: asyncio.Transport) -> None:
        """The client has said who it is: the connection goes on with what has come since."""
        rest = bytes(self._received)
        self._end()
        transport.set_protocol(self._connection)
        if rest:
            self._connection.data_received(rest)

    def _too_slow(self) -> None:
        self._timer = None
        self._close(f"it did not authenticate within {TIME_MAX_MS // 1000} s")

    def _close(self, reason: str) -> None:
        self._end()
        self._connection.close(reason)

    def _end(self) -> None:
        """Nothing comes this way any more."""
        self._transport = None
        self._strangers.give_back(len(self._received))
        self._received = bytearray()
        self._sasl.on_moved = lambda: None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class RawAnswer:
    """The answers to tokens that come without SaslAuthenticate around them: bytes, or the end of the connection."""

    def __init__(self, transport: asyncio.Transport | None) -> None:
        self._transport = transport

    def message(self, data: bytes, session_lifetime_ms: int) -> None:
        if self._transport is not None:
            self._transport.write(len(data).to_bytes(4, "big") + data)

    def refusal(self, message: str) -> None:
        """There is no form for it."""
