"""Apache Kafka's own generated classes and ours agree on every message in every version: its schema, its defaults, its bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ev.wire.catalog import API
from ev.wire.codec import Message, encode
from ev.wire.compiler import Encoder, Field, parse_schema
from support import apache_kafka
from support.filled_message import filled, inner_class, message_classes, versions

PROGRAM = Path(apache_kafka.__file__).with_name("KafkaMessages.java")
GROUP, TRANSACTION, COMMON = (
    "org.apache.kafka.coordinator.group.generated.",
    "org.apache.kafka.coordinator.transaction.generated.",
    "org.apache.kafka.common.message.",
)
PRIMITIVES = {"bool": "BOOLEAN", "float64": "FLOAT64", "uuid": "UUID"}


class Schema(Encoder):
    """Our schema of one version in the notation of KafkaMessages.java."""

    def rows(self, cls: type[Any], level: str = "-") -> list[str]:
        fields = parse_schema(cls)
        rows = []
        for field in [*self.plain_fields(fields), *self.tagged_fields(fields)]:
            tag = f"#{field.tag} " if self.is_tagged(field) else ""
            rows.append(f"{level} {tag}{field.name} {self.type_name(field)}")
            if self.is_struct(field):
                rows += self.rows(inner_class(cls, field), level + "-")
        return rows

    def is_struct(self, field: Field) -> bool:
        return field.kind[0].isupper()

    def type_name(self, field: Field) -> str:
        null = "?" if self.nullable(field) else ""
        if self.is_struct(field):
            name = "STRUCT"
        elif field.kind in ("string", "bytes", "records"):
            nullable = "NULLABLE_" if null and not field.array else ""
            name = ("COMPACT_" if self.flexible else "") + nullable + field.kind.upper()
        else:
            name = PRIMITIVES.get(field.kind, field.kind.upper())
        return ("[]" if field.array else "") + name + null


def kafka_messages(*arguments: str, lines: str = "") -> list[str]:
    """What KafkaMessages.java prints."""
    if shutil.which("javac") is None and os.environ.get("EV_TESTS_REQUIRED") != "1":
        pytest.skip("this Java has no compiler (Debian: apt-get install default-jdk-headless)")
    command = ["java", "-cp", f"{apache_kafka.jars()}/libs/*", str(PROGRAM), *arguments]
    return subprocess.run(command, input=lines, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture(scope="module")
def kafka_schemas() -> dict[str, list[str]]:
    """Kafka's schemas: rows by title."""
    found: dict[str, list[str]] = {}
    for line in kafka_messages(*(kafka_class(cls) for cls in message_classes() if not is_api(cls))):
        if line.startswith("== "):
            rows = found[line.removeprefix("== ")] = []
        else:
            rows.append(line)
    return found


def is_api(cls: type[Message]) -> bool:
    return cls.__module__.rpartition(".")[2].startswith("k")


def kafka_class(cls: type[Message]) -> str:
    """The name of Kafka's class for the same message."""
    module = cls.__module__.rpartition(".")[2]
    package = {"offsets_topic": GROUP, "transaction_topic": TRANSACTION}.get(module, COMMON)
    return package + cls.__name__ + ("Data" if is_api(cls) else "")


def ours(cls: type[Message], version: int) -> list[str]:
    return Schema(cls, version).rows(cls)


@pytest.mark.java
def test_every_request_and_response_is_laid_out_as_in_kafka(kafka_schemas: dict[str, list[str]]) -> None:
    """Names, types, order, nullability and tags, in every version that Kafka's classes have."""
    for key, api in API.items():
        for side, cls in (("request", api.request), ("response", api.response)):
            there = {title for title in kafka_schemas if title.startswith(f"{key} {side} ")}
            assert there == {f"{key} {side} {version}" for version in versions(cls)}
            for version in versions(cls):
                assert ours(cls, version) == kafka_schemas[f"{key} {side} {version}"]


@pytest.mark.java
def test_every_record_of_an_internal_topic_is_laid_out_as_in_kafka(kafka_schemas: dict[str, list[str]]) -> None:
    """__consumer_offsets, __transaction_state, and what consumers tell each other."""
    records = [cls for cls in message_classes() if not is_api(cls)]
    assert len(records) > 20
    for cls in records:
        there = {title for title in kafka_schemas if title.split()[0] == cls.__name__}
        assert there == {f"{cls.__name__} {version}" for version in versions(cls)}
        for version in versions(cls):
            assert ours(cls, version) == kafka_schemas[f"{cls.__name__} {version}"]


@pytest.mark.java
def test_kafka_writes_a_message_of_defaults_as_ev_does() -> None:
    """Every class in every version: what the caller leaves out is sent as Kafka's Java client would send it."""
    cases = [(cls, version) for cls in message_classes() for version in versions(cls)]
    lines = [f"{kafka_class(cls)} {version} " for cls, version in cases]
    written = kafka_messages(lines="\n".join(lines))
    differing = [
        (cls.__name__, version, encode(cls(), version).hex(), theirs)
        for (cls, version), theirs in zip(cases, written, strict=True)
        if encode(cls(), version).hex() != theirs
    ]
    assert differing == []


@pytest.mark.java
def test_kafka_reads_what_ev_writes_and_writes_the_same() -> None:
    """Full messages of every class in every version, the records of internal topics included."""
    lines = [
        f"{kafka_class(cls)} {version} {encode(filled(cls, version, seed), version).hex()}"
        for cls in message_classes()
        for version in versions(cls)
        for seed in range(3)
    ]
    assert [line.rpartition(" ")[2] for line in lines] == kafka_messages(lines="\n".join(lines))
