"""What this machine can do at most, measured in the same run as the figures that are compared with it.

Each limit is the least that must be done, with nothing of a broker around it: bytes written in a row and synced once, a write with a sync
of its own, bytes and round trips over loopback (TCP, two processes), memory copied to memory. A few of them are measured with Python's
own calls, which cost some microseconds each; a figure may therefore be a little above 100 %.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from bench.figure import Bound, Figure

MIB = 1 << 20
SEQUENTIAL_WRITE = "sequential write"
LOOPBACK_COPY = "loopback copy"
LOOPBACK_ROUND_TRIPS = "loopback round trips"
MEMORY_COPY = "memory copy"
SYNCED_SIZES = {"1 KB": 1_000, "64 KB": 64_000, "1 MB": 1_000_000}
UNITS = {
    SEQUENTIAL_WRITE: "MB/s",
    **{f"write + fdatasync of {size}": "writes/s" for size in SYNCED_SIZES},
    LOOPBACK_COPY: "MB/s",
    LOOPBACK_ROUND_TRIPS: "round trips/s",
    MEMORY_COPY: "MB/s",
}
SYNCED_WRITE = "write + fdatasync of 1 KB"


def written(bytes_each: float) -> Bound:
    """Things of so many bytes that are all written to disk."""
    return Bound(SEQUENTIAL_WRITE, bytes_each)


def read(bytes_each: float) -> Bound:
    """Things of so many bytes that all come over loopback, from the page cache."""
    return Bound(LOOPBACK_COPY, bytes_each)


def synced(clients: int = 1) -> Bound:
    """Small requests, each answered when it is on disk, of so many clients that wait for their answer."""
    return Bound(SYNCED_WRITE, times=clients)


def answered(in_flight: int = 1) -> Bound:
    """Small requests that are answered without waiting for the disk."""
    return Bound(LOOPBACK_ROUND_TRIPS, times=in_flight)


class Machine:
    """The limits, measured again before each group: `medians` is of all that was measured so far in this run."""

    def __init__(self, directory: pathlib.Path, quick: bool) -> None:
        self.directory = directory
        self.megabytes, self.seconds = (48, 0.1) if quick else (256, 0.4)
        self.figures = {name: Figure(f"this machine: {name}", unit, ours="machine") for name, unit in UNITS.items()}

    def measure(self) -> None:
        for name, value in self.measured().items():
            self.figures[name].add("machine", value)

    def measured(self) -> dict[str, float]:
        found = {SEQUENTIAL_WRITE: sequential_write(self.directory, self.megabytes)}
        for title, size in SYNCED_SIZES.items():
            found[f"write + fdatasync of {title}"] = synced_writes(self.directory, size, self.seconds)
        found[LOOPBACK_COPY] = loopback_copy(4 * self.megabytes)
        found[LOOPBACK_ROUND_TRIPS] = loopback_round_trips(self.seconds)
        found[MEMORY_COPY] = memory_copy(self.seconds)
        return found

    @property
    def medians(self) -> dict[str, float]:
        return {name: statistics.median(figure.samples["machine"]) for name, figure in self.figures.items() if figure.samples}


def machine_limits(machine: Machine, rounds: int) -> Iterator[Figure]:
    """The limits as figures of their own."""
    for _ in range(rounds):
        machine.measure()
    yield from machine.figures.values()


def sequential_write(directory: pathlib.Path, megabytes: int) -> float:
    """MB a second: a new file, a MiB at a time, one fdatasync at its end."""
    data, path = os.urandom(MIB), directory / "sequential"
    with path.open("wb", buffering=0) as file:
        began = time.perf_counter()
        for _ in range(megabytes):
            file.write(data)
        os.fdatasync(file.fileno())
        took = time.perf_counter() - began
    path.unlink()
    return megabytes * MIB / 1e6 / took


def synced_writes(directory: pathlib.Path, size: int, seconds: float) -> float:
    """Writes a second, each appended to one file and synced before the next."""
    data, path, done = os.urandom(size), directory / "synced", 0
    with path.open("wb", buffering=0) as file:
        began = time.perf_counter()
        while (took := time.perf_counter() - began) < seconds or done < 5:
            file.write(data)
            os.fdatasync(file.fileno())
            done += 1
    path.unlink()
    return done / took


@contextlib.contextmanager
def loopback(what: str) -> Iterator[socket.socket]:
    """A connection to a process of its own that drains or echoes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        program = str(pathlib.Path(__file__).with_name("loopback_peer.py"))
        peer = subprocess.Popen([sys.executable, "-S", "-P", program, what, str(listener.getsockname()[1])])
        try:
            connection, _ = listener.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                yield connection
            peer.wait(20)
        finally:
            peer.kill()
            peer.wait()


def loopback_copy(megabytes: int) -> float:
    """MB a second from one process to another over TCP."""
    data = os.urandom(MIB)
    with loopback("drain") as connection:
        began = time.perf_counter()
        for _ in range(megabytes):
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)  # the peer has read all of it and closed
        took = time.perf_counter() - began
    return megabytes * MIB / 1e6 / took


def loopback_round_trips(seconds: float) -> float:
    """Round trips a second of 100 bytes there and back."""
    data, done = os.urandom(100), 0
    with loopback("echo") as connection:
        began = time.perf_counter()
        while (took := time.perf_counter() - began) < seconds:
            connection.sendall(data)
            left = len(data)
            while left:
                left -= len(connection.recv(left))
            done += 1
    return done / took


def memory_copy(seconds: float) -> float:
    """MB a second from one buffer to another, both too large for a cache."""
    source, target, done = memoryview(b"x" * (64 * MIB)), memoryview(bytearray(64 * MIB)), 0
    began = time.perf_counter()
    while (took := time.perf_counter() - began) < seconds or done < 2:
        target[:] = source
        done += 1
    return done * 64 * MIB / 1e6 / took
