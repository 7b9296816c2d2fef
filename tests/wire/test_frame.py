"""Frames come out whole, however the network cut them."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ev.wire.frame import COPY_MAX, FrameBuffer


def framed(bodies: list[bytes]) -> bytes:
    return b"".join(len(body).to_bytes(4, "big") + body for body in bodies)


@given(
    sizes=st.lists(st.integers(0, 3 * COPY_MAX), max_size=6),
    cuts=st.lists(st.integers(1, 2 * COPY_MAX), min_size=1, max_size=8),
)
def test_any_cut_of_the_stream_gives_the_same_frames(sizes: list[int], cuts: list[int]) -> None:
    """Whatever the pieces."""
    bodies = [bytes((index + 1,)) * size for index, size in enumerate(sizes)]
    stream = framed(bodies)
    buffer = FrameBuffer(3 * COPY_MAX)
    got: list[bytes] = []
    position = turn = 0
    while position < len(stream):
        cut = cuts[turn % len(cuts)]
        got += map(bytes, buffer.feed(stream[position : position + cut]))
        position += cut
        turn += 1
    assert got == bodies
    assert buffer.buffered == 0


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 1000])
def test_every_byte_at_which_a_stream_can_be_cut_works(cut: int) -> None:
    """Inside the size as well as inside the body."""
    bodies = [b"", b"a", b"bc" * 700, b"", b"d" * 9]
    stream = framed(bodies)
    buffer = FrameBuffer(2000)
    got: list[bytes] = []
    for position in range(0, len(stream), cut):
        got += map(bytes, buffer.feed(stream[position : position + cut]))
    assert got == bodies


def test_a_large_frame_that_came_whole_is_not_copied() -> None:
    """It is a view of what was received."""
    received = framed([b"small", b"x" * (COPY_MAX + 1)])
    buffer = FrameBuffer(1 << 20)
    small, large = buffer.feed(received)
    assert type(small) is bytes
    assert isinstance(large, memoryview)
    assert large.obj is received


@pytest.mark.parametrize("size", [-1, -(2**31), 101, 2**31 - 1])
def test_a_size_out_of_bounds_is_malformed_and_earlier_frames_are_kept(size: int) -> None:
    """The caller answers what it can, then closes."""
    buffer = FrameBuffer(100)
    assert buffer.feed(framed([b"fine"]) + size.to_bytes(4, "big", signed=True)) == [b"fine"]
    assert buffer.problem == f"a frame says that it has {size} bytes; allowed are 0 to 100"


@pytest.mark.parametrize("behind", [b"", b"x", (3).to_bytes(4, "big") + b"abc"])
def test_a_frame_that_came_whole_is_held_to_the_bound_too(behind: bytes) -> None:
    """However small it is, and whatever came with it: 100 bytes are let through, 101 are not."""
    buffer = FrameBuffer(100)
    assert list(buffer.feed(framed([b"x" * 100]))) == [b"x" * 100]
    assert buffer.problem is None
    assert list(buffer.feed(framed([b"x" * 101]) + behind)) == []
    assert buffer.problem == "a frame says that it has 101 bytes; allowed are 0 to 100"


def test_a_size_alone_takes_no_memory() -> None:
    """100 MiB are announced, five bytes come."""
    buffer = FrameBuffer(100 << 20)
    tracemalloc.start()
    frames = buffer.feed((100 << 20).to_bytes(4, "big") + b"x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert frames == []
    assert buffer.buffered == 1
    assert peak < 4096
