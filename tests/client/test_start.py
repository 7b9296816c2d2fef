"""What the client may import: it is on the start path of every command, where each millisecond is felt."""

from __future__ import annotations

import subprocess
import sys

import pytest

SLOW = [
    "argparse",
    "asyncio",
    "collections",
    "concurrent.futures",
    "cramjam",
    "crc32c",
    "dataclasses",
    "datetime",
    "email",
    "enum",
    "functools",
    "gzip",
    "importlib.metadata",
    "inspect",
    "json",
    "logging",
    "pathlib",
    "random",
    "re",
    "selectors",
    "signal",
    "socket",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "traceback",
    "typing",
    "urllib",
    "uuid",
    "zlib",
]


@pytest.mark.parametrize("module", ["ev.client", "ev.client.producer", "ev.client.cluster", "ev.wire.records"])
def test_nothing_slow_is_imported(module: str) -> None:
    """Compression, hashing, sockets with all their comforts: on first use, or never."""
    program = f"import sys; before = set(sys.modules); import {module}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert sorted(set(done.stdout.split()) & set(SLOW)) == []


def test_only_transactional_producers_pay_for_transactions() -> None:
    """Their modules, and the messages that they send, are loaded with the first transactional id."""
    program = "\n".join(
        [
            "import sys",
            "from ev.client import Producer",
            "Producer('127.0.0.1:1')",
            "before = set(sys.modules)",
            "Producer('127.0.0.1:1', transactional_id='x')",
            "print(*sorted(set(sys.modules) - before))",
        ]
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert {"ev.client.transactions", "ev.client.transaction_state", "ev.wire.messages.k26_end_txn"} <= loaded
    assert loaded & set(SLOW) == set()
