"""Keys go where Java's client sends them."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from aiokafka.partitioner import murmur2 as other_murmur2
from hypothesis import given
from hypothesis import strategies as st

from ev.client.murmur2 import murmur2, murmur2_of_many
from ev.client.partitioner import KeyPartitions, TopicPartitioner, crc32_partition, murmur2_partition, murmur2_partitions
from ev.errors import SettingError


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(key: bytes, signed: int) -> None:
    """The vectors of Kafka's own test of its hash."""
    assert murmur2(key) == signed & 0xFFFFFFFF


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 7, 8, 16, 35, 36, 101])
def test_many_at_once_are_hashed_as_one(size: int) -> None:
    """Whatever their neighbours are, over the edge of what one large number holds, and few of them."""
    draw = random.Random(size)
    keys = [bytes(size), b"\xff" * size, *[draw.randbytes(size) for _ in range(4200)]]
    assert murmur2_of_many(keys) == [murmur2(key) for key in keys]
    assert murmur2_of_many(keys[:5]) == [murmur2(key) for key in keys[:5]]


@given(keys=st.lists(st.none() | st.binary(max_size=40), max_size=60), count=st.integers(2, 50), kind=st.sampled_from(["murmur2", "crc32"]))
def test_a_list_of_keys_is_as_its_keys_one_by_one(keys: list[bytes | None], count: int, kind: str) -> None:
    """Known before or not, of different sizes, null or empty among them."""
    partitioner = TopicPartitioner(kind, count)
    alone = murmur2_partition if kind == "murmur2" else crc32_partition
    null = {None, b""} if kind == "crc32" else {None}
    for part in (keys[::2], keys):
        expected = [partitioner.current if key is None or key in null else alone(key, count) for key in part]
        assert partitioner.partitions(part, len(part)) == expected
        partitioner.next_batch(range(count))


@given(key=st.binary(max_size=100), count=st.integers(1, 1000))
def test_murmur2_is_that_of_another_client(key: bytes, count: int) -> None:
    """aiokafka's implementation gives the same hash, so the same partition."""
    assert murmur2(key) == other_murmur2(key) & 0xFFFFFFFF
    assert murmur2_partition(key, count) == (other_murmur2(key) & 0x7FFFFFFF) % count


def test_crc32_is_that_of_librdkafka() -> None:
    """CRC-32 of the key, modulo the number of partitions."""
    assert crc32_partition(b"123456789", 1000) == 0xCBF43926 % 1000


def test_keys_stay_together_and_null_keys_go_to_the_current_partition() -> None:
    """A key's partition depends on nothing else; records without one wait for the next batch to move."""
    partitioner = TopicPartitioner("murmur2", 12)
    keys = [b"a", None, b"b", b"a", b"", None]
    chosen = partitioner.partitions(keys, len(keys))
    assert chosen[0] == chosen[3] == murmur2_partition(b"a", 12)
    assert chosen[4] == murmur2_partition(b"", 12)
    assert chosen[1] == chosen[5] == partitioner.current


def test_librdkafka_counts_an_empty_key_as_none() -> None:
    """With its `consistent_random` only keys that hold something are hashed."""
    partitioner = TopicPartitioner("crc32", 12)
    assert partitioner.partitions([b"", b"x"], 2) == [partitioner.current, crc32_partition(b"x", 12)]


def test_round_robin_deals_records_one_by_one() -> None:
    """Evenly, and going on where the last call stopped."""
    partitioner = TopicPartitioner("rr", 3)
    assert partitioner.partitions(None, 4) + partitioner.partitions([b"k"] * 3, 3) == [0, 1, 2, 0, 1, 2, 0]


def test_random_reaches_every_partition() -> None:
    """Whatever the key."""
    chosen = TopicPartitioner("random", 4).partitions([b"k"] * 4_000, 4_000)
    assert min(Counter(chosen).values()) > 800


def test_sticky_moves_to_another_partition_that_has_a_leader() -> None:
    """After a full batch; it stays where it is when there is no other."""
    partitioner = TopicPartitioner("sticky", 5)
    before = partitioner.current
    partitioner.next_batch([before, (before + 1) % 5])
    assert partitioner.current == (before + 1) % 5
    partitioner.next_batch([partitioner.current])
    assert partitioner.current == (before + 1) % 5


def test_one_partition_needs_no_hash() -> None:
    """Neither do records without keys, nor `sticky`; the partitioners that go record by record always choose."""
    assert TopicPartitioner("murmur2", 1).ignores_keys([b"k"])
    assert TopicPartitioner("murmur2", 9).ignores_keys(None)
    assert TopicPartitioner("sticky", 9).ignores_keys([b"k"])
    assert not TopicPartitioner("murmur2", 9).ignores_keys([b"k"])
    assert not TopicPartitioner("rr", 9).ignores_keys(None)


def test_the_memory_for_keys_is_bounded() -> None:
    """Millions of different keys do not pile up."""
    partitions = KeyPartitions(murmur2_partitions, 3)
    for start in range(0, 70_000, 1000):
        keys = [b"%d" % number for number in range(start, start + 1000)]
        assert partitions.of([*keys, None], {None: 2}) == [*[murmur2_partition(key, 3) for key in keys], 2]
        assert len(partitions) <= 1 << 16


def test_an_unknown_partitioner_is_refused_by_name() -> None:
    """With the names that there are."""
    with pytest.raises(SettingError, match="murmur2"):
        TopicPartitioner("best", 3)
