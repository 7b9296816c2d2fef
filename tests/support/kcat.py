"""Runs kcat, librdkafka's command line, against an engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any


def available() -> bool:
    return shutil.which("kcat") is not None


def kcat(address: str, *arguments: str, data: bytes | None = None, timeout_s: float = 60, check: bool = True) -> bytes:
    """What `kcat -b ADDRESS ARGUMENTS` writes to stdout; AssertionError with its complaint when it fails."""
    command = ["kcat", "-b", address, *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in ("KCAT_CONFIG", "KAFKACAT_CONFIG")}
    done = subprocess.run(command, input=data or b"", capture_output=True, timeout=timeout_s, env=environment)
    if check:
        assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr.decode(errors='replace')[-3000:]}"
    return done.stdout


def produce(address: str, topic: str, values: list[bytes], *arguments: str) -> None:
    """Produce one record per value with acks=all; a value may hold anything but the delimiter, 0x1E."""
    kcat(address, "-P", "-t", topic, "-D", "\x1e", "-X", "acks=all", *arguments, data=b"\x1e".join(values))


def consume(address: str, topic: str, *arguments: str) -> list[dict[str, Any]]:
    """Every record of the topic, from the beginning to the end, as kcat's JSON envelopes."""
    return [json.loads(line) for line in kcat(address, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-J", *arguments).splitlines()]


def metadata(address: str, *arguments: str) -> dict[str, Any]:
    """`kcat -L -J`."""
    found: dict[str, Any] = json.loads(kcat(address, "-L", "-J", *arguments))
    return found
