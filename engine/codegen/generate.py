"""Writes engine/ev/wire/messages/: one module per API, with one class per struct of its request and response. And ev/wire/ready/.

    python engine/codegen/generate.py            write the modules; names those that changed
    python engine/codegen/generate.py --check    write nothing; exit 1 and name the files that differ (a test does this)

This is a development tool; it is not shipped. What it knows of Kafka's messages comes from two places:

    kio             (a development dependency) has one dataclass per struct and version, made from Kafka's own definitions.
                    `schema.py` merges them into one struct with version ranges. kio drops the unit of durations and times: we
                    put `_ms` back, which gives Kafka's names again (tests/wire/ holds them against a real Apache Kafka).
    records.txt     the keys and values of Kafka's internal topics, which kio does not have, written in the notation of
                    `ev.wire.compiler`.

A generated class holds its slots, its schema as text, and a constructor with Kafka's defaults and the types that mypy reads. The
code that encodes and decodes is compiled from the schema when a version is first used, and for a few versions written to ready/.

A struct of a request and one of its response may have the same name; when they differ, both get the side's name in front.
When a newer Kafka adds versions: update kio, run this, read the diff, extend the catalog.
"""

from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from kio.static.constants import EntityType

from codegen.emit import Module, emit_module
from codegen.ready import ready_modules
from codegen.records import read_records
from codegen.schema import Message, api_schemas, read_message

HERE = pathlib.Path(__file__).resolve().parent
WIRE = HERE.parent / "ev" / "wire"

KEYS = [*range(0, 4), *range(8, 52), 55, 57, 60, 61, 64, 65, 66, 68, 69, 71, 72, *range(74, 82), *range(88, 93)]
"""The APIs that clients use; what brokers and controllers say among themselves is left out."""


def api_module(key: int, schema: str) -> Module:
    """The module of one API."""
    request, response = read_message(schema, EntityType.request), read_message(schema, EntityType.response)
    separate_names(request, response)
    title = request.name.removesuffix("Request")
    low, high = request.versions
    flexible = f"flexible from {request.flexible}" if request.flexible is not None else "never flexible"
    summary = (
        f"{title} (key {key}), versions {low} to {high}, {flexible}." if low != high else f"{title} (key {key}), version {low}, {flexible}."
    )
    return Module(f"k{key:02}_{schema}", summary, [request, response], request.name, response.name)


def separate_names(request: Message, response: Message) -> None:
    """Share structs that both sides have alike; rename those that differ."""
    requested = {struct.name: struct for struct in request.structs}
    for struct in list(response.structs):
        twin = requested.get(struct.name)
        if twin is None:
            continue
        if twin.shape() == struct.shape():
            response.structs.remove(struct)
        else:
            rename(request, struct.name, "Request" + struct.name)
            rename(response, struct.name, "Response" + struct.name)


def rename(message: Message, old: str, new: str) -> None:
    for struct in message.structs:
        struct.name = new if struct.name == old else struct.name
        for field in struct.fields:
            field.kind = new if field.kind == old else field.kind


def consumer_protocol() -> Module:
    """What consumers of a classic group tell each other through the coordinator, which does not read it."""
    subscription = read_message("consumer_protocol_subscription", EntityType.data)
    assignment = read_message("consumer_protocol_assignment", EntityType.data)
    for name in sorted({struct.name for struct in subscription.structs} & {struct.name for struct in assignment.structs}):
        rename(assignment, name, "Assigned" + name)
    summary = "The subscription and the assignment of a consumer in a classic group, versions 0 to 3."
    return Module("consumer_protocol", summary, [subscription, assignment])


def message_modules() -> dict[str, str]:
    """Every file of messages/: its name and its text."""
    made = [api_module(key, schema) for key, schema in api_schemas(KEYS).items()]
    made += [consumer_protocol(), *read_records(HERE / "records.txt")]
    return {f"{module.name}.py": emit_module(module) for module in made}


def main(arguments: list[str]) -> int:
    check = "--check" in arguments
    stale = replace(WIRE / "messages", message_modules(), check)
    stale += replace(WIRE / "ready", ready_modules(), check)  # it compiles the schemas that were just written
    print("\n".join(stale), end="\n" if stale else "")
    return 1 if stale and check else 0


def replace(target: pathlib.Path, wanted: dict[str, str], check: bool) -> list[str]:
    """Make the folder's files what is wanted, or only find out; returns the files that differed."""
    there = {path.name: path.read_text() for path in target.glob("*.py") if path.name != "__init__.py"}
    stale = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
    for name in [] if check else stale:
        if name in wanted:
            (target / name).write_text(wanted[name])
        else:
            (target / name).unlink()
    return [f"{target.name}/{name}" for name in stale]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
