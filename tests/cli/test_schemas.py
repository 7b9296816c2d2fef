"""Avro and Protobuf by a schema file, without a registry."""

from __future__ import annotations

import io
import json
import pathlib

import pytest

from ev_cli.failures import FAILED, Failure, UsageFailure
from ev_cli.running import Options
from ev_cli.schemas import avro, protobuf
from ev_cli.serdes import DoesNotFitError, serdes_of

fastavro = pytest.importorskip("fastavro")
pytest.importorskip("grpc_tools")

SCHEMA = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "note", "type": ["null", "string"]},
        {"name": "raw", "type": "bytes"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
ORDER = {"id": 7, "note": "caf\u00e9", "raw": b"\xff", "at": 1_700_000_000_000}
PROTO = """
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
message Order { int64 id = 1; string note = 2; repeated Line lines = 3; google.protobuf.Timestamp at = 4;
  message Line { string sku = 1; uint32 count = 2; } }
message Payment { int32 cents = 1; }
"""
# id 7, note "x", one line with sku "a" and count 2
ORDER_BYTES = b"\x08\x07\x12\x01x\x1a\x05\x0a\x01a\x10\x02"


@pytest.fixture
def order_schema(tmp_path: pathlib.Path) -> str:
    path = tmp_path / "order.avsc"
    path.write_text(json.dumps(SCHEMA))
    return str(path)


@pytest.fixture
def shop(tmp_path: pathlib.Path) -> str:
    path = tmp_path / "shop.proto"
    path.write_text(PROTO)
    return str(path)


def encoded() -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(SCHEMA), ORDER)
    return stream.getvalue()


def test_avro_is_shown_as_json(order_schema: str) -> None:
    """Bytes as in headers, times as ISO 8601; with and without what a registry's serializer writes before it."""
    serde = avro("--schema", order_schema)
    wanted = {"id": 7, "note": "caf\u00e9", "raw": {"b64": "/w=="}, "at": "2023-11-14T22:13:20+00:00"}
    assert json.loads(serde.json(encoded())) == wanted
    assert json.loads(serde.text(b"\0\0\0\0\x2a" + encoded())) == wanted


def test_what_is_no_avro_does_not_fit(order_schema: str) -> None:
    """Neither something else, nor a record with something behind it."""
    serde = avro("--schema", order_schema)
    for data in (b"", b"text", encoded()[:-1], encoded() + b"\0"):
        with pytest.raises(DoesNotFitError):
            serde.json(data)


def test_protobuf_is_shown_as_json(shop: str) -> None:
    """The file is compiled with what it imports; the message is named when there are several."""
    serde = protobuf(shop, "Order")
    wanted = {"id": "7", "note": "x", "lines": [{"sku": "a", "count": 2}]}
    assert json.loads(serde.json(ORDER_BYTES)) == wanted
    assert json.loads(serde.json(b"\0\0\0\0\x05\0" + ORDER_BYTES)) == wanted
    assert json.loads(protobuf(shop, "shop.Order.Line").json(b"\x10\x03")) == {"count": 3}
    with pytest.raises(DoesNotFitError):
        serde.json(b"\xff\xff")


def test_mistakes_name_the_file(shop: str, order_schema: str, tmp_path: pathlib.Path) -> None:
    """A message that is not there, a file that is none, a schema that is missing."""
    with pytest.raises(UsageFailure, match="which message") as caught:
        protobuf(shop, None)
    assert "shop.Order, shop.Payment" in caught.value.line()
    with pytest.raises(UsageFailure, match="Refund"):
        protobuf(shop, "Refund")
    (tmp_path / "broken.proto").write_text("message {")
    with pytest.raises(Failure, match="no file") as nothing:
        avro("--schema", str(tmp_path / "nothing.avsc"))
    with pytest.raises(Failure, match="no Avro schema") as other:
        avro("--schema", shop)
    with pytest.raises(Failure, match="does not compile") as broken:
        protobuf(str(tmp_path / "broken.proto"), None)
    assert [found.value.code for found in (nothing, other, broken)] == [FAILED] * 3
    with pytest.raises(UsageFailure, match="needs a schema"):
        serdes_of(Options({"serde": ["value=avro"]}))
    with pytest.raises(UsageFailure, match="needs a schema"):
        serdes_of(Options({"serde": ["value=protobuf"]}))
    with pytest.raises(UsageFailure, match="two schemas"):
        serdes_of(Options({"schema": order_schema, "proto": shop}))


def test_a_schema_file_alone_says_what_the_value_is(shop: str, order_schema: str) -> None:
    """And another one what the key is."""
    key, value = serdes_of(Options({"key_schema": order_schema, "proto": shop, "message": "Order"}))
    assert key is not None
    assert value is not None
    assert (key.name, value.name) == ("avro", "protobuf")
