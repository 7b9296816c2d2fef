"""The -f grammar on both sides: records to bytes, bytes to records, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ev.client.fetched import FetchedBatch
from ev.wire.records import encode_batch, read_header
from ev_cli.failures import Failure, UsageFailure
from ev_cli.formats import FormatRenderer, LengthPrefixedRenderer, Renderer, Verb, lex, unescape
from ev_cli.json_in import JsonShaper
from ev_cli.json_out import JsonRenderer
from ev_cli.lines import KeyedShaper, LineSplitter, NullShaper, WholeSplitter
from ev_cli.pretty import PrettyRenderer
from ev_cli.records_in import header, splitter_and_shaper
from support.fetched import fetched

Headers = Sequence[tuple[str, bytes | None]]


def batch_of(
    values: list[bytes | None],
    keys: list[bytes | None] | None = None,
    headers: list[Headers] | None = None,
    topic: str = "t",
    base_offset: int = 7,
) -> FetchedBatch:
    data = encode_batch(values, keys=keys, headers=headers, timestamps=1700000000000, base_offset=base_offset)
    return FetchedBatch(topic, 3, data, 0, read_header(data), base_offset, 99)


def written(form: str, *args: Any, null: bytes = b"", **named: Any) -> bytes:
    return b"".join(FormatRenderer(form, null).pieces(batch_of(*args, **named)))


@pytest.mark.parametrize(
    ("form", "bytes_out"),
    [
        ("%v\\n", b"value\n"),
        ("%s|", b"value|"),
        ("%t/%p@%o %k\\n", b"t/3@7 key\n"),
        ("%T %d", b"1700000000000 1700000000000"),
        ("%V %S %K", b"5 5 3"),
        ("%R%s", b"\0\0\0\5value"),
        ("%V{big32}%v", b"\0\0\0\5value"),
        ("%V{little16}", b"\5\0"),
        ("%V{byte}", b"\5"),
        ("%V{hex8}", b"05"),
        ("%o{ascii}", b"7"),
        ("%T{big16}%t", b"\0\1t"),
        ("%v{hex}", b"76616c7565"),
        ("%v{base64}", b"dmFsdWU="),
        ("%v{base64raw}", b"dmFsdWU"),
        ("%v{json}", b'"value"'),
        ("%h", b"a=1,b="),
        ("%H%h{ %k:%v}", b"2 a:1 b:"),
        ("%d{strftime[%Y]}", b"2023"),
        ("%%%{%}\\t\\x41\\\\", b"%{}\tA\\"),
        ("%] %i", b"99 1"),
        ("%[ %| %e", b"-1 -1 -1"),
        ("%x %y", b"-1 -1"),
        ("%a{compression} %a{compression;number} %a{timestamp-type}", b"none 0 0"),
        ("%a{transactional-bit;bool} %a{control-bit}", b"false 0"),
        ("%o{hex} %o{number} %H{bool}", b"7 7 true"),
        ("%v{unpack[ccs$]}", b"value"),
        ("%v{unpack(>B b)}", b"118 97"),
        ("%k{unpack{>Hc}}", b"27493y"),
        ("%t{hex}", b"74"),
        ("\u2192%v", "\u2192value".encode()),
    ],
)
def test_verbs_write_what_the_manual_says(form: str, bytes_out: bytes) -> None:
    """Each verb and modifier, kcat's and rpk's names alike."""
    assert written(form, [b"value"], [b"key"], [[("a", b"1"), ("b", None)]]) == bytes_out


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("%d{strftime[%F %T %z]}", "2023-11-14 22:13:20 +0000"),
        ("%d{strftime##%H:%M##}", "22:13"),
        ("%d{go[2006-01-02T15:04:05.000Z07:00]}", "2023-11-14T22:13:20.000Z"),
        ("%d{go##Mon Jan _2 15:04:05 MST 2006##}", "Tue Nov 14 22:13:20 UTC 2023"),
        ("%d{go(3:04PM, January 2 06 -0700)}", "10:13PM, November 14 23 +0000"),
        ("%d{go{05.999}}", "20"),
        ("%d{hex}", "18bcfe56800"),
    ],
)
def test_times_are_written_by_a_pattern(form: str, text: str) -> None:
    """strftime's, and Go's, which is one moment in the wanted form."""
    assert b"".join(FormatRenderer(form, utc=True).pieces(batch_of([b"v"]))).decode() == text


def test_a_time_that_no_calendar_has_is_written_as_a_number() -> None:
    """Whatever a producer has sent."""
    assert b"".join(FormatRenderer("%d{strftime[%F]}").pieces(fetched([b"v"], timestamps=1 << 60))) == b"1152921504606846976ms"


def test_null_is_told_from_empty() -> None:
    """--null says how null is written; %S and %R have -1 for it."""
    assert written("%v|%k|%S;", [None, b""], [b"", None], null=b"NULL") == b"NULL||-1;|NULL|0;"
    assert written("%R", [None]) == b"\xff\xff\xff\xff"


def test_records_are_numbered_over_all_batches() -> None:
    """%i counts on."""
    renderer = FormatRenderer("%i ")
    first, second = batch_of([b"a", b"b"]), batch_of([b"c"])
    assert b"".join(renderer.pieces(first) + renderer.pieces(second)) == b"1 2 3 "


@pytest.mark.parametrize(
    "form",
    ["%q", "%", "%v{hex", "%v{wat}", "%v{unpack}", "%v{unpack[w]}", "%a", "%a{wat}", "%d{go}", "%o{wat}", "%h{%o}", "%d{strftime%F}"],
)
def test_what_is_no_format_is_a_usage_error(form: str) -> None:
    """With the verbs that there are."""
    with pytest.raises(UsageFailure):
        written(form, [b"v"])


@pytest.mark.parametrize("verb", ["%D", "%A", "%A{strftime[%F]}"])
def test_what_only_share_groups_have_is_refused(verb: str) -> None:
    """Rather than written as a number that means nothing; the line says where attempts are found."""
    with pytest.raises(UsageFailure, match="share group") as caught:
        lex(f"%v {verb}\\n")
    assert "EV_ATTEMPT" in caught.value.line()


def test_delimiters_may_be_escaped() -> None:
    """As in kcat: \\n \\t \\0 \\xNN."""
    assert unescape("\\n\\t\\0\\x1f|\\q") == b"\n\t\0\x1f|\\q"


def test_the_plain_renderer_gives_the_values_themselves() -> None:
    """No copy, no object per record: the list that was decoded."""
    batch = batch_of([b"a", b""])
    assert Renderer().pieces(batch) is batch.columns.values


@settings(deadline=None)
@given(
    some.lists(some.tuples(some.none() | some.binary(max_size=20), some.none() | some.binary(max_size=20)), min_size=1, max_size=5),
    some.lists(some.tuples(some.text(max_size=5), some.none() | some.binary(max_size=8)), max_size=3),
)
def test_json_lines_come_back_as_the_same_records(rows: list[tuple[bytes | None, bytes | None]], headers: Headers) -> None:
    """Bytes that are no text, nulls, empty values, repeated headers and timestamps survive -J in both directions."""
    keys, values = [key for key, _ in rows], [value for _, value in rows]
    headers = [(name.encode("utf-8", "replace").decode(), value) for name, value in headers]
    lines = JsonRenderer(False).pieces(batch_of(values, keys, [headers] * len(rows)))
    assert all(b"\n" not in line for line in lines)
    columns = JsonShaper().shape(lines)
    assert list(columns.values) == values
    assert columns.keys is not None
    assert list(columns.keys) == keys
    assert columns.headers is not None
    assert [list(found) for found in columns.headers] == [list(headers)] * len(rows)
    assert columns.timestamps == [1700000000000] * len(rows)


@pytest.mark.parametrize(
    ("line", "key", "value", "headers"),
    [
        ('{"key":"k","value":"v","headers":[["a","1"],["b",null]]}', b"k", b"v", [("a", b"1"), ("b", None)]),
        ('{"topic":"t","ts":1,"key":"k","payload":"v","headers":["a","1","b","2"]}', b"k", b"v", [("a", b"1"), ("b", b"2")]),
        ('{"key":"k","value":"v","headers":[{"key":"a","value":"1"}]}', b"k", b"v", [("a", b"1")]),
        ('{"value":{"x": [1, 2]}}', None, b'{"x":[1,2]}', []),
        ('{"key":null,"value":null}', None, None, []),
        ('{"key_b64":"/w==","value_b64":""}', b"\xff", b"", []),
    ],
)
def test_the_envelopes_of_other_tools_are_read(line: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
    """kcat's payload and flat headers, rpk's and kaf's lists of objects, and ev's own."""
    columns = JsonShaper().shape([line.encode()])
    assert list(columns.values) == [value]
    assert columns.keys is not None
    assert list(columns.keys) == [key]
    assert columns.headers is not None
    assert [list(found) for found in columns.headers] == [headers]


def test_embedded_json_is_told_from_text() -> None:
    """--embed-json parses values, and says so where it cannot."""
    lines = JsonRenderer(True).pieces(batch_of([b'{"a":1}', b"no json"]))
    first, second = map(json.loads, lines)
    assert first["value"] == {"a": 1}
    assert second["value"] == "no json"
    assert second["value_is_text"] is True


def test_what_a_person_sees_is_harmless_to_the_terminal() -> None:
    """Escapes in values, keys and headers arrive as text."""
    batch = batch_of([b"\x1b]0;owned\x07", None], [b"\x1b[2J", b"k"], [[("h", b"\x9b1m")], []])
    shown = b"\n".join(PrettyRenderer(False).pieces(batch))
    assert b"\x1b" not in shown
    assert b"\x07" not in shown
    assert b"t/3@7" in shown
    assert b"null" in shown


def test_sized_records_are_cut_by_their_sizes() -> None:
    """lp32 holds any bytes, null and empty apart, also when a block ends within a size."""
    values: list[bytes | None] = [b"a\nb", None, b"", b"\0" * 300]
    data = b"".join(LengthPrefixedRenderer().pieces(batch_of(values)))
    splitter, shaper = splitter_and_shaper("lp32", None, 1 << 20)
    raw = [record for place in range(0, len(data), 7) for record in splitter.feed(data[place : place + 7])]
    assert splitter.finish() == []
    assert list(shaper.shape(raw).values) == values


def test_an_input_that_ends_in_a_record_is_a_failure() -> None:
    """Nothing is guessed about the rest."""
    splitter, _ = splitter_and_shaper("lp32", None, 1 << 20)
    splitter.feed(b"\0\0\0\5abc")
    with pytest.raises(Failure, match="middle of a record"):
        splitter.finish()


@pytest.mark.parametrize(
    ("form", "data", "keys", "values"),
    [
        ("%k %v\\n", b"a 1\nb two words\n", [b"a", b"b"], [b"1", b"two words"]),
        ("%k=%v;", b"a=1;b=2;", [b"a", b"b"], [b"1", b"2"]),
        ("%k{hex} %v{base64}\\n", b"ff YQ==\n", [b"\xff"], [b"a"]),
        ("%K{byte}%k%V{big16}%v", b"\x01k\x00\x02v\n", [b"k"], [b"v\n"]),
        ("%K %V %k%v", b"1 2 kvv3 0 abc", [b"k", b"abc"], [b"vv", b""]),
        ("%v", b"x\ny\n", None, [b"x", b"y"]),
        ("kv", b"k\tv\nw\n", [b"k", None], [b"v", b"w"]),
    ],
)
def test_formats_are_read_back(form: str, data: bytes, keys: list[bytes] | None, values: list[bytes]) -> None:
    """Text with delimiters, fixed and decimal sizes, encodings."""
    splitter, shaper = splitter_and_shaper(form, None, 1 << 20)
    columns = shaper.shape(splitter.feed(data) + splitter.finish())
    assert list(columns.values) == values
    assert columns.keys == keys


def test_topic_partition_and_time_are_read_from_the_input() -> None:
    """%t %p %d."""
    splitter, shaper = splitter_and_shaper("%t %p %d %v\\n", None, 1 << 20)
    columns = shaper.shape(splitter.feed(b"orders 2 1700000000000 v\n"))
    assert (columns.topics, columns.partitions, columns.timestamps) == (["orders"], [2], [1700000000000])


@pytest.mark.parametrize("form", ["%k%v", "%V%v", "nonsense", "%h{%k}", "%o"])
def test_formats_that_cannot_be_read_are_usage_errors(form: str) -> None:
    """Two fields that nothing tells apart, a size without an end, a verb that has no place in input."""
    with pytest.raises(UsageFailure):
        splitter_and_shaper(form, None, 1 << 20)


def test_a_record_of_another_form_is_a_failure() -> None:
    """It is not taken for something that it is not."""
    splitter, shaper = splitter_and_shaper("%k=%v\\n", None, 1 << 20)
    with pytest.raises(Failure):
        shaper.shape(splitter.feed(b"no equals sign\n"))


@settings(deadline=None)
@given(some.binary(max_size=200), some.integers(1, 20), some.sampled_from([b"\n", b"\0", b"ab"]))
def test_lines_do_not_depend_on_blocks(data: bytes, size: int, delimiter: bytes) -> None:
    """However the bytes come, the lines are the same, and nothing is lost or added."""
    splitter = LineSplitter(delimiter)
    lines = [line for place in range(0, len(data), size) for line in splitter.feed(data[place : place + size])] + splitter.finish()
    wanted = data.split(delimiter)
    assert lines == (wanted if wanted[-1] else wanted[:-1])


def test_a_line_without_end_has_a_bound() -> None:
    """It is a failure that names the way out, not all of the memory."""
    splitter = LineSplitter(b"\n", 100)
    splitter.feed(b"x" * 90)
    with pytest.raises(Failure, match="longer than 100"):
        splitter.feed(b"x" * 90)


def test_whole_input_is_one_record() -> None:
    """Newlines included; nothing at all is an empty record."""
    splitter = WholeSplitter()
    assert splitter.feed(b"a\n") + splitter.feed(b"b\n") == []
    assert splitter.finish() == [b"a\nb\n"]
    assert WholeSplitter().finish() == [b""]


def test_empty_is_null_when_it_shall_be() -> None:
    """-Z for keys and values."""
    columns = NullShaper(KeyedShaper(b":"), b"").shape([b"k:", b":v", b"x"])
    assert list(columns.values) == [None, b"v", b"x"]
    assert columns.keys == [b"k", None, None]


@pytest.mark.parametrize(
    ("text", "pair"),
    [("a=b", ("a", b"b")), ("a:b=c", ("a", b"b=c")), ("a=b:c", ("a", b"b:c")), ("a=", ("a", b"")), ("a", ("a", None))],
)
def test_headers_are_cut_at_the_first_sign(text: str, pair: tuple[str, bytes | None]) -> None:
    """kcat writes =, rpk writes a colon."""
    assert header(text) == pair


def test_a_format_falls_into_literals_and_verbs() -> None:
    """Neighbouring literals are one."""
    assert lex("a\\n%%%k{hex}b") == [b"a\n%", Verb("k", "hex"), b"b"]
