"""Cuts a byte stream into frames: an int32 with the size, then that many bytes."""

from __future__ import annotations

from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev.wire.primitives import Buffer

_read_size = Struct(">i").unpack_from

COPY_MAX = 4096
"""Frames up to this size are given out as bytes: the copy costs less than decoding through a memoryview would."""


class FrameBuffer:
    """Collects what was received and gives out whole frames, without their size.

    A frame that lies whole in what one `feed` brought is a view of it, or a copy when it is small. A larger one is gathered in one
    buffer that grows as its bytes come, so that a size alone costs nothing. What was fed must not be changed afterwards.
    """

    __slots__ = ("_head", "_missing", "_partial", "_small_max", "frame_size_max", "problem")

    def __init__(self, frame_size_max: int) -> None:
        self.frame_size_max = frame_size_max
        self._small_max = min(frame_size_max, COPY_MAX)
        self.problem: str | None = None  # a frame said a size that is out of bounds: nothing that follows it can be understood
        self._head = b""
        self._partial: bytearray | None = None
        self._missing = 0

    @property
    def buffered(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._head) + (0 if self._partial is None else len(self._partial))

    @property
    def expected(self) -> int:
        """The whole size of a frame that has begun and is not whole yet; 0 when there is none."""
        return 0 if self._partial is None else len(self._partial) + self._missing

    def feed(self, data: Buffer) -> Sequence[Buffer]:
        """Take what was received; returns the frames that are whole by now. See `problem` afterwards."""
        end = len(data)
        if self._partial is None and not self._head and 0 <= end - 4 <= self._small_max and _read_size(data)[0] == end - 4:
            return (bytes(data[4:]),)  # nearly every read brings one whole frame
        frames: list[Buffer] = []
        position = 0
        if self._partial is not None:
            position = self._feed_partial(data, frames)
        elif self._head:
            data = self._head + data
            end = len(data)
            self._head = b""
        while end - position >= 4:
            (size,) = _read_size(data, position)
            if not 0 <= size <= self.frame_size_max:
                self.problem = f"a frame says that it has {size} bytes; allowed are 0 to {self.frame_size_max}"
                return frames
            start = position + 4
            position = start + size
            if position > end:
                self._partial = bytearray(memoryview(data)[start:])
                self._missing = position - end
                return frames
            if size <= COPY_MAX:
                frames.append(bytes(data[start:position]))
            else:
                frames.append(memoryview(data)[start:position])
        if position < end:
            self._head = bytes(data[position:])
        return frames

    def _feed_partial(self, data: Buffer, frames: list[Buffer]) -> int:
        """Give the frame that is not whole what it lacks; returns where the next frame begins."""
        assert self._partial is not None
        taken = min(self._missing, len(data))
        self._partial += memoryview(data)[:taken]
        self._missing -= taken
        if self._missing == 0:
            frames.append(memoryview(self._partial) if len(self._partial) > COPY_MAX else bytes(self._partial))
            self._partial = None
        return taken
