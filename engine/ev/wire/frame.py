"""Cuts a byte stream into frames: an int32 with the size, then that many bytes."""

from __future__ import annotations

from struct import Struct

from ev.errors import MalformedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ev.wire.primitives import Buffer

_read_size = Struct(">i").unpack_from

COPY_MAX = 4096
"""Frames up to this size are given out as bytes: the copy costs less than decoding through a memoryview would."""


class FrameBuffer:
    """Collects what was received and gives out whole frames, without their size.

    A frame that lies whole in what one `feed` brought is a view of it, or a copy when it is small. A larger one is gathered in one
    buffer that grows as its bytes come, so that a size alone costs nothing. What was fed must not be changed afterwards.
    """

    __slots__ = ("_frames", "_head", "_missing", "_partial", "frame_size_max")

    def __init__(self, frame_size_max: int) -> None:
        self.frame_size_max = frame_size_max
        self._frames: list[Buffer] = []
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

    def feed(self, data: Buffer) -> None:
        """Take what was received. Raises MalformedError when a frame says that it is too large; frames before it are kept."""
        position = 0
        if self._partial is not None:
            position = self._feed_partial(data)
        elif self._head:
            data = self._head + data
            self._head = b""
        end = len(data)
        while end - position >= 4:
            (size,) = _read_size(data, position)
            if not 0 <= size <= self.frame_size_max:
                raise MalformedError(f"a frame says that it has {size} bytes; allowed are 0 to {self.frame_size_max}")
            start = position + 4
            position = start + size
            if position > end:
                self._partial = bytearray(memoryview(data)[start:])
                self._missing = position - end
                return
            if size <= COPY_MAX:
                self._frames.append(bytes(data[start:position]))
            else:
                self._frames.append(memoryview(data)[start:position])
        if position < end:
            self._head = bytes(data[position:])

    def _feed_partial(self, data: Buffer) -> int:
        """Give the frame that is not whole what it lacks; returns where the next frame begins."""
        assert self._partial is not None
        taken = min(self._missing, len(data))
        self._partial += memoryview(data)[:taken]
        self._missing -= taken
        if self._missing == 0:
            self._frames.append(memoryview(self._partial) if len(self._partial) > COPY_MAX else bytes(self._partial))
            self._partial = None
        return taken

    def __iter__(self) -> Iterator[Buffer]:
        """The whole frames, each one once."""
        frames, self._frames = self._frames, []
        return iter(frames)
