"""The real broker in this process, fed with frames that nobody vouches for, from the socket's bytes to the answer's.

    fed = FedBroker(directory, seed)
    fed.feed(frame)                  the frame arrives, everything that can happen happens, the answers are checked
    fed.problems                     what must not have happened
    fed.end()                        closes, opens again, reads everything

After each frame: an answer is one to a request that was made and parses as an answer of its API and version; nothing was raised that
the engine does not expect; no frame keeps the processor for longer than a second.
"""

from __future__ import annotations

import logging
import pathlib
import signal
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ev.disk import RealDisk
from ev.errors import KafkaError, MalformedError
from ev.log.partition import Partition
from ev.log.reading import ReadLater
from ev.server.connection import Connection
from ev.wire.catalog import API
from ev.wire.codec import decoder, encode
from ev.wire.header import decode_request_header, encode_request_header, response_header_size
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from ev.wire.messages.k19_create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from ev.wire.records import check_crc, decode_batch, encode_batch, headers
from support.quiet_client import fetch_request, produce_request, value
from support.simulated_broker import Door, SimulatedBroker, Wire

SETTINGS = {
    "ev.durability": "os",
    "ev.partitions.max": "100",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "log.segment.bytes": "262144",
    "log.retention.bytes": "1048576",
    "log.retention.check.interval.ms": "1000",
    "file.delete.delay.ms": "1",
    "ev.disk.min.free.bytes": "0",
    "max.incremental.fetch.session.cache.slots": "50",
}
FRAME_MAX_S = 1.0
STUCK_S = 10.0
"""Of processor time: a frame that takes this long will not come to an end."""
ADVANCE_EVERY = 32
CALLS_MAX = 300
VALID = "kept"
VALID_SIZE = 100


class StuckError(BaseException):
    """A frame does not come to an end. Not an Exception: nobody on the way may take it for his own."""


class Complaints(logging.Handler):
    """What the engine's log says with a traceback."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.found.append(f"{record.getMessage()}: {record.exc_info[1]!r}")


class FedClient:
    """A connection and what was asked on it."""

    def __init__(self, broker: SimulatedBroker, door: Door) -> None:
        self.wire = Wire()
        self.connection = Connection(broker.broker, door)  # type: ignore[arg-type]
        self.connection.connection_made(self.wire)  # type: ignore[arg-type]
        self.asked: deque[tuple[int, int, int]] = deque()

    def send(self, frame: bytes) -> None:
        try:
            header, _ = decode_request_header(frame)
        except MalformedError:
            pass
        else:
            self.asked.append((header.correlation_id & 0xFFFFFFFF, header.api_key, header.api_version))
        self.connection.data_received(len(frame).to_bytes(4, "big") + frame)

    def answers(self) -> Iterator[Any]:
        """Every answer that has left, decoded. AssertionError, MalformedError when it is none."""
        out = self.wire.out
        while len(out) >= 4 and len(out) >= 4 + int.from_bytes(out[:4], "big"):
            end = 4 + int.from_bytes(out[:4], "big")
            frame = bytes(out[4:end])
            del out[:end]
            number = int.from_bytes(frame[:4], "big")
            while self.asked and (self.asked[0][0] != number or self.asked[0][1] not in API):
                passed = self.asked.popleft()
                assert passed[1] == 0, f"API {passed[1]} version {passed[2]} was passed over by the answer to a later request"
            assert self.asked, f"an answer with correlation id {number}, for which nobody asked"
            _, key, version = self.asked.popleft()
            if (key == 18 and version > API[18].max_version) or (key == 18 and version < 0):
                version = 0
            answer, position = decoder(API[key].response, version)(frame, response_header_size(key, version))
            assert position == len(frame), f"{len(frame) - position} bytes follow an answer of API {key} version {version}"
            yield answer

    @property
    def is_done_for(self) -> bool:
        """Closed by the broker, or so much waits on it that it is of no use any more."""
        return self.wire.closed or len(self.connection.calls) > CALLS_MAX

    def leave(self) -> None:
        self.connection.connection_lost(None)


class FedBroker:
    """The broker, the client that is fed, and one that behaves."""

    def __init__(self, directory: pathlib.Path, seed: int) -> None:
        self.directory = directory
        self.problems: list[str] = []
        self.slowest_s = 0.0
        self.answered = self.closed = self.fed = self.in_flight = 0
        self.kept: dict[int, bytes] = {}
        self.complaints = Complaints()
        logging.getLogger("ev").addHandler(self.complaints)
        self.seed = seed
        self._open()

    def _open(self) -> None:
        self.broker = SimulatedBroker(RealDisk(), seed=self.seed, settings=SETTINGS, directory=str(self.directory))
        self.door = Door()
        self.client = FedClient(self.broker, self.door)
        self.make_topics()
        self.waiting = FedClient(self.broker, self.door)
        self._wait_for_more()

    def _wait_for_more(self) -> None:
        """The client that behaves waits for the next record, for as long as it takes."""
        request = fetch_request(VALID, self.broker.store.topics[VALID].partitions[0].high_watermark, wait_ms=1 << 30)
        self.waiting.send(encode_request_header(1, 11, 1, "kept") + encode(request, 11))

    def make_topics(self) -> None:
        """The topics that requests are about, where they are not there any more."""
        for name, configs in (("fuzz", {}), ("fuzz-a", {"cleanup.policy": "compact"}), ("fuzz-b", {"compression.type": "lz4"})):
            self._make(name, 3, configs)
        self._make(VALID, 1, {"retention.bytes": "-1", "retention.ms": "-1"})

    def _make(self, name: str, partitions: int, configs: dict[str, str]) -> None:
        if self.broker.broker.topics.get(name) is None:
            given = [CreatableTopicConfig(name=key, value=text) for key, text in configs.items()]
            topic = CreatableTopic(name=name, num_partitions=partitions, replication_factor=-1, configs=given)
            self.broker.ask(CreateTopicsRequest(topics=[topic], timeout_ms=1000), 7)

    @property
    def topic_ids(self) -> list[bytes]:
        return [topic.id for name in ("fuzz", "fuzz-a", "fuzz-b") if (topic := self.broker.broker.topics.get(name)) is not None]

    def feed(self, frame: bytes) -> None:
        """One frame, and what comes of it."""
        self.fed += 1
        client = self.client
        self.in_flight += len(client.connection.calls) + len(self.waiting.connection.calls)
        began = time.process_time()
        try:
            with stopped_when_stuck():
                client.send(frame)
                self.broker.world.settle()
                if self.fed % ADVANCE_EVERY == 0:
                    self.broker.world.advance(37)
            self.answered += sum(1 for _ in client.answers())
        except (Exception, StuckError) as problem:  # noqa: BLE001 - whatever it is, it must not be raised
            self.problems.append(f"frame {frame.hex()} raised {type(problem).__name__}: {problem}")
        took = time.process_time() - began
        self.slowest_s = max(self.slowest_s, took)
        if took > FRAME_MAX_S:
            self.problems.append(f"frame {frame.hex()} took {took:.1f} s of the processor")
        if self.complaints.found:
            self.problems.append(f"frame {frame.hex()} left a traceback in the log: {self.complaints.found.pop()}")
        if client.is_done_for:
            self.closed += client.wire.closed
            client.leave()
            self.client = FedClient(self.broker, self.door)

    def behave(self) -> None:
        """The client that behaves writes a record and asks for versions: it is served as if it were alone.

        The logs are looked at, too: a later request may delete what an earlier one has brought in.
        """
        self._check_logs(f"after {self.fed} frames")
        number = len(self.kept)
        client = FedClient(self.broker, self.door)
        request = produce_request(VALID, encode_batch([value(number, VALID_SIZE)]))
        client.send(encode_request_header(0, 9, 1, "kept") + encode(request, 9))
        client.send(encode_request_header(18, 3, 2, "kept") + encode(ApiVersionsRequest(), 3))
        self.broker.world.settle()
        answers = list(client.answers())
        client.leave()
        if len(answers) != 2:
            self.problems.append(f"a client that behaves got {len(answers)} of 2 answers after {self.fed} frames")
            return
        produced = answers[0].responses[0].partition_responses[0]
        if produced.error_code:
            self.problems.append(f"a client that behaves was refused with error {produced.error_code} after {self.fed} frames")
        else:
            self.kept[produced.base_offset] = value(number, VALID_SIZE)
            if not any(answer.responses[0].partitions[0].records for answer in self.waiting.answers()):
                self.problems.append(f"a fetch that waited was not told of the record at offset {produced.base_offset}")
            self._wait_for_more()

    def end(self) -> None:
        """Everybody leaves; what is there is what was acknowledged, before a restart and after it."""
        self.client.leave()
        self.waiting.leave()
        if self.door.budget.bytes_held:
            self.problems.append(f"{self.door.budget.bytes_held} bytes of requests are held for connections that are all gone")
        self._check_logs("before a restart")
        self.broker.store.close(clean=True)
        self._open()
        self._check_logs("after a restart")
        logging.getLogger("ev").removeHandler(self.complaints)
        self.client.leave()
        self.waiting.leave()
        self.broker.store.close(clean=True)

    def _check_logs(self, when: str) -> None:
        for topic in list(self.broker.store.topics.values()):
            for partition in topic.partitions:
                self.problems += [f"{when}, {partition.name}: {problem}" for problem in log_problems(partition)]
        found = dict(self._read_kept())
        if found != self.kept:
            wrong = sorted({*found.items()} ^ {*self.kept.items()})[:5]
            self.problems.append(
                f"{when}: {len(self.kept)} records were acknowledged, {len(found)} are there; the first that differ: {wrong}"
            )

    def _read_kept(self) -> Iterator[tuple[int, bytes | None]]:
        offset = 0
        while True:
            (answer,) = self.broker.ask(fetch_request(VALID, offset), 11).responses[0].partitions
            if not answer.records:
                return
            for position, _ in headers(answer.records):
                columns = decode_batch(answer.records, position)
                yield from zip(columns.offsets, columns.values, strict=True)
                offset = columns.offsets[-1] + 1


def log_problems(partition: Partition) -> Iterator[str]:
    """What a reader of this partition would stumble over: damaged batches, headers that lie, offsets that do not follow one another."""
    offset, expected = partition.log_start_offset, None
    while offset < partition.high_watermark:
        try:
            found = partition.read(offset, 1 << 20, at_least_one=True)
            read = found.run() if isinstance(found, ReadLater) else found
        except KafkaError as error:
            yield f"reading at offset {offset} fails: {error}"
            return
        data = b"".join(map(bytes, read.pieces))
        if not data:
            yield f"nothing can be read at offset {offset} of {partition.high_watermark}"
            return
        for position, header in headers(data):
            if not check_crc(data, position, header.size):
                yield f"the batch at {header.base_offset} does not match its checksum"
            if not partition.config.compacted and (header.record_count != header.last_offset_delta + 1 or header.record_count < 1):
                yield f"the batch at {header.base_offset} says {header.record_count} records and a last delta of {header.last_offset_delta}"
            if expected is not None and (
                header.base_offset < expected or (header.base_offset > expected and not partition.config.compacted)
            ):
                yield f"a batch begins at {header.base_offset} where {expected} was due"
            expected = offset = header.last_offset + 1


@contextmanager
def stopped_when_stuck() -> Iterator[None]:
    """Raise StuckError inside when it takes too much of the processor."""

    def stop(*_: object) -> None:
        raise StuckError(f"it does not come to an end within {STUCK_S} s")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, STUCK_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
