"""Rows about starting, waiting and being many: cold start, idle cost, recovery time, connections, the command itself."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from bench.figure import Figure, in_turn
from bench.peers import EvPeer, KafkaPeer, Peer, cpu_seconds, create_topic, ev_command, ev_environment, many_files, resident_mb, run_timed
from bench.throughput import lines_file
from support.waiting import wait_for


def cold_start(directory: pathlib.Path, with_kafka: bool, rounds: int) -> Iterator[Figure]:
    """From exec to the first acknowledged record, and the memory of an idle broker a few seconds later."""
    start = Figure("cold start to the first acknowledged record, against Kafka", "s", 0.15, 0.08, at_least=False, peer="kafka")
    memory = Figure("idle RSS, against Kafka", "MB", 0.25, 0.14, at_least=False, peer="kafka")

    def measure(kind: type[EvPeer] | type[KafkaPeer]) -> None:
        place = directory / f"cold-{kind.name}"
        place.mkdir()
        peer = kind(place)
        began = time.perf_counter()
        peer.start()
        while True:
            done = subprocess.run(["kcat", "-b", peer.address, "-P", "-t", "first", "-X", "acks=all"], input=b"x\n", capture_output=True)
            if done.returncode == 0:
                break
        start.add(kind.name, time.perf_counter() - began)
        memory.add(kind.name, settled_resident_mb(peer.pid))
        peer.kill()
        shutil.rmtree(place)

    in_turn(rounds, lambda: measure(EvPeer), *([lambda: measure(KafkaPeer)] if with_kafka else []))
    yield from (start, memory)


def settled_resident_mb(pid: int) -> float:
    """Resident memory once it stopped moving."""
    sizes: list[float] = []

    def settled() -> bool:
        sizes.append(resident_mb(pid))
        return len(sizes) >= 10 and max(sizes[-10:]) - min(sizes[-10:]) < 1

    wait_for(settled, "a steady size", 30, pause_s=0.1)
    return sizes[-1]


def idle(directory: pathlib.Path, seconds: float, rounds: int) -> Iterator[Figure]:
    """Processor use with 1,000 partitions and ten consumers that wait; then a clean start with those partitions."""
    use = Figure("idle with 1,000 partitions and 10 long-polling consumers: CPU", "% of a core", 0.5, 0.1, at_least=False)
    start = Figure("clean start with 1,000 partitions", "s", 2.0, 1.0, at_least=False)
    place = directory / "idle"
    place.mkdir()
    peer = EvPeer(place)
    peer.start()
    create_topic(peer, "wide", 1000)
    command = ["kcat", "-b", peer.address, "-q", "-G", "idle", "wide"]  # one group: 100 partitions each, a poll each half second
    consumers = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(10)]
    try:
        wait_for_quiet(peer.pid)
        for _ in range(rounds):
            before = cpu_seconds(peer.pid)
            time.sleep(seconds)  # the measure is what happens while nothing does
            use.add("ev", (cpu_seconds(peer.pid) - before) / seconds * 100)
    finally:
        for consumer in consumers:
            consumer.kill()
            consumer.wait()
    for _ in range(rounds):
        peer.stop()
        began = time.perf_counter()
        peer.start()
        start.add("ev", time.perf_counter() - began)
    peer.stop()
    shutil.rmtree(place)
    yield from (use, start)


def wait_for_quiet(pid: int) -> None:
    """Wait until the process used little in a second: its consumers have all connected."""
    before = [cpu_seconds(pid)]

    def quiet() -> bool:
        before.append(cpu_seconds(pid))
        return before[-1] - before[-2] < 0.03

    wait_for(quiet, "an idle engine", 60, pause_s=1)


def unclean_start(directory: pathlib.Path, gigabytes: float, rounds: int) -> Iterator[Figure]:
    """kill -9 of an engine that holds this much, then the time to be ready again, with a cold page cache where root allows."""
    figure = Figure(f"unclean start with {gigabytes:g} GiB of data", "s", 1.0, 0.4, at_least=False)
    place = directory / "unclean"
    place.mkdir()
    peer = EvPeer(place)
    peer.start()
    lines = lines_file(directory, 2_000_000)
    create_topic(peer, "big", 8)
    command = ["kcat", "-b", peer.address, "-P", "-t", "big", "-X", "acks=1", "-X", "batch.size=1000000"]
    for _ in range(round(gigabytes * (1 << 30) / lines.stat().st_size)):
        run_timed(command, source=lines)
    for number in range(rounds):
        subprocess.run([*command, "-p", str(number)], input=lines.read_bytes()[: 8 << 20], check=True, capture_output=True)
        peer.kill()
        with contextlib.suppress(OSError):
            os.sync()
            pathlib.Path("/proc/sys/vm/drop_caches").write_text("1\n")
        began = time.perf_counter()
        peer.start()
        figure.add("ev", time.perf_counter() - began)
    peer.stop()
    shutil.rmtree(place)
    yield figure


def many_connections(directory: pathlib.Path, count: int) -> Iterator[Figure]:
    """Memory added by connections that say nothing."""
    figure = Figure(f"{count} idle plain connections: added RSS", "MB", 150, 60, at_least=False)
    place = directory / "many"
    place.mkdir()
    peer = EvPeer(place, **{"max.connections": str(count + 100)})
    peer.start()
    before = settled_resident_mb(peer.pid)
    with contextlib.ExitStack() as stack:
        stack.enter_context(many_files())
        for _ in range(count):
            stack.enter_context(socket.create_connection(("127.0.0.1", peer.engine.port)))
        wait_for(lambda: len(list(pathlib.Path(f"/proc/{peer.pid}/fd").iterdir())) > count, "all connections")
        figure.add("ev", settled_resident_mb(peer.pid) - before)
    peer.stop()
    shutil.rmtree(place)
    yield figure


def commands(ev: Peer, rounds: int) -> Iterator[Figure]:
    """What a person waits for: `ev --version`, one record and one list with the engine up; bare Python and kcat beside them."""
    version = Figure("ev --version", "ms", 80, 20, at_least=False)
    shot = Figure("echo x | ev produce t, engine up", "ms", 45, 25, at_least=False)
    listing = Figure("ev topic list, engine up", "ms", 60, 35, at_least=False)
    create_topic(ev, "shot")

    def timed(figure: Figure, who: str, command: list[str]) -> None:
        began = time.perf_counter()
        subprocess.run(command, input=b"x\n", check=True, capture_output=True, env=ev_environment())
        figure.add(who, (time.perf_counter() - began) * 1000)

    bare = [sys.executable, "-c", "pass"]
    produce = ev_command("produce", "shot", "-b", ev.address)
    topics = ev_command("topic", "list", "-b", ev.address)
    kcat = ["kcat", "-b", ev.address, "-P", "-t", "shot"]
    kcat_list = ["kcat", "-b", ev.address, "-L"]
    in_turn(rounds, lambda: timed(version, "ev", ev_command("--version")), lambda: timed(version, "python3 -c pass", bare))
    in_turn(rounds, lambda: timed(shot, "ev", produce), lambda: timed(shot, "kcat", kcat))
    in_turn(rounds, lambda: timed(listing, "ev", topics), lambda: timed(listing, "kcat", kcat_list))
    yield from (version, shot, listing)
