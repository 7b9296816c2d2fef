"""A well-behaved client beside hostile ones: a process that writes and asks, and says how long each answer took.

    python -m support.quiet_client ADDRESS TOPIC SOURCE BYTES

Every few milliseconds it produces one record of BYTES bytes with acks=all, and in between asks for the versions of the APIs, from the
address SOURCE. Its lines: `ask KIND NUMBER`, then `told KIND NUMBER MILLISECONDS OFFSET` or `failed KIND NUMBER WHAT`. SIGTERM ends it
after the answer that it waits for.

    with QuietClient(directory, engine.address, "quiet") as client:
        client.took_ms("produce", since=mark)     what the answers took since `mark = client.mark()`
        client.end(); client.problems()           reads everything back: what was acknowledged is there, and nothing else
"""

from __future__ import annotations

import pathlib
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any, Self

from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from ev.wire.messages.k19_create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from ev.wire.records import check_crc, decode_batch, encode_batch, headers
from support.processes import Process
from support.raw_client import RawClient
from support.waiting import wait_for

PAUSE_S = 0.003
PRODUCE, VERSIONS = "produce", "versions"


def create_topic(address: str, topic: str, configs: Mapping[str, str] | None = None, *, source: str = "", partitions: int = 1) -> None:
    """Make a topic with these settings."""
    given = [CreatableTopicConfig(name=name, value=value) for name, value in (configs or {}).items()]
    wanted = CreatableTopic(name=topic, num_partitions=partitions, replication_factor=1, assignments=[], configs=given)
    with RawClient(address, source=source) as client:
        (made,) = client.ask(19, 7, CreateTopicsRequest(topics=[wanted], timeout_ms=10_000)).topics
        assert made.error_code == 0, f"{topic} was not made: {made.error_message}"


def produce_request(topic: str, batch: bytes, acks: int = -1) -> ProduceRequest:
    """One batch for the first partition of a topic."""
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=0, records=batch)])
    return ProduceRequest(acks=acks, timeout_ms=30_000, topic_data=[data])


def fetch_request(topic: str, offset: int, bytes_max: int = 1 << 20, wait_ms: int = 0) -> FetchRequest:
    """From the first partition of a topic."""
    asked = FetchTopic(topic=topic, partitions=[FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=bytes_max)])
    return FetchRequest(max_wait_ms=wait_ms, min_bytes=1, max_bytes=bytes_max, session_epoch=-1, topics=[asked])


def read_all(address: str, topic: str, source: str = "") -> list[tuple[int, bytes | None]]:
    """(offset, value) of every record of the first partition; AssertionError where a batch is damaged."""
    found: list[tuple[int, bytes | None]] = []
    with RawClient(address, source=source) as client:
        while True:
            offset = found[-1][0] + 1 if found else 0
            (answer,) = client.ask(1, 11, fetch_request(topic, offset)).responses[0].partitions
            assert answer.error_code == 0, f"reading {topic} from {offset}: error {answer.error_code}"
            if not answer.records:
                return found
            for position, header in headers(answer.records):
                assert check_crc(answer.records, position, header.size), f"{topic}: the batch at {header.base_offset} is damaged"
                columns = decode_batch(answer.records, position)
                found += [pair for pair in zip(columns.offsets, columns.values, strict=True) if pair[0] >= offset]


def value(number: int, size: int) -> bytes:
    """What record number `number` holds."""
    return (b"%d:" % number).ljust(size, b".")


class QuietClient(Process):
    """The process and what it said."""

    def __init__(
        self, directory: pathlib.Path, address: str, topic: str, *, source: str = "127.0.0.1", size: int = 400, name: str = "quiet"
    ) -> None:
        self.address, self.topic, self.source, self.size = address, topic, source, size
        super().__init__(directory, name, "support.quiet_client", address, topic, source, str(size))
        wait_for(lambda: len(self.lines()) > 10, "the quiet client to have begun")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.wait()

    def mark(self) -> int:
        """A place in what it has said."""
        return self.path.stat().st_size

    def said(self, since: int = 0) -> list[list[str]]:
        with self.path.open("rb") as file:
            file.seek(since)
            text = file.read().decode()
        whole = text[: text.rfind("\n") + 1]
        return [line.split(" ", 4) for line in whole.splitlines()]

    @property
    def waits(self) -> bool:
        """Whether it has asked something that is not answered."""
        last = self.said(max(0, self.mark() - 200))[-1:]
        return bool(last) and last[0][0] == "ask"

    def took_ms(self, kind: str = "", since: int = 0) -> list[float]:
        """How long the answers took, sorted."""
        return sorted(float(line[3]) for line in self.said(since) if line[0] == "told" and kind in ("", line[1]))

    def failures(self) -> list[str]:
        return [" ".join(line) for line in self.said() if line[0] == "failed"]

    def end(self) -> None:
        """Let it take its last answer and stop."""
        super().end()
        self.wait()

    def problems(self) -> list[str]:
        """What is not as it was acknowledged, after a full read; and every request that failed."""
        acknowledged = {int(line[4]): value(int(line[2]), self.size) for line in self.said() if line[:2] == ["told", PRODUCE]}
        found = dict(read_all(self.address, self.topic, self.source))
        lost = sorted(offset for offset in acknowledged if found.get(offset) != acknowledged[offset])
        others = sorted(found.keys() - acknowledged.keys())
        problems = [f"a request of the quiet client failed: {failure}" for failure in self.failures()]
        if lost:
            problems.append(f"{len(lost)} of {len(acknowledged)} acknowledged records are not there or hold something else: {lost[:10]}")
        if others:
            problems.append(f"{len(others)} records are readable that nobody was told of: offsets {others[:10]}")
        return problems


def percentile(sorted_values: list[float], share: float) -> float:
    """The value below which this share of them lies; 0 when there are none."""
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))] if sorted_values else 0.0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Stopped:
    """Whether SIGTERM came."""

    def __init__(self) -> None:
        self.now = False
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, *_: object) -> None:
        self.now = True


def main(arguments: list[str]) -> int:
    address, topic, source, size = arguments
    stopped = Stopped()
    client: RawClient | None = None
    number = 0
    while not stopped.now:
        kind = PRODUCE if number % 2 == 0 else VERSIONS
        say(f"ask {kind} {number}")
        began = time.perf_counter()
        try:
            client = client or RawClient(address, source=source)
            offset = ask(client, kind, topic, value(number, int(size)))
        except (OSError, AssertionError) as problem:
            say(f"failed {kind} {number} after {1000 * (time.perf_counter() - began):.0f} ms: {problem!r}")
            client = None
            time.sleep(0.05)
        else:
            say(f"told {kind} {number} {1000 * (time.perf_counter() - began):.3f} {offset}")
        number += 1
        time.sleep(PAUSE_S)
    return 0


def ask(client: RawClient, kind: str, topic: str, text: bytes) -> int:
    """One request; returns the offset of what was produced."""
    if kind == VERSIONS:
        answer = client.ask(18, 0, ApiVersionsRequest())
        assert answer.error_code == 0, f"error {answer.error_code}"
        return -1
    produced: Any = client.ask(0, 9, produce_request(topic, encode_batch([text]))).responses[0].partition_responses[0]
    assert produced.error_code == 0, f"error {produced.error_code} {produced.error_message}"
    return int(produced.base_offset)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
