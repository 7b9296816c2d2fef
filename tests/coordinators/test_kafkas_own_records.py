"""What Apache Kafka wrote into its own __consumer_offsets, read and written again by us: the same bytes."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from ev.coordinators.classic import ClassicGroup
from ev.coordinators.consumer_group_records import (
    ConsumerKey,
    current_value,
    encode_key,
    member_value,
    pattern_value,
    read_consumer_key,
    read_current,
    read_group,
    read_pattern,
    read_target,
    read_target_member,
    target_member_value,
    target_value,
)
from ev.coordinators.consumer_group_records import group_value as group_epoch_value
from ev.coordinators.consumer_group_records import read_member as read_consumer_member
from ev.coordinators.group_records import (
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
from ev.wire.records import decode_batch, headers
from support.apache_kafka import Kafka
from support.waiting import wait_for

pytestmark = pytest.mark.java


def live_through_a_group(address: str, group: str, **settings: object) -> None:
    """Produce, read as a member of the group, commit with a note, leave."""
    producer = KafkaProducer(bootstrap_servers=address)
    producer.send("read-by-groups", b"x").get(60)
    producer.close()
    consumer = KafkaConsumer(
        "read-by-groups", bootstrap_servers=address, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False, **settings
    )
    wait_for(lambda: consumer.poll(500), "a record read by the group", 60)
    consumer.commit({TopicPartition("read-by-groups", 0): OffsetAndMetadata(1, "a note", -1)})
    consumer.close()


def records_of(directory: pathlib.Path) -> Iterator[tuple[bytes, bytes | None]]:
    for path in directory.glob("__consumer_offsets-*/*.log"):
        data = path.read_bytes()
        for position, header in headers(data):
            if header.is_control:
                continue
            columns = decode_batch(data, position)
            yield from zip((key or b"" for key in columns.keys), columns.values, strict=True)


def written_again(about: OffsetKey | GroupKey, value: bytes) -> tuple[bytes, bytes]:
    """Our key and value for what the record says."""
    if isinstance(about, OffsetKey):
        return offset_key(*about), offset_value(read_offset_value(value))
    read = read_group_value(value)
    group = ClassicGroup(about.group_id)
    group.install(
        [(read_member(member, read.protocol), bytes(member.assignment)) for member in read.members],
        generation=read.generation,
        protocol_type=read.protocol_type,
        protocol=read.protocol,
        leader=read.leader,
        state_timestamp_ms=read.current_state_timestamp,
    )
    assignments = {member.member_id: member.assignment for member in group.members.values()}
    return group_key(about.group_id), group_value(group, assignments, read.current_state_timestamp)


def test_records_of_groups_are_kafkas_byte_for_byte(apache: Kafka) -> None:
    """Commits, generations with dynamic and static members, and empty groups, as Kafka 4.3 writes them."""
    live_through_a_group(apache.bootstrap, "dynamic")
    live_through_a_group(apache.bootstrap, "static", group_instance_id="instance-1")
    seen = {"offset": 0, "members": 0, "empty": 0}
    for key, value in records_of(apache.data(1)):
        about = read_key(key)
        if about is None or value is None:
            continue
        if isinstance(about, OffsetKey):
            seen["offset"] += 1
        else:
            seen["members" if read_group_value(value).members else "empty"] += 1
        assert written_again(about, value) == (key, value)
    assert seen["offset"] >= 2, seen
    assert seen["members"] >= 2, seen
    assert seen["empty"] >= 1, seen


def written_again_for_consumers(about: ConsumerKey, value: bytes) -> bytes:
    """Our value for what the record says."""
    match about.kind:
        case 3:
            return group_epoch_value(*read_group(value))
        case 5:
            return member_value(read_consumer_member(about.name, value))
        case 6:
            return target_value(*read_target(value))
        case 7:
            return target_member_value(read_target_member(value))
        case 8:
            return current_value(read_current(value))
        case 16:
            return pattern_value(read_pattern(value))
    raise AssertionError(f"a record of the kind {about.kind}")


def test_records_of_groups_of_the_new_protocol_are_kafkas_byte_for_byte(apache: Kafka) -> None:
    """Members of both protocols, a pattern, epochs and targets, as Kafka 4.3 writes them; read and written again they are the same."""
    producer = KafkaProducer(bootstrap_servers=apache.bootstrap)
    producer.send("read-by-both", b"x").get(60)
    producer.close()
    shared = {"bootstrap.servers": apache.bootstrap, "group.id": "both", "auto.offset.reset": "earliest"}
    one = Consumer(shared | {"group.protocol": "consumer"})
    one.subscribe(["^read-by-bo.*"])
    wait_for(lambda: one.poll(0.5), "a record read by the group", 60)
    two = Consumer(shared | {"group.protocol": "classic"})
    two.subscribe(["read-by-both"])
    two.poll(0.5)
    seen: set[tuple[int, bool]] = set()

    def all_seen() -> bool:
        one.poll(0.1)
        two.poll(0.1)
        for key, value in records_of(apache.data(1)):
            about = read_consumer_key(key)
            if about is None or value is None or about.group_id != "both":
                continue
            is_classic = about.kind == 5 and read_consumer_member(about.name, value).classic is not None
            seen.add((about.kind, is_classic))
            assert (encode_key(about), written_again_for_consumers(about, value)) == (key, value)
        return seen >= {(3, False), (5, False), (5, True), (6, False), (7, False), (8, False), (16, False)}

    wait_for(all_seen, "a record of every kind", 60)
    one.close()
    two.close()
