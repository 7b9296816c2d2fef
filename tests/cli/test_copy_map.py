"""ev copy --map: a process that answers each record with another one, and loses none, whatever becomes of it."""

from __future__ import annotations

import json
import pathlib
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ev_cli.carriers import Piece
from ev_cli.lines import Malformed
from ev_cli.mapping import Mapping, mapped
from support.command_line import CommandLine
from support.fetched import fetched
from support.waiting import wait_for

Fresh = Callable[[str], str]
Row = tuple[int, int, bytes | None, bytes | None, Any]

SLOW = 'while read -r line; do sleep 0.02; echo "$line"; done'
"""Answers at once, fifty records a second."""


def piece_of(values: list[bytes | None], keys: list[bytes | None]) -> Piece:
    return Piece.of(fetched(values, keys=keys))


def rows_of(piece: Piece, *lines: str) -> list[tuple[list[Row], int, int, bool]]:
    """(records, next offset, how many were asked for, other keys) of each piece that the lines make."""
    return [
        (list(zip(p.offsets, p.timestamps, p.keys, p.values, p.headers, strict=True)), p.next_offset, p.taken, p.is_rekeyed)
        for p in mapped(piece, [line.encode() for line in lines])
    ]


def test_what_an_answer_does_not_say_stays_as_it_was() -> None:
    """Value, key, headers, time; bytes come as base64, and another tool's envelope will do. null and nothing drop the record."""
    piece = piece_of([b"a", b"\xff", None, b"d"], [b"k", None, b"\xfe", b"k"])
    first, time_ms = piece.offsets[0], piece.timestamps[0]
    found = rows_of(
        piece, "{}", '{"value":null,"headers":[["h",null]]}', '{"value_b64":"/w==","timestamp":5}', '{"payload":"p","partition":9}'
    )
    assert found == [
        (
            [
                (first, time_ms, b"k", b"a", piece.headers[0]),
                (first + 1, time_ms, None, None, [("h", None)]),
                (first + 2, 5, b"\xfe", b"\xff", piece.headers[2]),
                (first + 3, time_ms, b"k", b"p", piece.headers[3]),
            ],
            first + 4,
            4,
            False,
        )
    ]
    assert [row[1:] for row in rows_of(piece, "null", "", " ", "null\r")] == [(first + 4, 4, False)]
    for line in ("1", "nonsense", '["a"]', '{"headers":7}', '{"value_b64":"?"}'):
        with pytest.raises(Malformed):
            rows_of(piece.part(0, 1), line)


def test_records_with_another_key_are_told_from_those_with_their_own() -> None:
    """They go where the key says; every record of the source is counted once, and offsets go on behind each piece."""
    piece = piece_of([b"v"] * 6, [b"k"] * 6)
    first = piece.offsets[0]
    found = rows_of(piece, "null", '{"key":"k"}', '{"key":"x"}', "", '{"key":null}', "{}")
    assert [(len(rows), next_offset - first, taken, other) for rows, next_offset, taken, other in found] == [
        (1, 2, 2, False),
        (2, 5, 3, True),
        (1, 6, 1, False),
    ]


def test_partitions_that_others_read_are_not_answered_for() -> None:
    """What a process says about a record that is no longer ours is passed over; the rest comes in order."""
    mapping = Mapping("sed -u 's/:\"v/:\"w/'", None)
    try:
        mine, other = piece_of([b"v1", b"v2"], [None, None]), piece_of([b"v3"], [None])
        other.partition = mine.partition + 1
        for piece in (mine, other, piece_of([b"v4"], [None])):
            mapping.put(piece)
        mapping.forget([(other.topic, other.partition)])
        assert mapping.unanswered == 3
        mapping.end_input()
        found = []
        while not mapping.has_ended:
            found += [value for piece in mapping.exchange(50) for value in piece.values]
        assert found == [b"w1", b"w2", b"w4"]
        assert mapping.exchange(0) == []
    finally:
        mapping.close()


def test_what_is_passed_over_takes_no_room() -> None:
    """Batches of which nothing is wanted count as read with the record before them, however many come while it has no answer."""
    mapping = Mapping("cat", None)
    try:
        for number in range(100):
            for piece in (piece_of([b"v"], [None]), piece_of([b"w"], [None])) if number == 0 else (piece_of([b"x"], [None]),):
                empty = piece if number == 0 else piece.part(0, 0)
                empty.next_offset = 1000 + number
                mapping.put(empty)
        mapping.end_input()
        found = []
        while not mapping.has_ended:
            found += [(len(piece), piece.next_offset) for piece in mapping.exchange(50)]
        assert found == [(1, 1000), (1, 1099)]
    finally:
        mapping.close()


def test_records_are_changed_on_their_way(either: CommandLine, fresh: Fresh) -> None:
    """Once each, in order, with what the answer does not say; the process runs once, and -n is how many it is given."""
    source, target = fresh("from"), fresh("to")
    either("topic", "create", source, "-p", "2")
    either("produce", source, "-K", ":", "-H", "h=1", data=b"".join(b"k%d:%d\n" % (number % 7, number) for number in range(3000)))
    done = either(
        "copy", source, target, "-e", "--create=2", "--map", 'sed \'s/"value":"\\([0-9]*\\)5"/"value":"five"/;/"value":"[0-9]*7"/s/.*//\''
    )
    assert "copied 2,700 records" in done.err
    assert "300 dropped by --map" in done.err
    rows = either("consume", source, "-e", "-J").lines
    there = [[row["partition"], row["key"], row["value"], row["headers"], row["timestamp"]] for row in map(json.loads, rows)]
    wanted = [row if row[2][-1] != "5" else [*row[:2], "five", *row[3:]] for row in there if row[2][-1] != "7"]
    rows = either("consume", target, "-e", "-J").lines
    found = [[row["partition"], row["key"], row["value"], row["headers"], row["timestamp"]] for row in map(json.loads, rows)]
    assert [row for row in found if row[0] == 0] == [row for row in wanted if row[0] == 0]
    assert [row for row in found if row[0] == 1] == [row for row in wanted if row[0] == 1]
    counted, group = fresh("counted"), fresh("group")
    script = either.directory / "count.py"
    script.write_text(
        "import json, sys\n"
        "for number, row in enumerate(map(json.loads, sys.stdin)):\n"
        "    print(json.dumps({'value': f'{number} {row[\"partition\"]} {row[\"offset\"]}', 'key': 'one'}))\n"
    )
    command = f"{sys.executable} {script}"
    for _ in range(2):
        done = either("copy", source, counted, "-n", "40", "-g", group, "--create=2", "--map", command)
        assert "copied 40 records" in done.err
    lines = [line.split() for line in either("consume", counted, "-e", "-f", "%p %v\\n").lines]
    assert [line[1] for line in lines] == [str(number) for number in range(40)] * 2
    assert len({line[0] for line in lines}) == 1, "they have one key"
    assert len({tuple(line[2:]) for line in lines}) == 80


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("head -n 10", 7, "--map 'head -n 10' ended with status 0"),
        ("head -n 10; exit 3", 7, "ended with status 3"),
        ("head -n 10; kill -9 $$", 7, "was killed by signal 9"),
        ('head -n 10; printf \'{"value": "half\'; kill -9 $$', 7, "was killed by signal 9"),
        ("head -n 10; echo nonsense; cat", 7, "answered {source}/0@10 with what is no record: no JSON"),
        ("head -n 10; exec >&-; sleep 30", 7, "has closed its stdout"),
    ],
)
@pytest.mark.parametrize("is_exact", [True, False])
def test_a_command_that_fails_loses_nothing(
    one_engine: CommandLine, ev: CommandLine, fresh: Fresh, command: str, status: int, said: str, is_exact: bool
) -> None:
    """What it has answered is there and committed, nothing else is; with the group it goes on, within one cluster and between two."""
    source, target, group = fresh("from"), fresh("to"), fresh("group")
    one_engine("produce", source, data=b"".join(b"%d\n" % number for number in range(500)))
    target_place = target
    if not is_exact:
        (one_engine.directory / "config.toml").write_text(f'[contexts.same]\nbootstrap = ["{one_engine.address}"]\n')
        target_place = f"same/{target}"
    done = one_engine("copy", source, target_place, "-g", group, "-e", "--create=1", "--map", command, status=status)
    assert said.format(source=source) in done.err
    assert "copied 10 records" in done.err
    assert one_engine.json("group", "describe", group)["total_lag"] == 490
    one_engine("copy", source, target_place, "-g", group, "-e", "--map", "cat")
    assert one_engine("consume", target, "-e").lines == [str(number) for number in range(500)]


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("no-such-command", 127, "ended with status 127"),
        ("exit 0", 7, "ended with status 0"),
        ("sed p", 7, "answered more lines than it was given records: one line for each"),
        ("cat; exit 9", 7, "--map 'cat; exit 9' ended with status 9"),
        ("", 2, "--map has no command"),
    ],
)
def test_a_command_that_cannot_map_is_said(one_engine: CommandLine, fresh: Fresh, command: str, status: int, said: str) -> None:
    """With the exit status of the manual."""
    source = fresh("from")
    one_engine("produce", source, data=b"a\nb\n")
    assert said in one_engine("copy", source, f"{source}.to", "-e", "--create=1", "--map", command, status=status).err


def test_a_filter_that_keeps_its_lines_is_told_of(one_engine: CommandLine, fresh: Fresh) -> None:
    """Its last answers come when its input ends; while more may come a line says what to do. Ctrl-C commits what was answered."""
    source, group = fresh("from"), fresh("group")
    one_engine("produce", source, data=b"a\nb\n")
    copier = one_engine.start("copy", source, f"{source}.to", "-g", group, "--create=1", "--map", "sed -n p")
    copier.wait_for(b"jq --unbuffered")
    copier.signal(signal.SIGINT)
    done = copier.end()
    assert done.status == 130
    assert "copied 0 records" in done.err
    assert "copied 2 records" in one_engine("copy", source, f"{source}.to", "-g", group, "-e", "--map", "sed -n p").err


def test_memory_is_bounded_when_the_command_is_slow(one_engine: CommandLine, fresh: Fresh) -> None:
    """No more is read than the process takes; a second of it is enough to see."""
    source = fresh("from")
    one_engine("topic", "create", source, "-q")
    for _ in range(3):
        one_engine("produce", source, data=(b"x" * 1000 + b"\n") * 20_000)
    copier = one_engine.start("copy", source, f"{source}.to", "--create=1", "-e", "--map", SLOW)
    wait_for(lambda: one_engine("consume", f"{source}.to", "-e", "-n", "1", "--idle", "1s", status=None).out, "the first answer")
    status = pathlib.Path(f"/proc/{copier.process.pid}/status")
    if status.exists():
        peak_kb = int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1])
        assert peak_kb < 150_000
    copier.signal(signal.SIGTERM)
    assert copier.end().status == 143


@pytest.mark.slow
def test_a_command_that_does_not_get_on_keeps_nobody_from_the_group(one_engine: CommandLine, fresh: Fresh) -> None:
    """Another copy joins at once, gets its partitions, and copies what the first was given of them and has not answered."""
    source, group = fresh("from"), fresh("group")
    one_engine("topic", "create", source, "-p", "2", "-q")
    one_engine("topic", "create", f"{source}.to", "-p", "2", "-q")
    for partition in "01":
        one_engine("produce", source, "-p", partition, data=(b"x" * 1000 + b"\n") * 6000)
    stuck = one_engine.start("copy", source, f"{source}.to", "-g", group, "--transactional-id", f"{group}-1", "--map", "sleep 600")
    described = ("group", "describe", group, "--json")
    wait_for(lambda: f"{group}-1".encode() in one_engine(*described, status=None).out, "the first copy to be a member")
    other = one_engine.start("copy", source, f"{source}.to", "-g", group, "--transactional-id", f"{group}-2", "--map", "cat")
    wait_for(lambda: len(one_engine("consume", f"{source}.to", "-e").lines) == 6000, "the other copy to have copied a partition")
    assert len({line.split()[0] for line in one_engine("consume", f"{source}.to", "-e", "-f", "%p\\n").lines}) == 1
    for copier in (stuck, other):
        copier.signal(signal.SIGTERM)
        assert copier.end().status == 143


@pytest.mark.slow
def test_a_copy_that_is_killed_maps_each_record_once(ev: CommandLine) -> None:
    """Within one cluster: whatever is killed, the copy or its command, each record is there once, mapped."""
    ev("up", "-q")
    ev("topic", "create", "from", "-p", "2")
    ev("topic", "create", "to", "-p", "2")
    command = 'sed -u \'s/"value":"/"value":"m/\''
    written = 0
    for turn in range(4):
        ev("produce", "from", data=b"".join(b"%d\n" % number for number in range(written, written + 500)))
        written += 500
        copier = ev.start("copy", "from", "to", "-g", "g", "--rate", "2000", "--map", command)
        wait_for(lambda: len(ev("consume", "to", "-e").lines) > written - 500, "some of it to be copied")  # noqa: B023
        copier.signal(signal.SIGKILL if turn % 2 else signal.SIGTERM)
        assert copier.end().status == (137 if turn % 2 else 143)
    ev("copy", "from", "to", "-g", "g", "-e", "--map", command)
    assert sorted(ev("consume", "to", "-e").lines) == sorted(f"m{number}" for number in range(written))
