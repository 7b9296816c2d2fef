"""Data directories of released versions: written once per version, kept in `tests/torture/data`, opened by every later engine.

    python -m torture.old_directories VERSION     (below tests) writes those of this checkout's engine: at a release, and never again

An archive holds the directory as the engine has left it, without the reserve and the lock, and `expected.json`: what a client read of it.
"""

from __future__ import annotations

import base64
import io
import json
import pathlib
import shutil
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ev.broker.configs import GROUP as GROUP_RESOURCE
from ev.log.checkpoint import OWN_CHECKPOINT, PartitionCheckpoint, State
from ev.log.producers import Producers
from ev.wire.compression import GZIP, LZ4, NONE, SNAPPY, ZSTD
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest
from ev.wire.messages.k44_incremental_alter_configs import AlterableConfig, AlterConfigsResource, IncrementalAlterConfigsRequest
from ev.wire.records import encode_batch
from support.engine import Engine
from support.ledger import TRANSACTIONS_IN, Customer, Ledger, Topic
from support.one_partition import produce_request
from support.raw_transactions import committed_offset

DATA = pathlib.Path(__file__).parent / "data"
LEFT_OUT = (".ev-reserve", ".lock", "engine.json")
SETTINGS = {
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "ev.checkpoint.interval.ms": "200",
    "file.delete.delay.ms": "0",
}
GROUP = "billing"
CODECS = (NONE, GZIP, SNAPPY, LZ4, ZSTD)


class Expected(NamedTuple):
    """What a directory holds."""

    version: str
    format: int
    records: dict[str, list[tuple[int, bytes | None, bytes]]]  # by topic: (offset, key, value) of every committed record
    committed: dict[str, int]  # by topic, of GROUP
    producer_ids_below: int

    def encode(self) -> bytes:
        def text(data: bytes | None) -> str | None:
            return None if data is None else base64.b64encode(data).decode()

        records = {name: [(offset, text(key), text(value)) for offset, key, value in found] for name, found in self.records.items()}
        return json.dumps({**self._asdict(), "records": records}).encode()

    @classmethod
    def decode(cls, data: bytes) -> Expected:
        def back(text: str | None) -> bytes | None:
            return None if text is None else base64.b64decode(text)

        found: dict[str, Any] = json.loads(data)
        records = {name: [(o, back(k), back(v) or b"") for o, k, v in rows] for name, rows in found.pop("records").items()}
        return cls(records=records, **found)


def archives() -> list[pathlib.Path]:
    """Every archive that is kept."""
    return sorted(DATA.glob("*.tar.gz"))


def unpack(archive: pathlib.Path, directory: pathlib.Path) -> Expected:
    """The directory as it was left, and what it holds."""
    with tarfile.open(archive) as tar:
        tar.extractall(directory, filter="data")
    expected = Expected.decode((directory / "expected.json").read_bytes())
    (directory / "expected.json").unlink()
    return expected


def pack(directory: pathlib.Path, expected: Expected, archive: pathlib.Path) -> None:
    data = expected.encode()
    with tarfile.open(archive, "w:gz", compresslevel=9) as tar:
        about = tarfile.TarInfo("expected.json")
        about.size = len(data)
        tar.addfile(about, io.BytesIO(data))
        for path in sorted(directory.rglob("*")):
            if path.name not in LEFT_OUT:
                tar.add(path, str(path.relative_to(directory)), recursive=False, filter=nobodys)


def nobodys(about: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the names of whoever made it."""
    about.uid = about.gid = 0
    about.uname = about.gname = ""
    return about


# What is in them.


def live(engine: Engine) -> Expected:
    """A bit of everything that an engine stores; the engine is still running afterwards."""
    customer = Customer(Ledger())
    customer.connect(engine.address)
    customer.find_coordinators()
    customer.begin_producing()
    customer.create("orders", segment_bytes="3000", index_interval_bytes="500")
    customer.create("codecs")
    customer.create(TRANSACTIONS_IN, segment_bytes="2000")
    customer.create("profiles", cleanup_policy="compact", segment_bytes="2000", min_cleanable_dirty_ratio="0.01")
    customer.create("doomed")
    customer.produce("doomed", 2)
    customer.delete("doomed")
    customer.produce("orders", 30, 200)
    customer.produce("profiles", 30, 100, keys=5)
    now_ms = time.time_ns() // 1_000_000
    for number, codec in enumerate(CODECS):
        values = [b"codec %d, record %d" % (codec, each) for each in range(4)]
        batch = encode_batch(
            values, keys=[b"k", None, b"", b"key"], headers=[[("h", b"%d" % number), ("n", None)]] * 4, timestamps=now_ms, compression=codec
        )
        assert customer.ask(produce_request("codecs", batch), 9).responses[0].partition_responses[0].error_code == 0
    for number in range(6):
        assert customer.transact(TRANSACTIONS_IN, 2, commit=number % 2 == 0, group="copying")
    customer.delete_records("orders", 7)
    customer.commit(GROUP, "orders", 12)
    time.sleep(1)  # checkpoints and compaction
    customer.produce("orders", 3)
    customer.commit(GROUP, "codecs", 3)
    return look(customer, engine)


def look(customer: Customer, engine: Engine) -> Expected:
    names = ("orders", "codecs", TRANSACTIONS_IN, "profiles")
    producer_id = customer.ask(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1000), 4).producer_id
    return Expected(
        "",
        noted_format(engine.directory),
        {name: customer.records(name)[1] for name in names},
        {name: committed_offset(customer.ask, GROUP, name, 0)[0] for name in names},
        producer_id + 1,
    )


def noted_format(directory: pathlib.Path) -> int:
    state = State.parse((directory / "ev.state").read_bytes())
    assert state is not None
    return state.format


def stopped(engine: Engine) -> Expected:
    """Cleanly, without anything that the first format does not know."""
    expected = live(engine)
    engine.stop()
    return expected


def killed(engine: Engine) -> Expected:
    """The last records are in the journal only: nobody has read them since."""
    expected = live(engine)
    customer = Customer(Ledger({"orders": Topic(there=True)}))
    customer.connect(engine.address)
    customer.begin_producing()
    customer.produce("orders", 3)
    expected.records["orders"].extend((sent.offset or 0, sent.key, sent.value) for sent in customer.ledger.topics["orders"].sent)
    engine.kill()
    return expected._replace(producer_ids_below=expected.producer_ids_below + 1)


def configured(engine: Engine) -> Expected:
    """With settings at run time, which the first format does not know."""
    expected = live(engine)
    customer = Customer(Ledger())
    customer.connect(engine.address)
    entry = AlterableConfig(name="consumer.session.timeout.ms", config_operation=0, value="50000")
    resource = AlterConfigsResource(resource_type=GROUP_RESOURCE, resource_name=GROUP, configs=[entry])
    assert customer.ask(IncrementalAlterConfigsRequest(resources=[resource]), 1).responses[0].error_code == 0
    engine.kill()
    return expected._replace(format=noted_format(engine.directory))


def without_transactions(engine: Engine) -> Expected:
    """Checkpoints as they were before there were transactions: they end behind the producers."""
    expected = stopped(engine)
    for path in engine.directory.glob(f"*/{OWN_CHECKPOINT}"):
        own = PartitionCheckpoint.parse(path.read_bytes())
        if not path.parent.name.startswith((TRANSACTIONS_IN, "__")):
            own.packed_producers = bytes(own.packed_producers[: Producers().unpack(own.packed_producers, 0)])
            path.write_bytes(own.encode())
    return expected


KINDS: dict[str, Callable[[Engine], Expected]] = {
    "stopped": stopped,
    "killed": killed,
    "configured": configured,
    "first-checkpoints": without_transactions,
}


def written(version: str) -> Iterator[pathlib.Path]:
    """Write the archives of this engine; each path as it is done."""
    DATA.mkdir(exist_ok=True)
    for name, make in KINDS.items():
        place = pathlib.Path(tempfile.mkdtemp(prefix="ev-old-"))
        engine = Engine(place / "data", settings=SETTINGS)
        try:
            engine.start()
            expected = make(engine)._replace(version=version)
        finally:
            engine.close()
        archive = DATA / f"{version}-{name}.tar.gz"
        pack(place / "data", expected, archive)
        shutil.rmtree(place)
        yield archive


if __name__ == "__main__":
    for path in written(sys.argv[1]):
        print(f"{path} has {path.stat().st_size} bytes")
