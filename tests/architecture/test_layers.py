"""Who may import whom, and what a cold start may load."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from support.engine import ROOT, environment

SLOW_TO_LOAD = frozenset(
    {
        "asyncio",
        "dataclasses",
        "email",
        "enum",
        "http",
        "inspect",
        "json",
        "logging",
        "pathlib",
        "re",
        "ssl",
        "typing",
        "urllib",
        "uuid",
        "cramjam",
        "typer",
        "rich",
        "textual",
        "uvloop",
    }
)


def loaded_by(statement: str) -> set[str]:
    """The modules that a statement loads into an interpreter that has loaded nothing but itself."""
    program = "\n".join(
        [
            "import sys",
            f"sys.path[:0] = {environment()['PYTHONPATH'].split(':')!r}",
            "before = set(sys.modules)",
            statement,
            "loaded = sorted(set(sys.modules) - before)",
            "print(*loaded)",
        ]
    )
    return set(subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True).stdout.split())


def test_imports_point_down() -> None:
    """The contracts of pyproject.toml hold: layers, the two sides of the wire, no front end in the engine, no I/O in the core."""
    linter = pathlib.Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "module",
    [
        "ev",
        "ev.errors",
        "ev.wire.codec",
        "ev.wire.header",
        "ev.wire.records",
        "ev.client",
        "ev.client.producer",
        "ev.client.consumer",
        "ev.client.admin",
    ],
)
def test_the_client_loads_nothing_slow(module: str) -> None:
    """The path of a one-shot command loads none of the modules that cost it milliseconds."""
    slow = {name for name in loaded_by(f"import {module}") if name.partition(".")[0] in SLOW_TO_LOAD}
    assert slow == set()
