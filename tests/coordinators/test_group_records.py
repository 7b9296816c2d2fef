"""The records of __consumer_offsets have Kafka's bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ev.coordinators.classic import ClassicGroup, Member, Protocol
from ev.coordinators.group_records import (
    CommittedOffset,
    GroupKey,
    OffsetKey,
    group_key,
    group_value,
    offset_key,
    offset_value,
    read_group_value,
    read_key,
    read_member,
    read_offset_value,
)
from ev.errors import MalformedError

TOPIC_ID = bytes(range(16))
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def string(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


def test_the_key_of_a_committed_offset_is_type_1() -> None:
    """int16 1, group, topic, int32 partition; the legacy type 0 reads the same."""
    assert offset_key("g", "orders", 3) == b"\0\1" + string("g") + string("orders") + b"\0\0\0\3"
    assert read_key(offset_key("g", "orders", 3)) == OffsetKey("g", "orders", 3)
    assert read_key(b"\0\0" + offset_key("g", "orders", 3)[2:]) == OffsetKey("g", "orders", 3)


def test_the_value_of_a_committed_offset_is_version_4_with_the_topic_id_tagged() -> None:
    """int16 4, int64 offset, int32 epoch, compact string, int64 timestamp, one tag 0 of 16 bytes."""
    value = offset_value(CommittedOffset(42, 5, "note", 1_700_000_000_000, -1, TOPIC_ID))
    drawn = b"\0\4" + (42).to_bytes(8, "big") + b"\0\0\0\5" + b"\x05note" + (1_700_000_000_000).to_bytes(8, "big")
    assert value == drawn + b"\x01\x00\x10" + TOPIC_ID


def test_an_offset_that_expires_by_its_own_time_is_version_1() -> None:
    """The only version with a field for it; it has neither leader epoch nor topic id."""
    value = offset_value(CommittedOffset(42, 5, "", 1_000, 2_000, TOPIC_ID))
    assert value == b"\0\1" + (42).to_bytes(8, "big") + string("") + (1_000).to_bytes(8, "big") + (2_000).to_bytes(8, "big")
    assert read_offset_value(value) == CommittedOffset(42, -1, "", 1_000, 2_000, bytes(16))


def test_the_value_of_a_group_is_version_3() -> None:
    """int16 3, protocol type, generation, protocol, leader, timestamp, members; no compact lengths, no tags."""
    group = ClassicGroup("g")
    group.protocol_type, group.protocol, group.generation = "consumer", "range", 7
    group.add(Member("a-1", "i", "a", "/127.0.0.1", 10_000, 30_000, [Protocol("range", b"wish")]))
    value = group_value(group, {"a-1": b"gift"}, 1_000)
    assert group_key("g") == b"\0\2" + string("g")
    member = string("a-1") + string("i") + string("a") + string("/127.0.0.1")
    member += (30_000).to_bytes(4, "big") + (10_000).to_bytes(4, "big") + b"\0\0\0\4wish" + b"\0\0\0\4gift"
    head = b"\0\3" + string("consumer") + b"\0\0\0\7" + string("range") + string("a-1") + (1_000).to_bytes(8, "big")
    assert value == head + b"\0\0\0\1" + member


def test_an_empty_group_has_null_protocol_and_leader() -> None:
    """As Kafka writes a group whose last member has left."""
    group = ClassicGroup("g")
    group.protocol_type, group.generation = "consumer", 8
    nulls = b"\xff\xff\xff\xff"
    assert group_value(group, {}, 1_000) == b"\0\3" + string("consumer") + b"\0\0\0\x08" + nulls + (1_000).to_bytes(8, "big") + bytes(4)


@given(NAMES, NAMES, st.integers(0, 2**31 - 1), st.integers(0, 2**63 - 1), st.integers(-1, 2**31 - 1), NAMES)
def test_what_is_written_is_read_back(group: str, topic: str, partition: int, offset: int, epoch: int, note: str) -> None:
    """For any names and numbers."""
    assert read_key(offset_key(group, topic, partition)) == OffsetKey(group, topic, partition)
    assert read_key(group_key(group)) == GroupKey(group)
    committed = CommittedOffset(offset, epoch, note, 5, -1, TOPIC_ID)
    assert read_offset_value(offset_value(committed)) == committed


def test_a_group_reads_back_as_its_members_were() -> None:
    """Of the protocols a member supports, the log knows the chosen one."""
    group = ClassicGroup("g")
    group.protocol_type, group.protocol, group.generation, group.leader = "consumer", "range", 7, "a-1"
    group.add(Member("a-1", None, "a", "/h", 10_000, 30_000, [Protocol("sticky", b"s"), Protocol("range", b"r")]))
    read = read_group_value(group_value(group, {"a-1": b"gift"}, 1_000))
    member = read_member(read.members[0], read.protocol)
    assert (member.member_id, member.group_instance_id, member.client_id, member.client_host) == ("a-1", None, "a", "/h")
    assert (member.session_timeout_ms, member.rebalance_timeout_ms) == (10_000, 30_000)
    assert member.protocols == [Protocol("range", b"r")]
    assert (read.generation, read.leader, bytes(read.members[0].assignment)) == (7, "a-1", b"gift")


def test_records_of_other_group_protocols_are_passed_over() -> None:
    """A directory that a Kafka with newer groups wrote can still be read."""
    assert read_key(b"\0\3" + string("g")) is None


@pytest.mark.parametrize("key", [b"", b"\0", b"\0\1\0\5ab", b"\0\2\xff"])
def test_a_key_that_lies_is_malformed(key: bytes) -> None:
    """Never an index error, never a half-read name."""
    with pytest.raises(MalformedError):
        read_key(key)


@pytest.mark.parametrize("value", [b"", b"\0\x09abc", b"\xff\xff", b"\0\4\0\0"])
def test_a_value_that_lies_is_malformed(value: bytes) -> None:
    """Unknown versions and cut values are refused by name."""
    with pytest.raises(MalformedError):
        read_offset_value(value)
    with pytest.raises(MalformedError):
        read_group_value(value)
