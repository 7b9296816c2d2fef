"""Requests of every API and version with something wrong in them: 1,000,000 to the decoder and the broker, 100,000 to a daemon (R8).

First two processes feed the real broker, each its own (`support.fed_broker`): from the bytes of a socket through decoder, handlers,
coordinators and logs to the bytes of the answers. Then a few connections send such requests to a daemon, one after the other without
waiting, and read what comes back, while a client that behaves writes and asks beside them. ACLs keep the hostile ones from what they
could do lawfully: they connect from another address, to which nothing of that client is open.

No frame raises anything unforeseen or keeps the processor for a second; every answer is one to what was asked; what the broker cannot
parse closes its connection; memory does not grow; what was acknowledged is there at the end, and nothing else can be read.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import pathlib
import time
from random import Random
from typing import NamedTuple

from ev.errors import MalformedError
from ev.wire.catalog import API
from ev.wire.codec import decoder, encode
from ev.wire.header import decode_request_header, encode_request_header
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from ev.wire.messages.k30_create_acls import AclCreation, CreateAclsRequest
from support.engine import Engine
from support.fed_broker import FedBroker
from support.filled_message import filled
from support.hostile_requests import Requests
from support.process_figures import forget_peak, peak_bytes, resident_bytes
from support.quiet_client import QuietClient, create_topic
from support.raw_client import RawClient
from torture import faults
from torture.run import Run

FAULTS = (
    "wire.array_length_believed",
    "network.text_that_is_none",
    "log.lying_count_believed",
    "log.no_checksum_of_what_is_produced",
)
FRAMES, FRAMES_QUICK = 1_000_000, 12_000
SOCKET_FRAMES, SOCKET_FRAMES_QUICK = 100_000, 3_000
SHARE_IN_PROCESS = 0.55
PROCESSES = 2
GROWTH_MAX_BYTES = 64 << 20
DECODED_ONLY_EVERY = 8
"""Every so many frames are of a message that the broker does not serve, or an answer: for the decoder alone."""
BEHAVE_EVERY = 40
TOPICS_EVERY = 300

FRIEND, STRANGER = "127.0.0.1", "127.0.0.7"
CONNECTIONS = 4
IN_ONE_GO = 12
ANSWER_MAX_S = 5.0
NO_HURRY_S = 0.1
"""An answer may lawfully be waited for, by a fetch or a member of a group: then its connection is given up."""
ENGINE_SETTINGS = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
    "ev.partitions.max": "100",
    "log.retention.bytes": "4194304",
    "queued.max.request.bytes": str(4 << 20),
}
KEPT = "kept"
ALL, ANY, ALLOW = 2, 1, 3
TOPIC, CLUSTER, LITERAL = 2, 4, 3


class Task(NamedTuple):
    """What one of the processes is to do."""

    seed: str
    fault: str | None
    directory: pathlib.Path
    frames: int
    deadline: float


class Told(NamedTuple):
    """What came of it."""

    frames: int
    broken: int
    in_flight: int
    answered: int
    closed: int
    decoded: int
    slowest_s: float
    growth_bytes: int
    problems: list[str]


def torture(run: Run) -> None:
    """In process first, then over sockets."""
    began = time.monotonic()
    in_process(run, began + SHARE_IN_PROCESS * (run.deadline - began))
    if not run.over:
        over_sockets(run)


# In process.


def in_process(run: Run, deadline: float) -> None:
    share = run.amount(FRAMES, FRAMES_QUICK) // PROCESSES
    tasks = [
        Task(f"{run.name} {run.seed} {number}", run.fault, run.directory / f"fed-{number}", share, deadline) for number in range(PROCESSES)
    ]
    with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
        try:
            results = pool.map_async(feed, tasks).get(deadline - time.monotonic() + 60)
        except multiprocessing.TimeoutError:
            run.outcome.problem(f"a process that feeds the broker does not come to an end; seeds {[task.seed for task in tasks]}")
            return
    outcome = run.outcome
    for task, told in zip(tasks, results, strict=True):
        outcome.injected += told.broken
        outcome.in_flight += told.in_flight
        for name, number in (("frames", told.frames), ("answered", told.answered), ("closed", told.closed), ("decoded", told.decoded)):
            outcome.add(f"in_process_{name}", number)
        outcome.figures["slowest_frame_ms"] = max(outcome.figures.get("slowest_frame_ms", 0), round(1000 * told.slowest_s, 1))
        outcome.figures["growth_mb"] = max(outcome.figures.get("growth_mb", 0), round(told.growth_bytes / 1e6, 1))
        for problem in told.problems:
            outcome.problem(f"seed {task.seed!r}: {problem}")
        if told.growth_bytes > GROWTH_MAX_BYTES:
            outcome.problem(f"seed {task.seed!r}: memory grew by {told.growth_bytes >> 20} MiB at its most within {told.frames} frames")


def feed(task: Task) -> Told:
    """Feed one broker, to its end."""
    logging.getLogger("ev").setLevel(logging.ERROR)
    logging.getLogger("ev").propagate = False
    random = Random(task.seed)
    task.directory.mkdir()
    requests = Requests(random)
    answers = [(api.response, version) for api in API.values() for version in range(api.min_version, api.max_version + 1)]
    broken = decoded = 0
    with faults.seeded(task.fault):
        fed = FedBroker(task.directory, 1)
        forget_peak()
        base = resident_bytes()
        for frame in requests.classic():
            fed.feed(frame)
            broken += 1
        while fed.fed + decoded < task.frames and not fed.problems and time.monotonic() < task.deadline:
            if random.random() * DECODED_ONLY_EVERY < 1:
                decoded += 1
                cls, version = random.choice(answers)
                message = requests.broken(encode(filled(cls, version, random.randrange(50)), version))
                try:
                    decoder(cls, version)(message, 0)
                except MalformedError:
                    continue
                except Exception as problem:  # noqa: BLE001 - whatever it is, it must not be raised
                    fed.problems.append(f"decoding {cls.__name__} {version} from {message.hex()} raised {problem!r}")
                continue
            frame, is_broken = requests.any_frame()
            broken += is_broken
            fed.feed(frame)
            if fed.fed % BEHAVE_EVERY == 0:
                fed.behave()
            if fed.fed % TOPICS_EVERY == 1:
                fed.make_topics()
                requests.topic_ids = [bytes(16), *fed.topic_ids]
        growth = peak_bytes() - base
        if not fed.problems:
            fed.end()
    return Told(fed.fed + decoded, broken, fed.in_flight, fed.answered, fed.closed, decoded, fed.slowest_s, growth, fed.problems)


# Over sockets.


def over_sockets(run: Run) -> None:
    outcome = run.outcome
    engine = run.engine(settings=ENGINE_SETTINGS).start()
    create_topic(engine.address, KEPT, source=FRIEND)
    for topic in ("fuzz", "fuzz-a", "fuzz-b"):
        create_topic(engine.address, topic, source=FRIEND, partitions=3)
    give_to_the_friend(engine)
    with QuietClient(run.directory, engine.address, KEPT, source=FRIEND) as quiet:
        send_to(engine, run, quiet)
        quiet.end()
        outcome.bound("slowest_api_versions_s", round((quiet.took_ms("versions") or [0])[-1] / 1000, 3), 1.0)
        outcome.figures["quiet_records"] = len(quiet.took_ms("produce"))
        for problem in quiet.problems():
            outcome.problem(problem)
    for problem in complaints(engine.log()):
        outcome.problem(problem)


def send_to(engine: Engine, run: Run, quiet: QuietClient) -> None:
    """A few connections, one after the other."""
    outcome = run.outcome
    requests = Requests(run.random)
    requests.topic_ids += topic_ids(engine)
    wanted = run.amount(SOCKET_FRAMES, SOCKET_FRAMES_QUICK)
    lines = [Line(engine, run) for _ in range(CONNECTIONS)]
    before = resident_bytes(engine.pid)
    while not lines[0].sent or (sum(line.sent for line in lines) < wanted and not run.over):
        for line in lines:
            outcome.in_flight += quiet.waits
            line.send(requests)
        for line in lines:
            line.read()
        if not engine.running:
            outcome.problem(f"the engine has ended with status {engine.wait()}: {engine.log()[-500:]}")
            return
    growth = resident_bytes(engine.pid) - before
    for line in lines:
        line.close()
    outcome.figures |= {"socket_frames": sum(line.sent for line in lines), "socket_answers": sum(line.answers for line in lines)}
    outcome.figures |= {"socket_closed": sum(line.closed for line in lines), "socket_given_up": sum(line.given_up for line in lines)}
    outcome.figures["engine_growth_mb"] = round(growth / 1e6, 1)
    outcome.injected += outcome.figures["socket_frames"]
    if growth > GROWTH_MAX_BYTES:
        outcome.problem(f"the engine grew by {growth >> 20} MiB")


def give_to_the_friend(engine: Engine) -> None:
    """From the friend's address everything may be done with the cluster and the topic, from others nothing."""
    wanted = [AclCreation(kind, name, LITERAL, "User:*", FRIEND, ALL, ALLOW) for kind, name in ((CLUSTER, "kafka-cluster"), (TOPIC, KEPT))]
    with RawClient(engine.address, source=FRIEND) as client:
        for result in client.ask(30, 2, CreateAclsRequest(creations=wanted)).results:
            assert result.error_code == 0, result.error_message


def topic_ids(engine: Engine) -> list[bytes]:
    with RawClient(engine.address, source=FRIEND) as client:
        asked = [MetadataRequestTopic(name=name) for name in ("fuzz", "fuzz-a", "fuzz-b")]
        return [topic.topic_id for topic in client.ask(3, 12, MetadataRequest(topics=asked)).topics]


def complaints(log: str) -> list[str]:
    """What the log says that it must not."""
    at = log.find("Traceback")
    found = [f"a traceback in the log: {log[max(0, at - 300) : at + 1500]}"] if at >= 0 else []
    return found + [f"the log says: {line}" for line in log.splitlines() if "internal error" in line.lower() or " CRITICAL " in line][:3]


class Line:
    """A hostile connection: what is sent on it, and that it is answered or closed as it must be."""

    def __init__(self, engine: Engine, run: Run) -> None:
        self.engine = engine
        self.run = run
        self.sent = self.answers = self.closed = self.given_up = 0
        self.client: RawClient | None = None

    def send(self, requests: Requests) -> None:
        """Requests that parse, then one whose answer shows that all were taken. Those that do not parse have connections of their own."""
        frames: list[bytes] = []
        while len(frames) < IN_ONE_GO:
            frame, _ = requests.any_frame()
            self.sent += 1
            if parses(frame):
                frames.append(frame)
            else:
                self.offend(frame)
        last = encode_request_header(18, 0, LAST, None) + encode(ApiVersionsRequest(), 0)
        self.client = self.client or self.connected()
        with contextlib.suppress(OSError):  # closed already: `read` sees it
            self.client.send(b"".join(len(frame).to_bytes(4, "big") + frame for frame in (*frames, last)))

    def connected(self) -> RawClient:
        return RawClient(self.engine.address, source=STRANGER, timeout_s=ANSWER_MAX_S)

    def offend(self, frame: bytes) -> None:
        """Send what does not parse, or says a size that cannot be: the connection is closed."""
        data = len(frame).to_bytes(4, "big") + frame
        if self.run.random.random() < 0.1:
            data = self.run.random.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0")) + frame
        with self.connected() as client:
            try:
                client.send(data)
                if client.closed():
                    self.closed += 1
                    return
                self.run.outcome.problem(f"a request that does not parse was answered: {frame.hex()}")
            except TimeoutError:
                self.run.outcome.problem(f"a request that does not parse left its connection open for {ANSWER_MAX_S} s: {frame.hex()}")
            except OSError:
                self.closed += 1

    def read(self) -> None:
        """Read until the last answer, or until it is closed."""
        client = self.client
        assert client is not None
        client.socket.settimeout(NO_HURRY_S)
        try:
            while True:
                answer = client.next_frame()
                self.answers += 1
                if answer[:4] == LAST.to_bytes(4, "big"):
                    return
        except TimeoutError:
            self.given_up += 1
        except OSError:
            self.closed += 1
        self.close()

    def close(self) -> None:
        if self.client is not None:
            self.client.close()
            self.client = None


LAST = 0x5EED5EED


def parses(frame: bytes) -> bool:
    """Whether the frame is a request of a version that there is."""
    try:
        header, position = decode_request_header(frame)
        api = API.get(header.api_key)
        if header.api_key == 18 and api is not None and not api.min_version <= header.api_version <= api.max_version:
            return True  # it is answered in any version
        if api is None or not api.min_version <= header.api_version <= api.max_version:
            return False
        decoder(api.request, header.api_version)(frame, position)
    except MalformedError:
        return False
    return True
