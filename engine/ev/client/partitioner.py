"""Which partition a record goes to: by its key as Java's client does it, or to one partition for as long as a batch lasts."""

from __future__ import annotations

from os import urandom
from struct import unpack

from ev.errors import SettingError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PARTITIONERS = ("murmur2", "crc32", "random", "rr", "sticky")
"""murmur2: Java's; crc32: librdkafka's `consistent_random`; random and rr: record by record; sticky: by batch, whatever the key."""

_CACHE_MAX = 1 << 16


def murmur2_partition(key: bytes, count: int) -> int:
    """The partition that Java's default partitioner gives a key."""
    from ev.client.murmur2 import murmur2  # noqa: PLC0415 - a topic with one partition needs no hash

    return (murmur2(key) & 0x7FFFFFFF) % count


def crc32_partition(key: bytes, count: int) -> int:
    """The partition that librdkafka's `consistent` partitioners give a key."""
    from zlib import crc32  # noqa: PLC0415 - only who asks for it

    return crc32(key) % count


def murmur2_partitions(keys: Sequence[bytes], count: int) -> list[int]:
    """The same for keys of one size."""
    from ev.client.murmur2 import murmur2_of_many  # noqa: PLC0415

    return [(found & 0x7FFFFFFF) % count for found in murmur2_of_many(keys)]


def crc32_partitions(keys: Sequence[bytes], count: int) -> list[int]:
    """The same by `crc32_partition`."""
    return [crc32_partition(key, count) for key in keys]


class KeyPartitions(dict["bytes | None", int]):
    """Partitions by key for one number of partitions; keys come again, and a look-up costs a tenth of the hash."""

    __slots__ = ("_count", "_hash")

    def __init__(self, key_hash: Callable[[Sequence[bytes], int], list[int]], count: int) -> None:
        self._hash = key_hash
        self._count = count

    def of(self, keys: Sequence[bytes | None], fixed: dict[bytes | None, int]) -> list[int]:
        """The partition of each of these keys; `fixed` has those that no hash decides about."""
        self.update(fixed)
        found = list(map(self.get, keys))
        if None not in found:
            return found  # type: ignore[return-value]
        missing = {key for key, partition in zip(keys, found, strict=True) if partition is None}
        if len(self) + len(missing) > _CACHE_MAX:
            self.clear()
            self.update(fixed)
            missing = set(keys).difference(fixed)
        by_size: dict[int, list[bytes]] = {}
        for key in missing:
            assert key is not None
            by_size.setdefault(len(key), []).append(key)
        for same in by_size.values():
            self.update(zip(same, self._hash(same, self._count), strict=True))
        return list(map(self.__getitem__, keys))


class TopicPartitioner:
    """Chooses for one topic. `current` is where records without a key go until `next_batch` moves on to another partition."""

    __slots__ = ("_count", "_keys", "_kind", "_round", "current")

    def __init__(self, kind: str, count: int) -> None:
        if kind not in PARTITIONERS:
            raise SettingError(f"no partitioner is called {kind!r}; there are {', '.join(PARTITIONERS)}")
        self._kind = kind
        self._count = count
        self._keys = KeyPartitions(crc32_partitions if kind == "crc32" else murmur2_partitions, count)
        self._round = 0
        self.current = _below(count)

    @property
    def count(self) -> int:
        return self._count

    def next_batch(self, available: Sequence[int]) -> None:
        """A batch is full: go on with another partition, one that has a leader if there is one."""
        choices = [partition for partition in available if partition != self.current]
        if choices:
            self.current = choices[_below(len(choices))]

    def ignores_keys(self, keys: Sequence[bytes | None] | None) -> bool:
        """Whether all these records go to `current`."""
        return self._count == 1 or self._kind == "sticky" or (keys is None and self._kind in ("murmur2", "crc32"))

    def partitions(self, keys: Sequence[bytes | None] | None, count: int) -> list[int]:
        """The partition of each of `count` records."""
        if self._kind == "rr":
            start = self._round
            self._round = (start + count) % self._count
            return [(start + index) % self._count for index in range(count)]
        if self._kind == "random" or keys is None:
            return [number % self._count for number in unpack(f"{count}I", urandom(4 * count))]
        null = (None, b"") if self._kind == "crc32" else (None,)
        return self._keys.of(keys, dict.fromkeys(null, self.current))


def _below(bound: int) -> int:
    return int.from_bytes(urandom(4), "little") % bound
