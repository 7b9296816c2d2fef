"""Avro's dates, times, decimals and UUIDs, from the texts that stand in JSON to bytes."""

from __future__ import annotations

from ev_cli.avro_in import MisfitError, misfit, raw_bytes, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Encode = Callable[[Any], bytes]

_DAY = 86_400_000_000
_UNITS = {"millis": 1000, "micros": 1}
"""How many microseconds one of them has."""
_LIMITS = {"int": 1 << 31, "long": 1 << 63}


def encoder_of_logical(name: str, schema: Any) -> Encode:
    """By the name of the type and what it means, such as `int-date`."""
    if name == "string-uuid":
        return _uuid
    kind, _, meaning = name.partition("-")
    if meaning == "decimal":
        return _decimal(kind, schema)
    limit = _LIMITS[kind]
    number_of = {"date": _days, "time": _time, "timestamp": _timestamp, "local": _local}[meaning.partition("-")[0]]
    unit = _UNITS.get(meaning.rpartition("-")[2], _DAY)

    def encode(value: Any) -> bytes:
        number = value
        if type(value) is str:
            try:
                number, rest = divmod(number_of(value), unit)
            except (ValueError, OverflowError):
                raise misfit(value, f"{meaning} (ISO 8601)") from None
            if rest:
                raise MisfitError(f"is {value!r}, which is finer than {meaning}")
        if type(number) is not int or not -limit <= number < limit:
            raise misfit(value, meaning)
        return whole(number)

    return encode


# -- microseconds of texts -----------------------------------------------------------------------------------------------------


def _days(text: str) -> int:
    from datetime import date

    return (date.fromisoformat(text).toordinal() - date(1970, 1, 1).toordinal()) * _DAY


def _time(text: str) -> int:
    from datetime import time

    found = time.fromisoformat(text)
    if found.tzinfo is not None:
        raise ValueError("a time of day has no zone")
    return ((found.hour * 60 + found.minute) * 60 + found.second) * 1_000_000 + found.microsecond


def _timestamp(text: str) -> int:
    """Without a zone it is local, as everywhere on the command line."""
    from datetime import UTC, datetime

    return _since_1970(datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None))


def _local(text: str) -> int:
    from datetime import datetime

    found = datetime.fromisoformat(text)
    if found.tzinfo is not None:
        raise ValueError("a local timestamp has no zone")
    return _since_1970(found)


def _since_1970(moment: Any) -> int:
    from datetime import datetime, timedelta

    return int((moment - datetime(1970, 1, 1)) // timedelta(microseconds=1))


# -- others --------------------------------------------------------------------------------------------------------------------


def _uuid(value: Any) -> bytes:
    """Capitals, and dashes that are left out, stay so."""
    from uuid import UUID

    try:
        if type(value) is not str or UUID(value) is None:
            raise ValueError
    except ValueError:
        raise misfit(value, "uuid") from None
    data = value.encode()
    return whole(len(data)) + data


def _decimal(kind: str, schema: Any) -> Encode:
    """Bytes or a fixed number of them, which are the digits as a whole number; {"b64": …} is these bytes themselves."""
    scale, precision, size = schema.get("scale", 0), schema["precision"], schema.get("size")
    wanted = f"decimal of {precision} digits, {scale} behind the point"

    def encode(value: Any) -> bytes:
        if type(value) is dict:
            data = raw_bytes(value, wanted)
        else:
            number = _digits(value, scale, precision)
            if number is None:
                raise misfit(value, wanted)
            least = (number if number >= 0 else ~number).bit_length() // 8 + 1
            data = number.to_bytes(max(least, size or 0), "big", signed=True)
        if size is not None and len(data) != size:
            raise MisfitError(f"has {len(data)} bytes, and its type {size}")
        return data if kind == "fixed" else whole(len(data)) + data

    return encode


def _digits(value: Any, scale: int, precision: int) -> int | None:
    """The number without its point, which stands before the last `scale` digits; None when it does not fit."""
    from decimal import Decimal, InvalidOperation

    if type(value) not in (str, int, float):
        return None
    try:
        sign, digits, exponent = Decimal(value if type(value) is str else repr(value)).as_tuple()
    except InvalidOperation:
        return None
    if not isinstance(exponent, int):
        return None  # infinite, or no number
    text = "".join(map(str, digits)).lstrip("0")
    shift = exponent + scale
    if len(text) + shift > precision or text[shift:].strip("0" if shift < 0 else text):
        return None if text else 0
    found = int(text[:shift] if shift < 0 else text + "0" * shift) if text else 0
    return -found if sign else found
