"""-s key=…,value=…, --schema, --key-schema, --proto: which serde is meant for keys and which for values, whichever way they go."""

from __future__ import annotations

from ev_cli.failures import UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev_cli.schemas import Schema


def named(options: Any) -> dict[str, str]:
    """The names for "key" and "value"; -s may be given twice, and one name alone is the value's.

    A schema file says by itself that the value, or the key, is Avro or Protobuf.
    """
    found = {"key": "avro" if options.key_schema else "string", "value": _by_schema(options)}
    for text in options.serde or ():
        for part in _parts(text):
            side, equals, name = part.partition("=")
            if not equals:
                side, name = "value", part
            if side not in found:
                raise UsageFailure(f"-s {part!r} is for neither key nor value", "-s key=NAME,value=NAME")
            found[side] = name
    return found


def _by_schema(options: Any) -> str:
    if options.schema and options.proto:
        raise UsageFailure("--schema and --proto are two schemas of the value", "give one of them")
    return "avro" if options.schema else "protobuf" if options.proto else "string"


def _parts(text: str) -> list[str]:
    """The text at its commas; one inside a packed format does not count."""
    parts: list[str] = []
    for part in text.split(","):
        if parts and "=" not in part and "unpack:" in parts[-1]:
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return parts


def schema_of(side: str, name: str, options: Any) -> Schema | None:
    """The schema that a serde of that name needs; None for one that needs none."""
    if name == "avro":
        from ev_cli.schemas import avro

        flag = "--key-schema" if side == "key" else "--schema"
        path = options.key_schema if side == "key" else options.schema
        if path is None:
            raise UsageFailure(f"-s {side}=avro needs a schema", f"{flag} FILE.avsc")
        return avro(flag, path)
    if name == "protobuf":
        from ev_cli.schemas import protobuf

        if options.proto is None:
            raise UsageFailure(f"-s {side}=protobuf needs a schema", "--proto FILE.proto, and --message NAME where it has several")
        return protobuf(options.proto, options.message)
    if name == "jsonschema":
        raise UsageFailure("-s jsonschema asks a schema registry, which this version does not", "-s json checks that it is JSON")
    return None
