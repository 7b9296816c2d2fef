"""kio as the oracle of the codec: the same message as kio's dataclass, written and read by kio."""

from __future__ import annotations

import dataclasses
import datetime
import importlib
import io
import uuid
from typing import Any

from kio.schema.errors import ErrorCode
from kio.schema.index import api_key_map, schema_name_map
from kio.serial import entity_reader, entity_writer
from kio.static.constants import EntityType

from ev.wire.catalog import API
from ev.wire.codec import Message

EPOCH = datetime.datetime.fromtimestamp(0, datetime.UTC)
MILLISECOND = datetime.timedelta(milliseconds=1)
CONSUMER_PROTOCOL = {
    "ConsumerProtocolSubscription": "consumer_protocol_subscription",
    "ConsumerProtocolAssignment": "consumer_protocol_assignment",
}


def kio_path(cls: type[Message], version: int) -> str | None:
    """Where kio keeps this class in this version; None for the records of internal topics, which it does not have."""
    if cls.__name__ in CONSUMER_PROTOCOL:
        return schema_name_map[CONSUMER_PROTOCOL[cls.__name__]][version][EntityType.data]
    for key, api in API.items():
        if api.module == cls.__module__:
            paths = schema_name_map[api_key_map[key]][version]
            return paths[EntityType.request] if cls.__name__.endswith("Request") else paths[EntityType.response]
    return None


def kio_class(cls: type[Message], version: int) -> type[Any]:
    path = kio_path(cls, version)
    assert path is not None, cls
    module, name = path.split(":")
    found: type[Any] = getattr(importlib.import_module(module), name)
    return found


def kio_message(message: Any, target: type[Any]) -> Any:
    """Our message as kio's."""
    values = {}
    for field in dataclasses.fields(target):
        kind: str = field.metadata.get("kafka_type", "")
        unit = "_ms" if kind.startswith(("timedelta", "datetime")) else ""
        value = getattr(message, field.name + unit)
        values[field.name] = kio_value(value, kind, field)
    return target(**values)


def kio_value(value: Any, kind: str, field: dataclasses.Field[Any]) -> Any:
    if value is None:
        return field.default if dataclasses.is_dataclass(field.default) else None
    if isinstance(value, list):
        return tuple(kio_value(item, kind, field) for item in value)
    if hasattr(value, "SCHEMA"):
        return kio_message(value, inner_class(field.type))
    if kind == "error_code":
        return ErrorCode(value)
    if kind == "uuid":
        return None if value == bytes(16) else uuid.UUID(bytes=bytes(value))
    if kind.startswith("timedelta"):
        return value * MILLISECOND
    if kind == "datetime_i64":
        return None if value == -1 else EPOCH + value * MILLISECOND
    return value


def inner_class(annotation: Any) -> type[Any]:
    """The dataclass inside `X`, `X | None`, `tuple[X, ...]` and `tuple[X, ...] | None`."""
    if dataclasses.is_dataclass(annotation):
        found: type[Any] = annotation  # type: ignore[assignment]
        return found
    for argument in annotation.__args__:
        if argument is not type(None) and argument is not ...:
            return inner_class(argument)
    raise AssertionError(annotation)


def kio_encode(message: Any) -> bytes:
    with io.BytesIO() as out:
        entity_writer(type(message))(out, message)
        return out.getvalue()


def kio_decode(target: type[Any], data: bytes) -> Any:
    message, size = entity_reader(target)(data, 0)
    assert size == len(data), (size, len(data))
    return message
