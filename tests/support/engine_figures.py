"""The figures that a running engine gives of itself (`ev.metrics.listen`)."""

from __future__ import annotations

import http.client
import json

from support.engine import Engine

SETTING = {"ev.metrics.listen": "127.0.0.1:0"}
"""What an engine must be started with."""
STALL = "ev_loop_longest_stall_seconds{since="
REQUEST_MEMORY = "ev_request_memory_bytes"


def figures(engine: Engine) -> dict[str, float]:
    """All of them, by name and labels as they are printed."""
    host, _, port = json.loads((engine.directory / "engine.json").read_text())["metrics"].rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    finally:
        connection.close()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line and line[0] != "#")}


def recent_stall_ms(engine: Engine) -> int:
    """The longest that the loop was busy with one thing of late."""
    return round(1000 * max(value for name, value in figures(engine).items() if name.startswith(STALL) and '"start"' not in name))
