"""Much data, quickly: batches made beforehand, many of them on their way, and a full read that knows each of them again.

load = Bulk(random, engine.address, "bulk", partitions=8)
load.write(1 << 30)             acknowledged, all of it
load.leave_open(8)              so many more are sent, and their answers are not waited for
load.close()
differences(…)                  reads everything
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from random import Random

from ev.wire.checksum import crc32c
from ev.wire.messages.k00_produce import ProduceRequest
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from ev.wire.records import encode_batch, headers
from support.one_partition import produce_request
from support.raw_client import RawClient

WINDOW = 8
TEMPLATES = 24
SMALL, LARGE = (1, 4, 2_000), (4, 16, 60_000)
FETCH_BYTES = 4 << 20
CRC_AT, BODY_AT = 17, 21


@dataclass
class Written:
    """What one partition was given: (checksum, records) of each batch, in order, as far as it was acknowledged, and what followed."""

    acknowledged: list[tuple[int, int]] = field(default_factory=list)
    open: list[tuple[int, int]] = field(default_factory=list)

    @property
    def end(self) -> int:
        return sum(count for _, count in self.acknowledged)


class Bulk:
    """One connection that writes to the partitions of a topic in turn."""

    def __init__(self, random: Random, address: str, topic: str, partitions: int, written: list[Written] | None = None) -> None:
        self.random, self.topic = random, topic
        self.client = RawClient(address, timeout_s=60)
        self.written = [Written() for _ in range(partitions)] if written is None else written
        self._templates = {kind: [self._template(kind) for _ in range(TEMPLATES)] for kind in (SMALL, LARGE)}
        self._waiting: deque[tuple[int, tuple[int, int]]] = deque()
        self.bytes = 0

    def _template(self, kind: tuple[int, int, int]) -> tuple[bytes, tuple[int, int]]:
        least, most, size_max = kind
        values = [self.random.randbytes(self.random.randint(size_max // 4, size_max)) for _ in range(self.random.randint(least, most))]
        batch = encode_batch(values, timestamps=round(time.time() * 1000) - self.random.randrange(1_000_000))
        return bytes(batch), (int.from_bytes(batch[CRC_AT:BODY_AT], "big"), len(values))

    def write(self, size: int, *, small: bool = False) -> None:
        """So many bytes, acknowledged."""
        until = self.bytes + size
        while self.bytes < until:
            self._send(small=small)
            if len(self._waiting) >= WINDOW:
                self._acknowledged()
        while self._waiting:
            self._acknowledged()

    def leave_open(self, count: int) -> int:
        """Send so many more, whose answers nobody sees."""
        for _ in range(count):
            self._send(small=self.random.random() < 0.5)
        for index, what in self._waiting:
            self.written[index].open.append(what)
        return len(self._waiting)

    def _send(self, *, small: bool) -> None:
        batch, what = self.random.choice(self._templates[SMALL if small else LARGE])
        index = self.random.randrange(len(self.written))
        request: ProduceRequest = produce_request(self.topic, batch)
        request.topic_data[0].partition_data[0].index = index
        self.client.send(self.client.frame(0, 9, request))
        self._waiting.append((index, what))
        self.bytes += len(batch)

    def _acknowledged(self) -> None:
        index, what = self._waiting.popleft()
        answer = self.client.answer(0, 9).responses[0].partition_responses[0]
        assert answer.error_code == 0, f"{self.topic}-{index}: {answer.error_code} {answer.error_message}"
        assert answer.base_offset == self.written[index].end, f"{self.topic}-{index}: {answer.base_offset}"
        self.written[index].acknowledged.append(what)

    def close(self) -> None:
        self.client.close()


def differences(address: str, topic: str, written: list[Written]) -> list[str]:
    """Read every partition to its end: where something acknowledged is missing, or something else is there.

    What was sent and not answered may be there, in its order. It counts as acknowledged from then on.
    """
    found: list[str] = []
    with RawClient(address, timeout_s=60) as client:
        for index, partition in enumerate(written):
            expected = partition.acknowledged + partition.open
            read = batches(client, topic, index)
            if read != expected[: len(read)]:
                first = next((number for number, pair in enumerate(zip(read, expected, strict=False)) if pair[0] != pair[1]), len(expected))
                found.append(f"{topic}-{index}: batch {first} of {len(read)} is not what was sent")
            elif len(read) < len(partition.acknowledged):
                found.append(f"{topic}-{index}: {len(partition.acknowledged) - len(read)} acknowledged batches are lost")
            partition.acknowledged, partition.open = read, []
    return found


def batches(client: RawClient, topic: str, index: int) -> list[tuple[int, int]]:
    """(checksum, records) of each batch; one whose bytes do not have its checksum has the checksum -1."""
    found: list[tuple[int, int]] = []
    offset = 0
    while True:
        wanted = FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=FETCH_BYTES)
        request = FetchRequest(min_bytes=1, max_bytes=FETCH_BYTES, session_epoch=-1, topics=[FetchTopic(topic=topic, partitions=[wanted])])
        answer = client.ask(1, 11, request).responses[0].partitions[0]
        assert answer.error_code == 0, f"{topic}-{index} at {offset}: {answer.error_code}"
        data = memoryview(bytes(answer.records or b""))
        if not data:
            return found
        for position, header in headers(data):
            said = int.from_bytes(data[position + CRC_AT : position + BODY_AT], "big")
            sound = crc32c(data[position + BODY_AT : position + header.size]) == said and header.base_offset == offset
            found.append((said if sound else -1, header.last_offset - header.base_offset + 1))
            offset = header.last_offset + 1
