"""Says why a produced batch is refused, and rewrites the few that may not go to the log as they came.

`Partition.append` looks at all of this in one condition, because nearly every batch is fine. Only when that condition holds
not is it asked here what was wrong.
"""

from __future__ import annotations

from ev.disk import Buffer
from ev.errors import ErrorCode, KafkaError, MalformedError, NotOneBatchError, RecordsRefusedError
from ev.log.config import TopicConfig
from ev.log.scan import HEADER, Fields
from ev.wire.checksum import crc32c
from ev.wire.records import (
    CODEC_MASK,
    CONTROL,
    DELETE_HORIZON,
    HEADER_SIZE,
    LOG_APPEND_TIME,
    LOG_OVERHEAD,
    MAGIC,
    TRANSACTIONAL,
    Columns,
    decode_batch,
    encode_batch,
)

ZSTD = 4
CHECKED_FROM = 21
"""The checksum of a batch covers everything from here."""
ZSTD_VERSION_MIN = 7
REFUSED_ATTRIBUTES = LOG_APPEND_TIME | CONTROL | DELETE_HORIZON
OPENED_RECORDS_MAX = 1 << 18  # a batch of a megabyte that is not compressed cannot have more than 150,000
OPENED_BYTES_MAX = 16 << 20
"""What a produced batch may have inside where it has to be opened before it is answered: everybody waits meanwhile."""


def refusal(batch: Buffer, config: TopicConfig, request_version: int) -> KafkaError | None:
    """What is wrong with the header of a produced batch; None when nothing is."""
    if len(batch) < HEADER_SIZE:
        return NotOneBatchError(f"a record batch begins with {HEADER_SIZE} bytes of header, {len(batch)} came")
    fields: Fields = HEADER.unpack_from(batch)
    size = fields[1] + LOG_OVERHEAD
    if fields[3] != MAGIC:
        return NotOneBatchError(f"a batch of format {fields[3]}; format 2 is the only one")
    if size > len(batch) or size < HEADER_SIZE:
        return NotOneBatchError(f"a batch says it is {size} bytes long, {len(batch)} came")
    if size < len(batch):
        return NotOneBatchError("a Produce request holds exactly one batch per partition")
    return _size_refusal(size, config) or _checksum_refusal(batch, fields) or _content_refusal(fields, request_version)


def _size_refusal(size: int, config: TopicConfig) -> KafkaError | None:
    if size > config.max_message_bytes:
        return KafkaError(ErrorCode.MESSAGE_TOO_LARGE, f"a batch of {size} bytes; max.message.bytes is {config.max_message_bytes}")
    if size > config.segment_bytes:
        return KafkaError(ErrorCode.RECORD_LIST_TOO_LARGE, f"a batch of {size} bytes; segment.bytes is {config.segment_bytes}")
    return None


def _checksum_refusal(batch: Buffer, fields: Fields) -> KafkaError | None:
    if crc32c(memoryview(batch)[CHECKED_FROM:]) != fields[4]:
        return KafkaError(ErrorCode.CORRUPT_MESSAGE, "a batch does not match its checksum")
    return None


def _content_refusal(fields: Fields, request_version: int) -> KafkaError | None:
    attributes, last_offset_delta, producer_id, sequence, count = fields[5], fields[6], fields[9], fields[11], fields[12]
    if fields[0] != 0:
        return KafkaError(ErrorCode.INVALID_RECORD, f"a produced batch begins at offset 0, not {fields[0]}")
    if count < 1 or count != last_offset_delta + 1:
        return KafkaError(ErrorCode.INVALID_RECORD, f"a batch says {count} records and a last offset delta of {last_offset_delta}")
    if attributes & CONTROL:
        return KafkaError(ErrorCode.INVALID_RECORD, "a client may not write control records")
    if attributes & LOG_APPEND_TIME:
        return KafkaError(ErrorCode.INVALID_TIMESTAMP, "a producer may not set the timestamp type LogAppendTime")
    if attributes & DELETE_HORIZON:
        return KafkaError(ErrorCode.INVALID_RECORD, "a producer may not set a delete horizon")
    codec = attributes & CODEC_MASK
    if codec > ZSTD or (codec == ZSTD and request_version < ZSTD_VERSION_MIN):
        return KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"codec {codec} in a Produce request of version {request_version}")
    if producer_id >= 0 and sequence < 0:
        return KafkaError(ErrorCode.INVALID_RECORD, f"producer {producer_id} sent a batch without a sequence number")
    return None


def timestamp_refusal(batch: Buffer, config: TopicConfig, now_ms: int) -> KafkaError:
    """Which records of a batch are too old or too new. Its header says that there are some; the records may say otherwise."""
    fields: Fields = HEADER.unpack_from(batch)
    text = (
        f"timestamps from {fields[7]} to {fields[8]}; allowed are {config.message_timestamp_before_max_ms} ms before and "
        f"{config.message_timestamp_after_max_ms} ms after the broker's clock, which says {now_ms}"
    )
    if fields[12] > OPENED_RECORDS_MAX:
        return KafkaError(ErrorCode.INVALID_TIMESTAMP, text)
    try:
        stamps = decode_batch(batch, decompressed_size_max=_opened_bytes_max(config)).timestamps
    except MalformedError as problem:
        return KafkaError(ErrorCode.INVALID_RECORD, str(problem))
    low, high = now_ms - config.message_timestamp_before_max_ms, now_ms + config.message_timestamp_after_max_ms
    refused = {index: f"the timestamp {stamp}" for index, stamp in enumerate(stamps) if stamp != -1 and not low <= stamp <= high}
    return RecordsRefusedError(ErrorCode.INVALID_TIMESTAMP, text, refused)


def rewritten(batch: Buffer, config: TopicConfig, now_ms: int) -> tuple[Buffer, int]:
    """(the batch as it goes to the log, its log append time or -1), after a look at each record. Raises KafkaError."""
    fields: Fields = HEADER.unpack_from(batch)
    codec = fields[5] & CODEC_MASK
    target = codec if config.codec is None else config.codec
    if config.compacted or config.validate_deep or target != codec:
        if fields[12] > OPENED_RECORDS_MAX:  # with this error Java's producer sends it again in parts
            text = f"a batch of {fields[12]} records; this topic has each looked at, and takes {OPENED_RECORDS_MAX} at a time"
            raise KafkaError(ErrorCode.MESSAGE_TOO_LARGE, text)
        try:
            columns = decode_batch(batch, decompressed_size_max=_opened_bytes_max(config))
        except MalformedError as problem:
            raise KafkaError(ErrorCode.INVALID_RECORD, str(problem)) from problem
        _check_records(batch, columns, fields, config, now_ms)
        if target != codec:
            batch = _recompressed(columns, fields, target, config.compression_level)
            size_problem = _size_refusal(len(batch), config)
            if size_problem is not None:
                raise size_problem
    if not config.log_append_time:
        return batch, -1
    return _stamped(batch, now_ms), now_ms


def _opened_bytes_max(config: TopicConfig) -> int:
    return max(OPENED_BYTES_MAX, config.max_message_bytes)


def _check_records(batch: Buffer, columns: Columns, fields: Fields, config: TopicConfig, now_ms: int) -> None:
    if list(columns.offsets) != list(range(fields[0], fields[0] + fields[12])):
        raise KafkaError(ErrorCode.INVALID_RECORD, "the offsets of the records in a batch do not follow one another")
    if config.compacted and None in columns.keys:
        refused = {index: "no key" for index, key in enumerate(columns.keys) if key is None}
        raise RecordsRefusedError(ErrorCode.INVALID_RECORD, "a record without a key; the topic is compacted", refused)
    if config.log_append_time or not config.validate_deep:
        return
    low, high = now_ms - config.message_timestamp_before_max_ms, now_ms + config.message_timestamp_after_max_ms
    if any(stamp != -1 and not low <= stamp <= high for stamp in columns.timestamps):
        raise timestamp_refusal(batch, config, now_ms)
    if max(columns.timestamps) != fields[8]:
        largest = max(columns.timestamps)
        raise KafkaError(ErrorCode.INVALID_TIMESTAMP, f"the batch says its largest timestamp is {fields[8]}, it is {largest}")


def _recompressed(columns: Columns, fields: Fields, codec: int, level: int | None) -> bytes:
    keys = None if not any(key is not None for key in columns.keys) else columns.keys
    headers = columns.headers if any(columns.headers) else None
    return encode_batch(
        columns.values,
        keys=keys,
        headers=headers,
        timestamps=columns.timestamps,
        compression=codec,
        level=level,
        producer_id=fields[9],
        producer_epoch=fields[10],
        base_sequence=fields[11],
        attributes=fields[5] & TRANSACTIONAL,
    )


def _stamped(batch: Buffer, now_ms: int) -> bytearray:
    """The batch with the broker's time as its own."""
    stamped = bytearray(batch)
    fields = list(HEADER.unpack_from(stamped))
    fields[5] |= LOG_APPEND_TIME
    fields[8] = now_ms
    HEADER.pack_into(stamped, 0, *fields)
    fields[4] = crc32c(memoryview(stamped)[CHECKED_FROM:])
    HEADER.pack_into(stamped, 0, *fields)
    return stamped
