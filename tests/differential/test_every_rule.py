"""Each of the hundred rules has a test that runs over a socket, against the engine and against Apache Kafka, or a reason why not."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from differential.differences import document
from support.rules import RULES

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOCKETS = {
    "address",
    "ask",
    "client",
    "engine",
    "start_engine",
    "apache",
    "replays",
    "replays_on_kafka",
    "hurried",
    "reader",
    "guarded",
    "world",
}
"""Fixtures that are a broker, or a connection to one."""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """By rule: the tests that show it, and which broker each runs against."""
    listing = tmp_path_factory.mktemp("rules") / "listing.json"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-m",
        "rule",
        "-p",
        "support.rule_listing",
        "-p",
        "no:randomly",
        "tests",
    ]
    environment = {**os.environ, "EV_RULE_LISTING": str(listing), "PYTHONPATH": "tests", "PYTEST_ADDOPTS": "", "EV_TESTS_EXPECTED": "0"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found: dict[str, Any] = json.loads(listing.read_text())
    return found


def reasons(kind: str) -> dict[int, str]:
    return {number: each["reason"] for each in document().get(kind, []) for number in each["numbers"]}


@pytest.mark.parametrize("number", RULES)
def test_every_rule_is_shown(shown: dict[str, Any], number: int) -> None:
    """Over a socket; on both brokers, unless differences.toml says why not. A reason that is none any more is not listed."""
    tests = [test for test in shown.get(str(number), ()) if SOCKETS.intersection(test["fixtures"])]
    brokers = {test["against"] for test in tests} | ({"kafka"} if any("replays" in test["fixtures"] for test in tests) else set())
    absent, only_here = reasons("rule_not_shown"), reasons("rule_shown_only_here")
    expected = set() if number in absent else {"ev"} if number in only_here else {"ev", "kafka"}
    assert brokers == expected, f"rule {number} ({RULES[number]})"
    assert len({**absent, **only_here}.get(number, "a rule that needs no reason")) > 20
