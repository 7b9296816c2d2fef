"""Messages of every class and version, filled from a seed.

Values stay inside what kio can express, which serves as the oracle: known error codes, times between 1970 and 2039 or -1.
"""

from __future__ import annotations

import importlib
import pathlib
import random
import sys
from collections.abc import Iterator
from typing import Any

from ev.wire import messages
from ev.wire.codec import Message
from ev.wire.compiler import NEVER, Field, parse_schema, within

BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
UNSIGNED = {"uint16": 16, "uint32": 32}
NEWEST_ERROR = 133
NEWEST_TIME_MS = 1 << 41


def message_classes() -> list[type[Message]]:
    """Every generated message class."""
    found: list[type[Message]] = []
    for path in sorted(pathlib.Path(messages.__path__[0]).glob("[!_]*.py")):
        module = importlib.import_module(f"ev.wire.messages.{path.stem}")
        found += [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Message) and c is not Message]
    return list(dict.fromkeys(found))


def versions(cls: type[Message]) -> range:
    return range(cls.VERSIONS[0], cls.VERSIONS[1] + 1)


def cases() -> Iterator[tuple[type[Message], int]]:
    """Every class with each of its versions."""
    for cls in message_classes():
        for version in versions(cls):
            yield cls, version


def integer_range(field: Field) -> tuple[int, int]:
    if field.name.endswith("error_code"):
        return -1, NEWEST_ERROR
    if field.kind == "int64" and field.name.endswith("_ms"):
        return -1 if field.default == "-1" else 0, NEWEST_TIME_MS
    if field.kind in UNSIGNED:
        return 0, (1 << UNSIGNED[field.kind]) - 1
    half = 1 << (BITS[field.kind] - 1)
    return -half, half - 1


def inner_class(cls: type[Any], field: Field) -> type[Any]:
    inner: type[Any] = getattr(sys.modules[cls.__module__], field.kind)
    return inner


def present_fields(cls: type[Any], version: int) -> list[Field]:
    return [field for field in parse_schema(cls) if within(version, field.versions)]


def filled(cls: type[Any], version: int, seed: int) -> Any:
    """A message whose every field holds something, the same for the same seed."""
    return fill(cls, version, random.Random(f"{cls.__name__} {version} {seed}"))


def fill(cls: type[Any], version: int, chance: random.Random) -> Any:
    values: dict[str, Any] = {}
    for field in present_fields(cls, version):
        if within(version, field.null) and chance.random() < 0.2:
            values[field.name] = None
        elif field.array:
            values[field.name] = [fill_one(cls, field, version, chance) for _ in range(chance.choice((0, 1, 2, 3)))]
        else:
            values[field.name] = fill_one(cls, field, version, chance)
    return without_default_structs(cls(**values))


def fill_one(cls: type[Any], field: Field, version: int, chance: random.Random) -> Any:
    match field.kind:
        case "string":
            return "".join(chance.choice("abz09._-é漢😀") for _ in range(chance.choice((0, 1, 5, 70))))
        case "bytes" | "records":
            return chance.randbytes(chance.choice((0, 1, 30, 200)))
        case "uuid":
            return chance.randbytes(16)
        case "bool":
            return chance.random() < 0.5
        case "float64":
            return chance.uniform(-1e9, 1e9)
        case kind if kind in BITS or kind in UNSIGNED:
            low, high = integer_range(field)
            return chance.choice((low, high, max(low, 0), chance.randint(low, high)))
    return fill(inner_class(cls, field), version, chance)


def without_default_structs(message: Any) -> Any:
    """The same message; tagged structs that equal their default are not sent, so they come back as None."""
    for field in parse_schema(type(message)):
        if field.tag >= 0 and field.kind[0].isupper() and not field.array and field.null == NEVER:
            inner = getattr(message, field.name)
            if inner is not None and inner == type(inner)():
                setattr(message, field.name, None)
    return message
