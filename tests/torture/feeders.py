"""Idempotent producers over raw connections, and the judgement of what they were told: nothing lost, twice, or in another order."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from ev.errors import ErrorCode
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from ev.wire.records import LOG_APPEND_TIME, decode_batch, encode_batch, headers
from support.one_partition import produce_request
from support.raw_transactions import Ask, fetched
from torture.outcome import Outcome
from torture.sessions import Watched

FILLING = b"." * 300


class Sent(NamedTuple):
    """A batch that was acknowledged."""

    offset: int
    values: list[bytes]
    timestamp: int  # that its sender gave its records
    sent_s: float  # by the monotonic clock
    acked_s: float


class Found(NamedTuple):
    """A record as it was read."""

    offset: int
    value: bytes
    timestamp: int


class Feeder(Watched):
    """One producer to one topic of one partition, until it is told to end."""

    def __init__(self, outcome: Outcome, address: Callable[[], str], topic: str, random: Random, pause_s: float) -> None:
        super().__init__(outcome, address, f"feeder of {topic}")
        self.topic, self.random, self.pause_s = topic, random, pause_s
        self.sent: list[Sent] = []
        self.sequence = 0
        answer = self.ask(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000), 4)
        self.producer_id, self.epoch = answer.producer_id, answer.producer_epoch

    def step(self) -> None:
        self.feed()
        self.ending.wait(self.random.uniform(0, self.pause_s))

    def feed(self) -> None:
        """One batch; sent again as long as nobody answers."""
        values = [b"%d:" % (self.sequence + number) + FILLING for number in range(self.random.randint(1, 20))]
        timestamp, sent_s = round(time.time() * 1000), time.monotonic()
        batch = encode_batch(
            values, timestamps=timestamp, producer_id=self.producer_id, producer_epoch=self.epoch, base_sequence=self.sequence
        )
        answer = self.ask(produce_request(self.topic, batch), 9).responses[0].partition_responses[0]
        if answer.error_code in (ErrorCode.REQUEST_TIMED_OUT, ErrorCode.NOT_ENOUGH_REPLICAS):
            return  # maybe: the same batch is sent again, with the same sequence
        if answer.error_code:
            self.outcome.problem(
                f"{self.name}: a batch at sequence {self.sequence} was answered {answer.error_code} {answer.error_message}"
            )
            return
        self.sent.append(Sent(answer.base_offset, values, timestamp, sent_s, time.monotonic()))
        self.sequence += len(values)

    def judge(self, ask: Ask, start: int = 0) -> list[Found]:
        """Read everything from the log's start, and compare; what was read."""
        found = read_all(ask, self.topic, start)
        where = {record.value: record.offset for record in found}
        if len(where) != len(found):
            self.outcome.problem(f"{self.topic}: {len(found) - len(where)} records are there twice")
        for number, record in enumerate(found):
            if record.offset != start + number:
                self.outcome.problem(f"{self.topic}: offset {record.offset} where {start + number} was due")
                break
        for batch in self.sent:
            for number, value in enumerate(batch.values):
                offset = where.get(value, -1)
                if batch.offset + number >= start and offset != batch.offset + number:
                    what = "is lost" if offset < 0 else f"is at {offset}"
                    self.outcome.problem(f"{self.topic}: {value[:20]!r}, acknowledged at {batch.offset + number}, {what}")
                    return found
        self.outcome.add("acknowledged", sum(len(batch.values) for batch in self.sent))
        return found


def read_all(ask: Ask, topic: str, start: int, index: int = 0, *, committed: bool = False) -> list[Found]:
    """Every record from an offset to the high watermark, with the time that the broker says it has."""
    found: list[Found] = []
    offset = start
    while True:
        answer = fetched(ask, topic, index, committed=committed, offset=offset)
        assert answer.error_code == 0, f"{topic} at {offset}: {answer.error_code}"
        data = bytes(answer.records or b"")
        if not data:
            return found
        for position, header in headers(data):
            columns = decode_batch(data, position)
            stamps: Sequence[int] = columns.timestamps
            if header.attributes & LOG_APPEND_TIME:
                stamps = [header.max_timestamp] * len(columns.values)
            if not header.is_control:
                found += [
                    Found(place, bytes(value or b""), stamp)
                    for place, value, stamp in zip(columns.offsets, columns.values, stamps, strict=True)
                    if place >= offset
                ]
            offset = max(offset, header.last_offset + 1)
