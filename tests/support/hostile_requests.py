"""Requests of every API and version that know what they ask about, and what is broken in them afterwards; everything from a seed.

`Requests.valid` fills a request by its schema with names, ids and numbers that exist or nearly do, so that it reaches the depths of a
handler. `Requests.broken` changes its bytes: bits, lengths, counts, varints, tagged fields, whole pieces; batches of records are broken
before they are put in, most of them with a checksum that is right, so that what is checked after it is reached too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from random import Random
from typing import Any

from ev.wire import compression
from ev.wire.catalog import API
from ev.wire.checksum import crc32c
from ev.wire.codec import encode
from ev.wire.compiler import Field, within
from ev.wire.header import encode_request_header
from ev.wire.messages.consumer_protocol import ConsumerProtocolSubscription
from ev.wire.primitives import encode_uvarint
from ev.wire.record_varints import varint
from ev.wire.records import encode_batch
from support.filled_message import fill_one, inner_class, present_fields, without_default_structs
from support.quiet_client import produce_request

TOPICS = (
    "fuzz",
    "fuzz-a",
    "fuzz-b",
    "fuzz.c",
    "fuzz_c",
    "__consumer_offsets",
    "__transaction_state",
    "",
    ".",
    "..",
    "fuzz/../x",
    "f" * 250,
)
GROUPS = ("fuzz-group", "fuzz-other", "", "../fuzz")
MEMBERS = ("", "fuzz-member", "member-1")
TRANSACTIONS = ("fuzz-tx", "fuzz-tx-2", "")
TOPIC_CONFIGS = (
    "retention.ms",
    "cleanup.policy",
    "compression.type",
    "max.message.bytes",
    "segment.bytes",
    "message.timestamp.type",
    "nonsense",
)
CONFIG_VALUES = ("1", "-1", "delete", "compact", "compact,delete", "lz4", "zstd", "LogAppendTime", "1048576", "x", "", "9" * 40)
NAMES: dict[str, tuple[Any, ...]] = {
    "topic": TOPICS,
    "topic_name": TOPICS,
    "subscribed_topic_names": TOPICS,
    "topics": TOPICS,
    "topic_names": TOPICS,
    "resource_name": (*TOPICS, *GROUPS, "1"),
    "group_id": GROUPS,
    "group_ids": GROUPS,
    "groups_names": GROUPS,
    "groups": GROUPS,
    "key": (*GROUPS, *TRANSACTIONS),
    "coordinator_keys": (*GROUPS, *TRANSACTIONS),
    "member_id": MEMBERS,
    "transactional_id": TRANSACTIONS,
    "transactional_ids": TRANSACTIONS,
    "protocol_type": ("consumer", "connect", ""),
    "protocol_name": ("range", "roundrobin", "x"),
    "value": CONFIG_VALUES,
    "configuration_keys": TOPIC_CONFIGS,
    "principal": ("User:ANONYMOUS", "User:x", "x"),
    "host": ("*", "127.0.0.1"),
    "mechanism": ("PLAIN", "SCRAM-SHA-256", "x"),
    "server_assignor": ("uniform", "range", "x"),
    "subscribed_topic_regex": ("fuzz.*", "(", "a{1000}", ""),
}
HEADER_FIELDS = tuple(
    zip(
        (0, 8, 16, 17, 21, 23, 27, 35, 43, 51, 53, 57),
        (">q", ">i", ">b", ">i", ">h", ">i", ">q", ">q", ">q", ">h", ">i", ">i"),
        strict=True,
    )
)
"""Where the fields of a batch's header are, and how they are written."""
CRC_AT = 17
SMALL = (-2, -1, 0, 1, 2, 3)
NUMBERS: dict[str, tuple[int, ...]] = {
    "acks": (-1, -1, -1, 0, 1, 7),
    "isolation_level": (0, 1),
    "num_partitions": (-1, 1, 2, 3, 0, 1 << 30),
    "count": (1, 2, 4, 1 << 30),
    "replication_factor": (-1, 1, 2),
    "max_bytes": (0, 1, 10_000, 1 << 20, -1),
    "partition_max_bytes": (0, 1, 10_000, 1 << 20, -1),
    "min_bytes": (0, 1, 1000),
    "resource_type": (1, 2, 3, 4, 5, 32),
    "iterations": (4096, 1, 1 << 30),
    "response_partition_limit": (0, 1, 2000),
}
SHORT_TIMES_MS = (0, 0, 1, 20, -1)
"""What is asked to be waited for: longer is no hang, and would look like one."""
LONGER_TIMES_MS = (6000, 10_000, 1000, -1, 0)
"""Of sessions and transactions."""


class Requests:
    """Draws requests. `topic_ids`: ids that are known to exist; they may be added while it runs."""

    def __init__(self, random: Random, keys: tuple[int, ...] = ()) -> None:
        self.random = random
        self.topic_ids: list[bytes] = [bytes(16)]
        chosen = keys or tuple(API)
        self.apis = [(key, version) for key in chosen for version in range(API[key].min_version, API[key].max_version + 1)]
        self.weighty = [(key, version) for key, version in self.apis if key in (0, 1, 8, 11, 14, 22, 24, 26, 28, 68)]
        self._correlation_id = 0

    def any_api(self) -> tuple[int, int]:
        """A key and a version; those with the most behind them come more often."""
        return self.random.choice(self.weighty if self.weighty and self.random.random() < 0.4 else self.apis)

    def valid(self, key: int, version: int) -> bytes:
        """A request as it travels, without its size."""
        client_id = self.random.choice(("fuzz", "fuzz", "", None))
        return encode_request_header(key, version, self._next_id(), client_id) + encode(self._message(API[key].request, version), version)

    def _message(self, cls: type[Any], version: int) -> Any:
        values: dict[str, Any] = {}
        for field in present_fields(cls, version):
            if within(version, field.null) and self.random.random() < 0.2:
                values[field.name] = None
            elif field.array:
                values[field.name] = [self._value(cls, field, version) for _ in range(self.random.choice((0, 1, 1, 1, 2, 3)))]
            else:
                values[field.name] = self._value(cls, field, version)
        return without_default_structs(cls(**values))

    def _value(self, cls: type[Any], field: Field, version: int) -> Any:
        random, name = self.random, field.name
        if field.kind[0].isupper():
            return self._message(inner_class(cls, field), version)
        if random.random() < 0.05:
            return fill_one(cls, field, version, random)
        match field.kind:
            case "string" if name == "name":
                return random.choice(TOPIC_CONFIGS if "onfig" in cls.__name__ else TOPICS)
            case "string" if name in NAMES:
                return random.choice(NAMES[name])
            case "uuid":
                return random.choice(self.topic_ids)
            case "records":
                return self.batch()
            case "bytes":
                return self._bytes(name)
            case "int32" if name.endswith("_ms"):
                return random.choice(SHORT_TIMES_MS if name in ("max_wait_ms", "timeout_ms", "rebalance_timeout_ms") else LONGER_TIMES_MS)
            case "int8" | "int16" | "int32" | "int64" if name in NUMBERS:
                return random.choice(NUMBERS[name])
            case "int8" | "int16" | "int32":
                return random.choice(SMALL)
            case "int64" if name.endswith("_ms") or "timestamp" in name:
                return random.choice((-2, -1, 0, 1 << 40))
            case "int64":
                return random.choice((*SMALL, 0, 0, 10, 1000, (1 << 63) - 1))
        return fill_one(cls, field, version, random)

    def _bytes(self, name: str) -> bytes:
        if name in ("metadata", "assignment") and self.random.random() < 0.7:
            topics = [self.random.choice(TOPICS) for _ in range(2)]
            return b"\0\0" + encode(ConsumerProtocolSubscription(topics=topics), 0)
        return self.random.randbytes(self.random.choice((0, 1, 30, 200)))

    def classic(self) -> Iterator[bytes]:
        """What has hurt brokers before, without chance: counts that lie, and every field of a batch that does, with a right checksum."""
        for version in (1, 9):
            for count in (1 << 30, (1 << 31) - 2, 1 << 20, 100):
                number = count.to_bytes(4, "big") if version < 9 else encode_uvarint(count + 1)
                yield encode_request_header(3, version, self._next_id(), "fuzz") + number + bytes(40)
        for client_id in (b"\xff\xfe", b"\xc3", b"\xed\xa0\x80"):  # no text
            yield struct.pack(">hhih", 18, 0, self._next_id(), len(client_id)) + client_id
        good = encode_batch([b"a", b"b", b"c"], keys=[b"k", b"k", b"l"])
        yield self._produce(good)
        yield self._produce(good[:-1] + b"x")
        for offset, form in HEADER_FIELDS:
            (right,) = struct.unpack_from(form, good, offset)
            high = (1 << 8 * struct.calcsize(form) - 1) - 1
            for lie in {0, -1, high, -high - 1, min(right + 1, high), min(right + 7, high)} - {right}:
                batch = bytearray(good)
                struct.pack_into(form, batch, offset, lie)
                if offset != CRC_AT:
                    struct.pack_into(">I", batch, CRC_AT, crc32c(memoryview(batch)[CRC_AT + 4 :]))
                yield self._produce(bytes(batch))

    def _produce(self, batch: bytes) -> bytes:
        return encode_request_header(0, 9, self._next_id(), "fuzz") + encode(produce_request("fuzz", batch), 9)

    def _next_id(self) -> int:
        self._correlation_id = (self._correlation_id + 1) & 0x7FFFFFFF
        return self._correlation_id

    # Batches.

    def batch(self) -> bytes:
        """A record batch: a good one, or one with something wrong in its header, its records or what they are compressed to."""
        random = self.random
        count = random.choice((1, 1, 2, 3, 20))
        values = [random.choice((b"v", b"", None, bytes(50))) for _ in range(count)]
        keys = None if random.random() < 0.5 else [random.choice((b"k", b"", None)) for _ in range(count)]
        batch = bytearray(
            encode_batch(
                values,
                keys=keys,
                headers=None if random.random() < 0.8 else [[("h", b"x"), ("i", None)]] * count,
                timestamps=random.choice((None, -1, 0, 1_700_000_000_000, [5 + n for n in range(count)])),
                compression=random.choice((0, 0, 0, 1, 2, 3, 4)),
                producer_id=random.choice((-1, -1, 0, 1, 1000)),
                producer_epoch=random.choice((0, 0, 1, -1)),
                base_sequence=random.choice((0, 0, 1, 5, -1)),
                attributes=random.choice((0, 0, 0, 0x10, 0x20, 0x08)),
            )
        )
        match random.randrange(10):
            case 0 | 1:
                self._break_header(batch)
            case 2 | 3:
                self._break_records(batch)
            case 4:
                return bytes(batch) + bytes(self.batch() if random.random() < 0.5 else random.randbytes(7))
            case 5:
                return bytes(batch[: random.randrange(len(batch))])
            case _:
                return bytes(batch)
        if random.random() < 0.8:
            struct.pack_into(">I", batch, CRC_AT, crc32c(memoryview(batch)[CRC_AT + 4 :]))
        return bytes(batch)

    def _break_header(self, batch: bytearray) -> None:
        """One field of the header lies."""
        offset, form = self.random.choice(HEADER_FIELDS)
        (right,) = struct.unpack_from(form, batch, offset)
        low, high = -(1 << 8 * struct.calcsize(form) - 1), (1 << 8 * struct.calcsize(form) - 1) - 1
        lie = self.random.choice((low, high, 0, -1, right + 1, right - 1, right + 7, right << 1))
        struct.pack_into(form, batch, offset, max(low, min(high, lie)))

    def _break_records(self, batch: bytearray) -> None:
        """The records behind the header, or what they are compressed to."""
        if len(batch) <= 62:
            return
        codec = batch[22] & 7
        if codec and self.random.random() < 0.4:  # the codec is right, what comes out of it is not
            records = bytearray(self.random.choice((varint(-5), varint(1 << 40), b"\xff" * 12, b"", bytes(3000))))
            batch[61:] = compression.compress(codec, records)
            struct.pack_into(">i", batch, 8, len(batch) - 12)
            return
        for _ in range(self.random.choice((1, 1, 3))):
            batch[self.random.randrange(61, len(batch))] = self.random.choice((0, 1, 0x7F, 0x80, 0xFF, self.random.randrange(256)))

    # Breaking what is whole.

    def broken(self, frame: bytes) -> bytes:
        """The same request with something wrong in it."""
        random, data = self.random, bytearray(frame)
        for _ in range(random.choice((1, 1, 1, 2, 4))):
            at = random.randrange(len(data) + 1)
            match random.randrange(12):
                case 0:
                    data[at : at + 1] = bytes((random.randrange(256),))
                case 1 if at < len(data):
                    data[at] ^= 1 << random.randrange(8)
                case 2:
                    del data[at:]
                case 3:
                    data += random.randbytes(random.choice((1, 4, 100)))
                case 4 | 5:  # a length or a count
                    size = random.choice((1, 2, 4, 8))
                    number = random.choice((-1, 0, 1, 2, 127, 128, 1 << 15, 1 << 20, (1 << 8 * size - 1) - 1, -(1 << 8 * size - 1)))
                    data[at : at + size] = (number & (1 << 8 * size) - 1).to_bytes(size, "big")
                case 6 | 7:  # a varint
                    lies = (b"\xff\xff\xff\xff\x0f", b"\xff" * 11, b"\x80\x80\x80\x80\x00", b"\x80\x01", b"\0", b"\x7f", b"\xff\xff\x7f")
                    data[at : at + 1] = random.choice(lies)
                case 8:  # tagged fields at an end: a tag, a size, not as many bytes
                    tag, size = random.choice((0, 1, 2, 99)), random.choice((0, 1, 5, 100))
                    data[-1:] = bytes((random.choice((1, 2, 127)), tag, size)) + random.randbytes(random.choice((size, 0, 3)))
                case 9:
                    piece = data[at : at + random.choice((1, 4, 30))]
                    data[at:at] = piece * random.choice((1, 2, 50))
                case 10:
                    del data[at : at + random.choice((1, 2, 4, 30))]
                case 11:  # another API or version with the same body
                    key, version = self.any_api()
                    data[:4] = struct.pack(">hh", key, random.choice((version, version, -1, 99)))
        return bytes(data)

    def any_frame(self) -> tuple[bytes, bool]:
        """A request, and whether it was broken after it was made."""
        frame = self.valid(*self.any_api())
        return (self.broken(frame), True) if self.random.random() < 0.7 else (frame, False)
