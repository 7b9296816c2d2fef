"""Messages of every class and version as hypothesis draws them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ev.wire.compiler import Field, within
from support.filled_message import BITS, UNSIGNED, inner_class, integer_range, present_fields, without_default_structs

_strategies: dict[tuple[type[Any], int], st.SearchStrategy[Any]] = {}


def any_message(cls: type[Any], version: int) -> st.SearchStrategy[Any]:
    """Messages of one class that one version can express."""
    if (cls, version) not in _strategies:
        fields = {field.name: any_field(cls, field, version) for field in present_fields(cls, version)}
        _strategies[cls, version] = st.builds(cls, **fields).map(without_default_structs)
    return _strategies[cls, version]


def any_field(cls: type[Any], field: Field, version: int) -> st.SearchStrategy[Any]:
    values = any_value(cls, field, version)
    if field.array:
        values = st.lists(values, max_size=3)
    return st.none() | values if within(version, field.null) else values


def any_value(cls: type[Any], field: Field, version: int) -> st.SearchStrategy[Any]:
    match field.kind:
        case "string":
            return st.text(st.characters(codec="utf-8"), max_size=200)
        case "bytes" | "records":
            return st.binary(max_size=300)
        case "uuid":
            return st.binary(min_size=16, max_size=16)
        case "bool":
            return st.booleans()
        case "float64":
            return st.floats(allow_nan=False, allow_infinity=False)
        case kind if kind in BITS or kind in UNSIGNED:
            return st.integers(*integer_range(field))
    return any_message(inner_class(cls, field), version)
