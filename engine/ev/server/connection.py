"""One client's connection: frames in, replies out in order.

A connection never waits for the disk. Requests are taken and decided as they arrive; each leaves a `Call` in the queue, and
replies leave from the head of the queue as soon as the rounds they depend on are synced. Only reading stops: when the
replies that are owed, or the bytes that unanswered requests hold, pass their bound, when the client does not take what it
was sent, or while it is held because it is above a quota. What had arrived by then is kept, and taken when there is room.

A request that has begun to arrive has to go on arriving: a client that sends a byte now and then is closed.

What cannot be understood closes the connection, as Kafka does, with one line in the log: a size that lies, an unknown API or
version (but for ApiVersions, which answers), bytes that do not parse.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Any, cast

from ev.broker.runtime import ANONYMOUS, READY, UNSENT, Call
from ev.errors import MalformedError
from ev.server.traffic import REPLY_BYTES, SUM_MS
from ev.wire.fetch_order import is_rotated
from ev.wire.frame import FrameBuffer
from ev.wire.header import decode_request_header

if TYPE_CHECKING:
    from collections.abc import Callable

    from ev.broker.apis import Served
    from ev.broker.broker import Broker
    from ev.broker.quick_produce import Answer
    from ev.broker.runtime import Handle, Replies
    from ev.broker.sasl import Sasl
    from ev.server.connection_quotas import Admission
    from ev.server.listener import Listener
    from ev.wire.primitives import Buffer

log = logging.getLogger("ev.connection")

CALLS_MAX = 2000
BYTES_HELD_MAX = 64 << 20
UNSENT_BYTES_MAX = 256 << 10
BUFFERED_BYTES_MAX = 128 << 10
"""What the client may leave in our hands when the kernel's are full: with more, nothing further is taken of it."""
FETCHES_MAX = 4
"""So many fetches of one connection may wait or be read for at a time: each may have an answer of many megabytes."""
STALL_PROGRESS_BYTES = 64 << 10
STALL_IN_LINE_MS = 1000
"""A request that does not go on arriving has so much time while others wait for the place that it takes."""
NO_LINGER = struct.pack("ii", 1, 0)
LARGE_REPLY_BYTES = 64 << 10
PRODUCE = b"\0\0"
FETCH = 1
API_VERSIONS = 18
SASL_APIS = frozenset((17, 36))
BULKY_APIS = frozenset((0, 11, 14))
"""Produce, JoinGroup and SyncGroup carry bytes that are passed on; of everything else each byte becomes objects."""
ORDINARY_REQUEST_BYTES_MAX = 8 << 20


def not_quickly(_connection: Replies, _frame: bytes, _now_ms: int) -> bool:
    """The quick way where nothing is to be produced: of a client that is held, or that has not said who it is."""
    return False


class Connection(asyncio.Protocol):
    """An accepted connection. Made by the listener, which counts it."""

    __slots__ = (
        "_answers",
        "_apis",
        "_budget",
        "_bytes_held",
        "_client_full",
        "_counted",
        "_fetches",
        "_frame_bytes",
        "_frames",
        "_handed_bytes",
        "_held",
        "_held_until_ms",
        "_hold_timer",
        "_last_fetch",
        "_paused",
        "_reserved",
        "_stall_timer",
        "_stalled_from_ms",
        "_stopping",
        "_take_quickly",
        "_traffic",
        "_transport",
        "_untaken",
        "_waits_for_room",
        "active",
        "admission",
        "answer_bytes",
        "blocked",
        "broker",
        "calls",
        "client_host",
        "dispatching",
        "idle_fetch",
        "listener",
        "listener_name",
        "local_address",
        "metadata_due_ms",
        "principal",
        "sasl",
        "throttling",
    )

    def __init__(self, broker: Broker, listener: Listener) -> None:
        self.broker = broker
        self.listener = listener
        self.listener_name = listener.name
        self.admission: Admission | None = None  # it was counted before it came here
        self.client_host = ""
        self.principal = ANONYMOUS
        self.sasl: Sasl | None = None
        self.local_address: tuple[str, int] = ("", 0)
        self.calls: deque[Call | Answer] = deque()
        self.dispatching = False
        self.blocked = False
        self.idle_fetch: Any = None
        self.metadata_due_ms = 0
        self._last_fetch: tuple[int, bytes, Any] = (-1, b"", None)
        self.active = True  # bytes came since the listener last looked for idle connections
        self._transport: asyncio.Transport | None = None
        self._frames = FrameBuffer(broker.settings.socket_request_max_bytes)
        self._budget = listener.budget
        self._answers = listener.answers
        self.answer_bytes = 0  # of answers that are ready and wait for others, or for the client
        self._counted = 0  # what `_answers` holds for this connection
        self._handed_bytes = 0  # to the transport, since the client last took everything: it keeps each answer until it is gone whole
        self._untaken = 0  # what the client had yet to take when the listener last looked
        self._fetches = 0  # fetches that are not answered yet
        self._frame_bytes = 0  # what had arrived of the frame that has begun, when that was last looked at
        self._stalled_from_ms = 0
        self._stall_timer: Handle | None = None
        self._bytes_held = 0  # by requests that are not answered yet
        self._reserved = 0  # for a frame that is not whole yet
        self._waits_for_room = False
        self._paused = False
        self._apis = broker.apis
        self._take_quickly: Callable[[Replies, bytes, int], bool] = broker.quick_produce.take
        self.throttling = broker.throttling
        self._held: deque[Buffer] = deque()  # requests that came, and are taken when the time is over or there is room
        self._held_until_ms = 0
        self._hold_timer: Handle | None = None
        self._client_full = False
        self._stopping = False
        self._traffic = listener.traffic

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer: Any = transport.get_extra_info("peername")
        local: Any = transport.get_extra_info("sockname")
        self.client_host = peer[0] if peer else ""
        self.local_address = (local[0], local[1]) if local else ("", 0)
        self._transport.set_write_buffer_limits(high=BUFFERED_BYTES_MAX)
        self.listener.opened(self)
        if self.listener.security is not None:
            try:
                self.principal = self.listener.security.principal_of(transport)
            except MalformedError as error:
                self.close(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        for call in self.calls:
            if call.on_closed is not None and call.state == UNSENT:
                call.on_closed()
        self.calls.clear()
        if not self._budget.forget(self):
            self._budget.give_back(self._reserved)
        self._budget.give_back(self._bytes_held)
        self._reserved = self._bytes_held = 0
        self._held.clear()
        self.answer_bytes = self._handed_bytes = 0
        self._count_answers()
        for timer in (self._hold_timer, self._stall_timer):
            if timer is not None:
                timer.cancel()
        self._hold_timer = self._stall_timer = None
        if self.idle_fetch is not None:
            self.idle_fetch.forget()
            self.idle_fetch = None
        if self.sasl is not None:
            self.sasl.closed()
        self.listener.closed(self)

    def pause_writing(self) -> None:
        self._client_full = True
        self._pause_or_resume()

    def resume_writing(self) -> None:
        self._client_full = False
        self._handed_bytes = 0
        self._count_answers()
        self.drain()

    def data_received(self, data: bytes) -> None:
        """Dispatch every frame that is whole by now, then send what may be sent."""
        self.active = True
        received = self._frames
        now_ms = self.broker.clock.wall_ms()
        self.dispatching = True
        size = 0
        try:
            for frame in received.feed(data):
                size += len(frame)
                if type(frame) is bytes and frame[:2] == PRODUCE and not self._held and self._take_quickly(self, frame, now_ms):
                    continue
                if self._held or self._may_take_no_more():
                    self._held.append(frame)
                else:
                    self._dispatch(frame, now_ms)
                if self._transport is None:
                    return
        finally:
            self.dispatching = False
            self._bytes_held += size
            self._traffic.bytes_in += size
            self._budget.hold(size)
        if received.problem is not None and not self._held:
            self.close(received.problem)
            return
        if received.expected != self._reserved:
            self._reserve(received.expected)
        if self.blocked:
            self._pause_or_resume()  # what is first in the queue waits for a round, and so does the rest
        else:
            self.drain()

    # Quotas.

    def hold(self, throttle_ms: int) -> None:
        """Take no further request for so long, because the client is above a quota."""
        if self._transport is None:
            return
        until_ms = self.broker.clock.monotonic_ms() + throttle_ms
        self._held_until_ms = max(self._held_until_ms, until_ms)
        self._take_quickly = not_quickly
        if self._hold_timer is None:
            self._hold_timer = self.broker.runtime.call_at(until_ms, self._end_hold)

    def _end_hold(self) -> None:
        """The time is over: take what was kept, until the client is held again."""
        self._hold_timer = None
        if self.broker.clock.monotonic_ms() < self._held_until_ms:
            self._hold_timer = self.broker.runtime.call_at(self._held_until_ms, self._end_hold)
            return
        self._held_until_ms = 0
        if self._apis is self.broker.apis:
            self._take_quickly = self.broker.quick_produce.take
        if self._stopping:
            return
        self.drain()

    def _take_held(self) -> None:
        """Take what was kept, as far as it may be."""
        now_ms = self.broker.clock.wall_ms()
        self.dispatching = True
        while self._held and not self._may_take_no_more() and self._transport is not None:
            self._dispatch(self._held.popleft(), now_ms)
        self.dispatching = False
        if self._frames.problem is not None and not self._held:
            self.close(self._frames.problem)

    def _may_take_no_more(self) -> bool:
        """Whether a request that is here has to wait: for its time, or until the client has taken what it was answered."""
        return self._held_until_ms > 0 or self._client_full or self.answer_bytes > UNSENT_BYTES_MAX or self._fetches >= FETCHES_MAX

    # Memory.

    def _reserve(self, size: int) -> None:
        """The frame that a place was taken for is whole; another one of `size` bytes (0: none) has begun."""
        given_back, self._reserved = self._reserved, size
        self._frame_bytes = -STALL_PROGRESS_BYTES  # it has begun, which counts as progress
        if size and self._stall_timer is None:
            self._watch()
        self._waits_for_room = size > 0 and not self._budget.reserve(self, size)
        if given_back:
            self._budget.give_back(given_back)

    def room(self) -> None:
        """The line has moved: the frame that has begun may go on."""
        self._waits_for_room = False
        self._pause_or_resume()

    def _watch(self) -> None:
        due_ms = self.broker.clock.monotonic_ms() + min(self.broker.settings.ev_request_stall_ms, STALL_IN_LINE_MS)
        self._stall_timer = self.broker.runtime.call_at(due_ms, self._look_for_stall)

    def _look_for_stall(self) -> None:
        """Close the connection if its request does not go on, soon if others wait for its place; not while it is us who do not read."""
        self._stall_timer = None
        if not self._reserved or self._transport is None:
            return
        arrived, now_ms = self._frames.buffered, self.broker.clock.monotonic_ms()
        if self._paused or arrived - self._frame_bytes >= STALL_PROGRESS_BYTES:
            self._frame_bytes, self._stalled_from_ms = arrived, now_ms
        elif self._budget.has_line or now_ms - self._stalled_from_ms >= self.broker.settings.ev_request_stall_ms:
            stalled_ms = now_ms - self._stalled_from_ms
            self.close(f"{arrived} bytes of a request of {self._reserved} have come, and hardly any within {stalled_ms} ms")
            return
        self._watch()

    def _count_answers(self) -> None:
        """Say how much memory the answers take that the client has yet to take."""
        waiting = self.answer_bytes + self._handed_bytes
        self._answers.bytes_held += waiting - self._counted
        self._counted = waiting

    @property
    def answer_bytes_max(self) -> int:
        """What the next answer may have that may as well be smaller."""
        return self._answers.bytes_max

    def takes_nothing(self) -> bool:
        """Whether the client has taken nothing of what waits for it since this was asked last."""
        waiting = self._transport.get_write_buffer_size() if self._client_full and self._transport is not None else 0
        before, self._untaken = self._untaken, waiting
        return 0 < waiting == before

    # Requests.

    def _dispatch(self, frame: Buffer, now_ms: int) -> None:
        """Decode one request and have its handler decide; its reply comes now or later."""
        throttling = self.throttling
        began_ns = throttling.now_ns() if throttling.active else 0
        try:
            header, position = decode_request_header(frame)
            if len(frame) > ORDINARY_REQUEST_BYTES_MAX and header.api_key not in BULKY_APIS:
                self.close(f"API {header.api_key} with {len(frame)} bytes; at most {ORDINARY_REQUEST_BYTES_MAX} are accepted")
                return
            served = self._apis.get(header.api_key)
            if served is None or not served.min_version <= header.api_version <= served.max_version:
                if header.api_key != API_VERSIONS or served is None:
                    self.close(f"API {header.api_key} version {header.api_version} is not served")
                    return
                header.api_version = 0  # the answer to an unknown version of ApiVersions has the form of version 0
                request = None
            elif header.api_key == FETCH:
                request = self._decoded_fetch(served, header.api_version, frame, position)
                self._fetches += 1
            else:
                decode = served.decoders.get(header.api_version) or served.decoder(header.api_version)
                request, _ = decode(frame, position)
        except MalformedError as error:
            self.close(f"a request does not parse: {error}")
            return
        call = Call(self, header, request, served.response_class, now_ms, len(frame))
        self.calls.append(call)
        if began_ns:
            throttling.begin(began_ns)
        try:
            served.handle(self.broker, call)
        except Exception:
            log.exception("API %d version %d failed", header.api_key, header.api_version)
            self.close("the request could not be handled")
        if began_ns:
            throttling.end(call)

    def _decoded_fetch(self, served: Served, version: int, frame: Buffer, position: int) -> Any:
        """Decode a fetch; one that says what the last one said, in whatever order, is the same object (an idle consumer's is)."""
        body = bytes(frame[position:])
        last_version, last_body, last = self._last_fetch
        if version != last_version or (body != last_body and not is_rotated(last, version, last_body, body)):
            self._last_fetch = (version, body, served.decoder(version)(frame, position)[0])
        return self._last_fetch[2]

    # Authentication.

    def take(self, frame: bytes) -> None:
        """Take one request of a client that is not served otherwise yet."""
        self._bytes_held += len(frame)
        self._budget.hold(len(frame))
        if self._held or self._may_take_no_more():
            self._held.append(frame)
        else:
            self._dispatch(frame, self.broker.clock.wall_ms())
        self.drain()

    def admit(self) -> None:
        """The client has said who it is: everything is served."""
        self._apis = self.broker.apis
        if not self._held_until_ms:
            self._take_quickly = self.broker.quick_produce.take

    def not_who_it_says(self) -> None:
        """Count a client whose authentication failed."""
        self._traffic.authentications_failed += 1

    def session_ended(self) -> None:
        """Nothing is served until the client has said again who it is."""
        self._apis = {key: served for key, served in self.broker.apis.items() if key in SASL_APIS}
        self._take_quickly = not_quickly

    # Replies.

    def drain(self) -> None:
        """Send every reply at the head of the queue that may leave; then take the requests that had no room before."""
        if self._transport is None or self.dispatching:
            return
        self._send()
        while self._held and not self._stopping and not self._may_take_no_more() and self._transport is not None:
            self._take_held()
            self._send()
        if self.answer_bytes + self._handed_bytes != self._counted:
            self._count_answers()
        self._pause_or_resume()

    def _send(self) -> None:
        """Send what may leave, in one write, or several when it is much."""
        transport = self._transport
        calls = self.calls
        if transport is not None and calls and not self._client_full:
            runtime = self.broker.runtime
            synced_round = runtime.synced_round
            parts: list[Buffer] = []
            size = handed = freed = now_ms = 0
            answered = self._traffic.answered
            while calls:
                call = calls[0]
                if call.state == UNSENT:
                    break
                if call.after > synced_round:
                    runtime.block(self)
                    break
                calls.popleft()
                if not freed:
                    now_ms = self.broker.clock.wall_ms()
                freed += call.size
                row, took_ms = answered[call.api_key], now_ms - call.now_ms
                row[took_ms.bit_length()] += 1
                row[SUM_MS] += took_ms
                row[REPLY_BYTES] += call.reply_size
                if type(call) is Call:
                    self.answer_bytes -= call.reply_size
                    if call.api_key == FETCH:
                        self._fetches -= 1
                if call.state == READY:
                    parts += call.parts
                    size += call.reply_size
                    if size > LARGE_REPLY_BYTES:
                        transport.writelines(parts)
                        handed += size
                        parts, size = [], 0
                        if self._client_full or self._transport is None:
                            break
            if parts:
                transport.write(b"".join(parts))
                handed += size
            if self._client_full:
                self._handed_bytes += handed
            if freed:
                self._bytes_held -= freed
                self._budget.give_back(freed)

    def _pause_or_resume(self) -> None:
        full = (
            self._stopping
            or self._client_full
            or self._waits_for_room
            or self._held_until_ms > 0
            or len(self._held) > 0
            or len(self.calls) > CALLS_MAX
            or self._bytes_held > BYTES_HELD_MAX
            or (self._bytes_held > 0 and self._budget.exceeded)
        )
        if full != self._paused and self._transport is not None:
            self._paused = full
            if full:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def close(self, reason: str) -> None:
        """Close now; what is still unanswered is never answered."""
        if self._transport is not None:
            log.warning("connection from %s closed: %s", self.client_host, reason)
            self._traffic.connections_closed += 1
            self._transport.abort()
            self._transport = None

    def drop(self, reason: str) -> None:
        """Close now, and have the kernel forget what the client does not take: otherwise it would keep that for minutes."""
        opened = None if self._transport is None else self._transport.get_extra_info("socket")
        if opened is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.close(reason)

    def stop_reading(self) -> None:
        """Take no further request; those that were taken are still answered."""
        self._stopping = True
        self._pause_or_resume()

    def finish(self) -> None:
        """Close when what was answered has been sent, because the engine stops."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close now, whatever is still to be sent."""
        if self._transport is not None:
            self._transport.abort()
