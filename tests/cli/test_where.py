"""--where: what its expressions mean, and what is said about those that mean nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ev_cli.failures import UsageFailure
from ev_cli.where import DEPTH_MAX, places_where
from support.fetched import fetched

NOW = 1_700_000_000_000


def is_wanted(
    text: str, value: bytes | None = b"", key: bytes | None = None, headers: list[tuple[str, bytes | None]] | None = None
) -> bool:
    return places_where(text, NOW)(fetched([value], [key], [headers or []], timestamps=NOW)) == [0]


ORDER = b'{"user":{"id":7,"name":"Ann"},"amount":12.5,"tags":["new","big"],"paid":true,"note":null,"a b":{"c-d":"x"},"count":"42"}'


@pytest.mark.parametrize(
    "text",
    [
        "value.user.id == 7",
        "value.user.id = 7",
        "value.user.id != 8",
        "value.user.id >= 7 and value.user.id <= 7.0",
        "value.amount > 12 and value.amount < 13",
        "value.user.name == 'Ann'",
        'value.user.name == "Ann"',
        "value.user.name ~ '^A.n$'",
        "value.user.name !~ 'Bob|Eve'",
        "value.user['name'] == 'Ann'",
        "value['a b'].c-d == 'x'",
        "value.tags[0] == 'new' and value.tags[-1] == 'big' and value.tags.1 == 'big'",
        "'big' in value.tags",
        "'small' not in value.tags",
        "value.user.id in [1, 7, 9]",
        "value.user.id not in (1, 2)",
        "'nn' in value.user.name and 'id' in value.user",
        "value.paid",
        "value.paid == true",
        "not value.paid == false",
        "value.note is null and value.missing is null and value.user.id.deeper is null",
        "value.user is not null",
        "value.count > 9 and value.count == 42",
        "number(value.count) == 42 and text(value.user.id) == '7'",
        "len(value.tags) == 2 and len(value.user.name) == 3 and len(value.missing) is null",
        "lower(value.user.name) == 'ann' and upper(value.user.name) == 'ANN'",
        "value ~ '\"amount\":12\\.5'",
        "key == 'k-1' and key ~ '-\\d$' and key.x is null",
        "headers.trace == 'abc' and headers['content type'] == 'json' and headers.none is null and headers.gone is null",
        "'trace' in headers and 'other' not in headers",
        "topic == 't' and partition == 3 and offset >= 7 and offset < 8",
        "timestamp == 1700000000000 and timestamp >= '2023-11-14T22:13:20Z' and '2030-01-01' > timestamp and timestamp > '-1h'",
        "false or value.paid and not false",
        "(value.paid || false) && !false",
        "not not value.paid",
        "value.user.name == 'Ann' and (value.user.id == 1 or value.user.id == 7)",
        "'it\\'s' == \"it's\"",
        "-1 < 0 and 1e3 == 1000",
    ],
)
def test_what_is_true(text: str) -> None:
    """Paths, comparisons, lists, patterns, functions, times."""
    assert is_wanted(text, ORDER, b"k-1", [("trace", b"abc"), ("content type", b"json"), ("gone", None)])


@pytest.mark.parametrize(
    "text",
    [
        "value.missing == 1",
        "value.missing < 1",
        "value.missing > 1",
        "value.user.name < 3",
        "value.paid == 1",
        "value.note",
        "value.user == 7",
        "value.user.name ~ '^nn'",
        "headers.missing ~ '.*'",
        "1 in value.missing",
        "value.tags < 3",
    ],
)
def test_what_cannot_be_compared_is_not_true(text: str) -> None:
    """A missing field, a null, a truth value against a number: no error, and not wanted."""
    assert not is_wanted(text, ORDER, b"k")


def test_values_that_are_no_json_have_no_paths() -> None:
    """They are text all the same, whatever bytes they have; a null is null."""
    assert is_wanted("value.a is null and value == 'plain text'", b"plain text")
    assert is_wanted("value ~ 'x$'", b"\xff\xfex")
    assert is_wanted("value is null and key is null", None)
    assert is_wanted("value > 41 and value < 43", b"42")
    assert not is_wanted("value.a == 1", b'{"a":1')
    assert not is_wanted("value.a == 1", b"[" * 100_000)


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("", 1, "expected"),
        ("value.user.id ==", 17, "the end"),
        ("value = 'open", 9, "has no end"),
        ("value.a = 1 value.b = 2", 13, "not expected"),
        ("price > 3", 1, "no field 'price'"),
        ("value..a", 7, "a name is expected"),
        ("value[a] == 1", 7, "a text or a whole number"),
        ("value ~ 'a('", 9, "no regular expression"),
        ("value ~ key", 9, "in quotes"),
        ("value is 3", 10, "null"),
        ("value not 3", 11, "in"),
        ("value == 1x", 10, "no number"),
        ("(value == 1", 12, "')'"),
        ("value in [1, 2", 15, "']'"),
        ("value == #", 10, "'#'"),
        ("offset.a == 1", 1, "nothing inside"),
        ("timestamp > 'soon'", 13, "no point in time"),
        ("__import__('os')", 1, "no field"),
        ("value.__class__()", 16, "not expected"),
        ("value.a(1)", 8, "not expected"),
        ("(" * (DEPTH_MAX + 1), DEPTH_MAX + 1, "nests deeper"),
    ],
)
def test_a_mistake_is_named_with_its_column(text: str, column: int, said: str) -> None:
    """So that it can be found in a long expression; nothing of Python's can be reached."""
    with pytest.raises(UsageFailure) as caught:
        places_where(text, NOW)
    assert f"column {column}:" in caught.value.message
    assert said in caught.value.line()


@settings(deadline=None)
@given(some.text(alphabet="value.key()[]'\"=<>~!&|,-0123456789 andortimestampheaders\\", max_size=40))
def test_any_text_is_an_expression_or_a_usage_error(text: str) -> None:
    """Never anything else, neither when it is read nor when a record is looked at."""
    try:
        places = places_where(text, NOW)
    except UsageFailure:
        return
    assert places(fetched([ORDER, None, b"text"], [b"k", None, b"1"])) in ([], [0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2])


def test_the_places_are_those_of_the_batch() -> None:
    """In order, so that columns can be cut by them."""
    values: list[bytes | None] = [b"%d" % number for number in range(10)]
    assert places_where("value >= 3 and value < 6", NOW)(fetched(values)) == [3, 4, 5]
