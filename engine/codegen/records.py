"""Reads records.txt: the records of Kafka's internal topics, in the notation of `ev.wire.compiler`."""

from __future__ import annotations

import pathlib

from codegen.emit import Module
from codegen.schema import Field, Message, Struct
from ev.wire.compiler import Field as Line
from ev.wire.compiler import within

NEWEST = 32767


def read_records(path: pathlib.Path) -> list[Module]:
    """The modules of the file.

        # a comment
        module offsets_topic: what it is for, one sentence
        message OffsetCommitValue 0-4 flexible 4
            offset  int64
        struct MemberMetadata
            ...

    A struct belongs to the message that follows it.
    """
    modules: list[Module] = []
    structs: list[Struct] = []
    lines: list[tuple[Struct, str]] = []
    for row in path.read_text().splitlines():
        words = row.split()
        if not words or (words[0].startswith("#") and not row.startswith(" ")):
            continue
        if row.startswith("module "):
            name, _, summary = row.removeprefix("module ").partition(": ")
            modules.append(Module(name, summary, []))
        elif row.startswith("struct "):
            structs.append(Struct(words[1]))
        elif row.startswith("message "):
            low, _, high = words[2].partition("-")
            flexible = int(words[4]) if len(words) > 3 else None
            structs.append(Struct(words[1]))
            modules[-1].messages.append(Message(words[1], (int(low), int(high or low)), flexible, structs))
            structs = []
        else:
            struct = structs[-1] if structs else modules[-1].messages[-1].structs[-1]
            lines.append((struct, row))
    owners = {id(struct): message for module in modules for message in module.messages for struct in message.structs}
    for struct, row in lines:
        low_version, high_version = owners[id(struct)].versions
        struct.versions = set(range(low_version, high_version + 1))
        struct.fields.append(read_line(row, struct.versions))
    return modules


def read_line(row: str, versions: set[int]) -> Field:
    line = Line(row)
    field = Field(line.name, line.kind, line.array, line.default, tag=line.tag)
    field.versions = {v for v in versions if within(v, line.versions)}
    field.null = {v for v in field.versions if within(v, line.null)}
    field.tagged = {v for v in field.versions if within(v, line.tagged)}
    return field
