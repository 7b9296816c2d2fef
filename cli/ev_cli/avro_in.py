"""From JSON to the bytes of Avro: each type of a schema becomes a function from what stands in JSON to its bytes.

What `avro_json` says is written is read; besides it any value of a union as {"name of the branch": value}, and a bare number for a
date or time.
"""

from __future__ import annotations

from struct import Struct

from ev_cli.avro_json import is_clear, logical_of, looks_of, name_of, type_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ev_cli.avro_json import Types

    Encode = Callable[[Any], bytes]

_BITS = {"int": 31, "long": 63}
_FLOATS = {"float": Struct("<f"), "double": Struct("<d")}
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
_SHOWN = 60


class MisfitError(Exception):
    """A value is not what its type says. `path` is where in the record: `lines[2].price`."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.path = ""

    def within(self, step: str) -> MisfitError:
        """The same, seen from one level further out."""
        between = "" if not self.path or self.path.startswith("[") else "."
        self.path = f"{step}{between}{self.path}"
        return self

    def __str__(self) -> str:
        return f"{self.path} {self.message}" if self.path else f"it {self.message}"


def misfit(value: Any, wanted: str) -> MisfitError:
    from json import dumps

    text = dumps(value, ensure_ascii=False)
    return MisfitError(f"is {text if len(text) <= _SHOWN else text[:_SHOWN] + '…'}, which is no {wanted}")


def encoder_of(schema: Any, types: Types) -> Encode:
    """How a value of this type is written. `types` are those that have names."""
    return _Compiler(types).encoder(schema)


class _Compiler:
    def __init__(self, types: Types) -> None:
        self._types = types
        self._named: dict[str, Encode] = {}
        """Those that were begun; a type may hold itself."""

    def encoder(self, schema: Any) -> Encode:
        if isinstance(schema, list):
            return self._union(schema)
        logical = logical_of(schema)
        if logical is not None:
            from ev_cli.avro_logical import encoder_of_logical

            return encoder_of_logical(logical, schema)
        kind = type_of(schema)
        if kind in _BITS:
            return _whole(kind, _BITS[kind])
        if kind in _FLOATS:
            return _floating(kind, _FLOATS[kind])
        plain = {"null": _null, "boolean": _boolean, "string": _string, "bytes": _bytes}
        if kind in plain:
            return plain[kind]
        if kind == "array":
            return _array(self.encoder(schema["items"]))
        if kind == "map":
            return _map(self.encoder(schema["values"]))
        name = schema["name"] if isinstance(schema, dict) else kind
        if name not in self._named:
            self._named[name] = lambda value: self._named[name](value)
            self._named[name] = self._of_name(self._types.get(name, schema))
        return self._named[name]

    def _of_name(self, schema: Any) -> Encode:
        if schema["type"] == "enum":
            return _enum(schema)
        return _fixed(schema) if schema["type"] == "fixed" else self._record(schema)

    def _record(self, schema: Any) -> Encode:
        kind = f"record {schema['name']}"
        fields = [(field["name"], self.encoder(field["type"]), self._default(field)) for field in schema["fields"]]
        names = {name for name, _, _ in fields}

        def encode(value: Any) -> bytes:
            if type(value) is not dict:
                raise misfit(value, kind)
            if not names.issuperset(value):
                unknown = next(name for name in value if name not in names)
                raise MisfitError(f"has a field {unknown!r}, and {kind} has {', '.join(sorted(names))}")
            pieces = []
            for name, one, default in fields:
                if name in value:
                    try:
                        pieces.append(one(value[name]))
                    except MisfitError as error:
                        raise error.within(name) from None
                elif default is None:
                    raise MisfitError("is missing, and has no default").within(name)
                else:
                    pieces.append(default())
            return b"".join(pieces)

        return encode

    def _default(self, field: Any) -> Callable[[], bytes] | None:
        """What stands for a field that is not there, made when it is wanted: a type that holds itself is not complete before."""
        if "default" not in field:
            return None
        found: list[bytes] = []

        def default() -> bytes:
            if not found:
                found.append(self._written(field["type"], field["default"]))
            return found[0]

        return default

    def _written(self, schema: Any, default: Any) -> bytes:
        """The default as a schema writes it: bytes are a text, and a union's is of its first branch that it fits."""
        if isinstance(schema, list):
            for number, branch in enumerate(schema):
                try:
                    return whole(number) + self._written(branch, default)
                except MisfitError:
                    continue
            raise misfit(default, "default of its union")
        if type(default) is str and type_of(self._types.get(type_of(schema), schema)) in ("bytes", "fixed"):
            try:
                raw = default.encode("latin-1")
            except UnicodeEncodeError:
                raise misfit(default, "default of bytes") from None
            return raw if type_of(schema) != "bytes" else whole(len(raw)) + raw
        return self.encoder(schema)(default)

    def _union(self, schemas: list[Any]) -> Encode:
        branches = [(name_of(schema), whole(number), self.encoder(schema)) for number, schema in enumerate(schemas)]
        by_name = {name: (prefix, encode) for name, prefix, encode in branches}
        names = ", ".join(by_name)
        named_first = not is_clear(schemas, self._types)
        of_null = next((prefix for name, prefix, _ in branches if name == "null"), None)

        def encode(value: Any) -> bytes:
            if value is None and of_null is not None:
                return of_null
            named = by_name.get(next(iter(value))) if type(value) is dict and len(value) == 1 else None
            if named is not None and named_first:
                return of_named(value, named)
            closest: MisfitError | None = None
            for _, prefix, one in branches:
                try:
                    return prefix + one(value)
                except MisfitError as error:
                    closest = error if error.path else closest
            if named is not None:
                return of_named(value, named)
            raise closest or misfit(value, f"value of any of {names}")

        def of_named(value: Any, branch: tuple[bytes, Encode]) -> bytes:
            (name,) = value
            prefix, one = branch
            try:
                return prefix + one(value[name])
            except MisfitError as error:
                raise error.within(name) from None

        return encode


# -- types without parts -------------------------------------------------------------------------------------------------------


def whole(number: int) -> bytes:
    """A number as Avro's variable-length zig-zag."""
    left = number << 1 if number >= 0 else (-number << 1) - 1
    if left < 0x80:
        return left.to_bytes(1, "big")
    pieces = bytearray()
    while left >= 0x80:
        pieces.append(left & 0x7F | 0x80)
        left >>= 7
    pieces.append(left)
    return bytes(pieces)


def _whole(kind: str, bits: int) -> Encode:
    limit = 1 << bits

    def encode(value: Any) -> bytes:
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int or not -limit <= value < limit:
            raise misfit(value, kind)
        return whole(value)

    return encode


def _floating(kind: str, layout: Struct) -> Encode:
    def encode(value: Any) -> bytes:
        if type(value) not in (int, float) and value not in _NOT_FINITE:
            raise misfit(value, kind)
        try:
            return layout.pack(float(value))
        except OverflowError:
            raise misfit(value, kind) from None

    return encode


def _null(value: Any) -> bytes:
    if value is not None:
        raise misfit(value, "null")
    return b""


def _boolean(value: Any) -> bytes:
    if type(value) is not bool:
        raise misfit(value, "boolean")
    return b"\1" if value else b"\0"


def _string(value: Any) -> bytes:
    if type(value) is not str:
        raise misfit(value, "string")
    try:
        data = value.encode()
    except UnicodeEncodeError:
        raise misfit(value.encode("utf-8", "backslashreplace").decode(), "string of whole characters") from None
    return whole(len(data)) + data


def raw_bytes(value: Any, kind: str) -> bytes:
    """{"b64": …} as the bytes that it stands for."""
    import binascii

    encoded = value.get("b64") if type(value) is dict and len(value) == 1 else None
    if type(encoded) is not str:
        raise misfit(value, f'{kind}, as in {{"b64": "…"}}')
    try:
        return binascii.a2b_base64(encoded, strict_mode=True)
    except (binascii.Error, ValueError):
        raise misfit(encoded, "base64") from None


def _bytes(value: Any) -> bytes:
    data = raw_bytes(value, "bytes")
    return whole(len(data)) + data


def _fixed(schema: Any) -> Encode:
    size, name = schema["size"], schema["name"]

    def encode(value: Any) -> bytes:
        data = raw_bytes(value, f"fixed {name}")
        if len(data) != size:
            raise MisfitError(f"has {len(data)} bytes, and fixed {name} has {size}")
        return data

    return encode


def _enum(schema: Any) -> Encode:
    symbols = {symbol: whole(number) for number, symbol in enumerate(schema["symbols"])}
    wanted = f"symbol of {schema['name']}: {', '.join(symbols)}"

    def encode(value: Any) -> bytes:
        found = symbols.get(value) if type(value) is str else None
        if found is None:
            raise misfit(value, wanted)
        return found

    return encode


# -- types of many -------------------------------------------------------------------------------------------------------------


def _array(one: Encode) -> Encode:
    def encode(value: Any) -> bytes:
        if type(value) is not list:
            raise misfit(value, "array")
        pieces = [whole(len(value))] if value else []
        for number, item in enumerate(value):
            try:
                pieces.append(one(item))
            except MisfitError as error:
                raise error.within(f"[{number}]") from None
        return b"".join([*pieces, b"\0"])

    return encode


def _map(one: Encode) -> Encode:
    def encode(value: Any) -> bytes:
        if type(value) is not dict:
            raise misfit(value, "map")
        pieces = [whole(len(value))] if value else []
        for name, item in value.items():
            try:
                pieces += (_string(name), one(item))
            except MisfitError as error:
                raise error.within(name) from None
        return b"".join([*pieces, b"\0"])

    return encode


def of_cell(schema: Any, types: Types, text: str) -> Any:
    """The text of a row's cell for a field of this type: as it is where the type is a text, else the JSON that it holds.

    An empty cell is null where there may be one.
    """
    from json import loads

    looks = looks_of(schema, types)
    if "text" in looks and "number" not in looks:
        return text
    if not text and "null" in looks:
        return None
    try:
        return loads(text)
    except ValueError:
        return text
