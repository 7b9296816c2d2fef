"""Gives a codec function the names that its code uses: shared helpers, `struct` calls, the classes of its module.

The code of a codec function, whether compiled a moment ago (`ev.wire.compiler`) or long before (`ev.wire.ready`), says by name what it
needs: READ_ihB and WRITE_ihB are the unpack and the pack of a struct layout (z stands for `?`), a name of SHARED is what stands here,
any other capitalised name is a class of the module of its message. Everything else that the code names is an attribute or a builtin.
"""

from __future__ import annotations

import sys
from struct import Struct as Layout
from struct import error as struct_error
from struct import pack, unpack_from

from ev.errors import MalformedError
from ev.wire.primitives import ONE_BYTE, ZERO_UUID, encode_uvarint, finish_uvarint, skip_tagged_fields, split_uuids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any, NoReturn

_Function: Any = type(lambda: None)


def refuse_message(name: str, version: int, size: int, problem: object) -> NoReturn:
    raise MalformedError(f"{name} version {version} does not parse in {size} bytes: {problem}") from None


def refuse_length(name: str, length: int) -> NoReturn:
    what = "is null, which is not allowed here" if length == -1 else f"has the length {length}"
    raise MalformedError(f"{name} {what}")


def refuse_count(name: str, count: int, left: int) -> NoReturn:
    raise MalformedError(f"{name} says {count} elements, but {left} bytes are left")


def refuse_elements(name: str) -> NoReturn:
    raise MalformedError(f"{name} and what comes before have more elements and tagged fields than a request may have")


def refuse_tagged_field(tag: int) -> NoReturn:
    raise MalformedError(f"the tagged field {tag} is not as long as it says")


SHARED: dict[str, Any] = {
    "ONE_BYTE": ONE_BYTE,
    "ZERO_UUID": ZERO_UUID,
    "encode_uvarint": encode_uvarint,
    "finish_uvarint": finish_uvarint,
    "new": object.__new__,
    "pack": pack,
    "problems": (struct_error, IndexError, UnicodeDecodeError),
    "refuse_count": refuse_count,
    "refuse_elements": refuse_elements,
    "refuse_length": refuse_length,
    "refuse_message": refuse_message,
    "refuse_tagged_field": refuse_tagged_field,
    "skip_tagged_fields": skip_tagged_fields,
    "split_uuids": split_uuids,
    "unpack_from": unpack_from,
}


def layout_name(verb: str, formats: str) -> str:
    """The name under which code asks for the `struct` call of some formats; the verb is READ or WRITE."""
    return f"{verb}_{formats.replace('?', 'z')}"


def bind(code: CodeType, cls: type[Any]) -> Callable[..., Any]:
    """The function of this code, for messages of this class."""
    module = vars(sys.modules[cls.__module__])
    names: dict[str, Any] = {}
    for name in code.co_names:
        if name in SHARED:
            names[name] = SHARED[name]
        elif name.startswith("READ_"):
            names[name] = Layout(">" + name[5:].replace("z", "?")).unpack_from
        elif name.startswith("WRITE_"):
            names[name] = Layout(">" + name[6:].replace("z", "?")).pack
        elif name[0].isupper() and name in module:
            names[name] = module[name]
    bound: Callable[..., Any] = _Function(code, names, code.co_name, (0,) if code.co_name.startswith("decode") else ())
    return bound
