"""What the types of Avro look like in JSON, and the unions whose branches JSON cannot tell apart.

null boolean number string array object        as in JSON; enums are texts; maps and records are objects
bytes, fixed                                    {"b64": "…"}
dates and times, decimal, uuid                  texts, ISO 8601 for the times
NaN and the infinities                          the texts NaN, Infinity, -Infinity

The value of a union is written without a word about its branch, as long as each branch looks different. Where two look the same, {int,
long}, two records, a text and a time, it is {"name of the branch": value}, which is Avro's own JSON.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Types = dict[str, Any]
    """Types that have a name, by it."""

TEXTUAL = frozenset(
    (
        "bytes-decimal",
        "fixed-decimal",
        "int-date",
        "int-time-millis",
        "long-time-micros",
        "long-timestamp-millis",
        "long-timestamp-micros",
        "long-local-timestamp-millis",
        "long-local-timestamp-micros",
        "string-uuid",
    )
)
"""Logical types that are texts."""
_LOOKS = {
    "null": "null",
    "boolean": "boolean",
    "int": "number",
    "long": "number",
    "float": "number text",
    "double": "number text",
    "string": "text",
    "enum": "text",
    "array": "array",
}


def type_of(schema: Any) -> str:
    """`int`, `record`, the name of a type that is defined elsewhere; `union`."""
    if isinstance(schema, list):
        return "union"
    return str(schema["type"] if isinstance(schema, dict) else schema)


def logical_of(schema: Any) -> str | None:
    """`int-date` and the like; None for a type without such a meaning, or with one that is not known."""
    if not isinstance(schema, dict) or "logicalType" not in schema:
        return None
    name = f"{type_of(schema)}-{schema['logicalType']}"
    return name if name in TEXTUAL else None


def name_of(schema: Any) -> str:
    """What a branch of a union is called."""
    return str(schema["name"]) if isinstance(schema, dict) and "name" in schema else type_of(schema)


def looks_of(schema: Any, types: Types) -> set[str]:
    """As what a value of this type may stand in JSON."""
    if isinstance(schema, list):
        return set().union(*[looks_of(branch, types) for branch in schema])
    if logical_of(schema):
        return {"text"}
    kind = type_of(schema)
    if kind in types:
        return looks_of(types[kind], types)
    return set(_LOOKS.get(kind, "object").split())


def is_clear(union: list[Any], types: Types) -> bool:
    """Whether what a value looks like tells its branch."""
    looks = [looks_of(branch, types) for branch in union]
    return sum(map(len, looks)) == len(set().union(*looks))


def with_names_of_branches(schema: Any, types: Types) -> Any:
    """The schema with each branch of the unions that are not clear in a record of one field, which has the name of the branch.

    A record is written as its fields and nothing else, so this reads the same bytes. Types are changed in place, and all is marked as
    what fastavro has parsed.
    """
    seen: set[int] = set()
    marks = {"__fastavro_parsed": True, "__named_schemas": types}

    def changed(part: Any) -> Any:
        if isinstance(part, list):
            wraps = not is_clear(part, types)
            return [wrapped(branch) if wraps and branch != "null" else changed(branch) for branch in part]
        if isinstance(part, dict) and id(part) not in seen:
            seen.add(id(part))
            for name in ("items", "values"):
                if name in part:
                    part[name] = changed(part[name])
            for field in part.get("fields", ()):
                if id(field) not in seen:
                    seen.add(id(field))
                    field["type"] = changed(field["type"])
        return part

    def wrapped(branch: Any) -> Any:
        name = name_of(branch)
        return {"type": "record", "name": f"branch.{name}", "fields": [{"name": name, "type": changed(branch)}]}

    for name in types:
        types[name] = changed(types[name])
    found = changed(schema)
    if isinstance(found, list):
        return [{**branch, **marks} if isinstance(branch, dict) else branch for branch in found]
    return {**found, **marks} if isinstance(found, dict) else found
