"""JSON becomes Avro or Protobuf by a schema file, and what is shown of either comes back as it was, byte for byte."""

from __future__ import annotations

import io
import json
import math
import pathlib
import random
import struct
import uuid
from decimal import Decimal
from typing import Any

import pytest

from ev_cli.lines import Malformed
from ev_cli.running import Options
from ev_cli.schemas import Schema, avro, protobuf
from ev_cli.serializers import serializers_of
from support.command_line import CommandLine

fastavro = pytest.importorskip("fastavro")
pytest.importorskip("grpc_tools")
from fastavro.utils import generate_many  # noqa: E402

LOGICAL = {
    "date": "int",
    "time-millis": "int",
    "time-micros": "long",
    "timestamp-millis": "long",
    "timestamp-micros": "long",
    "local-timestamp-millis": "long",
    "local-timestamp-micros": "long",
    "uuid": "string",
}
EVERYTHING = {
    "type": "record",
    "name": "Everything",
    "namespace": "shop.v1",
    "fields": [
        {"name": "flag", "type": "boolean"},
        {"name": "small", "type": "int"},
        {"name": "large", "type": "long"},
        {"name": "half", "type": "float"},
        {"name": "whole", "type": "double"},
        {"name": "text", "type": "string"},
        {"name": "raw", "type": "bytes"},
        {"name": "hash", "type": {"type": "fixed", "name": "Hash", "size": 5}},
        {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["NEW", "OPEN", "DONE"]}},
        {"name": "list", "type": {"type": "array", "items": ["null", "string"]}},
        {"name": "sums", "type": {"type": "map", "values": {"type": "array", "items": "long"}}},
        {"name": "next", "type": ["null", "Everything"]},
        {"name": "id", "type": ["null", "int", "long", "string"]},
        {
            "name": "one",
            "type": [{"type": "record", "name": "A", "fields": [{"name": "x", "type": "int"}]}, {"type": "map", "values": "int"}],
        },
        {"name": "either", "type": ["string", {"type": "long", "logicalType": "timestamp-millis"}, "State", "Hash", "A"]},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 3}},
        {"name": "fixed_price", "type": {"type": "fixed", "name": "P", "size": 9, "logicalType": "decimal", "precision": 20, "scale": 2}},
        *[{"name": name.replace("-", "_"), "type": {"type": kind, "logicalType": name}} for name, kind in LOGICAL.items()],
    ],
}
ORDER = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "raw", "type": "bytes", "default": "\u00ff\u0001"},
        {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [{"name": "n", "type": "int"}]}}},
        {"name": "sums", "type": {"type": "map", "values": "int"}, "default": {"a": 1}},
    ],
}
PROTO = """
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "google/protobuf/any.proto";
message Order {
  int64 id = 1; string note = 2; repeated Line lines = 3; google.protobuf.Timestamp at = 4; map<string, int32> sums = 5; bytes raw = 6;
  float half = 7; double whole = 8; State state = 9; oneof who { string name = 10; uint32 number = 11; } optional bool flag = 12;
  google.protobuf.Any any = 13; int32 long_name = 14;
  message Line { string sku = 1; uint32 count = 2; }
  enum State { NEW = 0; OPEN = 1; }
}
"""


def schema_file(directory: pathlib.Path, schema: Any) -> str:
    path = directory / "schema.avsc"
    path.write_text(json.dumps(schema))
    return str(path)


@pytest.fixture
def order(tmp_path: pathlib.Path) -> str:
    return schema_file(tmp_path, ORDER)


@pytest.fixture
def shop(tmp_path: pathlib.Path) -> str:
    path = tmp_path / "shop.proto"
    path.write_text(PROTO)
    return str(path)


def written(schema: Any, value: Any) -> bytes:
    """By the library, which writes a pair as that branch of a union."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), value)
    return stream.getvalue()


def back(schema: Schema, data: bytes) -> bytes:
    """Shown and read again, as a line and as a part of a record's JSON."""
    text = schema.json(data)
    found = schema.serializer()(text)
    assert schema.serializer()(json.dumps(json.loads(text), indent=1).encode()) == found
    return found


# -- Avro ------------------------------------------------------------------------------------------------------------------------


def test_avro_comes_back_byte_for_byte(tmp_path: pathlib.Path) -> None:
    """Every type, logical ones, types that hold themselves, and unions whose branches look the same in JSON."""
    schema = avro("--schema", schema_file(tmp_path, EVERYTHING))
    parsed = fastavro.parse_schema(EVERYTHING)
    for value in generate_many(parsed, 20):
        value["small"] = random.randrange(-70, 70)
        for number, name in enumerate(("time_millis", "time_micros", "date", "timestamp_micros", "local_timestamp_micros")):
            value[name] = random.randrange(1 << 16) + number
        value["uuid"] = random.choice([str(uuid.uuid4()), str(uuid.uuid4()).upper(), uuid.uuid4().hex])
        value["price"] = Decimal(random.randrange(-(10**12), 10**12)).scaleb(-3)
        value["fixed_price"] = Decimal(random.randrange(-(10**12), 10**12)).scaleb(-2)
        value["id"] = random.choice([None, ("int", 7), ("long", 7), ("string", "7")])
        value["one"] = random.choice([("shop.v1.A", {"x": 1}), ("map", {"x": 1}), ("map", {})])
        value["either"] = random.choice(
            [("string", "NEW"), ("shop.v1.State", "NEW"), ("shop.v1.Hash", b"12345"), ("long", 1), ("string", "")]
        )
        value["next"] = None
        outer = {**value, "next": ("shop.v1.Everything", value)}
        data = written(EVERYTHING, outer)
        assert back(schema, data) == data


def test_a_union_says_its_branch_only_where_it_must(tmp_path: pathlib.Path) -> None:
    """And takes both forms, whichever it shows."""
    clear = avro("--schema", schema_file(tmp_path, ["null", "string", "long"]))
    assert (clear.json(b"\2\2a"), clear.json(b"\4\2"), clear.json(b"\0")) == (b'"a"', b"1", b"null")
    assert [clear.serializer()(text) for text in (b'"a"', b'{"string":"a"}', b"a", b"1", b'{"long":1}', b"null")] == [
        b"\2\2a",
        b"\2\2a",
        b"\2\2a",
        b"\4\2",
        b"\4\2",
        b"\0",
    ]
    (tmp_path / "two").mkdir()
    unclear = avro("--schema", schema_file(tmp_path / "two", ["null", "int", "long"]))
    assert (unclear.json(b"\2\2"), unclear.json(b"\4\2"), unclear.json(b"\0")) == (b'{"int":1}', b'{"long":1}', b"null")
    serialize = unclear.serializer()
    assert [serialize(text) for text in (b'{"int":1}', b'{"long":1}', b"1", b"4294967296")] == [
        b"\2\2",
        b"\4\2",
        b"\2\2",
        written("long", 1 << 32).join([b"\4", b""]),
    ]


def test_numbers_that_json_lacks_are_texts(tmp_path: pathlib.Path) -> None:
    """NaN and the infinities, both ways."""
    schema = avro("--schema", schema_file(tmp_path, {"type": "array", "items": "double"}))
    data = written({"type": "array", "items": "double"}, [math.nan, math.inf, -math.inf, 1.5])
    assert json.loads(schema.json(data)) == ["NaN", "Infinity", "-Infinity", 1.5]
    assert back(schema, data) == data


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ('{"id":1,"lines":[]}', {"id": 1, "note": None, "raw": b"\xff\1", "lines": [], "sums": {"a": 1}}),
        (
            '"{\\"id\\":2,\\"note\\":\\"x\\",\\"lines\\":[{\\"n\\":3}]}"',
            {"id": 2, "note": "x", "raw": b"\xff\1", "lines": [{"n": 3}], "sums": {"a": 1}},
        ),
        ('{"id":3.0,"raw":{"b64":""},"lines":[],"sums":{}}', {"id": 3, "raw": b"", "lines": [], "sums": {}}),
    ],
)
def test_what_is_missing_has_its_default(order: str, text: str, data: Any) -> None:
    """A text that holds the JSON is as good, as `consume -J` shows a value that is JSON."""
    assert avro("--schema", order).serializer()(text.encode()) == written(ORDER, data)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"id":"x","lines":[]}', 'id is "x", which is no long'),
        ('{"id":9223372036854775808,"lines":[]}', "id is 9223372036854775808, which is no long"),
        ('{"id":true,"lines":[]}', "id is true"),
        ('{"lines":[]}', "id is missing, and has no default"),
        ('{"id":1,"lines":[{"n":1},{"n":1.5}]}', "lines[1].n is 1.5, which is no int"),
        ('{"id":1,"lines":[{"n":1,"m":2}]}', "lines[0] has a field 'm', and record Line has n"),
        ('{"id":1,"lines":[],"sums":{"b":null}}', "sums.b is null, which is no int"),
        ('{"id":1,"lines":[],"note":7}', "note is 7, which is no value of any of null, string"),
        ('{"id":1,"lines":[],"raw":"text"}', 'raw is "text", which is no bytes, as in {"b64"'),
        ('{"id":1,"lines":[],"raw":{"b64":"?"}}', "raw is"),
        ('{"id":1,"lines":[],"note":"\\ud800"}', "note is"),
        ("[1]", "it is [1], which is no record Order"),
        ("nonsense", "no JSON"),
    ],
)
def test_what_does_not_fit_is_told_with_its_field(order: str, text: str, said: str) -> None:
    """Never anything but a line that says where."""
    with pytest.raises(Malformed) as caught:
        avro("--schema", order).serializer()(text.encode())
    assert said in caught.value.line()


@pytest.mark.parametrize(
    ("kind", "meaning", "text", "number"),
    [
        ("int", "date", '"1970-01-03"', 2),
        ("int", "date", "-1", -1),
        ("int", "time-millis", '"00:00:01.5"', 1500),
        ("long", "timestamp-millis", '"1970-01-01T01:00:00.001+01:00"', 1),
        ("long", "timestamp-micros", '"1969-12-31T23:59:59.999999Z"', -1),
        ("long", "local-timestamp-millis", '"1970-01-01T00:00:01"', 1000),
        ("int", "date", '"1970-01-03T00:00"', None),
        ("int", "time-millis", '"00:00:00.0001"', None),
        ("long", "timestamp-millis", '"yesterday"', None),
        ("long", "local-timestamp-millis", '"1970-01-01T00:00:01Z"', None),
    ],
)
def test_times_are_texts_or_numbers(tmp_path: pathlib.Path, kind: str, meaning: str, text: str, number: int | None) -> None:
    """What is finer than the type, or no time, does not fit."""
    serialize = avro("--schema", schema_file(tmp_path, {"type": kind, "logicalType": meaning})).serializer()
    if number is None:
        with pytest.raises(Malformed):
            serialize(text.encode())
    else:
        assert serialize(text.encode()) == written(kind, number)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("1.5", 150),
        ('"-0.01"', -1),
        ("0", 0),
        ("12345", None),
        ("999.99", 99999),
        ("1.234", None),
        ('"1E2"', 10000),
        ('"1E+999999999"', None),
        ('"NaN"', None),
        ('"x"', None),
        ('"1E-999999999"', None),
        ("-1.28", -128),
        ("1.28", 128),
        ("true", None),
        ('{"b64":"AQ=="}', 1),
    ],
)
def test_decimals_are_exact(tmp_path: pathlib.Path, text: str, digits: int | None) -> None:
    """Too many digits, before the point or behind it, do not fit, however they are written."""
    serialize = avro(
        "--schema", schema_file(tmp_path, {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2})
    ).serializer()
    if digits is None:
        with pytest.raises(Malformed):
            serialize(text.encode())
        return
    data = serialize(text.encode())
    assert int.from_bytes(data[1:], "big", signed=True) == digits
    assert len(data) == 2 + (digits > 127 or digits < -128) + (digits > 32767)


@pytest.mark.parametrize(
    ("meaning", "kind", "value", "shown"),
    [
        ({"logicalType": "date"}, "int", 10**8, 10**8),
        ({"logicalType": "time-millis"}, "int", 10**9, 10**9),
        ({"logicalType": "timestamp-micros"}, "long", -(1 << 62), -(1 << 62)),
        ({"logicalType": "decimal", "precision": 3, "scale": 1}, "bytes", b"\x01\xe2\x40", {"b64": "AeJA"}),
        ({"logicalType": "decimal", "precision": 3, "scale": 1}, "bytes", b"\x03\xe7", "99.9"),
        ({"logicalType": "uuid"}, "string", "no uuid", "no uuid"),
    ],
)
def test_what_no_calendar_has_is_shown_bare(tmp_path: pathlib.Path, meaning: dict[str, Any], kind: str, value: Any, shown: Any) -> None:
    """And comes back, but for text that its schema calls a UUID and that is none."""
    schema = avro("--schema", schema_file(tmp_path, {"type": kind, **meaning}))
    data = written(kind, value)
    assert json.loads(schema.json(data)) == shown
    if kind != "string":
        assert back(schema, data) == data


def test_a_zero_at_the_beginning_is_no_frame_by_itself(tmp_path: pathlib.Path) -> None:
    """What has been written without one is read without one, also where the other reading would fit; and a registry's still is."""
    fields = [{"name": "note", "type": ["null", "string"]}, {"name": "raw", "type": "bytes"}]
    kind = {"type": "record", "name": "R", "fields": fields}
    schema = avro("--schema", schema_file(tmp_path, kind))
    data = written(kind, {"note": None, "raw": b"abc\0\2x"})
    assert written(kind, {"note": None, "raw": b"x"}) == data[-3:]
    assert back(schema, data) == data
    framed = b"\0\0\0\0\7" + written(kind, {"note": "a", "raw": b"b"})
    assert [json.loads(schema.json(framed))["note"] for _ in range(3)] == ["a"] * 3
    assert json.loads(schema.json(b"\0\0\0\0\7" + data))["note"] is None


# -- Protobuf ----------------------------------------------------------------------------------------------------------------------


def test_protobuf_comes_back_byte_for_byte(shop: str) -> None:
    """Times, maps, bytes, numbers that JSON lacks, enums, oneofs, what is set to its default, a message within Any."""
    schema = protobuf(shop, "Order")
    text = {
        "id": "-7",
        "note": "caf\u00e9",
        "lines": [{"sku": "a", "count": 2}, {}],
        "at": "2026-01-31T12:00:00.000000001Z",
        "sums": {"b": 1, "a": -2},
        "raw": "/w==",
        "half": 0.1,
        "whole": "NaN",
        "state": "OPEN",
        "number": 0,
        "flag": False,
        "any": {"@type": "type.googleapis.com/shop.Order.Line", "sku": "x"},
        "longName": 1,
    }
    data = schema.serializer()(json.dumps(text).encode())
    assert json.loads(schema.json(data)) == text
    assert back(schema, data) == data
    assert schema.serializer()(b'{"long_name": 1}') == schema.serializer()(b'{"longName": 1}') == b"\x70\1"
    assert schema.serializer()(b"{}") == b""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"id":"x"}', "id"),
        ('{"nope":1}', "nope"),
        ('{"lines":[{"count":-1}]}', "count"),
        ('{"at":"yesterday"}', "at"),
        ('{"name":"a","number":1}', "who"),
        ("[]", "it is no shop.Order"),
        ("x", "no JSON"),
    ],
)
def test_what_is_no_message_is_told_with_its_field(shop: str, text: str, said: str) -> None:
    """In one line."""
    with pytest.raises(Malformed) as caught:
        protobuf(shop, "Order").serializer()(text.encode())
    assert said in caught.value.line()
    assert "\n" not in caught.value.line()


def test_an_unknown_type_within_any_does_not_fit(shop: str) -> None:
    """It cannot be shown, and that is said."""
    with pytest.raises(ValueError, match="other"):
        protobuf(shop, "Order").json(b"\x6a\x17\x0a\x15type.googleapis/other")


# -- the command -----------------------------------------------------------------------------------------------------------------


def test_what_consume_shows_produce_takes(ev: CommandLine, order: str, shop: str, tmp_path: pathlib.Path) -> None:
    """As JSON lines and as plain ones, keys and values, nulls and times; from rows, from an envelope, from a file."""
    keys = str(tmp_path / "key.avsc")
    pathlib.Path(keys).write_text('"string"')
    both = ("--key-schema", keys, "--schema", order)
    lines = "".join(f'k {number}\t{{"id":{number},"note":"n","lines":[{{"n":{number}}}]}}\n' for number in range(20))
    ev("produce", "a", "-K", "\\t", *both, data=lines.encode())
    ev("produce", "a", "-J", data=b'{"key":null,"value":null,"timestamp":1700000000000,"headers":[["h",null]]}\n')
    shown = ev("consume", "a", "-e", "-J", *both).out
    ev("produce", "b", "-J", *both, data=shown)
    plain = ev("consume", "a", "-e", "-K", "\\t", *both).out
    ev("produce", "c", "-K", "\\t", "-Z", *both, data=plain)
    form = "%k{hex} %K %v{hex} %S %h"
    raw = ev("consume", "a", "-e", "-f", f"{form} %d\\n").lines
    assert ev("consume", "b", "-e", "-f", f"{form} %d\\n").lines == raw
    assert raw[-1] == " 0  -1 h= 1700000000000"
    assert ev("consume", "c", "-e", "-f", "%k{hex} %v{hex}\\n").lines[:20] == [
        " ".join((line.split()[0], line.split()[2])) for line in raw[:20]
    ]
    assert raw[0].startswith("066b2030 4 ")

    ev("produce", "p", "-f", "csv", "--proto", shop, "--message", "Order", data=b'id,note,lines,flag\n7,x,"[{""sku"":""a""}]",true\n8,,,\n')
    assert ev("consume", "p", "-e", "--proto", shop, "--message", "Order").lines == [
        '{"id": "7", "note": "x", "lines": [{"sku": "a"}], "flag": true}',
        '{"id": "8"}',
    ]
    ev("produce", "p", "-f", "csv", "--schema", order, data=b'id,note,lines\n7,8,"[{""n"":1}]"\n')
    assert json.loads(ev("consume", "p", "-o", "-1", "-e", "--schema", order).out)["note"] == "8"
    ev("produce", "p", "-s", "key=protobuf,value=string", "--proto", shop, "--message", "Line", "-k", '{"sku":"k"}', "--value", "v")
    assert ev("consume", "p", "-o", "-1", "-e", "-f", "%k{hex} %v").out == b"0a016b v"


def test_what_does_not_fit_stops_or_is_left_out_or_goes_elsewhere(ev: CommandLine, order: str) -> None:
    """The line and the field are named; what came before it is sent."""
    data = b'{"id":1,"lines":[]}\n{"id":2,"lines":[{"n":"x"}]}\n{"id":3,"lines":[]}\n'
    done = ev("produce", "t", "--schema", order, data=data, status=1)
    assert 'line 2, byte 20: not what the schema says: lines[0].n is "x", which is no int; acked 1 of 1' in done.err
    done = ev("produce", "u", "--schema", order, "--on-error", "skip", data=data, status=1)
    assert "2 of 3 records acknowledged, 1 skipped" in done.err
    assert "lines[0].n" in done.err
    ev("produce", "v", "--schema", order, "--on-error", "dlq=dead", data=data)
    assert ev("consume", "dead", "-e").out == data.splitlines(keepends=True)[1]
    assert [json.loads(line)["id"] for line in ev("consume", "v", "-e", "--schema", order).lines] == [1, 3]
    done = ev("produce", "t", "-J", "--key-schema", order, "--schema", order, data=b'{"key":{"id":1},"value":null}\n', status=1)
    assert "line 1, byte 0: the key: not what the schema says: lines is missing" in done.err
    done = ev("produce", "t", "-J", "--schema", order, data=b'{"value_b64":"AA=="}\n', status=1)
    assert "value_b64 holds bytes" in done.err
    done = ev("produce", "t", "-k", "x", "--key-schema", order, "--value", "v", status=2)
    assert "ev: -k: no JSON" in done.err


@pytest.mark.parametrize(
    ("arguments", "said", "status"),
    [
        (("--schema", "no.avsc"), "--schema: there is no file no.avsc", 1),
        (("--schema", "id:7"), "--schema id:7 is in a schema registry, which this version does not ask", 2),
        (("--key-schema", "topic"), "--key-schema topic is in a schema registry", 2),
        (("--schema", "orders@3"), "--schema orders@3 is in a schema registry", 2),
        (("--schema", "orders-value"), "there is no file orders-value: it takes a file, and no subject of a schema registry", 1),
        (("--proto", "no.proto"), "--proto: there is no file no.proto", 1),
        (("--schema", __file__), "holds no Avro schema", 1),
        (("--proto", __file__), "does not compile", 1),
        (("-s", "protobuf"), "-s value=protobuf needs a schema: --proto FILE.proto", 2),
        (("-s", "jsonschema"), "-s jsonschema asks a schema registry", 2),
        (("--schema", "a", "--proto", "b"), "two schemas of the value", 2),
    ],
)
def test_a_schema_that_is_none_is_said_at_once(one_engine: CommandLine, arguments: tuple[str, ...], said: str, status: int) -> None:
    """In one line, before anything is read or sent: 2 for what cannot be meant, 1 for a file that is missing or wrong."""
    done = one_engine("produce", "schemas", *arguments, data=b"x\n", status=status)
    assert said in done.err
    assert done.err.count("\n") == 1


def test_without_the_extra_pip_is_named(tmp_path: pathlib.Path, order: str, shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, exit status 2, reading and writing."""
    for module in ("fastavro", "google", "google.protobuf"):
        (tmp_path / module.replace(".", "/")).mkdir()
        (tmp_path / module.replace(".", "/") / "__init__.py").write_text("raise ImportError('it is not installed')\n")
    command_line = CommandLine(tmp_path, PYTHONPATH=str(tmp_path))
    for verb in ("produce", "consume"):
        for flags in (("--schema", order), ("--proto", shop)):
            done = command_line(verb, "t", *flags, status=2)
            assert "pip install 'ev[schemas]'" in done.err
            assert done.err.count("\n") == 1
    assert not command_line.data_dir.exists()


def test_serializers_are_chosen_as_serdes_are(order: str, shop: str) -> None:
    """By a schema file alone, or by -s."""
    key, value = serializers_of(Options({"key_schema": order, "proto": shop, "message": "Order"}))
    assert key is not None
    assert value is not None
    assert value(b"{}") == b""
    key, value = serializers_of(Options({"serde": ["key=i32be,value=unpack:>i,q", "value=string"]}))
    assert key is not None
    assert (key(b"1"), value) == (struct.pack(">i", 1), None)
