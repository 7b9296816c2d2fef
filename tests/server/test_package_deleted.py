"""The package is deleted under a running engine, and every API of every version is still served: an upgrade changes nothing."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import urllib.request

import pytest

from ev.broker.apis import HANDLERS
from ev.wire.catalog import API
from ev.wire.messages.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from ev.wire.messages.k19_create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from ev.wire.records import encode_batch
from support.engine import ROOT, Engine, environment
from support.filled_message import filled
from support.raw_client import RawClient, messages
from support.waiting import wait_for

SEEDS = 3
PATIENCE_S = 0.3
SIGNS = ("ImportError", "ModuleNotFoundError", "FileNotFoundError", "Traceback", "could not be handled")


def offered(address: str) -> dict[int, range]:
    with RawClient(address) as client:
        keys = client.ask(18, 3, ApiVersionsRequest(client_software_name="test", client_software_version="1")).api_keys
    lowest = {each.api_key: max(each.min_version, API[each.api_key].min_version) for each in keys}  # Produce says 0 and means 3
    return {each.api_key: range(lowest[each.api_key], each.max_version + 1) for each in keys}


def driven(address: str, key: int, version: int, seed: int) -> bool:
    """Send a request that is full of something; whether it was answered at once. It may wait for others, or close the connection."""
    with RawClient(address, timeout_s=PATIENCE_S) as client:
        try:
            client.ask(key, version, filled(messages(key).REQUEST, version, seed))
        except (TimeoutError, ConnectionError):
            return False
    return True


@pytest.mark.timeout(240)
@pytest.mark.slow
def test_nothing_of_the_package_is_missed(tmp_path: pathlib.Path) -> None:
    """Requests of every kind, compaction, figures, an image for a backup, and a clean end: nothing is imported, nothing is opened."""
    package = tmp_path / "site-packages"
    shutil.copytree(ROOT / "engine" / "ev", package / "ev", ignore=shutil.ignore_patterns("__pycache__"))
    settings = {"ev.metrics.listen": "127.0.0.1:0", "log.segment.bytes": "65536", "auto.create.topics.enable": "true"}
    variables = {"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}
    with Engine(tmp_path / "data", settings=settings, variables=variables) as engine:
        maps = pathlib.Path(f"/proc/{engine.pid}/environ").read_bytes() if sys.platform == "linux" else b""
        assert not maps or str(package).encode() in maps
        shutil.rmtree(package)
        apis = offered(engine.address)
        assert set(apis) == {int(name[1:3]) for name in HANDLERS}
        answered = {
            (key, version)
            for key, versions in sorted(apis.items())
            for version in versions
            for seed in range(SEEDS)
            if driven(engine.address, key, version, seed)
        }
        silent = {key for key in apis if not any((key, version) in answered for version in apis[key])}
        assert silent <= {11}, f"no version of {[API[key].name for key in silent]} was ever answered"
        works(engine)
        assert (
            b"ev_info"
            in urllib.request.urlopen(f"http://{json.loads((engine.directory / 'engine.json').read_text())['metrics']}/metrics").read()
        )
        command = [sys.executable, "-P", "-m", "ev.server.backup", "--data-dir", str(engine.directory), str(tmp_path / "saved")]
        subprocess.run(command, env=environment(), check=True, capture_output=True, timeout=60)
        assert engine.stop() == 0
        said = engine.log()
    assert not os.path.exists(package)
    assert [line for line in said.splitlines() if any(sign in line for sign in SIGNS)] == []


def works(engine: Engine) -> None:
    """What a client does: every codec, and a topic that is compacted."""
    config = [CreatableTopicConfig("cleanup.policy", "compact"), CreatableTopicConfig("min.cleanable.dirty.ratio", "0.01")]
    with RawClient(engine.address) as client:
        topic = CreatableTopic(name="works", num_partitions=1, replication_factor=1, assignments=[], configs=config)
        assert client.ask(19, 5, CreateTopicsRequest(topics=[topic], timeout_ms=10_000)).topics[0].error_code == 0
        for number in range(100):
            batch = encode_batch([b"v" * 3000] * 3, keys=[b"%d" % (number % 7)] * 3, compression=number % 5)
            data = TopicProduceData(name="works", partition_data=[PartitionProduceData(index=0, records=batch)])
            answer = client.ask(0, 9, ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[data]))
            assert answer.responses[0].partition_responses[0].error_code == 0
        partition = FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
        fetch = FetchRequest(replica_id=-1, max_wait_ms=0, min_bytes=0, max_bytes=1 << 20)
        fetch.topics = [FetchTopic(topic="works", partitions=[partition])]
        assert client.ask(1, 11, fetch).responses[0].partitions[0].records
    wait_for(lambda: "works-0: compacted" in engine.log(), "compaction", 30)
