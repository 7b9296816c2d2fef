"""Frames that real clients and a real Apache Kafka exchanged (golden/, recorded by golden/record.py) are read whole and written alike."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from ev.wire.catalog import api
from ev.wire.codec import Message, decode, encode
from ev.wire.header import decode_request_header, decode_response_header, encode_request_header, response_header

GOLDEN = Path(__file__).parent / "golden"
KEYS_OF_OFFSETS = {
    0: "OffsetCommit",
    1: "OffsetCommit",
    2: "GroupMetadata",
    3: "ConsumerGroupMetadata",
    4: "ConsumerGroupPartitionMetadata",
    5: "ConsumerGroupMemberMetadata",
    6: "ConsumerGroupTargetAssignmentMetadata",
    7: "ConsumerGroupTargetAssignmentMember",
    8: "ConsumerGroupCurrentMemberAssignment",
    16: "ConsumerGroupRegularExpression",
}


def lines(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("path", sorted(set(GOLDEN.glob("*.txt")) - {GOLDEN / "internal-topics.txt"}), ids=lambda path: path.stem)
def test_recorded_frames_are_read_whole_and_written_alike(path: Path) -> None:
    """Every byte that a client or Kafka sent is understood, and ev would have sent the same."""
    frames = lines(path)
    assert len(frames) > 20
    for key_text, version_text, side, frame_hex in frames:
        key, version, frame = int(key_text), int(version_text), bytes.fromhex(frame_hex)
        if side == "request":
            header, position = decode_request_header(frame)
            assert (header.api_key, header.api_version) == (key, version)
            start = encode_request_header(key, version, header.correlation_id, header.client_id)
            cls: type[Message] = api(key).request
        else:
            correlation_id, position = decode_response_header(frame, key, version)
            start = response_header(key, version, correlation_id)
            cls = api(key).response
        message, end = decode(cls, version, frame, position)
        assert end == len(frame), (key, version, side)
        assert start + encode(message, version) == frame, message


def test_recorded_records_of_internal_topics_are_read_whole_and_written_alike() -> None:
    """What Kafka keeps in __consumer_offsets and __transaction_state."""
    offsets = importlib.import_module("ev.wire.messages.offsets_topic")
    transactions = importlib.import_module("ev.wire.messages.transaction_topic")
    records = lines(GOLDEN / "internal-topics.txt")
    assert len(records) > 10
    for topic, key_hex, value_hex in records:
        key = bytes.fromhex(key_hex)
        kind = int.from_bytes(key[:2], "big")
        module, name = (offsets, KEYS_OF_OFFSETS[kind]) if topic == "__consumer_offsets" else (transactions, "TransactionLog")
        check_whole(getattr(module, name + "Key"), 0, key)
        if value_hex != "null":
            value = bytes.fromhex(value_hex)
            check_whole(getattr(module, name + "Value"), int.from_bytes(value[:2], "big"), value)


def check_whole(cls: type[Message], version: int, data: bytes) -> None:
    message, end = decode(cls, version, data, 2)
    assert end == len(data)
    assert data[:2] + encode(message, version) == data
