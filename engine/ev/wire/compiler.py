"""Compiles a message's schema into one straight-line decode or encode function per version.

A schema is the text in a class's SCHEMA, one field a line, in the order in which they travel:

    name  type  [versions]  [?[versions]]  [#tag[@versions]]  [=default]

    topic_id        uuid           13+
    partitions      []FetchPartition
    cluster_id      string         12+   ?  #0  =null

The type is a primitive, a class of the same module, or `[]` and one of these. Versions are `7`, `3-9` or `3+`; without them the
field is there in every version. `?` says that null is allowed (in those versions), `#` that the field travels as a tagged field
(from that version on; before it as an ordinary one). A missing default is Kafka's: 0, false, "", [], no bytes, a struct of defaults;
a tagged struct that cannot be null is None when it is not sent, which saves making it.

How the code is made fast: neighbouring fields of fixed size, together with the length that follows them, are read or written by one
`struct` call; objects are made without calling `__init__`; a field goes straight from the buffer into its slot.

How it is made safe: a read past the end raises struct.error or IndexError, which become MalformedError. A slice past the end is
short, not an error, but then the position stands behind the end: every later read fails, and the end of the function checks it.
An array is believed only when the bytes that its elements need at least are there. A request, which may come from anybody, may have
ELEMENTS_MAX elements and tagged fields in all: each takes a few bytes on the wire and becomes an object of a hundred.
"""

from __future__ import annotations

import sys
from struct import calcsize

from ev.wire.binding import layout_name
from ev.wire.primitives import encode_uvarint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

    Range = tuple[int, int]

FORMATS = {
    "bool": "?",
    "int8": "b",
    "int16": "h",
    "int32": "i",
    "int64": "q",
    "uint16": "H",
    "uint32": "I",
    "float64": "d",
    "uuid": "16s",
}
ELEMENTS_MAX = 1 << 17
"""More than an engine has partitions by default; decoding so many takes a tenth of a second."""
SIZED = ("string", "bytes", "records")
NEVER = (1, 0)
EMPTY = {"string": "''", "bytes": "b''", "records": "None", "bool": "False", "float64": "0.0", "uuid": "ZERO_UUID"}


class Field:
    """One line of a schema."""

    __slots__ = ("array", "default", "kind", "name", "null", "tag", "tagged", "versions")

    def __init__(self, line: str) -> None:
        self.name, kind, *options = line.split()
        self.array = kind.startswith("[]")
        self.kind = kind.removeprefix("[]")
        self.versions: Range = (0, 32767)
        self.null: Range = NEVER
        self.tag = -1
        self.tagged: Range = NEVER
        self.default: str | None = None
        for option in options:
            if option[0] == "?":
                self.null = version_range(option[1:])
            elif option[0] == "#":
                tag, _, versions = option[1:].partition("@")
                self.tag, self.tagged = int(tag), version_range(versions)
            elif option[0] == "=":
                self.default = option[1:]
            else:
                self.versions = version_range(option)

    def default_expression(self) -> str:
        """Kafka's default as Python source."""
        if self.default == "null":
            return "None"
        if self.array:
            return "[]"
        if self.default is not None:
            return {"true": "True", "false": "False"}.get(self.default, self.default)
        if self.kind in EMPTY:
            return EMPTY[self.kind]
        if self.kind in FORMATS:
            return "0"
        return "None" if self.tag >= 0 and self.null == NEVER else f"{self.kind}()"


def version_range(text: str) -> Range:
    """`7`, `3-9`, `3+`, or nothing for every version."""
    if not text:
        return 0, 32767
    low, dash, high = text.removesuffix("+").partition("-")
    return int(low), 32767 if text.endswith("+") else int(high if dash else low)


def parse_schema(cls: type[Any]) -> list[Field]:
    """The fields of a message class."""
    return [Field(line) for line in cls.SCHEMA.splitlines() if line.strip()]


def within(version: int, versions: Range) -> bool:
    return versions[0] <= version <= versions[1]


class Source:
    """The lines of one generated function, and what they refer to."""

    def __init__(self, cls: type[Any], version: int) -> None:
        self.cls = cls
        self.version = version
        self.flexible: bool = cls.FLEXIBLE is not None and version >= cls.FLEXIBLE
        self.module: dict[str, Any] = vars(sys.modules[cls.__module__])
        self.lines: list[str] = []
        self.depth = 0

    def add(self, indent: int, *lines: str) -> None:
        self.lines.extend(" " * indent + line for line in lines)

    def struct(self, name: str) -> type[Any]:
        cls: type[Any] = self.module[name]
        return cls

    def plain_fields(self, fields: list[Field]) -> list[Field]:
        return [f for f in fields if within(self.version, f.versions) and not self.is_tagged(f)]

    def tagged_fields(self, fields: list[Field]) -> list[Field]:
        found = [f for f in fields if within(self.version, f.versions) and self.is_tagged(f)]
        return sorted(found, key=lambda f: f.tag)

    def is_tagged(self, field: Field) -> bool:
        return self.flexible and within(self.version, field.tagged)

    def nullable(self, field: Field) -> bool:
        return within(self.version, field.null)

    def least_size(self, field: Field) -> int:
        """The least number of bytes that one element of this field's kind takes."""
        if field.kind in FORMATS:
            return calcsize(">" + FORMATS[field.kind])
        if field.kind in SIZED:
            return 1 if self.flexible else 2 if field.kind == "string" else 4
        size = 1 if self.flexible else 0
        for inner in self.plain_fields(parse_schema(self.module[field.kind])):
            if inner.array:
                size += 1 if self.flexible else 4
            elif inner.kind not in FORMATS and inner.kind not in SIZED and self.nullable(inner):
                size += 1
            else:
                size += self.least_size(inner)
        return max(size, 1)

    @property
    def title(self) -> str:
        return f"{self.cls.__name__}_{self.version}"


class Decoder(Source):
    """Writes `decode(b, p) -> (message, position after it)`."""

    def __init__(self, cls: type[Any], version: int) -> None:
        super().__init__(cls, version)
        self.formats: list[str] = []
        self.targets: list[str] = []
        self.has_records = False
        self.is_bounded = cls.__name__.endswith("Request")

    def build(self) -> list[str]:
        """The lines of the function."""
        self.add(0, f"def decode_{self.title}(b, p=0):", " n = len(b)")
        if self.is_bounded:
            self.add(1, f"e = {ELEMENTS_MAX}")
        self.add(1, "try:")
        self.write_struct(2, self.cls, "o0")
        if self.has_records:
            self.lines.insert(2, " m = memoryview(b)")
        self.add(1, "except problems as problem:")
        title = f"'{self.cls.__name__}', {self.version}, n"
        self.add(2, f"refuse_message({title}, problem)")
        self.add(1, "if p > n:", f" refuse_message({title}, f'it would end at byte {{p}}')", "return o0, p")
        return self.lines

    def later(self, format: str, target: str) -> None:
        """Have `target` read by the next unpack."""
        self.formats.append(format)
        self.targets.append(target)

    def flush(self, indent: int) -> None:
        """Write the unpack of everything that waits for it."""
        if self.formats == ["B"]:
            self.add(indent, f"{self.targets[0]} = b[p]", "p += 1")
        elif self.formats:
            size = calcsize(">" + "".join(self.formats))
            comma = "," if len(self.targets) == 1 else ""
            self.add(indent, f"{', '.join(self.targets)}{comma} = {layout_name('READ', ''.join(self.formats))}(b, p)", f"p += {size}")
        self.formats, self.targets = [], []

    def write_struct(self, indent: int, cls: type[Any], target: str) -> None:
        fields = parse_schema(cls)
        self.depth += 1
        depth = self.depth
        self.add(indent, f"{target} = new({cls.__name__})")
        for field in self.plain_fields(fields):
            self.write_field(indent, field, f"{target}.{field.name}")
        if self.flexible:
            self.later("B", f"c{depth}")
        self.flush(indent)
        self.write_defaults(indent, fields, target)
        if self.flexible:
            self.write_tagged_fields(indent, self.tagged_fields(fields), target, depth)
        self.depth -= 1

    def write_defaults(self, indent: int, fields: list[Field], target: str) -> None:
        """Fields that this version has not, and tagged ones, which may be missing."""
        shared: dict[str, list[str]] = {}
        for field in fields:
            if not within(self.version, field.versions) or self.is_tagged(field):
                default = field.default_expression()
                key = default if default[0] not in "[" and not default.endswith(")") else f"{default}#{field.name}"
                shared.setdefault(key, []).append(f"{target}.{field.name}")
        for key, targets in shared.items():
            self.add(indent, f"{' = '.join(targets)} = {key.partition('#')[0]}")

    def write_tagged_fields(self, indent: int, fields: list[Field], target: str, depth: int) -> None:
        self.add(indent, f"if c{depth}:")
        indent += 1
        if not fields:
            self.write_bound(indent, f"c{depth}", "tagged fields")  # the first byte: a larger count is refused
            self.add(indent, f"p = skip_tagged_fields(b, p, c{depth})")
            return
        self.write_uvarint_rest(indent, f"c{depth}")
        self.write_bound(indent, f"c{depth}", "tagged fields")
        self.add(indent, f"for _ in range(c{depth}):")
        indent += 1
        for name in (f"t{depth}", f"z{depth}"):
            self.add(indent, f"{name} = b[p]", "p += 1")
            self.write_uvarint_rest(indent, name)
        self.add(indent, f"z{depth} += p")
        for number, field in enumerate(fields):
            self.add(indent, f"{'elif' if number else 'if'} t{depth} == {field.tag}:")
            self.write_field(indent + 1, field, f"{target}.{field.name}")
            self.flush(indent + 1)
        self.add(indent, "else:", f" p = z{depth}")
        self.add(indent, f"if p != z{depth}:", f" refuse_tagged_field(t{depth})")

    def write_bound(self, indent: int, count: str, name: str) -> None:
        """Count elements, in a request."""
        if self.is_bounded:
            self.add(indent, f"e -= {count}", "if e < 0:", f" refuse_elements('{name}')")

    def write_uvarint_rest(self, indent: int, name: str) -> None:
        self.add(indent, f"if {name} > 127:", f" {name}, p = finish_uvarint(b, p, {name})")

    def write_length(self, indent: int, name: str, short: bool) -> None:
        """Read a length; null reads as -1."""
        self.later("B" if self.flexible else "h" if short else "i", name)
        self.flush(indent)
        if self.flexible:
            self.write_uvarint_rest(indent, name)
            self.add(indent, f"{name} -= 1")

    def write_null(self, indent: int, field: Field, target: str, length: str) -> int:
        """What a length below zero means; returns the indent of what follows when there is one."""
        self.add(indent, f"if {length} < 0:")
        if not self.nullable(field):
            self.add(indent + 1, f"refuse_length('{field.name}', {length})")
            return indent
        self.add(indent + 1, f"if {length} != -1:", f" refuse_length('{field.name}', {length})")
        self.add(indent, f" {target} = None", "else:")
        return indent + 1

    def write_field(self, indent: int, field: Field, target: str) -> None:
        if field.array:
            self.write_array(indent, field, target)
        elif field.kind in FORMATS:
            self.later(FORMATS[field.kind], target)
        elif field.kind in SIZED:
            self.write_length(indent, "l", field.kind == "string")
            indent = self.write_null(indent, field, target, "l")
            self.write_sized(indent, field.kind, target)
        elif self.nullable(field):
            self.later("b", "k")
            self.flush(indent)
            self.add(indent, "if k <= 0:" if self.is_tagged(field) else "if k < 0:", f" {target} = None", "else:")
            self.write_inner_struct(indent + 1, field, target)
        else:
            self.flush(indent)
            self.write_inner_struct(indent, field, target)

    def write_sized(self, indent: int, kind: str, target: str) -> None:
        read = {"string": "str(b[p:q], 'utf-8')", "bytes": "bytes(b[p:q])", "records": "m[p:q]"}[kind]
        self.has_records |= kind == "records"
        self.add(indent, "q = p + l", f"{target} = {read}", "p = q")

    def write_inner_struct(self, indent: int, field: Field, target: str) -> None:
        name = f"o{self.depth}"
        self.write_struct(indent, self.struct(field.kind), name)
        self.add(indent, f"{target} = {name}")

    def write_array(self, indent: int, field: Field, target: str) -> None:
        count = f"n{self.depth}"
        self.write_length(indent, count, short=False)
        indent = self.write_null(indent, field, target, count)
        size = self.least_size(field)
        self.add(indent, f"if {count} * {size} > n - p:")
        self.add(indent + 1, f"refuse_count('{field.name}', {count}, n - p)")
        self.write_bound(indent, count, field.name)
        if field.kind in FORMATS:
            read = f"unpack_from(f'>{{{count}}}{FORMATS[field.kind]}', b, p)"
            read = f"split_uuids(b, p, {count})" if field.kind == "uuid" else f"list({read})"
            self.add(indent, f"{target} = {read}", f"p += {size} * {count}")
            return
        items, item = f"a{self.depth}", f"o{self.depth}"
        self.add(indent, f"{target} = {items} = []", f"for _ in range({count}):")
        if field.kind in SIZED:
            self.write_length(indent + 1, "l", field.kind == "string")
            self.add(indent + 1, "if l < 0:", f" refuse_length('{field.name}', l)")
            self.write_sized(indent + 1, field.kind, item)
        else:
            self.write_struct(indent + 1, self.struct(field.kind), item)
        self.add(indent + 1, f"{items}.append({item})")


class Encoder(Source):
    """Writes `encode(message) -> list of buffers`; only record batches are buffers of their own."""

    def __init__(self, cls: type[Any], version: int) -> None:
        super().__init__(cls, version)
        self.formats: list[str] = []
        self.values: list[str] = []

    def build(self) -> list[str]:
        """The lines of the function."""
        self.add(0, f"def encode_{self.title}(o0):", " parts = []", " w = parts.append", " done = []")
        self.write_struct(1, self.cls, "o0")
        self.add(1, "done.append(b''.join(parts))", "return done")
        return self.lines

    def later(self, format: str, value: str = "") -> None:
        """Have `value` written by the next pack; a pad byte `x` has none."""
        self.formats.append(format)
        if value:
            self.values.append(value)

    def flush(self, indent: int) -> None:
        self.add(indent, *self.pending())
        self.formats, self.values = [], []

    def pending(self, format: str = "", value: str = "") -> list[str]:
        """The write of everything that waits for it, and perhaps of one value more."""
        formats = [*self.formats, format] if format else self.formats
        values = [*self.values, value] if value else self.values
        if not formats:
            return []
        if not values:
            return [f"w({bytes(len(formats))!r})"]
        if formats == ["16s"]:
            return [f"w({values[0]})"]
        return [f"w({layout_name('WRITE', ''.join(formats))}({', '.join(values)}))"]

    def write_struct(self, indent: int, cls: type[Any], source: str) -> None:
        fields = parse_schema(cls)
        self.depth += 1
        for field in self.plain_fields(fields):
            self.write_field(indent, field, f"{source}.{field.name}")
        if self.flexible:
            tagged = self.tagged_fields(fields)
            if tagged:
                self.flush(indent)
                self.write_tagged_fields(indent, tagged, source)
            else:
                self.later("x")
        self.flush(indent)
        self.depth -= 1

    def write_tagged_fields(self, indent: int, fields: list[Field], source: str) -> None:
        """Each field is written to the end of `parts`; its tag and size, and the count of all, are put before it afterwards."""
        depth = self.depth
        self.add(indent, f"c{depth} = 0", f"m{depth} = len(parts)")
        for field in fields:
            value = f"v{depth}"
            self.add(indent, f"{value} = {source}.{field.name}", f"if {self.differs(field, value)}:")
            self.add(indent + 1, f"c{depth} += 1", f"z{depth} = len(parts)")
            self.write_field(indent + 1, field, value)
            self.flush(indent + 1)
            size = f"sum(map(len, parts[z{depth}:]))"
            self.add(indent + 1, f"parts.insert(z{depth}, {encode_uvarint(field.tag)!r} + encode_uvarint({size}))")
        self.add(indent, f"parts.insert(m{depth}, ONE_BYTE[c{depth}])")

    def differs(self, field: Field, value: str) -> str:
        """The test that a tagged field has not its default, and so has to be sent."""
        default = field.default_expression()
        if default in ("[]", "0", "False", "''", "b''") and not self.nullable(field):
            return value
        if field.kind not in FORMATS and field.kind not in SIZED and field.default is None:
            unsent = "" if self.nullable(field) else f"{value} is not None and "
            return f"{unsent}{value} != {field.kind}()"
        return f"{value} is not None" if default == "None" else f"{value} != {default}"

    def write_field(self, indent: int, field: Field, source: str) -> None:
        if field.array:
            self.write_array(indent, field, source)
        elif field.kind in FORMATS:
            self.later(FORMATS[field.kind], source)
        elif field.kind in SIZED:
            self.write_sized_or_null(indent, field, source)
        elif self.nullable(field):
            name = f"o{self.depth}"
            self.flush(indent)
            null = bytes((0 if self.is_tagged(field) else 255,))
            self.add(indent, f"{name} = {source}", f"if {name} is None:", f" w({null!r})", "else:")
            self.later("B", "1")
            self.write_struct(indent + 1, self.struct(field.kind), name)
        else:
            name = f"o{self.depth}"
            self.add(indent, f"{name} = {source}")
            self.write_struct(indent, self.struct(field.kind), name)

    def write_sized_or_null(self, indent: int, field: Field, source: str) -> None:
        if not self.nullable(field):
            self.write_sized(indent, field.kind, source)
            return
        self.add(indent, f"s = {source}", "if s is None:")
        if self.flexible:
            self.add(indent + 1, *self.pending("x"))
        else:
            self.add(indent + 1, *self.pending("h" if field.kind == "string" else "i", "-1"))
        self.add(indent, "else:")
        self.write_sized(indent + 1, field.kind, "s")

    def write_sized(self, indent: int, kind: str, source: str) -> None:
        if kind == "string":
            self.add(indent, f"s = {source}.encode()")
        elif source != "s":
            self.add(indent, f"s = {source}")
        if kind == "records":
            self.add(indent, "l = sum(map(len, s)) if type(s) is list else len(s)")
            self.write_length(indent, "l", short=False)
            self.add(indent, "if s:", " done.append(b''.join(parts))", " parts.clear()")
            self.add(indent + 1, "if type(s) is list:", " done.extend(s)", "else:", " done.append(s)")
            return
        self.write_length(indent, "len(s)", kind == "string")
        self.add(indent, "w(s)")

    def write_length(self, indent: int, length: str, short: bool) -> None:
        """Write a length after what waits to be written."""
        if self.flexible:
            self.add(indent, f"l = {length} + 1")
            if self.formats:
                self.add(indent, "if l < 128:", *(f" {line}" for line in self.pending("B", "l")), "else:")
                self.add(indent + 1, *self.pending(), "w(encode_uvarint(l))")
            else:
                self.add(indent, "w(ONE_BYTE[l] if l < 128 else encode_uvarint(l))")
        else:
            self.add(indent, *self.pending("h" if short else "i", length))
        self.formats, self.values = [], []

    def write_array(self, indent: int, field: Field, source: str) -> None:
        items, item = f"a{self.depth}", f"o{self.depth}"
        self.add(indent, f"{items} = {source}")
        if self.nullable(field):
            self.add(indent, f"if {items} is None:")
            self.add(indent + 1, *(self.pending("x") if self.flexible else self.pending("i", "-1")))
            self.add(indent, "else:")
            indent += 1
        self.write_length(indent, f"len({items})", short=False)
        if field.kind == "uuid":
            self.add(indent, f"parts.extend({items})")
        elif field.kind in FORMATS:
            self.add(indent, f"if {items}:", f" w(pack(f'>{{len({items})}}{FORMATS[field.kind]}', *{items}))")
        else:
            self.add(indent, f"for {item} in {items}:")
            if field.kind in SIZED:
                self.write_sized(indent + 1, field.kind, item)
            else:
                self.write_struct(indent + 1, self.struct(field.kind), item)


def source_lines(cls: type[Any], version: int, verb: str) -> list[str]:
    """The function that decodes or encodes one version of a message, as Python source."""
    return (Decoder(cls, version) if verb == "decode" else Encoder(cls, version)).build()


def compile_code(cls: type[Any], version: int, verb: str) -> CodeType:
    """The same as code, for `ev.wire.binding`."""
    name = f"{verb}_{cls.__name__}_{version}"
    names: dict[str, Any] = {}
    exec(compile("\n".join(source_lines(cls, version, verb)), f"<{name}>", "exec"), names)
    code: CodeType = names[name].__code__
    return code
