"""The brokers that are measured side by side, and what they cost: processor time and memory."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from support import apache_kafka
from support.engine import Engine, environment
from support.waiting import wait_for

TICKS = os.sysconf("SC_CLK_TCK")


class Peer(Protocol):
    """A broker that runs, or can be started."""

    name: str

    @property
    def address(self) -> str: ...

    @property
    def pid(self) -> int: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


class EvPeer:
    """The engine of this checkout, always synced."""

    name = "ev"

    def __init__(self, directory: pathlib.Path, **settings: str) -> None:
        self.engine = Engine(directory / "ev", settings={"ev.metrics.listen": "127.0.0.1:0", **settings})

    @property
    def address(self) -> str:
        return self.engine.address

    @property
    def pid(self) -> int:
        return self.engine.pid

    def start(self) -> None:
        self.engine.start()

    def stop(self) -> None:
        self.engine.stop()

    def kill(self) -> None:
        self.engine.kill()

    def figure(self, name: str) -> float:
        """One of the engine's own figures."""
        host, _, port = json.loads((self.engine.directory / "engine.json").read_text())["metrics"].rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        connection.request("GET", "/metrics")
        for line in connection.getresponse().read().decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        raise LookupError(name)


class KafkaPeer:
    """Apache Kafka with its defaults: not synced. Only its groups need not wait, as the engine's do not."""

    name = "kafka"

    def __init__(self, directory: pathlib.Path) -> None:
        properties = {"log.segment.delete.delay.ms": "1000"}
        properties |= {"group.consumer.min.assignment.interval.ms": "0", "group.consumer.assignment.interval.ms": "0"}
        self.kafka = apache_kafka.Kafka(directory=directory / "kafka", properties=properties, flags=lambda _: apache_kafka.AS_SHIPPED)
        self.kafka.format()

    @property
    def address(self) -> str:
        return self.kafka.bootstrap

    @property
    def pid(self) -> int:
        return self.kafka.processes[1].pid

    def start(self) -> None:
        self.kafka.start(1)
        self.kafka.wait_until_ready()

    def stop(self) -> None:
        if self.kafka.processes:
            self.kafka.kill(1, signal.SIGTERM)

    def kill(self) -> None:
        self.kafka.kill(1)


@contextlib.contextmanager
def many_files() -> Iterator[None]:
    """As many open files and sockets for this process as it may have at all."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads of a process, to the nanosecond where the kernel counts them."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def resident_mb(pid: int) -> float:
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no VmRSS of {pid}")


def create_topic(peer: Peer, topic: str, partitions: int = 1, configs: Mapping[str, str] | None = None) -> None:
    """Create a topic and return when its partitions have a leader."""
    admin = AdminClient({"bootstrap.servers": peer.address})
    for future in admin.create_topics([NewTopic(topic, partitions, 1, config=dict(configs or {}))]).values():
        future.result(60)

    def led() -> bool:
        found = admin.list_topics(topic, timeout=10).topics[topic].partitions
        return len(found) == partitions and all(partition.leader >= 0 for partition in found.values())

    wait_for(led, f"{partitions} partitions of {topic}", 60)


def delete_topic(peer: Peer, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": peer.address})
    for future in admin.delete_topics([topic]).values():
        future.result(60)


def run_timed(command: Sequence[str], *, source: pathlib.Path | None = None, target: pathlib.Path | None = None) -> float:
    """Seconds of wall time that a command takes from a file to a file; RuntimeError with its complaint when it fails."""
    with open(source or os.devnull, "rb") as stdin, open(target or os.devnull, "wb") as stdout:
        began = time.perf_counter()
        done = subprocess.run(command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, env=ev_environment(), check=False)
        took = time.perf_counter() - began
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}")
    return took


def ev_environment() -> dict[str, str]:
    return environment(EV_AUTOSTART="0", HOME=os.environ.get("HOME", "/"))


def ev_command(*arguments: str) -> list[str]:
    """`ev` as it is installed beside this interpreter, else as a module."""
    script = pathlib.Path(sys.executable).with_name("ev")
    return [str(script), *arguments] if script.exists() else [sys.executable, "-P", "-m", "ev_cli", *arguments]


def compiled_load(directory: pathlib.Path) -> str | None:
    """The path of load.c, compiled; None where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    target = directory / "load"
    subprocess.run([compiler, "-O2", "-o", str(target), str(pathlib.Path(__file__).with_name("load.c"))], check=True)
    return str(target)
