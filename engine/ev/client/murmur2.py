"""Kafka's murmur2 (seed 0x9747b28c): of one key, and of many keys of one size at once.

Many at once are a few large numbers: each key has a lane of 64 bits, whose upper half is empty, so that one multiplication multiplies the
32 bits of every lane and none runs over into the next. What a shift brings in from the neighbour is masked away. Python does arithmetic
with large numbers in C, and a key costs a tenth of what it costs alone.
"""

from __future__ import annotations

import sys
from struct import unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SEED = 0x9747B28C
MULTIPLIER = 0x5BD1E995
_MASK = 0xFFFFFFFF
_LANE = 8
_LANES_MAX = 1 << 12
"""More in one number would not stay near the processor."""
_FEW = 12
"""So many are as quick one by one."""


def murmur2(data: bytes) -> int:
    """The hash of a key, as an unsigned number of 32 bits."""
    size = len(data)
    whole = size & ~3
    state = SEED ^ size
    for word in unpack(f"<{whole >> 2}I", data[:whole]):
        mixed = word * MULTIPLIER & _MASK
        mixed = (mixed ^ mixed >> 24) * MULTIPLIER & _MASK
        state = (state * MULTIPLIER & _MASK) ^ mixed
    if size > whole:
        state = (state ^ int.from_bytes(data[whole:], "little")) * MULTIPLIER & _MASK
    state = (state ^ state >> 13) * MULTIPLIER & _MASK
    return state ^ state >> 15


def murmur2_of_many(keys: Sequence[bytes]) -> list[int]:
    """The hashes of keys that have one size, in their order."""
    if len(keys) <= _FEW or sys.byteorder != "little":
        return list(map(murmur2, keys))
    hashes: list[int] = []
    for start in range(0, len(keys), _LANES_MAX):
        hashes += _lanes(keys[start : start + _LANES_MAX])
    return hashes


def _lanes(keys: Sequence[bytes]) -> list[int]:
    """The same, for as many as one number has room for."""
    size, count = len(keys[0]), len(keys)
    whole = size >> 2
    padding = bytes(-size & 3)
    words = memoryview(padding.join([*keys, b""]) if padding else b"".join(keys)).cast("I")
    stride = len(words) // count
    lanes = bytearray(_LANE * count)
    low_halves = memoryview(lanes).cast("I")[::2]

    def column(number: int) -> int:
        """The words of all keys at one place, a lane for each."""
        low_halves[:] = words[number::stride]
        return int.from_bytes(lanes, "little")

    ones = int.from_bytes((1).to_bytes(_LANE, "little") * count, "little")
    mask, after_24, after_13, after_15 = (ones * (_MASK >> shift) for shift in (0, 24, 13, 15))
    state = ones * (SEED ^ size)
    for number in range(whole):
        mixed = column(number) * MULTIPLIER & mask
        mixed = (mixed ^ (mixed >> 24 & after_24)) * MULTIPLIER & mask
        state = (state * MULTIPLIER & mask) ^ mixed
    if padding:
        state = (state ^ column(whole)) * MULTIPLIER & mask
    state = (state ^ (state >> 13 & after_13)) * MULTIPLIER & mask
    state ^= state >> 15 & after_15
    return memoryview(state.to_bytes(_LANE * count, "little")).cast("Q").tolist()
