"""Where reading begins and ends, durations, and points in time: as kcat, rpk and people write them."""

from __future__ import annotations

import pytest

from ev_cli.failures import UsageFailure
from ev_cli.positions import END, OFFSET, START, STORED, TIME, Position, parse_range
from ev_cli.times import duration_ms, local_text, span_text, timestamp_ms

NOW = 1_700_000_000_000


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("start", Position(START), None),
        ("beginning", Position(START), None),
        ("earliest", Position(START), None),
        ("oldest", Position(START), None),
        ("end", Position(END), None),
        ("latest", Position(END), None),
        ("stored", Position(STORED), None),
        ("12", Position(OFFSET, 12), None),
        ("12:20", Position(OFFSET, 12), Position(OFFSET, 20)),
        ("12:", Position(OFFSET, 12), None),
        (":20", None, Position(OFFSET, 20)),
        ("5:end", Position(OFFSET, 5), Position(END)),
        (":end", None, Position(END)),
        (":end-3", None, Position(END, -3)),
        ("-5", Position(END, -5), None),
        ("+5", Position(START, 5), None),
        ("start+5", Position(START, 5), None),
        ("end-5", Position(END, -5), None),
        ("@1700000000", Position(TIME, NOW), None),
        ("@1700000000000:1700000001000", Position(TIME, NOW), Position(TIME, NOW + 1000)),
        ("@-1h", Position(TIME, NOW - 3_600_000), None),
        ("@-1h:-30m", Position(TIME, NOW - 3_600_000), Position(TIME, NOW - 1_800_000)),
        ("@-1h:end", Position(TIME, NOW - 3_600_000), Position(END)),
        ("@:now", None, Position(TIME, NOW)),
        ("@2023-11-14T22:13:20Z", Position(TIME, NOW), None),
        ("@2023-11-14T22:13:20Z:@2023-11-14T22:13:21+00:00", Position(TIME, NOW), Position(TIME, NOW + 1000)),
        ("@2023-11-14T22:13:20Z:1h", Position(TIME, NOW), Position(TIME, NOW + 3_600_000)),
        ("@-2d:12h", Position(TIME, NOW - 172_800_000), Position(TIME, NOW - 129_600_000)),
        ("@2h", Position(TIME, NOW - 7_200_000), None),
        ("s@1700000000000", Position(TIME, NOW), None),
        ("s@1700000000000,e@1700000001000", Position(TIME, NOW), Position(TIME, NOW + 1000)),
    ],
)
def test_offsets_as_people_write_them(text: str, begin: Position | None, end: Position | None) -> None:
    """The union of what kcat and rpk understand."""
    assert parse_range(text, NOW) == (begin, end)


@pytest.mark.parametrize("text", ["", ":", "x", "1:x", "--5", "@", "@x", "@1:2:3", "s@x", "1-2", ":stored", "5 "])
def test_what_is_no_offset_is_a_usage_error(text: str) -> None:
    """With the forms that there are."""
    with pytest.raises(UsageFailure, match="-o"):
        parse_range(text, NOW)


@pytest.mark.parametrize(
    ("text", "ms"), [("500ms", 500), ("10s", 10_000), ("5", 5_000), ("1h30m", 5_400_000), ("2d", 172_800_000), ("0.5s", 500)]
)
def test_durations(text: str, ms: int) -> None:
    """A bare number is seconds."""
    assert duration_ms(text) == ms


@pytest.mark.parametrize("text", ["", "s", "5x", "1h 5m", "-1s", "1.2.3s"])
def test_what_is_no_duration_is_a_usage_error(text: str) -> None:
    """With an example."""
    with pytest.raises(UsageFailure, match="no duration"):
        duration_ms(text)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("now", NOW),
        ("1700000000", NOW),
        ("1700000000000", NOW),
        ("1700000000000000000", NOW),
        ("2023-11-14T22:13:20Z", NOW),
        ("2023-11-14T23:13:20+01:00", NOW),
        ("-90s", NOW - 90_000),
        ("2d12h", NOW - 216_000_000),
    ],
)
def test_points_in_time(text: str, ms: int) -> None:
    """Seconds, milliseconds, nanoseconds by their number of digits; RFC 3339; before now."""
    assert timestamp_ms(text, NOW) == ms


@pytest.mark.parametrize("text", ["12", "yesterdayish", "2023-13-01", "170000000000"])
def test_what_is_no_time_is_a_usage_error(text: str) -> None:
    """Also a number whose digits fit no unit."""
    with pytest.raises(UsageFailure, match="no point in time"):
        timestamp_ms(text, NOW)


def test_times_without_a_zone_are_utc_when_asked_for() -> None:
    """In both directions; a time with a zone means what it says."""
    assert timestamp_ms("2023-11-14T22:13:20", 0, utc=True) == NOW
    assert timestamp_ms("20231114", 0, utc=True) == timestamp_ms("2023-11-14T00:00:00Z", 0)
    assert timestamp_ms("today", NOW, utc=True) == timestamp_ms("2023-11-14", 0, utc=True)
    assert timestamp_ms("2023-11-14T23:13:20+01:00", 0, utc=True) == NOW
    assert local_text(NOW, utc=True) == "2023-11-14T22:13:20.000+00:00"


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (0, "0ms"),
        (999, "999ms"),
        (1500, "1.500s"),
        (123_000, "2m03s"),
        (3_720_000, "1h02m"),
        (273_600_000, "3d04h"),
        (-1500, "-1.500s"),
    ],
)
def test_spans_of_time_for_a_person(span: int, text: str) -> None:
    """Two units, as far as they matter."""
    assert span_text(span) == text
