"""Rows about the whole broker: many producers, many partitions, a cold reader beside a tail, compaction while clients go on."""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import re
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence

from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from confluent_kafka.cimpl import NewTopic

from bench import limits
from bench.figure import Figure, in_turn
from bench.peers import EvPeer, Peer, cpu_seconds, create_topic, delete_topic, ev_environment, resident_mb
from bench.small_requests import journey
from bench.throughput import kcat_produce
from support.engine import Engine
from support.waiting import wait_for

FEW = 3
MANY = 100
MIB = 1 << 20
numbers = itertools.count()


# ---- many producers


def producers(ev: Peer, kafka: Peer | None, directory: pathlib.Path, megabytes: int, rounds: int) -> Iterator[Figure]:
    """kcat (librdkafka) as 1 and as 16 producers of records of 100 B and 1 KB, over few partitions and over many; then the memory."""
    peers = [ev] + ([kafka] if kafka else [])
    shapes = [(size, count, FEW) for size in (100, 1000) for count in (1, 16)] + [(100, 1, MANY)]
    for size, count, partitions in shapes:
        must, reach = (1.0, 1.3) if partitions == FEW else (0.8, 1.2)
        figure = Figure(
            f"{count} kcat -P acks=all, {size} B, {partitions} partitions, against Kafka", "records/s", must, reach, peer="kafka"
        )
        figure.bound = limits.written(size)
        sources = sources_of(directory, size, count, megabytes * MIB // size // count)
        for peer in peers:
            produce_at_once(peer, sources, partitions)

        def measure(
            peer: Peer, figure: Figure = figure, sources: Sequence[pathlib.Path] = sources, size: int = size, partitions: int = partitions
        ) -> None:
            took_s = produce_at_once(peer, sources, partitions)
            figure.add(peer.name, sum(path.stat().st_size for path in sources) / (size + 1) / took_s)

        in_turn(rounds, *[lambda peer=peer, measure=measure: measure(peer) for peer in peers])
        yield figure
        for path in sources:
            path.unlink()
    memory = Figure("resident memory after this load, against Kafka", "MB", 0.3, 0.3, at_least=False, peer="kafka")
    for peer in peers:
        memory.add(peer.name, resident_mb(peer.pid))
    yield memory


def sources_of(directory: pathlib.Path, size: int, files: int, lines: int) -> list[pathlib.Path]:
    """Files of different lines of `size` bytes, the newline not counted."""
    paths = []
    filling = os.urandom(size).hex()[: size - 16]
    for number in range(files):
        path = directory / f"lines-of-{size}-{number}"
        with path.open("w") as file:
            file.writelines(f"{number:04d}{line:012d}{filling}\n" for line in range(lines))
        paths.append(path)
    return paths


def produce_at_once(peer: Peer, sources: Sequence[pathlib.Path], partitions: int) -> float:
    """Seconds until as many kcat as there are sources have written them to a new topic."""
    topic = f"producers-{next(numbers)}"
    create_topic(peer, topic, partitions)
    began = time.perf_counter()
    running = []
    for source in sources:
        with source.open("rb") as stdin:
            running.append(subprocess.Popen(kcat_produce(peer, topic), stdin=stdin, env=ev_environment()))
    failed = [process.wait() for process in running]
    took_s = time.perf_counter() - began
    delete_topic(peer, topic)
    if any(failed):
        raise RuntimeError(f"kcat against {peer.name} ended with {failed}")
    return took_s


# ---- many partitions of which one is busy


def one_busy_partition(ev: Peer, kafka: Peer | None, partitions: int, seconds: float, rounds: int) -> Iterator[Figure]:
    """One consumer of all partitions, one of which gets 100 records a second: the broker's processor time."""
    peers = [ev] + ([kafka] if kafka else [])
    figure = Figure(
        f"1 consumer of {partitions} partitions, 1 of them busy: broker CPU, against Kafka", "%", 2.0, 1.0, at_least=False, peer="kafka"
    )
    topics = {}
    for peer in peers:
        topics[peer.name] = f"many-{next(numbers)}"
        create_topic(peer, topics[peer.name], partitions)
        cpu_while_read(peer, topics[peer.name], partitions, seconds / 2)
    in_turn(
        rounds, *[lambda peer=peer: figure.add(peer.name, cpu_while_read(peer, topics[peer.name], partitions, seconds)) for peer in peers]
    )
    for peer in peers:
        delete_topic(peer, topics[peer.name])
    yield figure


def cpu_while_read(peer: Peer, topic: str, partitions: int, seconds: float) -> float:
    """Percent of one processor."""
    consumer = Consumer({"bootstrap.servers": peer.address, "group.id": "bench", "enable.auto.commit": "false"})
    consumer.assign([TopicPartition(topic, index, OFFSET_END) for index in range(partitions)])
    producer = Producer({"bootstrap.servers": peer.address, "linger.ms": 0})
    wait_for(lambda: received(producer, consumer, topic), "the first record", 60)
    before, began, seen = cpu_seconds(peer.pid), time.monotonic(), 0
    for number in range(int(seconds * 100)):
        time.sleep(max(0.0, began + number / 100 - time.monotonic()))
        producer.produce(topic, b"x" * 100, partition=0)
        producer.poll(0)
        seen += consumer.poll(0) is not None
    took_s = time.monotonic() - began
    used_s = cpu_seconds(peer.pid) - before
    producer.flush(30)
    consumer.close()
    assert seen > seconds * 50, f"{peer.name}: the consumer got {seen} of {seconds * 100:g} records"
    return 100 * used_s / took_s


def received(producer: Producer, consumer: Consumer, topic: str) -> bool:
    producer.produce(topic, b"x", partition=0)
    producer.poll(0)
    message = consumer.poll(0.2)
    return message is not None and message.error() is None


# ---- a cold reader beside a tail


def cold_reader(directory: pathlib.Path, size: int, seconds: float, rounds: int) -> Iterator[Figure]:
    """Tail at 1,000 records/s, alone and while somebody reads `size` bytes that are not in the page cache: the 99th percentile."""
    peer = EvPeer(directory / "cold")
    peer.start()
    figure = Figure(
        f"tail p99 while {size / (1 << 30):g} GiB are read cold, against the quiet tail",
        "ms",
        3.0,
        1.5,
        at_least=False,
        ours="beside",
        peer="quiet",
    )
    try:
        old = f"old-{next(numbers)}"
        create_topic(peer, old)
        sources = sources_of(directory, 1000, 1, size // 1001)
        subprocess.run(kcat_produce(peer, old), stdin=sources[0].open("rb"), env=ev_environment(), check=True)
        sources[0].unlink()
        percentile(peer, seconds / 2)

        def quiet() -> None:
            figure.add("quiet", percentile(peer, seconds))

        def beside() -> None:
            stop = threading.Event()
            reader = threading.Thread(target=read_cold, args=(peer, old, stop))
            reader.start()
            try:
                figure.add("beside", percentile(peer, seconds))
            finally:
                stop.set()
                reader.join()

        in_turn(rounds, quiet, beside)
    finally:
        peer.stop()
        shutil.rmtree(peer.engine.directory)
    yield figure


def percentile(peer: Peer, seconds: float) -> float:
    topic = f"tail-{next(numbers)}"
    create_topic(peer, topic)
    took_ms = sorted(journey(peer.address, topic, seconds))
    delete_topic(peer, topic)
    return took_ms[int(len(took_ms) * 0.99)]


def read_cold(peer: EvPeer, topic: str, stop: threading.Event) -> None:
    """Read the topic from its beginning, over and over, each time with its pages dropped before."""
    while not stop.is_set():
        for path in (peer.engine.directory / f"{topic}-0").glob("*.log"):
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        command = ["kcat", "-b", peer.address, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q"]
        with open(os.devnull, "wb") as nowhere:
            reader = subprocess.Popen(command, stdout=nowhere, env=ev_environment())
            while reader.poll() is None and not stop.wait(0.05):
                pass
            if reader.poll() is None:
                reader.terminate()
            reader.wait()


# ---- compaction, and a large segment that is deleted


def compaction(directory: pathlib.Path, size: int, keys: int, seconds: float) -> Iterator[Figure]:
    """A log of so many keys is compacted while a producer goes on, then deleted. The engine says how long its loop stalled."""
    rate = Figure(f"compaction of {size / (1 << 30):g} GiB with {keys} keys", "MB/s", 20.0, 20.0)
    late = Figure("p99 of produce while it runs, against quiet", "ms", 3.0, 3.0, at_least=False, ours="beside", peer="quiet")
    stall = Figure("longest stall of the loop while it compacts and while the segment is deleted", "ms", 50.0, 50.0, at_least=False)
    intervals = {"log.retention.check.interval.ms": "1000", "ev.checkpoint.interval.ms": "1000"}
    engine = Engine(directory / "compaction", settings={**intervals, "ev.metrics.listen": "127.0.0.1:0"})
    engine.start()
    try:
        admin = AdminClient({"bootstrap.servers": engine.address})
        config = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "1.0", "segment.bytes": str(size + (64 << 20))}
        admin.create_topics([NewTopic("kept", 1, 1, config={**config, "file.delete.delay.ms": "1000"}), NewTopic("busy", 1, 1)])[
            "kept"
        ].result(60)
        fill_keys(engine.address, "kept", size, keys)
        engine.stop()
        engine.start()  # what filling it took does not count
        late.add("quiet", produce_percentile(engine.address, "busy", None, seconds))
        began = time.monotonic()
        set_config(admin, "kept", {"segment.bytes": str(64 << 20), "min.cleanable.dirty.ratio": "0.01"})
        fill_keys(engine.address, "kept", 1 << 20, keys)  # the large segment is sealed
        late.add("beside", produce_percentile(engine.address, "busy", lambda: "compacted" not in engine.log(), 600))
        found = re.search(r"compacted (\d+) bytes to (\d+)", engine.log())
        assert found is not None, "the log was not compacted"
        rate.add("ev", int(found[1]) / 1e6 / (time.monotonic() - began))
        set_config(admin, "kept", {"cleanup.policy": "delete", "retention.bytes": "1"})
        wait_for(lambda: largest(engine.directory / "kept-0") < 64 << 20, "the large segment to be deleted", 120)
        wait_for(lambda: not nameless_bytes(engine), "the room of the one that was compacted to be given back", 120)
        stall.add("ev", longest_stall_ms(engine))
    finally:
        engine.stop()
    shutil.rmtree(engine.directory)
    yield from (rate, late, stall)


def longest_stall_ms(engine: Engine) -> float:
    """How long the engine's loop was busy with one thing since it was started."""
    place = re.findall(r"http://\S+/metrics", engine.log())[-1]
    with urllib.request.urlopen(place, timeout=10) as answer:
        told = re.search(r'ev_loop_longest_stall_seconds\{since="start"\} (\S+)', answer.read().decode())
    assert told is not None, "the longest stall is one of them"
    return 1000 * float(told[1])


def nameless_bytes(engine: Engine) -> int:
    """The size of files that the engine has open and that have no name any more."""
    sizes = []
    for path in pathlib.Path(f"/proc/{engine.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if os.readlink(path).endswith(".log (deleted)"):
                sizes.append(path.stat().st_size)
    return sum(sizes)


def fill_keys(address: str, topic: str, size: int, keys: int) -> None:
    """Records of half a KB under `keys` keys, in turn."""
    producer = Producer({"bootstrap.servers": address, "linger.ms": 20, "batch.size": 1 << 19, "queue.buffering.max.messages": 200_000})
    value = os.urandom(250).hex()
    for number in range(size // 512):
        key = b"%d" % (number * 7919 % keys)
        while True:
            try:
                producer.produce(topic, value, key, partition=0)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 1000 == 0:
            producer.poll(0)
    assert producer.flush(120) == 0


def produce_percentile(address: str, topic: str, goes_on: Callable[[], bool] | None, seconds: float) -> float:
    """The 99th percentile of the time to an acknowledgement, 200 a second: for `seconds`, or for as long as `goes_on`, but no longer."""
    producer = Producer({"bootstrap.servers": address, "linger.ms": 0, "acks": "all"})
    took_ms: list[float] = []
    began = time.monotonic()
    for number in itertools.count():
        now = time.monotonic()
        if now - began > seconds or (goes_on is not None and number % 100 == 99 and not goes_on()):
            break
        time.sleep(max(0.0, began + number / 200 - now))

        def told(error: object, message: object, sent_ns: int = time.monotonic_ns()) -> None:
            took_ms.append((time.monotonic_ns() - sent_ns) / 1e6)

        producer.produce(topic, b"x" * 100, on_delivery=told)
        producer.poll(0.002)
    assert producer.flush(30) == 0
    took_ms.sort()
    return took_ms[int(len(took_ms) * 0.99)]


def set_config(admin: AdminClient, topic: str, values: dict[str, str]) -> None:
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in values.items()]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin.incremental_alter_configs([resource])[resource].result(30)


def largest(directory: pathlib.Path) -> int:
    sizes = [0]
    for path in directory.iterdir():
        if ".log" in path.name:
            try:
                sizes.append(path.stat().st_size)
            except FileNotFoundError:
                continue
    return max(sizes)
