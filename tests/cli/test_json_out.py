"""Records as JSON: what stands in a line, and that the same record can be made of it again."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ev_cli.failures import Failure, UsageFailure
from ev_cli.json_in import JsonShaper
from ev_cli.json_out import JsonRenderer, embedded, fields_of
from ev_cli.running import Options
from ev_cli.serdes import serde_of, serdes_of
from support.fetched import Headers, fetched

texts = some.text(max_size=12).map(lambda text: text.encode("utf-8", "replace"))
data = some.none() | some.binary(max_size=12) | texts | some.sampled_from([b"\x7f", b"a\x7fb", b'"\\', b"\n\r\t\0", b"%d %b", b"\xc3", b""])
header_lists = some.lists(some.tuples(texts.map(bytes.decode), data), max_size=3)
rows_of_records = some.lists(some.tuples(data, data, header_lists, some.integers(0, 1 << 50)), min_size=1, max_size=6)


@settings(deadline=None)
@given(rows_of_records)
def test_what_json_says_comes_back_byte_for_byte(rows: list[tuple[bytes | None, bytes | None, Headers, int]]) -> None:
    """Keys, values, nulls, headers (repeated ones and nulls among them), timestamps, bytes that are no UTF-8."""
    keys, values, headers, timestamps = map(list, zip(*rows, strict=True))
    lines = JsonRenderer().pieces(fetched(values, keys, headers, timestamps=timestamps))
    assert not any(b"\n" in line for line in lines)
    columns = JsonShaper().shape(lines)
    assert list(columns.values) == values
    assert list(columns.keys or ()) == keys
    assert [list(found) for found in columns.headers or ()] == headers
    assert columns.timestamps == timestamps


@settings(deadline=None)
@given(rows_of_records)
def test_every_line_says_what_the_manual_says(rows: list[tuple[bytes | None, bytes | None, Headers, int]]) -> None:
    """Eight members in their order; a text under its name, other bytes under name_b64."""

    def named(name: str, found: bytes | None) -> dict[str, Any]:
        try:
            return {name: None if found is None else found.decode()}
        except UnicodeDecodeError:
            return {f"{name}_b64": base64.b64encode(found or b"").decode()}

    keys, values, headers, timestamps = map(list, zip(*rows, strict=True))
    lines = JsonRenderer().pieces(fetched(values, keys, headers, timestamps=timestamps, topic='t"%d', base_offset=5))
    for place, line in enumerate(lines):
        found = json.loads(line)
        shown = [[name, *named("b64", value).values()] for name, value in headers[place]]
        assert list(found)[:5] == ["topic", "partition", "offset", "timestamp", "timestamp_type"]
        assert len(found) == 8
        assert [[name, value["b64"] if isinstance(value, dict) else value] for name, value in found.pop("headers")] == shown
        assert found == {
            "topic": 't"%d',
            "partition": 3,
            "offset": 5 + place,
            "timestamp": timestamps[place],
            "timestamp_type": "create",
            **named("key", keys[place]),
            **named("value", values[place]),
        }


@pytest.mark.parametrize(
    ("value", "members"),
    [
        (b'{"a": 1.50, "a": 2}', b'"value":{"a": 1.50, "a": 2}'),
        (b'{\n "a": [1,\r\n2]\n}', b'"value":{  "a": [1,  2] }'),
        (b"123456789012345678901234567890", b'"value":123456789012345678901234567890'),
        (b'"text"', b'"value":"text"'),
        (b"null", b'"value":"null","value_is_text":true'),
        (b"NaN", b'"value":"NaN","value_is_text":true'),
        (b"{a}", b'"value":"{a}","value_is_text":true'),
        (b"", b'"value":"","value_is_text":true'),
        (b"\xff", b'"value_b64":"/w==","value_is_text":true'),
        (None, b'"value":null'),
    ],
)
def test_embedded_json_keeps_its_digits_and_order(value: bytes | None, members: bytes) -> None:
    """It stands there as it was produced, on one line; what is no JSON says that it is text, and so does null, which is no tombstone."""
    (line,) = JsonRenderer(True, ("value",)).pieces(fetched([value]))
    assert line == b"{%b}" % members


def test_deep_json_is_text() -> None:
    """Nothing that a producer sends ends the run."""
    assert embedded(b"[" * 100_000) is None


def test_some_fields_in_the_order_that_was_asked_for() -> None:
    """By name or by the letter of the format's verb."""
    (line,) = JsonRenderer(fields=fields_of("v,key,o")).pieces(fetched([b"v"], [b"k"]))
    assert line == b'{"value":"v","key":"k","offset":7}'
    assert JsonRenderer(fields=("partition",)).pieces(fetched([b"a", b"b"])) == [b'{"partition":3}'] * 2
    with pytest.raises(UsageFailure, match="wat"):
        fields_of("key,wat")


@pytest.mark.parametrize(
    ("name", "value", "text", "in_json"),
    [
        ("i32be", b"\0\0\1\0", b"256", b"256"),
        ("i32le", b"\0\1\0\0", b"256", b"256"),
        ("i64be", b"\xff" * 8, b"-1", b"-1"),
        ("u64be", b"\xff" * 8, b"18446744073709551615", b"18446744073709551615"),
        ("u8", b"\xff", b"255", b"255"),
        ("i16le", b"\xfe\xff", b"-2", b"-2"),
        ("f64be", b"\x3f\xf8" + bytes(6), b"1.5", b"1.5"),
        ("f32be", b"\x7f\x80\0\0", b"inf", b'"inf"'),
        ("hex", b"\0\xff", b"00ff", b'"00ff"'),
        ("base64", b"\0\xff", b"AP8=", b'"AP8="'),
        ("json", b'{"a":\n1}', b'{"a": 1}', b'{"a": 1}'),
        ("unpack:<iQs", b"\1\0\0\0" + b"\2" + bytes(7) + b"rest", b"1 2 rest", b'[1, 2, "rest"]'),
        ("unpack:>h h$", b"\0\1\0\2", b"1 2", b"[1, 2]"),
        ("unpack:>q", bytes(7) + b"\5", b"5", b"5"),
    ],
)
def test_bytes_are_shown_by_a_serde(name: str, value: bytes, text: bytes, in_json: bytes) -> None:
    """As text, and as what stands in JSON."""
    serde = serde_of(name)
    assert serde is not None
    assert (serde.text(value), serde.json(value)) == (text, in_json)


def test_what_does_not_fit_a_serde_is_named_with_its_place() -> None:
    """Nothing is guessed, nothing is passed over."""
    with pytest.raises(Failure, match=r"the value of t/3@8 does not fit -s: i32be has 4 bytes, not 3"):
        JsonRenderer(value_serde=serde_of("i32be")).pieces(fetched([b"1234", b"123"]))


def test_serdes_for_key_and_value() -> None:
    """One for each; a name alone is for the value."""
    key, value = serdes_of(Options({"serde": ["key=hex,value=i32be"]}))
    assert key is not None
    assert value is not None
    assert (key.name, value.name) == ("hex", "i32be")
    key, value = serdes_of(Options({"serde": ["key=u8", "base64"]}))
    assert key is not None
    assert value is not None
    assert (key.name, value.name) == ("u8", "base64")
    assert serdes_of(Options({"serde": ["key=string"]})) == (None, None)
