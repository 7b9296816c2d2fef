"""Kafka's side of the conversations, as it lies in tests/golden: one file an API, one line a conversation, with its origin."""

from __future__ import annotations

import base64
import datetime
import json
import pathlib
from dataclasses import dataclass
from typing import Any

from differential.talk import Exchange
from ev.wire.catalog import API
from support.apache_kafka import LATEST

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "golden" / f"kafka-{LATEST}"


@dataclass(frozen=True)
class Recorded:
    """What Kafka said in one conversation, and what was kept of it."""

    exchanges: list[Exchange]
    captures: dict[str, Any]


def path(key: int) -> pathlib.Path:
    return FOLDER / f"{API[key].module.rpartition('.')[2]}.jsonl"


def read(key: int) -> dict[str, Recorded]:
    """The conversations about an API, by name. Nothing when none was recorded."""
    if not path(key).exists():
        return {}
    _, *lines = path(key).read_text().splitlines()
    return {line["conversation"]: from_line(line) for line in map(json.loads, lines)}


def from_line(line: dict[str, Any]) -> Recorded:
    exchanges = [
        Exchange(key, version, unpacked(request), unpacked(answer), closed) for key, version, request, answer, closed in line["exchanges"]
    ]
    return Recorded(exchanges, {name: unpacked(value[1]) if value[0] == "bytes" else value[1] for name, value in line["captures"].items()})


def write(key: int, recorded: dict[str, Recorded], properties: dict[str, str]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    origin = {
        "origin": f"Apache Kafka {LATEST}",
        "recorded": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": "cd tests && python -m differential.record",
        "properties": properties,
        "line": "conversation, captures, exchanges: [api key, version, request, answer (both base64, null: none), closed]",
    }
    lines = [json.dumps(origin)]
    for name, each in sorted(recorded.items()):
        exchanges = [[one.key, one.version, packed(one.request), packed(one.answer), one.closed] for one in each.exchanges]
        captures = {
            name: ["bytes", packed(value)] if isinstance(value, bytes) else ["plain", value] for name, value in each.captures.items()
        }
        lines.append(json.dumps({"conversation": name, "captures": captures, "exchanges": exchanges}, separators=(",", ":")))
    path(key).write_text("\n".join(lines) + "\n")


def packed(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def unpacked(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
