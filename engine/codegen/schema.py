"""A message in all its versions, merged from one class per version (kio's), as the generator needs it."""

from __future__ import annotations

import dataclasses
import datetime
import importlib
from typing import Any

from kio.schema.index import LoadableEntityType, api_key_map, schema_name_map
from kio.serial._introspect import EntityField, EntityTupleField, classify_field, get_field_tag, is_optional

STREAMS_ARRAYS = ("active_tasks", "standby_tasks", "warmup_tasks")
NULL_BY_DEFAULT = {
    "ListPartitionReassignmentsRequest": ("topics",),
    "ConsumerGroupHeartbeatRequest": ("topic_partitions",),
    "StreamsGroupHeartbeatRequest": (*STREAMS_ARRAYS, "client_tags", "task_offsets", "task_end_offsets"),
    "StreamsGroupHeartbeatResponse": (*STREAMS_ARRAYS, "partitions_by_user_endpoint"),
}
"""Arrays of structs whose default is null: kio does not know it. tests/wire/test_schemas.py compares all defaults with Kafka's."""

KINDS = {"error_code": "int16", "timedelta_i32": "int32", "timedelta_i64": "int64", "datetime_i64": "int64"}


@dataclasses.dataclass
class Field:
    """One field of a struct; the version sets are those in which it is there, may be null, is tagged."""

    name: str
    kind: str
    array: bool
    default: str | None
    versions: set[int] = dataclasses.field(default_factory=set)
    null: set[int] = dataclasses.field(default_factory=set)
    tagged: set[int] = dataclasses.field(default_factory=set)
    tag: int = -1

    def shape(self) -> tuple[object, ...]:
        return self.name, self.kind, self.array, self.default, self.tag


@dataclasses.dataclass
class Struct:
    """One struct; `fields` in the order in which they travel."""

    name: str
    fields: list[Field] = dataclasses.field(default_factory=list)
    versions: set[int] = dataclasses.field(default_factory=set)

    def shape(self) -> tuple[object, ...]:
        return tuple((f.shape(), f.versions == self.versions, f.null == self.versions) for f in self.fields)

    def kinds(self) -> set[str]:
        return {f.kind for f in self.fields}


@dataclasses.dataclass
class Message:
    """A request, a response or a record; `structs` from the innermost to the message itself."""

    name: str
    versions: tuple[int, int]
    flexible: int | None
    structs: list[Struct]


def read_message(schema: str, kind: LoadableEntityType) -> Message:
    """Merge kio's classes of one message: `kind` says which."""
    paths = schema_name_map[schema]
    structs: dict[str, Struct] = {}
    flexible = []
    for version in sorted(paths, reverse=True):
        module, name = paths[version][kind].split(":")
        cls = getattr(importlib.import_module(module), name)
        merge_class(cls, version, structs)
        if cls.__flexible__:
            flexible.append(version)
    versions = min(paths), max(paths)
    assert sorted(paths) == list(range(versions[0], versions[1] + 1)), schema
    assert not flexible or sorted(flexible) == list(range(min(flexible), versions[1] + 1)), schema
    return Message(name, versions, min(flexible, default=None), innermost_first(structs, name))


def merge_class(cls: type[Any], version: int, structs: dict[str, Struct]) -> None:
    """Add what one version says about a struct and those inside it; versions come newest first."""
    struct = structs.setdefault(cls.__name__, Struct(cls.__name__))
    struct.versions.add(version)
    known = {field.name: field for field in struct.fields}
    place = 0
    for source in dataclasses.fields(cls):
        field = read_field(source)
        inner = classify_field(source)
        if field.name in known:
            merged = known[field.name]
            assert merged.shape()[:3] == field.shape()[:3], (cls, field, merged)
            place = struct.fields.index(merged) + 1
        else:
            merged = field
            struct.fields.insert(place, field)
            place += 1
        if merged.default is None:
            merged.default = "null" if field.name in NULL_BY_DEFAULT.get(cls.__name__, ()) else field.default
        merged.versions.add(version)
        tag = get_field_tag(source)
        if tag is not None:
            merged.tag = int(tag)
            merged.tagged.add(version)
        if may_be_null(source, field):
            merged.null.add(version)
        if isinstance(inner, EntityField | EntityTupleField):
            merge_class(inner.type_, version, structs)


def read_field(source: dataclasses.Field[Any]) -> Field:
    inner = classify_field(source)
    if isinstance(inner, EntityField | EntityTupleField):
        return Field(source.name, inner.type_.__name__, inner.is_array, read_default(source, inner.is_array))
    kafka_type: str = source.metadata["kafka_type"]
    unit = "_ms" if kafka_type.startswith(("timedelta", "datetime")) else ""
    return Field(source.name + unit, KINDS.get(kafka_type, kafka_type), inner.is_array, read_default(source, inner.is_array))


def read_default(source: dataclasses.Field[Any], array: bool) -> str | None:
    """The default as it stands in a schema; None for the one that every field of its type has."""
    value = source.default
    if value is dataclasses.MISSING or (array and value == ()) or dataclasses.is_dataclass(value):
        return None
    if value is None:
        kafka_type = source.metadata.get("kafka_type", "")
        return None if kafka_type == "uuid" else "-1" if kafka_type.startswith("datetime") else "null"
    if isinstance(value, datetime.timedelta):
        value = round(value.total_seconds() * 1000)
    if isinstance(value, bool):
        return "true" if value else None
    if isinstance(value, int):
        return str(int(value)) if value else None
    if isinstance(value, str | bytes):
        return repr(str(value)) if value else None
    raise AssertionError(source)


def may_be_null(source: dataclasses.Field[Any], field: Field) -> bool:
    """kio says None also for the zero uuid and for the timestamp -1, which are ordinary values."""
    return is_optional(source) and field.kind not in ("uuid", "int64")


def innermost_first(structs: dict[str, Struct], root: str) -> list[Struct]:
    ordered: list[Struct] = []

    def visit(name: str) -> None:
        struct = structs[name]
        if struct not in ordered:
            for field in struct.fields:
                if field.kind in structs:
                    visit(field.kind)
            ordered.append(struct)

    visit(root)
    return ordered


def api_schemas(keys: list[int]) -> dict[int, str]:
    """kio's name of each API."""
    return {key: api_key_map[key] for key in keys}
