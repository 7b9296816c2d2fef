"""Decisions about handlers: what a status means, when to try again, what may run at once, what a pipe's readers show."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ev_cli import __main__ as start
from ev_cli.actions.redrive import Replay, replay_of
from ev_cli.commit import FILE, OTHER, PIPE, SOCKET, TERMINAL, commit_mode
from ev_cli.failures import Failure, UsageFailure
from ev_cli.handler import size_of
from ev_cli.handler_answers import answer_of
from ev_cli.handler_processes import BadArgumentError, filled_in
from ev_cli.handler_rules import BROKEN, DEAD, DONE, RETRY, Lanes, Retries, meaning_of
from ev_cli.into import State
from ev_cli.pipe import PARKED, UNKNOWN, WORKING, Holder, verdict
from ev_cli.stages import text_for


@pytest.mark.parametrize(("status", "meaning"), [(0, DONE), (65, DEAD), (75, RETRY), (1, RETRY), (-9, RETRY), (126, BROKEN), (127, BROKEN)])
def test_what_a_status_means(status: int, meaning: str) -> None:
    """0 done, 65 bad data, 126 and 127 no command, anything else: again."""
    assert meaning_of(status) == meaning


@given(some.integers(0, 20), some.integers(0, 60), some.integers(1, 5000), some.integers(0, 100_000), some.floats(0, 1))
def test_pauses_double_up_to_their_bound(most: int, attempts: int, low_ms: int, more_ms: int, chance: float) -> None:
    """And each is a random part of it; after the last attempt there is none."""
    pause_ms = Retries(most, low_ms, low_ms + more_ms).pause_ms(attempts, chance)
    if attempts > most:
        assert pause_ms is None
    else:
        assert pause_ms is not None
        assert 0 <= pause_ms <= min(low_ms + more_ms, low_ms * 2 ** max(0, attempts - 1)) * chance


@given(some.lists(some.integers(0, 4), max_size=40), some.integers(1, 6), some.integers(1, 4), some.integers(0, 2**32))
def test_records_of_a_lane_are_handled_one_after_another(lanes_of: list[int], most: int, workers: int, seed: int) -> None:
    """In their order, whatever works at once and in whatever order work ends; and nothing is forgotten."""
    chance = random.Random(seed)
    lanes = Lanes()
    for number, lane in enumerate(lanes_of):
        lanes.put(lane, (lane, number))
    running: list[tuple[list[object], list[tuple[int, int]]]] = []
    handled: list[tuple[int, int]] = []
    while lanes.count or running:
        while len(running) < workers and lanes.count:
            names, items = lanes.take(most)
            if not items:
                break
            assert len(items) <= most
            busy = {lane for others, _ in running for lane in others}
            assert not busy & set(names)
            running.append((list(names), items))
        names, items = running.pop(chance.randrange(len(running)))
        handled += items
        lanes.release(list(names))
    assert sorted(handled) == sorted((lane, number) for number, lane in enumerate(lanes_of))
    for lane in set(lanes_of):
        numbers = [number for found, number in handled if found == lane]
        assert numbers == sorted(numbers)


def holder(wait: str, pid: int = 10, parent: int = 1, **seen: object) -> Holder:
    values: dict[str, object] = {"state": "S", "threads": 1, **seen}
    return Holder(pid, parent, wait=wait, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("holders", "shows"),
    [
        ([], UNKNOWN),
        ([holder("anon_pipe_read")], PARKED),
        ([holder("pipe_read")], PARKED),
        ([holder("pipe_read", state="R")], WORKING),
        ([holder("hrtimer_nanosleep")], WORKING),
        ([holder("do_wait")], WORKING),
        ([holder("pipe_read", threads=2)], UNKNOWN),
        ([holder("pipe_read", elsewhere=True)], UNKNOWN),
        ([holder("another pipe", elsewhere=True)], WORKING),
        ([holder("pipe_read", steady=False)], UNKNOWN),
        ([holder("do_sys_poll")], UNKNOWN),
        ([holder("ep_poll")], UNKNOWN),
        ([holder("0")], UNKNOWN),
        ([holder("do_wait"), holder("pipe_read", 11, 10)], PARKED),
        ([holder("do_wait"), holder("do_wait", 11, 10), holder("pipe_read", 12, 11)], PARKED),
        ([holder("do_wait"), holder("pipe_read", 11, 1)], WORKING),
        ([holder("do_wait"), holder("hrtimer_nanosleep", 11, 10)], WORKING),
        ([holder("pipe_read"), holder("pipe_read", 11)], PARKED),
        ([holder("pipe_read"), holder("hrtimer_nanosleep", 11)], WORKING),
    ],
)
def test_what_the_readers_of_a_pipe_show(holders: list[Holder], shows: str) -> None:
    """Parked is a proof: all of them wait for more, and for nothing else."""
    assert verdict(holders) == shows


@pytest.mark.parametrize(
    ("asked", "stdout", "platform", "mode"),
    [
        (None, PIPE, "linux", "drained"),
        (None, PIPE, "darwin", "end"),
        (None, SOCKET, "linux", "end"),
        (None, FILE, "linux", "written"),
        (None, TERMINAL, "linux", "written"),
        (None, OTHER, "linux", "written"),
        ("proven", PIPE, "linux", "proven"),
        ("written", PIPE, "linux", "written"),
        ("none", PIPE, "linux", "none"),
    ],
)
def test_the_commit_mode_of_a_run(asked: str | None, stdout: str, platform: str, mode: str) -> None:
    """Only where nothing better is to be had is there a remark."""
    found, remark = commit_mode(asked, stdout, platform)
    assert found == mode
    assert bool(remark) == (mode == "end")


def test_draining_needs_a_pipe() -> None:
    """Asked for in words, it is refused where it cannot be."""
    with pytest.raises(UsageFailure, match="pipe"):
        commit_mode("drained", FILE, "linux")
    with pytest.raises(UsageFailure, match="pipe"):
        commit_mode("proven", PIPE, "darwin")


def test_the_remark_about_several_stages_holds_the_command_that_loses_nothing() -> None:
    """As it would be typed."""
    text = text_for([["jq", "-c", ".a b"], ["./handler"]], ["consume", "t", "-g", "g"])
    assert "when jq has taken them" in text
    assert """ev consume t -g g --batch 100 -- sh -c 'jq -c '"'"'.a b'"'"' | ./handler'""" in text
    assert "sh -c 'jq . | \\u2026'" in text_for([["jq", "."], ["bash"]], ["consume"]).encode("unicode_escape").decode()


@pytest.mark.parametrize(
    ("line", "answer"), [(b"ok", ("ok", "")), (b"ok \r", ("ok", "")), (b"retry", ("retry", "")), (b"dead no id", ("dead", "no id"))]
)
def test_answers(line: bytes, answer: tuple[str, str]) -> None:
    """A word, and for the dead a reason."""
    assert answer_of(line) == answer


@pytest.mark.parametrize("line", [b"", b"OK", b"yes", b"\x1b[31m"])
def test_what_is_no_answer_ends_the_run(line: bytes) -> None:
    """With status 7."""
    with pytest.raises(Failure, match="answered") as raised:
        answer_of(line)
    assert raised.value.code == 7


def test_templates_are_filled_in_once() -> None:
    """What a record holds is not looked through for templates; what no argument can hold is said."""
    parts: dict[str, bytes | None] = {
        "{}": b"{key}",
        "{key}": b"k",
        "{topic}": b"t",
        "{partition}": b"0",
        "{offset}": b"7",
        "{timestamp}": b"1",
    }
    assert filled_in(["cmd", "a={}", "{key}{offset}", "{x}"], parts) == ["cmd", "a={key}", "k7", "{x}"]
    with pytest.raises(BadArgumentError, match="NUL"):
        filled_in(["cmd", "{}"], {**parts, "{}": b"a\0b"})


@pytest.mark.parametrize(("text", "size"), [("8MiB", 8 << 20), ("64KB", 64_000), ("1000", 1000), ("1k", 1024)])
def test_sizes(text: str, size: int) -> None:
    assert size_of(text, "--buffer") == size


@pytest.mark.parametrize("text", ["", "MiB", "0", "8 parsecs", "-1"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageFailure, match="--buffer"):
        size_of(text, "--buffer")


def test_a_dead_letter_goes_back_without_its_headers() -> None:
    """To where it came from, with the time that it had; counted."""
    headers = [("a", b"1"), ("ev-dlq-topic", b"orders"), ("ev-dlq-timestamp", b"123"), ("ev-dlq-error", b"x"), ("ev-replay-count", b"2")]
    replay = replay_of(headers, 999, None, 3)
    assert isinstance(replay, Replay)
    assert (replay.topic, replay.timestamp, replay.headers) == ("orders", 123, [("a", b"1"), ("ev-replay-count", b"3")])
    assert "3 times" in str(replay_of([*headers[:-1], ("ev-replay-count", b"3")], 999, None, 3))
    assert "ev-dlq-topic" in str(replay_of([("a", b"1")], 999, None, 3))
    other = replay_of([("a", b"1")], 999, "there", 3)
    assert isinstance(other, Replay)
    assert (other.topic, other.timestamp) == ("there", 999)


def test_the_state_of_a_file_comes_back() -> None:
    """And what is none is said with its name."""
    state = State(7, {("t", 1): 5, ("a", 0): 9})
    again = State.from_json(state.to_json(), "x.state")
    assert (again.length, again.offsets) == (7, {("t", 1): 5, ("a", 0): 9})
    for text in ("", "[]", '{"version": 1}', "{"):
        with pytest.raises(Failure, match=r"x\.state"):
            State.from_json(text, "x.state")


@pytest.mark.parametrize(
    ("typed", "seen"),
    [
        (["t", "--", "cmd", "-x"], ["t", "--handler=cmd", "--handler=-x"]),
        (["t", "--", "cmd", "--", ""], ["t", "--handler=cmd", "--handler=--", "--handler="]),
        (["t", "-D", "--", "-e"], ["t", "-D", "--", "-e"]),
        (["t", "-D--", "--", "cmd"], ["t", "-D--", "--handler=cmd"]),
        (["t", "--delimiter", "--", "--", "cmd"], ["t", "--delimiter", "--", "--handler=cmd"]),
        (["t", "-e", "--", "cmd"], ["t", "-e", "--handler=cmd"]),
    ],
)
def test_the_words_of_a_handler(typed: list[str], seen: list[str]) -> None:
    """What stands behind the first -- that is no option's value."""
    table = start.table_of("consume")
    assert table is not None
    assert start.with_handler(table[""], typed) == seen
