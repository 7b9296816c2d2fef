"""Avro and Protobuf by a schema file, without a registry: what a key or value says, as JSON, and back from there to its bytes.

Needs the optional extra `ev[schemas]`: fastavro reads Avro, protobuf and grpcio-tools compile, read and write Protobuf. The five bytes
with which a registry's serializers begin are passed over, and not written.
"""

from __future__ import annotations

import os
from functools import cache

from ev_cli.failures import Failure, UsageFailure
from ev_cli.lines import Malformed
from ev_cli.serdes import DoesNotFitError, Serde

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FRAME = 5
"""A zero and the schema's id."""
COMPILED = (".desc", ".pb", ".protoset", ".binpb")
"""Names of files that hold a compiled set of descriptors."""


class JsonSerializer:
    """From the JSON of a key or value to its bytes."""

    def __init__(self, encode: Callable[[Any], bytes], of_cell: Callable[[str, str], Any], *, is_text: bool) -> None:
        self._encode = encode
        self._is_text = is_text
        """Whether a text may be all that there is: it need not stand in quotes then."""
        self.of_cell = of_cell
        """A cell of a row, by the name of its column, as the JSON that belongs there."""

    def __call__(self, data: bytes) -> bytes:
        try:
            return self._encoded(data)
        except DoesNotFitError as error:
            raise Malformed(f"not what the schema says: {error}") from None

    def _encoded(self, data: bytes) -> bytes:
        from ev_cli.json_in import parsed

        if not self._is_text:
            value = parsed(data)
            return self._encode(parsed(value.encode("utf-8", "surrogatepass")) if type(value) is str else value)
        try:
            return self._encode(parsed(data))
        except (Malformed, DoesNotFitError):
            if data[:1] == b'"':
                raise
            return self._encode(data.decode("utf-8", "surrogateescape"))


class Schema(Serde):
    """A serde that knows the way back."""

    def __init__(self, name: str, read: Callable[[bytes], bytes], serializer: Callable[[], JsonSerializer]) -> None:
        super().__init__(name, read, read)
        self.serializer = serializer


# -- Avro ------------------------------------------------------------------------------------------------------------------------


@cache
def avro(flag: str, path: str) -> Schema:
    """Keys or values by the Avro schema in a file (.avsc)."""
    try:
        from fastavro import schema, schemaless_reader
        from fastavro.read import LOGICAL_READERS
    except ImportError:
        raise _missing("Avro", "fastavro") from None
    if not isinstance(LOGICAL_READERS["int-date"], _InRange):
        LOGICAL_READERS.update({name: _InRange(read) for name, read in LOGICAL_READERS.items()})
    _need_file(flag, path)
    types: dict[str, Any] = {}
    try:
        parsed = schema.load_schema(path, named_schemas=types)
    except Exception as error:  # noqa: BLE001 - the library raises what its parsing happens to run into
        raise Failure(f"{path} holds no Avro schema: {error}", "it is a JSON file, usually called NAME.avsc") from None
    from copy import deepcopy

    from ev_cli.avro_json import with_names_of_branches

    shown = with_names_of_branches(*deepcopy((parsed, types)))

    def read(data: bytes) -> bytes:
        from io import BytesIO

        stream = BytesIO(data)
        found = schemaless_reader(stream, shown, None)
        if stream.tell() != len(data):
            raise ValueError(f"{len(data) - stream.tell()} bytes are left over")
        return _json(found)

    return Schema("avro", _FramedOrNot(read), lambda: _avro_serializer(parsed, types))


class _InRange:
    """A reader of dates, decimals and the like that gives the bare number or bytes where Python's own type cannot hold them."""

    def __init__(self, read: Callable[..., Any]) -> None:
        self._read = read

    def __call__(self, data: Any, written: Any = None, wanted: Any = None) -> Any:
        if isinstance(data, str):
            return data  # a UUID in capitals stays one
        if isinstance(data, bytes) and len(str(abs(int.from_bytes(data, "big", signed=True)))) > written["precision"]:
            return data  # of a decimal, whose last digits would be rounded away
        try:
            return self._read(data, written, wanted)
        except (OverflowError, ValueError):
            return data


def _avro_serializer(parsed: Any, types: dict[str, Any]) -> JsonSerializer:
    from ev_cli.avro_in import MisfitError, encoder_of, of_cell
    from ev_cli.avro_json import looks_of

    encode = encoder_of(parsed, types)
    fields = {field["name"]: field["type"] for field in parsed.get("fields", ())} if isinstance(parsed, dict) else {}

    def encoded(value: Any) -> bytes:
        try:
            return encode(value)
        except MisfitError as error:
            raise DoesNotFitError(str(error)) from None

    def cell(name: str, text: str) -> Any:
        return of_cell(fields[name], types, text) if name in fields else text

    return JsonSerializer(encoded, cell, is_text="text" in looks_of(parsed, types))


class _FramedOrNot:
    """Avro may begin with a zero by itself, so both readings are tried. Where both fit it is the one that has been right more often."""

    def __init__(self, read: Callable[[bytes], bytes]) -> None:
        self._read = read
        self._lead = 0
        """How many more records fitted only without a frame than only with one."""

    def __call__(self, data: bytes) -> bytes:
        try:
            plain = self._read(data)
        except Exception as error:  # noqa: BLE001 - the library raises what its decoding happens to run into
            reason, plain = error or type(error).__name__, None
        framed = self._framed(data) if data[:1] == b"\0" and len(data) > FRAME else None
        if plain is None and framed is None:
            raise DoesNotFitError(f"it is not what the schema says ({reason})")
        if plain is None or framed is None:
            self._lead += 1 if framed is None else -1
            return plain if framed is None else framed  # type: ignore[return-value]
        return plain if self._lead >= 0 else framed

    def _framed(self, data: bytes) -> bytes | None:
        try:
            return self._read(data[FRAME:])
        except Exception:  # noqa: BLE001 - whatever the library raises: it was no frame
            return None


def _json(found: Any) -> bytes:
    from json import dumps

    try:
        return dumps(found, ensure_ascii=False, separators=(",", ":"), default=_plain, allow_nan=False).encode()
    except ValueError:
        return dumps(_finite(found), ensure_ascii=False, separators=(",", ":"), default=_plain).encode()


def _plain(value: Any) -> Any:
    """Avro's logical types for JSON: bytes as in a record's headers, times as ISO 8601, numbers and UUIDs as text."""
    if isinstance(value, bytes):
        import binascii

        return {"b64": binascii.b2a_base64(value, newline=False).decode()}
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _finite(value: Any) -> Any:
    """The same with texts for the numbers that JSON does not have."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return value


# -- Protobuf --------------------------------------------------------------------------------------------------------------------


@cache
def protobuf(path: str, message: str | None) -> Schema:
    """Keys or values by a message of a .proto file, or of a compiled set of descriptors."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
        from google.protobuf.message import DecodeError
    except ImportError:
        raise _missing("Protobuf", "protobuf") from None
    _need_file("--proto", path)
    files = descriptor_pb2.FileDescriptorSet()
    pool = descriptor_pool.DescriptorPool()
    try:
        files.ParseFromString(_compiled(path))
        for file in files.file:
            pool.Add(file)
    except (DecodeError, TypeError):
        raise Failure(f"{path} holds no compiled descriptors", "give the .proto file itself") from None
    name = _message_name(files, message, path)
    cls = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))

    def read(data: bytes) -> bytes:
        try:
            found = cls.FromString(_without_frame(data))
            text: str = json_format.MessageToJson(found, indent=None, ensure_ascii=False, descriptor_pool=pool)
        except DecodeError:
            raise DoesNotFitError(f"it is no {name}") from None
        except Exception as error:  # noqa: BLE001 - the library raises several kinds for times out of range and unknown types within Any
            raise DoesNotFitError(_first_line(error)) from None
        return text.encode()

    return Schema("protobuf", read, lambda: _protobuf_serializer(cls, pool))


def _protobuf_serializer(cls: Any, pool: Any) -> JsonSerializer:
    from google.protobuf import json_format

    name = cls.DESCRIPTOR.full_name
    fields = {name: field for field in cls.DESCRIPTOR.fields for name in (field.name, field.json_name)}

    def encode(value: Any) -> bytes:
        is_own = name.startswith("google.protobuf.")
        if not is_own and type(value) is not dict:
            raise DoesNotFitError(f"it is no {name}, which is an object in JSON")
        try:
            data: bytes = json_format.ParseDict(value, cls(), descriptor_pool=pool).SerializeToString(deterministic=True)
        except Exception as error:  # noqa: BLE001 - the library raises what its parsing happens to run into
            raise DoesNotFitError(_first_line(error)) from None
        return data

    def cell(column: str, text: str) -> Any:
        field = fields.get(column)
        if field is None or not (field.is_repeated or field.type in (field.TYPE_BOOL, field.TYPE_MESSAGE)):
            return text if text or field is None or field.type in (field.TYPE_STRING, field.TYPE_BYTES) else None
        if not text:
            return None
        from json import loads

        try:
            return loads(text)
        except ValueError:
            return text

    return JsonSerializer(encode, cell, is_text=name.startswith("google.protobuf."))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__


def _without_frame(data: bytes) -> bytes:
    """No message begins with a zero: one that does has the frame, and behind it the path to its type."""
    if data[:1] != b"\0":
        return data
    position = FRAME
    count, position = _zigzag(data, position)
    for _ in range(count):
        _, position = _zigzag(data, position)
    return data[position:]


def _zigzag(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), position
    raise DoesNotFitError(f"it ends after {len(data)} bytes, within what a registry writes before a message")


def _compiled(path: str) -> bytes:
    """The descriptors of a file and of all that it imports."""
    if path.endswith(COMPILED):
        with open(path, "rb") as file:
            return file.read()
    try:
        import grpc_tools
        from grpc_tools import protoc
    except ImportError:
        raise _missing("a .proto file", "grpcio-tools") from None
    import tempfile

    own = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")
    with tempfile.TemporaryDirectory() as directory:
        out = os.path.join(directory, "compiled")
        folder = os.path.dirname(os.path.abspath(path))
        arguments = ["protoc", f"-I{folder}", f"-I{own}", f"--descriptor_set_out={out}", "--include_imports", os.path.basename(path)]
        status, said = _said_by(lambda: protoc.main(arguments))
        if status:
            raise Failure(f"{path} does not compile", said.strip().partition("\n")[0])
        with open(out, "rb") as file:
            return file.read()


def _said_by(call: Callable[[], int]) -> tuple[int, str]:
    """The status of code in C++, and what it has written to stderr, which would be more than one line of ours."""
    import tempfile

    from ev_cli import output

    if 2 in output.closed:
        return call(), ""
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        try:
            os.dup2(file.fileno(), 2)
            status = call()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        return status, file.read().decode("utf-8", "backslashreplace")


def _message_name(files: Any, message: str | None, path: str) -> str:
    """The full name of the wanted message; of the only one when none is named."""
    names = [".".join(filter(None, (file.package, kind.name))) for file in files.file for kind in file.message_type]
    last = files.file[-1]
    own = [".".join(filter(None, (last.package, kind.name))) for kind in last.message_type]
    if message is None and len(own) == 1:
        return own[0]
    found = [name for name in _with_nested(files) if message is not None and (name == message or name.endswith(f".{message}"))]
    if len(found) == 1:
        return found[0]
    raise UsageFailure(
        f"{path}: which message" if message is None else f"{path} has no message {message!r}",
        f"--message is one of {', '.join(own or names)}",
    )


def _with_nested(files: Any) -> list[str]:
    found: list[str] = []

    def walk(prefix: str, kinds: Any) -> None:
        for kind in kinds:
            name = f"{prefix}.{kind.name}" if prefix else kind.name
            found.append(name)
            walk(name, kind.nested_type)

    for file in files.file:
        walk(file.package, file.message_type)
    return found


# -- files -----------------------------------------------------------------------------------------------------------------------


def _need_file(flag: str, path: str) -> None:
    if os.path.isfile(path):
        return
    if path == "topic" or path.startswith("id:") or ("@" in path and "." not in path):
        raise UsageFailure(f"{flag} {path} is in a schema registry, which this version does not ask", f"{flag} FILE takes a file")
    raise Failure(f"{flag}: there is no file {path}", "it takes a file, and no subject of a schema registry")


def _missing(what: str, package: str) -> UsageFailure:
    return UsageFailure(f"{what} needs the package {package}", "pip install 'ev[schemas]'")
