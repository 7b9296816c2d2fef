"""Turns messages into bytes and back, in any version: `decode`, `encode`, `encode_parts`.

A message class (in `ev.wire.messages`) stands for all versions of a message: fields that a version does not have keep their
default when they are decoded and are left out when they are encoded. The functions that do the work are compiled when a version
is used for the first time (`ev.wire.compiler`), about a millisecond each; those that a short-lived command needs were compiled
before (`ev.wire.ready`). Hot paths ask for them once with `decoder` and `encoder`.
"""

from __future__ import annotations

from ev.errors import ErrorCode, KafkaError
from ev.wire import ready
from ev.wire.binding import bind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, TypeVar

    from ev.wire.primitives import Buffer

    T = TypeVar("T", bound="Struct")

_decoders: dict[tuple[type[Any], int], Callable[..., Any]] = {}
_encoders: dict[tuple[type[Any], int], Callable[..., Any]] = {}


class Struct:
    """A message or a part of one. Two are equal when they are of one class and all their fields are."""

    __slots__: ClassVar[tuple[str, ...]] = ()
    SCHEMA: ClassVar[str]

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in type(self).__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in type(self).__slots__)
        return f"{type(self).__name__}({fields})"


class Message(Struct):
    """A struct that travels alone: a request, a response, the key or value of a record."""

    __slots__ = ()
    VERSIONS: ClassVar[tuple[int, int]]
    """The first and the last version."""
    FLEXIBLE: ClassVar[int | None]
    """The first version with compact lengths and tagged fields; None when no version has them."""


if TYPE_CHECKING:
    M = TypeVar("M", bound=Message)


def decode(cls: type[M], version: int, buffer: Buffer, position: int = 0) -> tuple[M, int]:
    """The message at `position` and the position after it. Raises MalformedError."""
    return (_decoders.get((cls, version)) or decoder(cls, version))(buffer, position)


def encode(message: Message, version: int) -> bytes:
    """The message as one piece."""
    cls = type(message)
    return b"".join((_encoders.get((cls, version)) or encoder(cls, version))(message))


def encode_parts(message: Message, version: int) -> list[Buffer]:
    """The message as buffers to send one after the other; record batches are passed on as they are, without a copy."""
    cls = type(message)
    return (_encoders.get((cls, version)) or encoder(cls, version))(message)


def decoder(cls: type[M], version: int) -> Callable[[Buffer, int], tuple[M, int]]:
    """What `decode` calls for this class and version."""
    made = _decoders.get((cls, version))
    if made is None:
        require_version(cls, version)
        made = _decoders[cls, version] = make(cls, version, "decode")
    return made


def encoder(cls: type[M], version: int) -> Callable[[M], list[Buffer]]:
    """What `encode_parts` calls for this class and version."""
    made = _encoders.get((cls, version))
    if made is None:
        require_version(cls, version)
        made = _encoders[cls, version] = make(cls, version, "encode")
    return made


def make(cls: type[Message], version: int, verb: str) -> Callable[..., Any]:
    """The function that does it: out of `ev.wire.ready` when it is there, else compiled now."""
    code = ready.code(verb, cls.__name__, version)
    if code is None:
        from ev.wire.compiler import compile_code  # noqa: PLC0415 - what a short-lived command needs is ready

        code = compile_code(cls, version, verb)
    return bind(code, cls)


def require_version(cls: type[Message], version: int) -> None:
    low, high = cls.VERSIONS
    if not low <= version <= high:
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, f"{cls.__name__} has the versions {low} to {high}, not {version}")
