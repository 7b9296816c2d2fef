"""A record as something to copy: its value, its key, JSON, a link, and commands that read it or send it again."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev_tui.records.ring import Row

PRODUCE_BYTES_MAX = 100_000
"""A longer value does not go onto a command line everywhere."""


def as_text(data: bytes | None) -> str:
    """Bytes as text; base64 where they are none, null as nothing."""
    if data is None:
        return ""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return base64.b64encode(data).decode()


def place_of(row: Row) -> str:
    return f"{row.origin.topic}/{row.origin.partition}/{row.offset}"


def link_of(context: str, row: Row) -> str:
    return f"ev://{context}/{place_of(row)}"


def as_json(row: Row) -> str:
    """One line, as `ev consume -J` writes it."""
    found: dict[str, Any] = {
        "topic": row.origin.topic,
        "partition": row.origin.partition,
        "offset": row.offset,
        "timestamp": row.timestamp,
        "timestamp_type": row.origin.timestamp_type,
    }
    for name, data in (("key", row.key), ("value", row.value)):
        found.update(_field(name, data))
    found["headers"] = [[name, _header(data)] for name, data in row.headers]
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def _field(name: str, data: bytes | None) -> dict[str, str | None]:
    try:
        return {name: None if data is None else data.decode()}
    except UnicodeDecodeError:
        assert data is not None, "null is text enough"
        return {f"{name}_b64": base64.b64encode(data).decode()}


def _header(data: bytes | None) -> Any:
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError:
        assert data is not None, "null is text enough"
        return {"b64": base64.b64encode(data).decode()}


def topic_words(topics: Sequence[str]) -> list[str]:
    """Topics as arguments; one that looks like an option is given by one."""
    return [f"--topic={topic}" if topic.startswith("-") else topic for topic in topics]


def get_words(place: tuple[str, int, int], *, is_transactional: bool) -> list[str]:
    """The command that shows it; also when its transaction is open or was aborted."""
    topic, partition, offset = place
    words = ["get", "--read-uncommitted"] if is_transactional else ["get"]
    name = f"{topic}/{partition}/{offset}"
    return [*words, "--", name] if name.startswith("-") else [*words, name]


def produce_words(
    topic: str,
    key: str | None,
    value: str | None,
    headers: Sequence[tuple[str, str | None]] = (),
    partition: int | None = None,
) -> list[str] | None:
    """The command that sends one record. A value of None is null: a tombstone. None where no command line can say it."""
    texts = [key or "", value or "", *[text or "" for header in headers for text in header]]
    if any("\0" in text for text in texts) or sum(map(len, texts)) > PRODUCE_BYTES_MAX:
        return None
    if any("=" in name or ":" in name for name, _ in headers) or (value is None and key == ""):
        return None
    words = ["produce", *topic_words([topic])]
    if key is not None:
        words.append(f"--key={key}")
    if value is None:
        words += ["--value=", "--empty-is-null"]
    else:
        words.append(f"--value={value}")
    for name, text in headers:
        words.append(f"--header={name}" if text is None else f"--header={name}={text}")
    if partition is not None:
        words.append(f"--partition={partition}")
    return words


def resend_words(row: Row) -> list[str] | None:
    """The command that sends the same record once more; None where no command line can say it."""
    headers = [(name, None if data is None else _argument(data)) for name, data in row.headers]
    key = None if row.key is None else _argument(row.key)
    return produce_words(row.origin.topic, key, None if row.value is None else _argument(row.value), headers)


def _argument(data: bytes) -> str:
    """Bytes as a word of a command line: what is no text stays the byte that it is."""
    return data.decode("utf-8", "surrogateescape")
