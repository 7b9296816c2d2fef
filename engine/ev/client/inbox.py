"""Cuts what a transport receives into frames, each received straight into the buffer in which it stays."""

from __future__ import annotations

from ev.errors import MalformedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev.client.transport import Transport
    from ev.wire.primitives import Buffer

FRAME_SIZE_MAX = 256 << 20
"""No answer is larger: a fetch is bounded by 55 MiB and one batch by default. A size beyond it means that no Kafka answers there."""

_SCRATCH_SIZE = 64 * 1024
_TLS_ALERT = 0x1503
"""What a server sends that was expecting TLS begins with these two bytes: an alert, of TLS 1.x."""


class Inbox:
    """Small frames come out as bytes; a frame that does not fit the scratch buffer gets a buffer of its own, so that it is copied once."""

    __slots__ = ("_filled", "_frame", "_missing", "_scratch", "_view")

    def __init__(self) -> None:
        self._scratch = bytearray(_SCRATCH_SIZE)
        self._view = memoryview(self._scratch)
        self._filled = 0
        self._frame: bytearray | None = None
        self._missing: memoryview | None = None

    def receive(self, transport: Transport) -> list[Buffer] | None:
        """The frames that one or two reads complete; None at the end of the stream."""
        frames: list[Buffer] = []
        if self._frame is not None and self._missing is not None:
            count = transport.receive_into(self._missing)
            if not count:
                return frames if count is None else None
            self._missing = self._missing[count:]
            if self._missing:
                return frames
            frames.append(memoryview(self._frame))
            self._frame = self._missing = None
        count = transport.receive_into(self._view[self._filled :])
        if not count:
            return frames if count is None or frames else None
        self._filled += count
        self._cut(frames)
        return frames

    def _cut(self, frames: list[Buffer]) -> None:
        """Take whole frames from the scratch buffer; the beginning of a large one moves into its own buffer."""
        position = 0
        while self._filled - position >= 4:
            size = int.from_bytes(self._view[position : position + 4], "big")
            if size >> 16 == _TLS_ALERT:
                raise MalformedError("what answers there speaks TLS: ask for TLS, or take the port of a listener without it")
            if size > FRAME_SIZE_MAX:
                raise MalformedError(f"the answer says it is {size} bytes long: what answers there does not speak Kafka's protocol")
            start = position + 4
            end = start + size
            if end > self._filled:
                if size + 4 > _SCRATCH_SIZE:
                    self._frame = bytearray(size)
                    there = self._filled - start
                    self._frame[:there] = self._view[start : self._filled]
                    self._missing = memoryview(self._frame)[there:]
                    position = self._filled
                break
            frames.append(bytes(self._view[start:end]))
            position = end
        rest = self._filled - position
        if rest and position:
            self._view[:rest] = bytes(self._view[position : self._filled])
        self._filled = rest
