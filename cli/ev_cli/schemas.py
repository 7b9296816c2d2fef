"""Avro and Protobuf by a schema file, without a registry: what a value says, as JSON.

Needs the optional extra `ev[schemas]`: fastavro reads Avro, protobuf and grpcio-tools compile and read Protobuf. The five bytes with which
a registry's serializers begin are passed over.
"""

from __future__ import annotations

import os

from ev_cli.failures import Failure, UsageFailure
from ev_cli.serdes import DoesNotFitError, Serde

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FRAME = 5
"""A zero and the schema's id."""
COMPILED = (".desc", ".pb", ".protoset", ".binpb")
"""Names of files that hold a compiled set of descriptors."""


def avro(flag: str, path: str) -> Serde:
    """Keys or values by the Avro schema in a file (.avsc)."""
    try:
        from fastavro import schema, schemaless_reader
    except ImportError:
        raise _missing("Avro", "fastavro") from None
    _need_file(flag, path)
    try:
        parsed = schema.load_schema(path)
    except Exception as error:  # noqa: BLE001 - the library raises what its parsing happens to run into
        raise UsageFailure(f"{path} holds no Avro schema: {error}", "it is a JSON file, usually called NAME.avsc") from None

    def read(data: bytes) -> bytes:
        from io import BytesIO

        stream = BytesIO(data)
        found = schemaless_reader(stream, parsed, None)
        if stream.tell() != len(data):
            raise ValueError(f"{len(data) - stream.tell()} bytes are left over")
        return _json(found)

    return _serde("avro", _framed_or_not(read))


def protobuf(path: str, message: str | None) -> Serde:
    """Values by a message of a .proto file, or of a compiled set of descriptors."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
        from google.protobuf.message import DecodeError
    except ImportError:
        raise _missing("Protobuf", "protobuf") from None
    _need_file("--proto", path)
    files = descriptor_pb2.FileDescriptorSet()
    try:
        files.ParseFromString(_compiled(path))
    except DecodeError:
        raise UsageFailure(f"{path} holds no compiled descriptors", "give the .proto file itself") from None
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    name = _message_name(files, message, path)
    cls = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))

    def read(data: bytes) -> bytes:
        try:
            found: str = json_format.MessageToJson(cls.FromString(_without_frame(data)), indent=None, ensure_ascii=False)
        except DecodeError:
            raise DoesNotFitError(f"it is no {name}") from None
        return found.encode()

    return _serde("protobuf", read)


def _serde(name: str, read: Callable[[bytes], bytes]) -> Serde:
    return Serde(name, read, read)


def _framed_or_not(read: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Avro may begin with a zero by itself, so both readings are tried; the frame first, as it is what a registry writes."""

    def tried(data: bytes) -> bytes:
        if data[:1] == b"\0" and len(data) > FRAME:
            try:
                return read(data[FRAME:])
            except Exception:  # noqa: BLE001 - whatever the library raises: it was no frame
                pass
        try:
            return read(data)
        except Exception as error:  # noqa: BLE001 - the library raises what its decoding happens to run into
            raise DoesNotFitError(f"it is not what the schema says ({error or type(error).__name__})") from None

    return tried


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
        status = protoc.main(
            ["protoc", f"-I{folder}", f"-I{own}", f"--descriptor_set_out={out}", "--include_imports", os.path.basename(path)]
        )
        if status:
            raise UsageFailure(f"{path} does not compile", "the lines above say why")
        with open(out, "rb") as file:
            return file.read()


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


def _json(found: Any) -> bytes:
    from json import dumps

    return dumps(found, ensure_ascii=False, separators=(",", ":"), default=_plain).encode()


def _plain(value: Any) -> Any:
    """Avro's logical types for JSON: bytes as in a record's headers, times as ISO 8601, numbers and UUIDs as text."""
    if isinstance(value, bytes):
        import binascii

        return {"b64": binascii.b2a_base64(value, newline=False).decode()}
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _need_file(flag: str, path: str) -> None:
    if not os.path.isfile(path):
        raise UsageFailure(f"{flag}: there is no file {path}")


def _missing(what: str, package: str) -> Failure:
    return Failure(f"{what} needs the package {package}", "pip install 'ev[schemas]'")
