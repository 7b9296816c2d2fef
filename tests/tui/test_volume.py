"""Records over time: counted from offsets alone, drawn as bars, and a way to go from bar to bar."""

from __future__ import annotations

import os
import time

from ev_cli.session import Session
from ev_tui.records.volume import BUCKETS, SPAN_MAX_MS, STEPS_MS, Soundings, Volume, bucket_ms_of
from ev_tui.widgets.slider import bars_of, slider_pieces
from support.command_line import CommandLine
from support.terminal_ui import options


def test_buckets_reach_back_over_the_span() -> None:
    """The shortest that do; a day is the most."""
    for span_ms in (0, 1, 59_000, 60_000, 3_600_000, SPAN_MAX_MS):
        bucket_ms = bucket_ms_of(span_ms)
        assert bucket_ms * (BUCKETS - 1) >= min(span_ms, STEPS_MS[-1] * (BUCKETS - 1))
        assert all(step * (BUCKETS - 1) < span_ms for step in STEPS_MS if step < bucket_ms)


def test_one_goes_from_bar_to_bar_over_empty_ones() -> None:
    """Not beyond the first one that has records; behind the last one is the end."""
    volume = Volume(1000, 10, (0, 5, 0, 0, 7, 0))
    assert volume.end_ms == 1060
    assert [volume.moved(1045, steps) for steps in (-1, -10, 1, 10)] == [1010, 1010, 1060, 1060]
    assert volume.moved(1010, 1) == 1040
    assert volume.moved(5, -1) == 1010
    assert [volume.bucket_of(moment) for moment in (999, 1000, 1059, 1060)] == [None, 0, 5, None]


def test_bars_say_where_one_looks() -> None:
    """Something is more than nothing, the most is the highest."""
    assert bars_of((0, 1, 500, 1000)) == "▁▂▅█"
    assert bars_of((0, 0)) == "▁▁"
    text = "".join(text for text, _ in slider_pieces(Volume(0, 60_000, (0, 1, 2, 4)), 120_500))
    assert "▁▃▲█" in text
    assert slider_pieces(None, None)[0][0] == " no records over time yet"


def test_a_cluster_is_asked_for_offsets_and_for_no_record(one_engine: CommandLine) -> None:
    """The bars have all records, each where its time is; what is known is not asked again."""
    topic = f"v{os.urandom(4).hex()}"
    one_engine("topic", "create", topic, "-p", "2", "-q")
    soundings = Soundings(Session(options(bootstrap=one_engine("server", "status", "--json").json["address"], quiet=True)), [topic])
    now_ms = int(time.time() * 1000)
    assert soundings.take(now_ms) is None
    for minutes, count in ((30, 3), (10, 5), (0, 2)):
        lines = b"x\n" * count
        one_engine("produce", topic, "--partitioner", "rr", "--timestamp", str(now_ms - minutes * 60_000), data=lines)
    volume = soundings.take(now_ms)
    assert volume is not None
    assert volume.bucket_ms == 60_000
    assert sum(volume.counts) == 10
    for minutes, count in ((30, 3), (10, 5), (0, 2)):
        place = volume.bucket_of(now_ms - minutes * 60_000)
        assert place is not None
        assert volume.counts[place] == count
    one_engine("produce", topic, data=b"new\n")
    again = soundings.take(now_ms)
    assert again is not None
    assert sum(again.counts) == 11
    soundings.close()
