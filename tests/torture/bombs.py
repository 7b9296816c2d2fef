"""Compressed batches that grow without end, and sizes and counts that lie, where the engine and the client have to open them (R11).

Every bomb of `support.bombs` is produced where the engine passes it on untouched, as Kafka does, and where it must look inside: into a
topic with another codec, a compacted one, and with a time that it may not have. Then the engine is asked for records by their time, the
topic with all the bombs in it is compacted, and an application with ev's consumer reads it. Whole requests of nothing but counts come on
connections of their own.

Nothing is believed: what is passed on is not changed, the rest is refused; memory stays within 80 MB of what it was, in the engine, in
its child that compacts, and in the application; everybody else is served meanwhile.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

from ev.wire.compression import NAMES
from ev.wire.messages.k02_list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from ev.wire.records import headers
from support import bombs
from support.configured import SET, Resource
from support.engine import ROOT, SOURCES, Engine, environment
from support.engine_figures import SETTING, figures, recent_stall_ms
from support.process_figures import children, forget_peak, peak_bytes, resident_bytes
from support.quiet_client import QuietClient, create_topic, fetch_request, produce_request
from support.raw_client import RawClient
from torture.run import Run

FAULTS = (
    "wire.decompression_without_a_budget",
    "wire.declared_size_believed",
    "wire.gzip_opened_before_it_is_measured",
    "wire.record_count_believed",
)
FIRST = 22
"""So many are thrown however little time there is: each lie, and some of those that grow."""
GROWTH_MAX_BYTES = 80 << 20
STALL_MAX_MS = 100
STALLS = ("longest_stall_ms", "longest_stall_of_counts_ms")
ANSWER_MAX_S = 20.0
LARGE = {"max.message.bytes": str(16 << 20)}
PASSED_ON = "passed-on"
LOOKED_INTO = {
    "other-codec": {"compression.type": "gzip"},
    "another-codec": {"compression.type": "lz4"},
    "keyed": {"cleanup.policy": "compact"},
}
TOPIC, TOPIC_KIND = "topic", 2
COMPACTED_WITHIN_S = 20.0
LATER_MS, FUTURE_MS = 1_700_001_000_000, 1 << 42
HONEST = bombs.batch(0, b"\x10\0\0\0\x02k\x02v\0")


def torture(run: Run) -> None:
    """One bomb after the other at one engine, then whoever reads what was passed on."""
    settings = {**SETTING, "log.cleaner.min.cleanable.ratio": "0", "ev.checkpoint.interval.ms": "100", "ev.partitions.max": "50"}
    engine = run.engine(settings=settings).start()
    create_topic(engine.address, PASSED_ON, {**LARGE, "segment.bytes": str(17 << 20), "retention.ms": "-1"})
    for topic, configs in LOOKED_INTO.items():
        create_topic(engine.address, topic, {**LARGE, **configs})
    create_topic(engine.address, "quiet")
    with QuietClient(run.directory, engine.address, "quiet") as quiet:
        bombard(run, engine, quiet)
        quiet.end()
        for stall in STALLS:
            run.outcome.bound(stall, run.outcome.figures.get(stall, 0), STALL_MAX_MS)
        run.outcome.bound("slowest_quiet_answer_ms", round((quiet.took_ms() or [0])[-1]), 1000)
        for problem in quiet.problems():
            run.outcome.problem(problem)


def bombard(run: Run, engine: Engine, quiet: QuietClient) -> None:
    """First the batches, then the requests."""
    field = Field(run, engine, quiet)
    for number, bomb in enumerate(bombs.batches()):
        if run.over and (number >= FIRST or run.outcome.problems):
            break
        field.throw(bomb)
    for frame in bombs.frames():
        if run.over:
            break
        field.throw_frame(frame)
    if not run.outcome.problems:
        field.read_as_an_application(run)
        field.search_by_time()
        field.compact()


class Field:
    """The engine under bombs."""

    def __init__(self, run: Run, engine: Engine, quiet: QuietClient) -> None:
        self.run, self.outcome, self.engine, self.quiet = run, run.outcome, engine, quiet
        self.passed_on: list[bombs.Bomb] = []

    def throw(self, bomb: bombs.Bomb) -> None:
        """Everywhere in turn."""
        code = self.produced(PASSED_ON, bomb)
        if code == 0:
            self.passed_on.append(bomb)
        self.outcome.add("passed_on", int(code == 0))
        topics = list(LOOKED_INTO)
        self.run.random.shuffle(topics)
        codec = NAMES[bomb.data[22] & 7]
        for topic in topics:
            if LOOKED_INTO[topic].get("compression.type") == codec:
                continue  # nothing has to be done with it there
            if self.produced(topic, bomb) == 0:
                self.outcome.problem(f"{bomb.name} was taken by the topic {topic}, where it has to be looked into")
        if self.produced(PASSED_ON, bomb._replace(data=bombs.stamped(bomb.data, FUTURE_MS))) == 0:
            self.outcome.problem(f"{bomb.name} was taken with a time in the far future")

    def produced(self, topic: str, bomb: bombs.Bomb) -> int:
        """The error code of the answer, -1 when the connection was closed."""
        with RawClient(self.engine.address, timeout_s=ANSWER_MAX_S) as client:
            answers: Any = self.watched(client, f"{bomb.name} at {topic}", client.frame(0, 9, produce_request(topic, bomb.data)))
            return answers if isinstance(answers, int) else int(answers.responses[0].partition_responses[0].error_code)

    def throw_frame(self, frame: bombs.Bomb) -> None:
        """A request that is refused with its connection, or answered."""
        with RawClient(self.engine.address, timeout_s=ANSWER_MAX_S) as client:
            self.watched(client, frame.name, len(frame.data).to_bytes(4, "big") + frame.data, decoded=False)

    def watched(self, client: RawClient, what: str, data: bytes, *, decoded: bool = True) -> Any:
        """Send it with somebody else's question beside it; look at memory and time. The answer, or -1 when there is none."""
        engine, outcome = self.engine, self.outcome
        figures(engine)  # the stall that is told next began after this
        forget_peak(engine.pid)
        before, answer = resident_bytes(engine.pid), -1
        with RawClient(engine.address, timeout_s=ANSWER_MAX_S) as witness:
            try:
                client.send(data)
                witness.send(witness.frame(18, 0, ApiVersionsRequest()))
                outcome.injected += 1
                outcome.in_flight += 1 + self.quiet.waits
                answer = client.answer(0, 9) if decoded else len(client.next_frame())
            except TimeoutError:
                outcome.problem(f"{what} is not answered within {ANSWER_MAX_S} s")
            except OSError:
                outcome.add("closed")
            try:
                witness.answer(18, 0)
            except OSError as problem:
                outcome.problem(f"{what}: another client was not served: {problem!r}")
        if not engine.running:
            outcome.problem(f"{what}: the engine has ended with status {engine.wait()}: {engine.log()[-500:]}")
            return answer
        self.judge(what, peak_bytes(engine.pid) - before)
        stall = STALLS[not decoded]
        busy_ms = recent_stall_ms(engine)
        outcome.figures[stall] = max(outcome.figures.get(stall, 0), busy_ms)
        if busy_ms > STALL_MAX_MS:
            self.run.say(f"{what}: the loop was busy for {busy_ms} ms")
        return answer

    def judge(self, what: str, grown: int, who: str = "engine") -> None:
        """Memory beyond what was held before."""
        name = f"{who}_growth_mb"
        self.outcome.figures[name] = max(self.outcome.figures.get(name, 0), round(grown / 1e6, 1))
        if grown > GROWTH_MAX_BYTES:
            self.outcome.problem(f"{what}: the {who} took {grown >> 20} MiB more at its most")

    # Who reads what was passed on.

    def search_by_time(self) -> None:
        """ListOffsets looks into the batches that may hold the time, and passes over those that it cannot open."""
        with RawClient(self.engine.address, timeout_s=ANSWER_MAX_S) as client:
            honest = client.ask(0, 9, produce_request(PASSED_ON, HONEST)).responses[0].partition_responses[0].base_offset
        partition = ListOffsetsPartition(partition_index=0, timestamp=1_700_000_000_000)
        request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name=PASSED_ON, partitions=[partition])])
        forget_peak(self.engine.pid)
        before = resident_bytes(self.engine.pid)
        with RawClient(self.engine.address, timeout_s=ANSWER_MAX_S) as client:
            found = client.ask(2, 5, request).topics[0].partitions[0]
        if found.offset != honest:
            self.outcome.problem(f"a search by time found offset {found.offset} behind bombs, not {honest}")
        self.judge("a search by time", peak_bytes(self.engine.pid) - before)

    def read_as_an_application(self, run: Run) -> None:
        """With ev's consumer, in a process of its own; and the bytes are those that were sent."""
        offset = 0
        with RawClient(self.engine.address, timeout_s=ANSWER_MAX_S) as client:
            for bomb in self.passed_on:
                (answer,) = client.ask(1, 11, fetch_request(PASSED_ON, offset, 17 << 20)).responses[0].partitions
                found = list(headers(answer.records or b""))
                if not found:
                    self.outcome.problem(f"{bomb.name} cannot be read at offset {offset}: error {answer.error_code}")
                    return
                position, header = found[0]
                if bytes(answer.records[position + 21 : position + header.size]) != bomb.data[21:]:
                    self.outcome.problem(f"{bomb.name} was changed on its way")
                offset = header.last_offset + 1
        command = [sys.executable, "-P", "-m", "torture.bomb_reader", self.engine.address, PASSED_ON, str(len(self.passed_on))]
        command += [run.fault] if run.fault else []
        variables = environment(PYTHONPATH=os.pathsep.join((SOURCES, str(ROOT / "tests"))))
        done = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=120, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        if done.returncode or len(lines) != len(self.passed_on):
            self.outcome.problem(f"the application read {len(lines)} of {len(self.passed_on)} batches: {done.stderr[-1500:]}")
        for line, bomb in zip(lines, self.passed_on, strict=False):
            self.judge(f"{bomb.name}, read by an application", line["grown"], "application")
            if not line["outcome"].startswith("refused"):
                self.outcome.problem(f"{bomb.name}: the application got {line['outcome']}")
        slowest = max((line["took_s"] for line in lines), default=0)
        self.outcome.figures["slowest_in_the_application_ms"] = round(1000 * slowest)

    def compact(self) -> None:
        """The topic becomes a compacted one, with the bombs in it."""
        with RawClient(self.engine.address) as client:
            client.ask(0, 9, produce_request(PASSED_ON, bombs.stamped(HONEST, LATER_MS)))

            def ask(request: object, version: int) -> object:
                return client.ask(44, version, request)

            code, message = Resource(ask, TOPIC_KIND, PASSED_ON).altered(("cleanup.policy", SET, "compact"), ("segment.ms", SET, "1"))
            assert code == 0, message
            client.ask(0, 9, produce_request(PASSED_ON, bombs.stamped(HONEST, LATER_MS + 1000)))
        deadline, most, said = time.monotonic() + COMPACTED_WITHIN_S, 0, False
        forget_peak(self.engine.pid)
        before = resident_bytes(self.engine.pid)
        while time.monotonic() < deadline and not said:
            for child in children(self.engine.pid):
                try:
                    most = max(most, peak_bytes(child))
                except (OSError, LookupError):
                    continue  # it has ended meanwhile
            said = f"{PASSED_ON}-0: compacted" in self.engine.log()
            time.sleep(0.01)
        self.outcome.figures["compacted"] = said
        if not said:
            self.outcome.problem(f"a topic with bombs in it was not compacted within {COMPACTED_WITHIN_S} s: {self.engine.log()[-500:]}")
        self.judge("compaction", peak_bytes(self.engine.pid) - before)
        self.judge("compaction", max(0, most - before), "child")
