"""Kafka's tools for what the engine does not serve: share groups, streams groups, delegation tokens, tiered storage."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from support.apache_kafka import LATEST, tool_command
from support.engine import Engine

pytestmark = [pytest.mark.clients, pytest.mark.java]

GROUP = ("--describe", "--group", "g")
CASES = {
    "share-groups": (GROUP, "The node does not support SHARE_GROUP_DESCRIBE"),
    "console-share-consumer": (("--topic", "t", "--group", "g", "--timeout-ms", "2000"), "The node does not support SHARE_GROUP_HEARTBEAT"),
    "streams-groups": (GROUP, "The node does not support STREAMS_GROUP_DESCRIBE"),
    "delegation-tokens": (("--describe", "--command-config", "{empty}"), "The node does not support DESCRIBE_DELEGATION_TOKEN"),
    "topics": (("--create", "--topic", "t", "--config", "remote.storage.enable=true"), "this engine has no tiered storage"),
}


@pytest.mark.parametrize("tool", CASES)
def test_a_tool_for_it_says_so_and_ends(engine: Engine, tmp_path: pathlib.Path, tool: str) -> None:
    """It does not wait for what will not come."""
    arguments, line = CASES[tool]
    empty = tmp_path / "empty.properties"
    empty.touch()
    given = [argument.format(empty=empty) for argument in arguments]
    command = tool_command(LATEST, tool, "--bootstrap-server", engine.address, *given)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert any(line in said for said in (done.stdout + done.stderr).splitlines())
