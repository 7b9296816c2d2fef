"""Topics that are declared in files, for `ev topic apply` and `ev topic create --file`.

    [topics.orders]                         {"topics": {"orders": {"partitions": 6,
    partitions = 6                                                 "replication_factor": 3,
    replication_factor = 3                                         "config": {"retention.ms": 86400000}}}}
    config."retention.ms" = 86400000

TOML or JSON; the output of `ev topic describe --json` is read as well. What is not declared is left to the broker, or as it is. A directory
stands for all files in it that end with .toml or .json.
"""

from __future__ import annotations

import os

from ev_cli.dotted import flat
from ev_cli.failures import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FIELDS = ("partitions", "replication_factor", "config")
DESCRIBED = frozenset(("name", "topic_id", "internal", "replicas", "records", "partitions", "config"))
"""The fields of `ev topic describe --json`."""
NAME_MAX = 249


class DeclaredTopic:
    """One topic; -1 is what the file does not say. `place` is the file that declares it."""

    __slots__ = ("config", "name", "partitions", "place", "replication_factor")

    def __init__(self, name: str, partitions: int, replication_factor: int, config: dict[str, str], place: str) -> None:
        self.name = name
        self.partitions = partitions
        self.replication_factor = replication_factor
        self.config = config
        self.place = place


def read_path(path: str) -> dict[str, DeclaredTopic]:
    """The topics of a file, or of all files of a directory. Two declarations of one topic contradict each other."""
    if not os.path.isdir(path):
        return read_file(path)
    files = sorted(name for name in os.listdir(path) if name.endswith((".toml", ".json")) and not name.startswith("."))
    if not files:
        raise Failure(f"{path} holds no file that ends with .toml or .json")
    found: dict[str, DeclaredTopic] = {}
    for name in files:
        for topic in read_file(os.path.join(path, name)).values():
            if topic.name in found:
                raise Failure(f"topic {topic.name!r} is declared twice", f"in {found[topic.name].place} and in {topic.place}")
            found[topic.name] = topic
    return found


def read_file(path: str) -> dict[str, DeclaredTopic]:
    """The topics of one file, by name in the file's order."""
    content = _json(path) if path.endswith(".json") else _toml(path)
    return topics_of(content, path)


def topics_of(content: Any, path: str) -> dict[str, DeclaredTopic]:
    """The topics in what a file holds."""
    if isinstance(content, dict) and "topics" in content:
        unknown = [name for name in content if name != "topics"]
        if unknown:
            raise Failure(f"{path} says {unknown[0]!r}, which is nothing that topics have", "write [topics.NAME]")
        tables = content["topics"]
        if not isinstance(tables, dict):
            raise Failure(f"topics in {path} is no table", "write [topics.NAME]")
        return {name: _topic(name, table, FIELDS, path) for name, table in tables.items()}
    described = [content] if isinstance(content, dict) and "name" in content else content
    if isinstance(described, list) and all(isinstance(one, dict) and isinstance(one.get("name"), str) for one in described):
        return {one["name"]: _topic(one["name"], one, DESCRIBED, path) for one in described}
    raise Failure(f"{path} declares no topics", "write [topics.NAME] with partitions, replication_factor and config")


def _topic(name: str, table: Any, fields: Any, path: str) -> DeclaredTopic:
    if not isinstance(table, dict):
        raise Failure(f"topic {name!r} in {path} is no table", f"write [topics.{name}]")
    for field in table:
        if field not in fields:
            raise Failure(f"topic {name!r} in {path} says {field!r}", f"it may say {', '.join(FIELDS)}")
    if not name or len(name) > NAME_MAX:
        raise Failure(f"{path} declares a topic whose name has {len(name)} characters", f"Kafka takes 1 to {NAME_MAX}")
    config = table.get("config", {})
    if not isinstance(config, dict):
        raise Failure(f"config of topic {name!r} in {path} is no table", 'write config."retention.ms" = 1000')
    partitions = table.get("partitions", -1)
    return DeclaredTopic(
        name,
        _number(len(partitions) if isinstance(partitions, list) else partitions, "partitions", name, path),
        _number(table.get("replication_factor", table.get("replicas", -1)), "replication_factor", name, path),
        {key: _setting(value, key, name, path) for key, value in flat(config).items()},
        path,
    )


def _number(value: Any, field: str, name: str, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or (value < 1 and value != -1):
        raise Failure(f"{field} of topic {name!r} in {path} is {value!r}", "write a number of 1 or more")
    return value


def _setting(value: Any, key: str, name: str, path: str) -> str:
    """A setting as Kafka writes it: true and false, numbers as digits, lists with commas."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join([_setting(item, key, name, path) for item in value])
    if isinstance(value, str | int | float):
        return str(value)
    raise Failure(f"{key} of topic {name!r} in {path} is {value!r}", "write a text, a number, true or false")


def _json(path: str) -> Any:
    import json

    text = _text(path)
    try:
        return json.loads(text)
    except ValueError as error:
        raise Failure(f"{path} is no JSON: {error}") from None


def _toml(path: str) -> Any:
    import tomllib

    text = _text(path)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Failure(f"{path} is no TOML: {error}") from None


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Failure(f"{path} is no UTF-8 text") from None
