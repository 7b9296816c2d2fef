"""What the files of a data directory hold, row by row, for people and programs that read them. Changes nothing, and needs no engine.

    .log                       batch_rows: one row a batch; record_rows: one row a record
    .index .timeindex          index_rows, time_index_rows
    .txnindex .snapshot        aborted_rows, producer_rows
    checkpoints                text_rows, checkpoint_rows

Records of __consumer_offsets and __transaction_state, and markers of transactions, are opened as well: their rows have `key` and `value`
as mappings by the names of Kafka's schema. A row is a dict of numbers, texts, lists and dicts; bytes that are no UTF-8 come in base64,
under a name that ends in `_b64`.
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING, Any, Final

from ev.errors import MalformedError
from ev.log.checkpoint import LEADER_EPOCHS, PARTITION_METADATA, PartitionCheckpoint, uuid_text
from ev.log.index import OFFSET_ENTRY, TIME_ENTRY, OffsetIndex, TimeIndex
from ev.log.producers import read_snapshot
from ev.log.scan import Scan
from ev.log.transactions import ABORT, ABORTED, COMMIT, CONTROL_KEY, CONTROL_VALUE
from ev.wire.batch_header import CONTROL, LOG_OVERHEAD, TRANSACTIONAL, check_crc
from ev.wire.codec import Struct, decode
from ev.wire.compression import NAMES
from ev.wire.messages import consumer_protocol, offsets_topic, transaction_topic
from ev.wire.records import CODEC_MASK, LOG_APPEND_TIME, decode_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ev.disk import Buffer

    Read = Callable[[int, int], Buffer]
    Row = dict[str, Any]
    Headers = Sequence[tuple[str, bytes | None]]

GROUPS_TOPIC: Final = "__consumer_offsets"
TRANSACTIONS_TOPIC: Final = "__transaction_state"

GROUP_RECORDS: Final[dict[int, tuple[str, Any, Any]]] = {
    0: ("offset-commit", offsets_topic.OffsetCommitKey, offsets_topic.OffsetCommitValue),
    1: ("offset-commit", offsets_topic.OffsetCommitKey, offsets_topic.OffsetCommitValue),
    2: ("group", offsets_topic.GroupMetadataKey, offsets_topic.GroupMetadataValue),
    3: ("consumer-group", offsets_topic.ConsumerGroupMetadataKey, offsets_topic.ConsumerGroupMetadataValue),
    4: ("consumer-group-topics", offsets_topic.ConsumerGroupPartitionMetadataKey, offsets_topic.ConsumerGroupPartitionMetadataValue),
    5: ("consumer-group-member", offsets_topic.ConsumerGroupMemberMetadataKey, offsets_topic.ConsumerGroupMemberMetadataValue),
    6: (
        "consumer-group-target",
        offsets_topic.ConsumerGroupTargetAssignmentMetadataKey,
        offsets_topic.ConsumerGroupTargetAssignmentMetadataValue,
    ),
    7: (
        "consumer-group-target-member",
        offsets_topic.ConsumerGroupTargetAssignmentMemberKey,
        offsets_topic.ConsumerGroupTargetAssignmentMemberValue,
    ),
    8: (
        "consumer-group-assignment",
        offsets_topic.ConsumerGroupCurrentMemberAssignmentKey,
        offsets_topic.ConsumerGroupCurrentMemberAssignmentValue,
    ),
    16: ("consumer-group-pattern", offsets_topic.ConsumerGroupRegularExpressionKey, offsets_topic.ConsumerGroupRegularExpressionValue),
}
TRANSACTION_RECORDS: Final[dict[int, tuple[str, Any, Any]]] = {
    0: ("transaction", transaction_topic.TransactionLogKey, transaction_topic.TransactionLogValue),
}
TRANSACTION_STATES: Final = (
    "Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence",
)  # fmt: skip
TOPICS: Final = {GROUPS_TOPIC: GROUP_RECORDS, TRANSACTIONS_TOPIC: TRANSACTION_RECORDS}


# Segments.


def batch_rows(read: Read, end: int) -> Iterator[Row]:
    """One row for each batch of a .log of `end` bytes. MalformedError at the end says what kept it from going on."""
    for position, fields, batch in _batches(read, end):
        attributes = fields[5]
        yield {
            "base_offset": fields[0],
            "last_offset": fields[0] + fields[6],
            "count": fields[12],
            "position": position,
            "size": fields[1] + LOG_OVERHEAD,
            "codec": _codec(attributes),
            "max_timestamp": fields[8],
            "sound": check_crc(batch, 0, len(batch)),
            "base_timestamp": fields[7],
            "timestamp_type": "append" if attributes & LOG_APPEND_TIME else "create",
            "leader_epoch": fields[2],
            "producer_id": fields[9],
            "producer_epoch": fields[10],
            "base_sequence": fields[11],
            "transactional": bool(attributes & TRANSACTIONAL),
            "control": bool(attributes & CONTROL),
        }


def record_rows(read: Read, end: int, first_offset: int = 0, topic: str = "") -> Iterator[Row]:
    """One row for each record from an offset on; those of the topics that the broker keeps for itself are opened."""
    known = TOPICS.get(topic)
    for position, fields, batch in _batches(read, end):
        if fields[0] + fields[6] < first_offset:
            continue
        if not check_crc(batch, 0, len(batch)):
            raise MalformedError(f"the batch at byte {position} (offset {fields[0]}) does not match its checksum")
        is_control = bool(fields[5] & CONTROL)
        columns = decode_batch(batch)
        shared = {
            "timestamp_type": "append" if fields[5] & LOG_APPEND_TIME else "create",
            "producer_id": fields[9],
            "producer_epoch": fields[10],
            "transactional": bool(fields[5] & TRANSACTIONAL),
            "control": is_control,
            "position": position,
        }
        for offset, timestamp, key, value, headers in zip(
            columns.offsets, columns.timestamps, columns.keys, columns.values, columns.headers, strict=True
        ):
            if offset >= first_offset:
                content = _marker(key, value) if is_control else _content(known, key, value)
                yield {"offset": offset, "timestamp": timestamp, **content, "headers": _headers(headers), **shared}


def _batches(read: Read, end: int) -> Iterator[tuple[int, tuple[int, ...], Buffer]]:
    scan = Scan(read, 0, end, None, contiguous=False, checked=False)
    for position, fields in scan:
        batch = read(fields[1] + LOG_OVERHEAD, position)
        yield position, fields, batch
    if scan.problem is not None and any(bytes(read(min(end - scan.position, 1 << 16), scan.position))):  # zeros are room, not damage
        raise MalformedError(f"at byte {scan.position}: {scan.problem}")


def _codec(attributes: int) -> str:
    number = attributes & CODEC_MASK
    return NAMES[number] if number < len(NAMES) else str(number)


def _headers(headers: Headers) -> list[list[Any]]:
    return [[name, _text_or_base64(value)] for name, value in headers]


def _text_or_base64(value: bytes | None) -> Any:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": _base64(value)}


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode()


def _field(name: str, data: bytes | None) -> Row:
    """{"key": text}, or {"key_b64": …} for bytes that are no UTF-8; null is null."""
    if data is None:
        return {name: None}
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_b64": _base64(data)}


# Records that the broker writes for itself.


def _marker(key: bytes | None, value: bytes | None) -> Row:
    """A control record: what it ends, and in which epoch of its coordinator."""
    if key is None or len(key) < CONTROL_KEY.size:
        return {"kind": "control", **_field("key", key), **_field("value", value)}
    version, number = CONTROL_KEY.unpack_from(key)
    kind = {ABORT: "abort", COMMIT: "commit"}.get(number, f"control-{number}")
    known = kind in ("abort", "commit") and value is not None and len(value) >= CONTROL_VALUE.size
    coordinator_epoch = CONTROL_VALUE.unpack_from(value or b"")[1] if known else None
    return {"kind": kind, "key": {"version": version, "type": number}, "value": {"coordinator_epoch": coordinator_epoch} if known else None}


def _content(known: dict[int, tuple[str, Any, Any]] | None, key: bytes | None, value: bytes | None) -> Row:
    """Key and value, opened when they are of a kind that is known."""
    if known is None or key is None or len(key) < 2:
        return {**_field("key", key), **_field("value", value)}
    number = int.from_bytes(key[:2], "big", signed=True)
    if number not in known:
        return {"kind": f"type-{number}", **_field("key", key), **_field("value", value)}
    kind, key_class, value_class = known[number]
    try:
        opened_key = as_mapping(decode(key_class, 0, key, 2)[0])
        opened_value = None if value is None else _opened_value(kind, value_class, value)
    except MalformedError:
        return {"kind": kind, **_field("key", key), **_field("value", value)}
    return {"kind": kind, "key": opened_key, "value": opened_value}


def _opened_value(kind: str, value_class: Any, value: bytes) -> Row:
    version = int.from_bytes(value[:2], "big", signed=True)
    lowest, newest = value_class.VERSIONS
    if not lowest <= version <= newest:
        raise MalformedError(f"a record of kind {kind} has version {version}")
    read, _ = decode(value_class, version, value, 2)
    found = {"version": version, **as_mapping(read)}
    if kind == "transaction" and 0 <= read.transaction_status < len(TRANSACTION_STATES):
        found["transaction_status"] = TRANSACTION_STATES[read.transaction_status]
    if kind == "group" and read.protocol_type == "consumer":
        for member, row in zip(read.members, found["members"], strict=True):
            row.update(_consumer_member(member))
            row.pop("subscription_b64", None)
            row.pop("assignment_b64", None)
    return found


def _consumer_member(member: Any) -> Row:
    """What a consumer says and gets, in the protocol that consumers have among themselves."""
    found: Row = {}
    for name, cls in (
        ("subscription", consumer_protocol.ConsumerProtocolSubscription),
        ("assignment", consumer_protocol.ConsumerProtocolAssignment),
    ):
        data = bytes(getattr(member, name))
        try:
            version = min(max(int.from_bytes(data[:2], "big", signed=True), cls.VERSIONS[0]), cls.VERSIONS[1])
            found[name] = as_mapping(decode(cls, version, data, 2)[0]) if len(data) > 2 else None
        except MalformedError:
            found.update(_bytes(name, data))
    return found


def as_mapping(struct: Struct) -> Row:
    """A message's fields by name, in the order of its schema."""
    found: Row = {}
    for line in type(struct).SCHEMA.splitlines():
        words = line.split()
        if words:
            name = words[0]
            value = getattr(struct, name)
            if isinstance(value, bytes | bytearray | memoryview):
                found.update({name: uuid_text(bytes(value))} if words[1] == "uuid" else _bytes(name, bytes(value)))
            else:
                found[name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return as_mapping(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _bytes(name: str, data: bytes) -> Row:
    return {f"{name}_b64": _base64(data)}


# Indexes and snapshots.


def index_rows(base_offset: int, data: Buffer) -> Iterator[Row]:
    """An entry of a .index: a batch's last offset, and where the batch begins."""
    index = OffsetIndex(base_offset, data)
    for number in range(len(index)):
        offset, position = index.entry(number)
        yield {"offset": offset, "position": position, "at": number * OFFSET_ENTRY.size}


def time_index_rows(base_offset: int, data: Buffer) -> Iterator[Row]:
    """An entry of a .timeindex: the largest timestamp so far, and the offset that has it."""
    index = TimeIndex(base_offset, data)
    for number in range(len(index)):
        timestamp, offset = index.entry(number)
        yield {"timestamp": timestamp, "offset": offset, "at": number * TIME_ENTRY.size}


def aborted_rows(data: Buffer) -> Iterator[Row]:
    """An entry of a .txnindex: an aborted transaction, from its first batch to its marker."""
    whole = len(data) - len(data) % ABORTED.size
    for version, producer_id, first, last, stable in ABORTED.iter_unpack(memoryview(data)[:whole]):
        yield {"producer_id": producer_id, "first_offset": first, "marker_offset": last, "last_stable_offset": stable, "version": version}
    if whole != len(data):
        raise MalformedError(f"at byte {whole}: {len(data) - whole} bytes are no entry of {ABORTED.size}")


def producer_rows(data: Buffer) -> Iterator[Row]:
    """An entry of a .snapshot: a producer that the partition remembers."""
    for producer_id, epoch, sequence, offset, delta, timestamp, coordinator_epoch, began in read_snapshot(data):
        yield {
            "producer_id": producer_id,
            "producer_epoch": epoch,
            "last_sequence": sequence,
            "last_offset": offset,
            "offset_delta": delta,
            "timestamp": timestamp,
            "coordinator_epoch": coordinator_epoch,
            "first_offset": None if began < 0 else began,
        }


# Checkpoints.


def checkpoint_rows(data: Buffer) -> Iterator[Row]:
    """The one row of an ev.checkpoint."""
    checkpoint = PartitionCheckpoint.parse(data)
    producers, transactions, _ = checkpoint.producers()
    yield {
        "topic_id": uuid_text(bytes(checkpoint.topic_id)),
        "log_start_offset": checkpoint.log_start_offset,
        "recovery_offset": checkpoint.recovery_offset,
        "segment_base": checkpoint.segment_base,
        "position": checkpoint.position,
        "max_timestamp": checkpoint.max_timestamp,
        "epoch": checkpoint.epoch,
        "epochs": [list(entry) for entry in checkpoint.epochs],
        "producers": len(producers),
        "open_transactions": len(transactions.open),
    }


def text_rows(name: str, data: Buffer) -> Iterator[Row]:
    """The lines of one of Kafka's text files: names and values, or, in a checkpoint, a topic, a partition and an offset."""
    try:
        lines = bytes(data).decode().splitlines()
    except UnicodeDecodeError:
        raise MalformedError(f"{name} is no text") from None
    if name == PARTITION_METADATA or name.endswith(".properties"):
        for line in lines:
            key, _, value = line.partition(":" if name == PARTITION_METADATA else "=")
            if not line.startswith("#"):
                yield {"name": key.strip(), "value": value.strip()}
        return
    for line in lines[2:]:
        words = line.split()
        if name == LEADER_EPOCHS and len(words) == 2:
            yield {"epoch": int(words[0]), "start_offset": int(words[1])}
        elif len(words) == 3:
            yield {"topic": words[0], "partition": int(words[1]), "offset": int(words[2])}
        elif words:
            raise MalformedError(f"{name} has the line {line[:80]!r}")
