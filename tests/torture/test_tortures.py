"""A short version of each torture holds, and each torture notices the faults that are seeded for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from support.engine import ROOT
from torture import names

SECONDS = 6
"""How long each draws faults here; `python -m tests.torture NAME` goes on for minutes."""
PROOF_SECONDS = 30
"""How long a seeded fault may take to be noticed; the first sign of it ends the run."""
SEED = 20_261_126
REQUIRED = os.environ.get("EV_TESTS_REQUIRED") == "1"
"""Continuous integration has everything: nothing may be skipped there."""


def told(*arguments: str, seconds: int = SECONDS) -> dict[str, Any]:
    """The object that a torture prints; in a process of its own, as it patches what it tortures."""
    command = [sys.executable, "-m", "tests.torture", *arguments, "--seed", str(SEED), "--quick", "--seconds", str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=560, check=False)
    assert done.stdout.strip(), done.stderr[-3000:]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if "skipped" in result:
        assert done.returncode == 77
        (pytest.fail if REQUIRED else pytest.skip)(result["skipped"])
    return {**result, "status": done.returncode, "stderr": done.stderr[-3000:]}


@pytest.mark.crash
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", names.NAMES)
def test_a_short_version_holds(name: str) -> None:
    result = told(name)
    assert result["ok"], result
    assert result["status"] == 0


@pytest.mark.crash
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", names.NAMES)
def test_the_seeded_faults_are_noticed(name: str) -> None:
    """What a torture cannot see it does not show: each is run against an engine that breaks the promise on purpose."""
    result = told("prove", name, seconds=PROOF_SECONDS)
    assert result["ok"], result
    assert not result["missed"]
    assert len(result["caught"]) >= 3


def test_the_names_are_those_that_are_listed() -> None:
    """`list` prints each name with what it does, wrong names are told."""
    listed = subprocess.run([sys.executable, "-m", "tests.torture", "list"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in listed.splitlines()] == list(names.NAMES)
    wrong = subprocess.run([sys.executable, "-m", "tests.torture", "kil"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "list" in wrong.stderr
