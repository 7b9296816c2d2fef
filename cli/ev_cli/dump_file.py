"""Dump files: topics with their records, whole, for `ev topic dump` and `ev topic load`. ev-formats(7) has the same drawing.

    "EVDUMP1\\n"
    frames      kind (1 byte), size of the payload (4), CRC-32 of kind, size and payload (4), payload
      H   JSON: {"version": 1, "cluster": …, "time": ms, "topics": [{"name", "partitions", "replication_factor", "config",
          "ranges": {"0": [first offset wanted, offset after the last]}}]}; the first frame
      B   batches, each: number of the topic in H (2), partition (4), size (4), a record batch as Kafka keeps it
      Z   the same, compressed as one zstd frame
      E   JSON: {"records": {"orders/0": 12}}; the last frame, without which the file was cut off

All numbers are big-endian. A batch that reaches out of its partition's range is there whole, and only its records within the range count.
"""

from __future__ import annotations

import json
import struct
import zlib

from ev_cli.failures import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO, Any

MAGIC = b"EVDUMP1\n"
VERSION = 1
HEADER, BATCHES, COMPRESSED, END = b"H", b"B", b"Z", b"E"
_FRAME = struct.Struct(">cI")
_CRC = struct.Struct(">I")
_BATCH = struct.Struct(">HII")
BLOCK_BYTES = 1 << 20
"""Batches are gathered up to this, so that zstd has something to work on."""
FRAME_BYTES_MAX = 1 << 30
COMPRESSIONS = ("zstd", "none")


class DumpWriter:
    """Writes one dump."""

    def __init__(self, file: IO[bytes], header: dict[str, Any], compression: str) -> None:
        self._file = file
        self._compression = compression
        self._numbers = {topic["name"]: number for number, topic in enumerate(header["topics"])}
        self._block: list[bytes] = []
        self._size = 0
        file.write(MAGIC)
        self._frame(HEADER, json.dumps({"version": VERSION, **header}, ensure_ascii=False).encode("utf-8", "surrogateescape"))

    def add(self, topic: str, partition: int, batch: bytes) -> None:
        self._block += (_BATCH.pack(self._numbers[topic], partition, len(batch)), batch)
        self._size += len(batch)
        if self._size >= BLOCK_BYTES:
            self._flush()

    def end(self, records: dict[str, int]) -> None:
        """Say that this is all."""
        self._flush()
        self._frame(END, json.dumps({"records": records}).encode())

    def _flush(self) -> None:
        block, self._block, self._size = b"".join(self._block), [], 0
        if not block:
            return
        if self._compression == "none":
            self._frame(BATCHES, block)
            return
        from cramjam import zstd

        self._frame(COMPRESSED, bytes(zstd.compress(block)))

    def _frame(self, kind: bytes, payload: bytes) -> None:
        head = _FRAME.pack(kind, len(payload))
        self._file.write(head + _CRC.pack(zlib.crc32(payload, zlib.crc32(head))))
        self._file.write(payload)


class DumpReader:
    """Reads one dump; what is damaged or cut off is a Failure that names the place."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self._position = len(MAGIC)
        self.records: dict[str, int] | None = None
        """How many records each partition has; known when everything was read."""
        if file.read(len(MAGIC)) != MAGIC:
            raise Failure(f"{name} is no dump of ev", "`ev topic dump` writes them")
        kind, payload = self._frame()
        self.header = self._json(payload) if kind == HEADER else {}
        if self.header.get("version") != VERSION:
            raise Failure(f"{name} is a dump of version {self.header.get('version')}", f"this ev reads version {VERSION}")
        self.topics: list[dict[str, Any]] = self.header["topics"]

    def blocks(self) -> Iterator[tuple[bytes, bytes]]:
        """Kind and payload of every frame with batches, each checked against its checksum."""
        while True:
            kind, payload = self._frame()
            if kind == END:
                self.records = self._json(payload)["records"]
                return
            if kind not in (BATCHES, COMPRESSED):
                raise self._damaged(f"a frame of kind {kind!r}")
            yield kind, payload

    def batches(self) -> Iterator[tuple[str, int, bytes]]:
        """Topic, partition and bytes of every batch."""
        for kind, payload in self.blocks():
            if kind == COMPRESSED:
                from cramjam import DecompressionError, zstd

                try:
                    payload = bytes(zstd.decompress(payload))
                except DecompressionError:
                    raise self._damaged("a block that is no zstd") from None
            yield from self._batches_in(payload)

    def _batches_in(self, block: bytes) -> Iterator[tuple[str, int, bytes]]:
        position = 0
        while position < len(block):
            if len(block) - position < _BATCH.size:
                raise self._damaged("a batch that is cut off")
            number, partition, size = _BATCH.unpack_from(block, position)
            position += _BATCH.size
            if size > len(block) - position or number >= len(self.topics):
                raise self._damaged("a batch that is cut off")
            yield self.topics[number]["name"], partition, block[position : position + size]
            position += size

    def _frame(self) -> tuple[bytes, bytes]:
        head = self._file.read(_FRAME.size + _CRC.size)
        if len(head) < _FRAME.size + _CRC.size:
            raise self._cut_off()
        kind, size = _FRAME.unpack_from(head)
        if size > FRAME_BYTES_MAX:
            raise self._damaged(f"a frame of {size} bytes")
        payload = self._file.read(size)
        if len(payload) < size:
            raise self._cut_off()
        if zlib.crc32(payload, zlib.crc32(head[: _FRAME.size])) != _CRC.unpack_from(head, _FRAME.size)[0]:
            raise self._damaged("a frame with a wrong checksum")
        self._position += len(head) + size
        return kind, payload

    def _json(self, payload: bytes) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(payload.decode("utf-8", "surrogateescape"))
        except ValueError:
            raise self._damaged("a frame that is no JSON") from None
        return found

    def _cut_off(self) -> Failure:
        return Failure(f"{self._name} was cut off at byte {self._position}", "dump again; a dump is only whole with its last frame")

    def _damaged(self, what: str) -> Failure:
        return Failure(f"{self._name} is damaged at byte {self._position}: {what}", "dump again, or take another copy")
