"""Compares two answers field by field, over all fields that their version has.

A field of the closed list MASKED is compared by its shape only: null or not, empty or not, negative or not, and what was kept of it under
a name must be the same thing on both sides wherever it turns up again. The text of an error must be there where Kafka has one. Everything
else must be equal, the lengths of arrays included. The order of the arrays in UNORDERED is nobody's promise; the elements of those in KEYED
are known by a name; of the arrays in OWN those elements count that are the conversation's when a step asks for all there is. Record batches
are compared like structs.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from differential.fields import KEYED, MASKED, OWN, UNORDERED, WORDING
from ev.wire.compiler import Field, parse_schema, within
from ev.wire.records import decode_batch, headers
from support.filled_message import BITS, UNSIGNED

BATCH_FIELDS = (
    "base_offset",
    "size",
    "leader_epoch",
    "magic",
    "crc",
    "attributes",
    "last_offset_delta",
    "base_timestamp",
    "max_timestamp",
    "producer_id",
    "producer_epoch",
    "base_sequence",
    "record_count",
)


def without_numbers(place: str) -> str:
    return re.sub(r"\[\d+\]", "", place)


@dataclass(frozen=True)
class Difference:
    """Where two answers differ, and what either says."""

    place: str  # "topics[0].configs{retention.ms}.value"
    kafka: Any
    ours: Any

    @property
    def field(self) -> str:
        """The place without the numbers of elements."""
        return without_numbers(self.place)

    def __str__(self) -> str:
        return f"{self.place}: Kafka says {self.kafka!r}, ev says {self.ours!r}"


@dataclass
class Tally:
    """How many fields were compared, and how many of them by their shape only."""

    compared: int = 0
    masked: int = 0
    left_out: int = 0  # elements of arrays that belong to nobody's conversation

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.compared + other.compared, self.masked + other.masked, self.left_out + other.left_out)


@dataclass
class Comparison:
    """Of the answers to one request."""

    key: int
    version: int
    prefix: str
    same: list[tuple[Any, Any]]  # what was kept: Kafka's value and ours
    everything: bool = False
    tally: Tally = field(default_factory=Tally)

    def differences(self, kafka: Any, ours: Any) -> list[Difference]:
        return list(self.struct(kafka, ours, "", ""))

    def struct(self, kafka: Any, ours: Any, path: str, place: str) -> Iterator[Difference]:
        cls = type(kafka)
        for each in parse_schema(cls):
            if within(self.version, each.versions):
                inner_path, inner_place = f"{path}.{each.name}".lstrip("."), f"{place}.{each.name}".lstrip(".")
                yield from self.field(cls, each, getattr(kafka, each.name), getattr(ours, each.name), inner_path, inner_place)

    def field(self, cls: type[Any], each: Field, kafka: Any, ours: Any, path: str, place: str) -> Iterator[Difference]:
        if kafka is None or ours is None:
            yield from self.value(kafka, ours, path, place)
        elif each.array:
            yield from self.array(each, kafka, ours, path, place)
        elif each.kind == "records":
            yield from self.batches(batches(kafka), batches(ours), path, place)
        elif is_struct(each):
            yield from self.struct(kafka, ours, path, place)
        else:
            yield from self.value(kafka, ours, path, place)

    def array(self, each: Field, kafka: list[Any], ours: list[Any], path: str, place: str) -> Iterator[Difference]:
        kafka, ours = self.elements(kafka, path), self.elements(ours, path)
        name = KEYED.get((self.key, path))
        if name:
            yield from self.keyed(name, kafka, ours, path, place)
            return
        yield from self.value(len(kafka), len(ours), f"{path}.length", f"{place}.length")
        for number, (one, other) in enumerate(zip(kafka, ours, strict=False)):
            if is_struct(each):
                yield from self.struct(one, other, path, f"{place}[{number}]")
            else:
                yield from self.value(one, other, path, f"{place}[{number}]")

    def keyed(self, name: str, kafka: list[Any], ours: list[Any], path: str, place: str) -> Iterator[Difference]:
        """Elements that have a name of their own: each with the one of that name, and those that have no other."""
        theirs, mine = {getattr(each, name): each for each in kafka}, {getattr(each, name): each for each in ours}
        yield from self.value(len(kafka) - len(theirs), len(ours) - len(mine), f"{path}.repeated", f"{place}.repeated")
        for key in sorted(theirs.keys() | mine.keys()):
            self.tally.compared += 1
            if key not in mine:
                yield Difference(f"{place}{{{key}}}.absent", "there", "absent")
            elif key not in theirs:
                yield Difference(f"{place}{{{key}}}.additional", "absent", "there")
            else:
                yield from self.struct(theirs[key], mine[key], path, f"{place}{{{key}}}")

    def elements(self, values: list[Any], path: str) -> list[Any]:
        """Those that count, in an order that says nothing where the answer's says nothing."""
        name = OWN.get((self.key, path))
        if name and self.everything:
            counted = [value for value in values if str(getattr(value, name)).startswith(self.prefix)]
            self.tally.left_out += len(values) - len(counted)
            values = counted
        order = UNORDERED.get((self.key, path))
        if order is not None:
            values = sorted(values, key=lambda value: str([self.named(getattr(value, part)) for part in order.split()] if order else value))
        return values

    def named(self, value: Any) -> Any:
        """What the value was kept under, by number, where it was; else the value."""
        if isinstance(value, bytes):
            return next((number for number, pair in enumerate(self.same) if value in pair), value)
        return value

    def batches(self, kafka: list[dict[str, Any]], ours: list[dict[str, Any]], path: str, place: str) -> Iterator[Difference]:
        yield from self.value(len(kafka), len(ours), f"{path}.length", f"{place}.length")
        for number, (one, other) in enumerate(zip(kafka, ours, strict=False)):
            kind = "marker" if one["attributes"] & 0x20 else "batch"
            for name in one:
                yield from self.value(one[name], other[name], f"{path}.{kind}.{name}", f"{place}[{number}].{name}")

    def value(self, kafka: Any, ours: Any, path: str, place: str) -> Iterator[Difference]:
        self.tally.compared += 1
        if path.rpartition(".")[2] in WORDING:
            self.tally.masked += 1
            if kafka not in (None, "", "NONE") and not ours:
                yield Difference(place, kafka, ours)
            return
        masked = MASKED.get(self.key, ())
        if path not in masked and not ("{" in place and without_numbers(place) in masked):
            if kafka != ours:
                yield Difference(place, kafka, ours)
            return
        self.tally.masked += 1
        known = [own for other, own in self.same if other == kafka and type(other) is type(kafka)]
        if (known and ours not in known) or shape(kafka) != shape(ours):
            yield Difference(place, kafka, ours)


def shape(value: Any) -> str:
    """What of a masked value must be the same."""
    match value:
        case None:
            return "null"
        case bool():
            return "a truth value"
        case int() | float():
            return "a number below zero" if value < 0 else "a number"
        case str() | bytes():
            return "something" if value and value != bytes(16) else "nothing"
    raise TypeError(f"{type(value).__name__} cannot be masked")


def is_struct(each: Field) -> bool:
    return each.kind[0].isupper()


def inner_class(cls: type[Any], each: Field) -> type[Any]:
    found: type[Any] = getattr(sys.modules[cls.__module__], each.kind)
    return found


def batches(data: bytes) -> list[dict[str, Any]]:
    """The whole batches in a partition's data, with their records."""
    found = []
    for position, header in headers(data):
        columns = decode_batch(data, position)
        made = {name: getattr(header, name) for name in BATCH_FIELDS}
        made |= {"keys": columns.keys, "values": columns.values, "headers": str(columns.headers)}
        found.append(made)
    return found


def scalar_paths(cls: type[Any], prefix: str = "") -> dict[str, Field]:
    """Every field of a response that may be masked: what is no array and no struct, by its path."""
    found: dict[str, Field] = {}
    for each in parse_schema(cls):
        path = f"{prefix}.{each.name}".lstrip(".")
        if is_struct(each):
            found |= scalar_paths(inner_class(cls, each), path)
        elif each.kind == "records":
            found |= {f"{path}.{kind}.{name}": each for kind in ("batch", "marker") for name in (*BATCH_FIELDS, "keys", "values")}
        elif not each.array:
            assert each.kind in BITS or each.kind in UNSIGNED or each.kind in ("string", "bytes", "bool", "uuid", "float64")
            found[path] = each
    return found
