"""kill -9 in a loop, under four clients that must not lose, repeat or reorder anything."""

from __future__ import annotations

import pathlib
import random
import re
import time

import pytest

from support.engine import Engine
from support.history import History
from support.traffic import CLIENTS, Traffic

RATE = 400
CLEAN_STOPS = 0.15
GROUPS = {"billing": "read_committed"}
RECOGNISED = re.compile(r"a resent batch was recognised")


def run(directory: pathlib.Path, cycles: int, seed: int, settings: dict[str, str]) -> tuple[History, list[str], Engine]:
    """The loop; returns what happened, fatal errors of clients and the engine, still running."""
    engine = Engine(directory / "data", settings={"log.segment.bytes": str(1 << 20), **settings}).start()
    try:
        with Traffic(directory, engine.address, rate=RATE, transactions=False, groups=GROUPS) as traffic:
            loop(engine, traffic, cycles, random.Random(seed))
            traffic.end()
            return traffic.history(), traffic.fatal(), engine
    except BaseException:
        engine.close()
        raise


def loop(engine: Engine, traffic: Traffic, cycles: int, generator: random.Random) -> None:
    """Kill (or now and then stop) the engine, start it, and wait until every client gets on again."""
    for cycle in range(cycles):
        for process in traffic.writers:
            traffic.gets_on(process, f"in cycle {cycle}")
        time.sleep(generator.uniform(0, 0.3))  # the moment of the crash is what the seed draws
        if generator.random() < CLEAN_STOPS:
            assert engine.stop() == 0
        else:
            engine.kill()
        traffic.learn_commits()
        engine.start()
        assert traffic.lost_commits() == []
        traffic.note()


@pytest.mark.crash
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("cycles", "method"),
    [
        (4, "auto"),
        (4, "journal"),
        (4, "file"),
        pytest.param(100, "auto", marks=pytest.mark.slow),
        pytest.param(50, "journal", marks=pytest.mark.slow),
        pytest.param(50, "file", marks=pytest.mark.slow),
    ],
)
def test_nothing_acknowledged_is_lost_or_repeated_when_the_engine_is_killed(tmp_path: pathlib.Path, cycles: int, method: str) -> None:
    """After each crash every client gets on by itself; in the end the log holds what was acknowledged, once and in order.

    The run proves nothing if no batch was ever resent after its first write survived, so that is asked for too.
    """
    seed = 20_000 + cycles
    history, fatal, engine = run(tmp_path, cycles, seed, {"ev.flush.method": method})
    try:
        acked = sum(len(values) for values in history.acked.values())
        recognised = len(RECOGNISED.findall(engine.log()))
        summary = f"seed {seed}: {cycles} cycles, {acked} acknowledged, {recognised} resent batches recognised"
        assert fatal == [], summary
        assert history.anomalies() == {}, summary
        assert acked > cycles * len(CLIENTS), summary
        assert all(history.acked.values()), summary
        assert any(history.commits.values()), summary
        if cycles >= 50:
            assert recognised > 0, summary
        assert engine.stop() == 0
    finally:
        engine.close()
