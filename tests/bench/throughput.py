"""Rows about records per second: whole files through `ev` and kcat, and both brokers under kcat."""

from __future__ import annotations

import itertools
import pathlib
import random
from collections.abc import Iterator, Sequence

from bench import limits
from bench.figure import Figure, in_turn
from bench.peers import Peer, cpu_seconds, create_topic, delete_topic, ev_command, run_timed

LINE_BYTES = 100
NO_PAUSE = ("-X", "queued.min.messages=10000000", "-X", "queued.max.messages.kbytes=2097151")
"""librdkafka stops fetching for a second whenever 100,000 messages wait in its queue, so that the faster broker may look the slower."""
numbers = itertools.count()


def lines_file(directory: pathlib.Path, count: int) -> pathlib.Path:
    """`count` different lines of 100 bytes, the newline not counted."""
    path, generator = directory / f"lines-{count}", random.Random(1)
    if not path.exists():
        filling = "".join(generator.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=LINE_BYTES))
        with path.open("w") as file:
            file.writelines(f"{number:012d}{filling[12:]}\n" for number in range(count))
    return path


def keyed_file(directory: pathlib.Path, count: int) -> pathlib.Path:
    """The same lines behind one of 10,000 keys and a colon."""
    path, draw = directory / f"keyed-{count}", random.Random(2)
    if not path.exists():
        with path.open("w") as file, lines_file(directory, count).open() as lines:
            file.writelines(f"user-{draw.randrange(10_000)}:{line}" for line in lines)
    return path


def command_line(ev: Peer, directory: pathlib.Path, count: int, rounds: int) -> Iterator[Figure]:
    """`ev produce` and `ev consume -e` of a file against kcat, on the same engine."""
    lines = lines_file(directory, count)
    for what, must, reach, source, ours, theirs in (
        ("lines from a file", 1.5, 2.0, lines, (), ()),
        ("lines with keys (-K)", 1.2, 1.5, keyed_file(directory, count), ("-K", ":"), ("-K", ":")),
        ("lines with lz4", 1.0, 1.2, lines, ("-z", "lz4"), ("-X", "compression.codec=lz4")),
        ("lines with zstd", 1.0, 1.2, lines, ("-z", "zstd"), ("-X", "compression.codec=zstd")),
    ):
        yield produced_by(ev, f"ev produce of {what}, against kcat -P on the same engine", must, reach, source, ours, theirs, count, rounds)
    yield from consumed_by(ev, lines, directory / "out", count, rounds)


def produced_by(
    ev: Peer,
    name: str,
    must: float,
    reach: float,
    source: pathlib.Path,
    ours: Sequence[str],
    theirs: Sequence[str],
    count: int,
    rounds: int,
) -> Figure:
    """A file into a new topic each time, with options of each of the two."""
    produced = Figure(name, "records/s", must, reach, peer="kcat")
    if "-z" not in ours:
        produced.bound = limits.written(LINE_BYTES)

    def produce(who: str) -> None:
        topic = f"produce-{next(numbers)}"
        create_topic(ev, topic)
        command = ev_command("produce", topic, "-b", ev.address, "-q", *ours) if who == "ev" else [*kcat_produce(ev, topic), *theirs]
        produced.add(who, count / run_timed(command, source=source))
        delete_topic(ev, topic)

    in_turn(rounds, lambda: produce("ev"), lambda: produce("kcat"))
    return produced


def consumed_by(ev: Peer, lines: pathlib.Path, out: pathlib.Path, count: int, rounds: int) -> Iterator[Figure]:
    consumed = Figure(
        "ev consume -e of the same to a file, against kcat -C -e", "records/s", 0.8, 1.5, peer="kcat", bound=limits.read(LINE_BYTES)
    )
    topic = f"consume-{next(numbers)}"
    create_topic(ev, topic)
    run_timed(kcat_produce(ev, topic), source=lines)

    def consume(who: str) -> None:
        command = ev_command("consume", topic, "-b", ev.address, "-e") if who == "ev" else kcat_consume(ev, topic)
        consumed.add(who, count / run_timed(command, target=out))
        assert out.stat().st_size == lines.stat().st_size, f"{who} wrote {out.stat().st_size} bytes of {lines.stat().st_size}"

    in_turn(rounds, lambda: consume("ev"), lambda: consume("kcat"))
    delete_topic(ev, topic)
    yield consumed


def brokers(ev: Peer, kafka: Peer | None, directory: pathlib.Path, count: int, rounds: int) -> Iterator[Figure]:
    """Both brokers under kcat: records per second and the broker's processor seconds per GB."""
    lines = lines_file(directory, count)
    gigabytes = count * LINE_BYTES / 1e9
    peers = [ev] + ([kafka] if kafka else [])
    in_rate = Figure("the engine under kcat -P acks=all, against Kafka", "records/s", 0.9, 1.2, peer="kafka")
    in_cpu = Figure("broker CPU per GB under kcat -P", "s/GB", 1.0, 0.5, at_least=False, peer="kafka")
    out_rate = Figure("the engine under kcat -C, against Kafka", "records/s", 1.0, 1.3, peer="kafka")
    steady_rate = Figure("the engine under kcat -C that does not pause, against Kafka", "records/s", 1.0, 1.3, peer="kafka")
    out_cpu = Figure("broker CPU per GB under kcat -C", "s/GB", 0.7, 0.4, at_least=False, peer="kafka")
    in_rate.bound, out_rate.bound, steady_rate.bound = limits.written(LINE_BYTES), limits.read(LINE_BYTES), limits.read(LINE_BYTES)
    topics = {peer.name: f"broker-{next(numbers)}" for peer in peers}

    def produce(peer: Peer, keep: bool) -> None:
        topic = topics[peer.name] if keep else f"broker-{next(numbers)}"
        create_topic(peer, topic)
        before = cpu_seconds(peer.pid)
        took = run_timed(kcat_produce(peer, topic), source=lines)
        in_rate.add(peer.name, count / took)
        in_cpu.add(peer.name, (cpu_seconds(peer.pid) - before) / gigabytes)
        if not keep:
            delete_topic(peer, topic)

    def consume(peer: Peer) -> None:
        before = cpu_seconds(peer.pid)
        took = run_timed(kcat_consume(peer, topics[peer.name]))
        out_rate.add(peer.name, count / took)
        out_cpu.add(peer.name, (cpu_seconds(peer.pid) - before) / gigabytes)
        steady_rate.add(peer.name, count / run_timed([*kcat_consume(peer, topics[peer.name]), *NO_PAUSE]))

    for peer in peers:  # warm up: Kafka's first run is compiled as it goes
        produce(peer, True)
        consume(peer)
    for figure in (in_rate, in_cpu, out_rate, steady_rate, out_cpu):
        figure.samples.clear()
    in_turn(rounds, *[lambda peer=peer: produce(peer, False) for peer in peers])
    in_turn(rounds, *[lambda peer=peer: consume(peer) for peer in peers])
    yield from (in_rate, in_cpu, out_rate, steady_rate, out_cpu)


def kcat_produce(peer: Peer, topic: str) -> list[str]:
    return ["kcat", "-b", peer.address, "-P", "-t", topic, "-X", "acks=all"]


def kcat_consume(peer: Peer, topic: str) -> list[str]:
    return ["kcat", "-b", peer.address, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q"]
