"""Every message of every API in every version, held against kio, which is generated from Kafka's own definitions.

EV_TESTS_EXHAUSTIVE=1 runs hypothesis over many random messages per class; without it, few and always the same.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ev.errors import ErrorCode, KafkaError
from ev.wire.catalog import API
from ev.wire.codec import Message, decode, decoder, encode, encode_parts, encoder
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData
from ev.wire.messages.k01_fetch import FetchableTopicResponse, FetchResponse, PartitionData
from ev.wire.messages.k03_metadata import MetadataRequest
from ev.wire.messages.k09_offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup
from support.any_message import any_message
from support.filled_message import filled, message_classes, versions
from support.kio_oracle import kio_class, kio_decode, kio_encode, kio_message, kio_path

if TYPE_CHECKING:
    from ev.wire.primitives import Buffer

EXHAUSTIVE = os.environ.get("EV_TESTS_EXHAUSTIVE") == "1"
CLASSES = message_classes()
KNOWN_TO_KIO = [cls for cls in CLASSES if kio_path(cls, cls.VERSIONS[1]) is not None]


def name(cls: type[Message]) -> str:
    return cls.__name__


def check_against_kio(message: Any, version: int) -> None:
    """Bytes are identical and values equal, in both directions."""
    cls = type(message)
    twin = kio_message(message, kio_class(cls, version))
    data = encode(message, version)
    assert data == kio_encode(twin)
    assert decode(cls, version, data) == (message, len(data))
    assert kio_decode(type(twin), data) == twin


def test_the_oracle_knows_every_request_response_and_consumer_protocol() -> None:
    """Only the records of Kafka's internal topics are checked elsewhere."""
    assert len(KNOWN_TO_KIO) == 2 * len(API) + 2


@pytest.mark.parametrize("cls", KNOWN_TO_KIO, ids=name)
def test_every_version_is_written_and_read_as_kio_does(cls: type[Message]) -> None:
    """A message of defaults and three full ones, in every version."""
    for version in versions(cls):
        check_against_kio(cls(), version)
        for seed in range(3):
            check_against_kio(filled(cls, version, seed), version)


@pytest.mark.parametrize("cls", KNOWN_TO_KIO, ids=name)
@settings(
    max_examples=500 if EXHAUSTIVE else 5,
    derandomize=not EXHAUSTIVE,
    database=None,
    deadline=None,
    phases=tuple(Phase) if EXHAUSTIVE else (Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_any_message_is_written_and_read_as_kio_does(cls: type[Message], data: st.DataObject) -> None:
    """Hypothesis looks for a message on which ev and kio differ."""
    version = data.draw(st.integers(*cls.VERSIONS))
    check_against_kio(data.draw(any_message(cls, version)), version)


@pytest.mark.parametrize("cls", CLASSES, ids=name)
def test_what_was_encoded_is_decoded_from_any_buffer_at_any_position(cls: type[Message]) -> None:
    """bytes, bytearray and memoryview; what stands before and after does not matter."""
    for version in versions(cls):
        message = filled(cls, version, 4)
        data = encode(message, version)
        for buffer in (b"xy" + data + b"tail", bytearray(b"xy" + data), memoryview(b"xy" + data + b"\xff" * 9)):
            assert decode(cls, version, buffer, 2) == (message, 2 + len(data))


@pytest.mark.parametrize("cls", CLASSES, ids=name)
def test_unknown_tagged_fields_are_skipped(cls: type[Message]) -> None:
    """A newer sender may add tagged fields at the end of any flexible message."""
    for version in versions(cls):
        if cls.FLEXIBLE is None or version < cls.FLEXIBLE:
            continue
        message = cls()
        data = encode(message, version)
        assert data.endswith(b"\0")
        newer = data[:-1] + b"\x02" + b"\xf0\x07\x03abc" + b"\xff\x7f\x00"
        assert decode(cls, version, newer) == (message, len(newer))


def test_a_version_that_does_not_exist_is_refused() -> None:
    """UNSUPPORTED_VERSION, from both directions."""
    for attempt in (lambda: decoder(ProduceRequest, 2), lambda: encoder(ProduceRequest, 14), lambda: encode(ProduceRequest(), -1)):
        with pytest.raises(KafkaError, match="ProduceRequest has the versions 3 to 13") as caught:
            attempt()
        assert caught.value.code == ErrorCode.UNSUPPORTED_VERSION


def test_records_are_decoded_without_a_copy() -> None:
    """A produce request's records are a view of the frame."""
    batch = bytes(range(256)) * 400
    topic = TopicProduceData(name="t", partition_data=[PartitionProduceData(index=3, records=batch)])
    for version in versions(ProduceRequest):
        frame = bytearray(encode(ProduceRequest(acks=-1, topic_data=[topic]), version))
        request, _ = decode(ProduceRequest, version, frame)
        records = request.topic_data[0].partition_data[0].records
        assert isinstance(records, memoryview)
        assert records == batch
        assert records.obj is frame


def test_records_to_send_stay_buffers_of_their_own() -> None:
    """encode_parts copies no record batch: each comes out as the object that went in, between joined small pieces."""
    batches: list[Buffer] = [memoryview(b"a" * 100), b"b" * 200, bytearray(b"c" * 300)]
    partitions = [
        PartitionData(partition_index=0, records=batches[:2]),
        PartitionData(partition_index=1, records=batches[2]),
        PartitionData(partition_index=2, records=[]),
        PartitionData(partition_index=3, records=None),
    ]
    for version in versions(FetchResponse):
        response = FetchResponse(responses=[FetchableTopicResponse(topic="t", partitions=partitions)])
        parts = encode_parts(response, version)
        assert [part for part in parts if any(part is batch for batch in batches)] == batches
        assert len(parts) == 6
        decoded, _ = decode(FetchResponse, version, b"".join(parts))
        got = [partition.records for partition in decoded.responses[0].partitions]
        assert got == [b"a" * 100 + b"b" * 200, b"c" * 300, b"", None]


def test_a_message_without_records_is_one_part() -> None:
    """So that a caller can send it as it is."""
    assert encode_parts(ProduceResponse(), 11) == [encode(ProduceResponse(), 11)]


def test_fields_that_a_version_lacks_keep_their_default() -> None:
    """Metadata 0 knows no auto-creation flag, whose default is true; OffsetFetch 7 knows no groups."""
    old, _ = decode(MetadataRequest, 0, encode(MetadataRequest(allow_auto_topic_creation=False), 0))
    assert old.allow_auto_topic_creation is True
    request = OffsetFetchRequest(group_id="g", groups=[OffsetFetchRequestGroup(group_id="g")])
    assert decode(OffsetFetchRequest, 7, encode(request, 7))[0].groups == []


def test_an_array_is_empty_by_default_and_null_only_on_request() -> None:
    """In Metadata null means every topic, empty means none: the default must not be the dangerous one."""
    assert MetadataRequest().topics == []
    assert MetadataRequest(topics=None).topics is None
    assert decode(MetadataRequest, 12, encode(MetadataRequest(topics=None), 12))[0].topics is None


def test_messages_compare_by_value_and_print_their_fields() -> None:
    """Tests and logs live on this."""
    assert PartitionProduceData(1) == PartitionProduceData(index=1)
    assert PartitionProduceData(1) != PartitionProduceData(2)
    assert PartitionProduceData(1) != 1
    assert repr(PartitionProduceData(index=1, records=b"x")) == "PartitionProduceData(index=1, records=b'x')"
