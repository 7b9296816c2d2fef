"""kill -9 in a loop, under copiers that read, write and commit offsets in transactions: the output is the input, exactly once."""

from __future__ import annotations

import pathlib
import random
import time

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from support.engine import Engine
from support.final_read import records_of
from support.history import Place
from support.processes import Process
from support.waiting import wait_for

SOURCE, TARGET, PARTITIONS = "source", "target", 2
COPIERS = ("copier-a", "copier-b")
RATE = 300
CLEAN_STOPS = 0.15


def run(directory: pathlib.Path, engine: Engine, cycles: int, generator: random.Random) -> tuple[list[Process], Process]:
    """The loop; returns the copiers and a reader of the target, all at their end."""
    admin = AdminClient({"bootstrap.servers": engine.address})
    for topic in (SOURCE, TARGET):
        admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(30)
    feeder = Process(
        directory, "feeder", "support.verifying_producer", "librdkafka", engine.address, SOURCE, str(PARTITIONS), "fed", str(RATE)
    )
    copiers = [
        Process(directory, f"{name}-{number}", "support.transactional_copier", engine.address, SOURCE, TARGET + name[-2:], name)
        for number, name in enumerate(COPIERS)
    ]
    reader = Process(
        directory, "reader", "support.verifying_consumer", engine.address, TARGET + COPIERS[0][-2:], "reader", "read_committed"
    )
    everyone = [feeder, *copiers]
    try:
        for cycle in range(cycles):
            for process in everyone:
                wait_for(process.has_said_more, f"{process.name} to get on in cycle {cycle}", 30)
            time.sleep(generator.uniform(0, 0.3))  # the moment of the crash is what the seed draws
            if generator.random() < CLEAN_STOPS:
                assert engine.stop() == 0
            else:
                engine.kill()
            engine.start()
            for process in everyone:
                process.note()
        feeder.end()
        feeder.wait()
        sent = next(int(line[1]) for line in feeder.lines() if line[0] == "sent")
        for process in copiers:

            def copied_all(process: Process = process) -> bool:
                target = TARGET + process.name[6:8]
                return sum(len(records_of(engine.address, Place(target, index))) for index in range(PARTITIONS)) >= sent

            wait_for(copied_all, f"{process.name} to copy all of {sent}", 120)
        for process in (*copiers, reader):
            process.end()
        for process in (*copiers, reader):
            process.wait()
    finally:
        for process in (*everyone, reader):
            process.process.kill()
            process.process.wait()
    return copiers, reader


@pytest.mark.crash
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("cycles", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_a_transactional_copy_is_exact_after_any_number_of_crashes(tmp_path: pathlib.Path, cycles: int) -> None:
    """Per partition the same values in the same order; nothing aborted was ever read; nothing is left open."""
    seed = 30_000 + cycles
    settings = {"log.segment.bytes": str(1 << 20), "transaction.state.log.num.partitions": "2"}
    engine = Engine(tmp_path / "data", settings=settings).start()
    try:
        for name in COPIERS:
            admin = AdminClient({"bootstrap.servers": engine.address})
            admin.create_topics([NewTopic(TARGET + name[-2:], PARTITIONS, 1)])[TARGET + name[-2:]].result(30)
        copiers, reader = run(tmp_path, engine, cycles, random.Random(seed))
        said = [line for process in copiers for line in process.lines()]
        aborted, renewed = (sum(line[0] == what for line in said) for what in ("aborted", "again"))
        summary = f"seed {seed}: {cycles} cycles, {aborted} transactions aborted, {renewed} times a new producer"
        assert [line for line in (*said, *reader.lines()) if line[0] == "fatal"] == [], summary
        assert aborted > 0, summary
        final: dict[tuple[str, int], bytes] = {}
        for index in range(PARTITIONS):
            source = [value for _, value in records_of(engine.address, Place(SOURCE, index))]
            assert len(source) > cycles, summary
            for name in COPIERS:
                target = records_of(engine.address, Place(TARGET + name[-2:], index))
                assert [value for _, value in target] == source, f"{name}, partition {index}: {summary}"
                if name == COPIERS[0]:
                    final |= {(str(index), offset): value for offset, value in target}
        reads = [line for line in reader.lines() if line[0] == "read"]
        assert reads, summary
        for _, partition, offset, value in reads:
            assert final.get((partition, int(offset))) == value.encode(), f"read at {partition}@{offset}: {summary}"
        assert engine.stop() == 0
    finally:
        engine.close()
