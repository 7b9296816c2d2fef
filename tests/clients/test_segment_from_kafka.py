"""A segment that Apache Kafka wrote is served by the engine, byte for byte."""

from __future__ import annotations

import pathlib
import shutil
import signal

import pytest

from support.apache_kafka import Kafka
from support.engine import Engine
from support.kcat import kcat, produce
from support.waiting import wait_for

pytestmark = [pytest.mark.kcat, pytest.mark.java]
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
FORMAT = "%o %T %k %s\n"


def read(address: str, topic: str) -> bytes:
    return kcat(address, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", "-f", FORMAT)


@pytest.mark.timeout(240)
def test_a_segment_written_by_kafka_is_served(tmp_path: pathlib.Path) -> None:
    """Kafka's files under a topic's directory: kcat reads the same records, offsets and timestamps from both, and new ones follow."""
    with Kafka(directory=tmp_path / "kafka", properties={"log.segment.bytes": "1048576"}) as kafka:
        for number, codec in enumerate(CODECS):
            values = [b"%d-%d-" % (number, count) + b"x" * 500 for count in range(2000)]
            produce(kafka.bootstrap, "t", values, "-X", f"compression.codec={codec}", "-p", "0")
        expected = read(kafka.bootstrap, "t")
        kafka.kill(1, signal.SIGTERM)
        written = sorted(path for path in (kafka.data(1) / "t-0").iterdir() if path.suffix in (".log", ".index", ".timeindex"))
    assert expected.count(b"\n") == 2000 * len(CODECS)
    assert len(written) > 3, "several segments are wanted"

    engine = Engine(tmp_path / "ev")
    with engine:
        kcat(engine.address, "-P", "-t", "t", "-p", "0", data=b"placeholder\n")
        assert engine.stop() == 0
        place = engine.directory / "t-0"
        for path in place.iterdir():
            if path.name != "partition.metadata":
                path.unlink()
        for path in written:
            shutil.copy(path, place / path.name)
        for checkpoint in engine.directory.glob("*checkpoint"):
            checkpoint.unlink()
        engine.start()
        assert read(engine.address, "t") == expected
        kcat(engine.address, "-P", "-t", "t", "-p", "0", data=b"one more\n")
        wait_for(lambda: read(engine.address, "t").endswith(b" one more\n"), "the new record")
        assert read(engine.address, "t").startswith(expected)
