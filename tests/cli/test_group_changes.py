"""ev group seek, forget, clone, delete, remove-member, lag and wait; what of it `ev undo` takes back. On ev and on Apache Kafka."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest

from support.command_line import CommandLine
from support.waiting import wait_for

pytestmark = pytest.mark.parametrize("either", ["ev", pytest.param("apache", marks=[pytest.mark.java, pytest.mark.slow])], indirect=True)


@pytest.fixture
def group(either: CommandLine, fresh: Callable[[str], str]) -> str:
    """A group that has read 4 of the 10 records of partition 0 of a topic of the same name, and nothing of partition 1."""
    name = fresh("g")
    either("topic", "create", name, "-p", "2", "--wait")
    either("produce", name, "-p", "0", data=b"".join(b"%d\n" % number for number in range(10)))
    assert either("consume", name, "-g", name, "-n", "4").out == b"0\n1\n2\n3\n"
    return name


def committed(ev: CommandLine, group: str) -> dict[int, int]:
    """What a group has committed, by partition."""
    return {row["partition"]: row["committed"] for row in ev.json("group", "describe", group)["lag"] if row["committed"] is not None}


def test_a_group_is_moved(either: CommandLine, group: str) -> None:
    """To an end, an offset, on and back, to a time; only after a yes, within what is there, and never while it has members."""
    ev = either
    shown = ev("group", "seek", group, "--to", "start")
    assert "nothing was changed: add -y" in shown.err
    assert shown.lines[0].split("\t")[:4] == [group, "0", "4", "0"]
    assert committed(ev, group)[0] == 4
    ev("group", "seek", group, "--to", "-1", "-y")
    assert committed(ev, group)[0] == 3
    ev("group", "seek", group, "--to", "+2", "-t", f"{group}:0", "-y")
    assert committed(ev, group)[0] == 5
    plan = ev.json("group", "seek", group, "--to", "99", "--dry-run")
    assert [(row["partition"], row["target"], row["lag"]) for row in plan] == [(0, 10, 0), (1, 0, 0)]
    assert ev.json("group", "seek", group, "--to", "@2020-01-01", "--dry-run")[0]["target"] == 0
    assert ev.json("group", "seek", group, "--to", "@2099-01-01", "--dry-run")[0]["target"] == 10
    ev("group", "seek", group, "--to", "end", "-q", "-y")
    assert committed(ev, group) == {0: 10, 1: 0}
    reader = ev.start("consume", group, "-g", group)
    try:
        wait_for(lambda: ev.json("group", "describe", group)["members"], "the reader to be a member")
        refused = ev("group", "seek", group, "--to", "start", "-y", status=1)
        assert "has 1 member" in refused.err
    finally:
        reader.kill()


def test_undo_takes_a_seek_back(either: CommandLine, group: str) -> None:
    """Once; it says what it does, and refuses when the group has moved since. What was forgotten or deleted comes back too."""
    ev = either
    before = committed(ev, group)
    assert "takes it back" in ev("group", "seek", group, "--to", "end", "-y").err
    shown = ev.json("undo", "--dry-run")
    assert {"item": f"{group}/0", "now": "10", "back_to": "4"} in shown
    ev("undo", "-y")
    assert committed(ev, group) == before
    ev("group", "seek", group, "--to", "7", "-t", f"{group}:0", "-y")
    assert ev("consume", group, "-g", group, "-n", "1").out == b"7\n"
    assert "has changed since" in ev("undo", "-y", status=1).err
    ev("group", "forget", group, "-t", f"{group}:0", "-y")
    assert 0 not in committed(ev, group)
    ev("undo", "-y")
    assert committed(ev, group)[0] == 8
    ev("group", "delete", group, "-y")
    ev("group", "describe", group, status=3)
    ev("undo", "-y")
    assert committed(ev, group)[0] == 8
    listed = ev.json("undo", "--list")
    assert listed[0]["what"].startswith("undo ")
    done = next(row["number"] for row in listed if row["what"] == f"delete group {group}")
    assert f"change {done} has been taken back already" in ev("undo", str(done), "-y", status=1).err
    ev("undo", "999999", "-y", status=3)


def test_offsets_travel_in_files_and_from_group_to_group(either: CommandLine, group: str, tmp_path: pathlib.Path) -> None:
    """--export prints what --to-file reads; a clone stands where its model stands; new topics have to be asked for."""
    ev = either
    exported = ev("group", "seek", group, "--export").out
    assert f"{group}\t0\t4\n".encode() in exported
    file = tmp_path / "offsets"
    file.write_bytes(exported + f"other-group,{group},0,1\n".encode())
    ev("group", "seek", group, "--to", "start", "-y")
    ev("group", "seek", group, "--to-file", str(file), "-y")
    assert committed(ev, group)[0] == 4
    twin = f"{group}-twin"
    ev("group", "clone", group, twin)
    assert committed(ev, twin) == committed(ev, group)
    assert "has committed offsets" in ev("group", "clone", group, twin, status=1).err
    fresh = f"{group}-fresh"
    ev("group", "seek", fresh, "--to", "start", "-t", group, "-y", status=3)
    ev("group", "seek", fresh, "--to-group", group, "--new-topics", "-y")
    assert committed(ev, fresh) == committed(ev, group)
    file.write_text(f"{group} 0 1\nnonsense\n")
    assert "line 2 of" in ev("group", "seek", group, "--to-file", str(file), "-y", status=1).err


def test_lag_by_group_topic_member_and_partition(either: CommandLine, group: str) -> None:
    """Exit status 6 above --max; partitions without a commit count when they are asked for."""
    ev = either
    (row,) = ev.json("group", "lag", group)
    assert (row["state"], row["lag"]) == ("Empty", 6)
    ev("group", "lag", group, "--max", "6")
    assert "above a lag of 5" in ev("group", "lag", group, "--max", "5", status=6).err
    assert ev.json("group", "lag", group, "--by", "topic")[0]["topic"] == group
    assert [row["lag"] for row in ev.json("group", "lag", group, "--by", "partition") if row["partition"] == 0] == [6]
    assert ev.json("group", "lag", group, "--by", "member")[0]["member"] is None
    assert [row["partition"] for row in ev.json("group", "describe", group, "--all-lag")["lag"]] == [0, 1]
    assert ev("group", "list", group, "--type", "classic", "-o", "name").lines == [group]
    assert ev("group", "list", group, "--type", "share", "-o", "name").lines == []
    ev("group", "lag", "--by", "nonsense", status=2)


def test_waiting_for_a_group(either: CommandLine, group: str) -> None:
    """Until it has read everything, or is in a state; exit status 6 when the time is over."""
    ev = either
    assert "has a lag of 6" in ev("group", "wait", group, "--lag", "0", "--for", "10ms", status=6).err
    ev("group", "wait", group, "--lag", "6", "--state", "empty")
    waiting = ev.start("group", "wait", group, "--lag", "0", "--for", "30s")
    ev("consume", group, "-g", group, "-e", "-q")
    assert waiting.end().status == 0
    ev("group", "wait", f"{group}-nowhere", "--state", "stable", "--for", "10ms", status=6)
    ev("group", "wait", group, status=2)


def test_a_member_is_taken_out(either: CommandLine, group: str) -> None:
    """By its client id, and after a yes."""
    ev = either
    reader = ev.start("consume", group, "-g", group, "-X", "client.id=worker", "--instance-id", "first")
    try:
        wait_for(lambda: ev.json("group", "describe", group)["members"], "the reader to be a member")
        assert "stop the members" in ev("group", "delete", group, "-y", status=1).err
        assert "no member is called" in ev("group", "remove-member", group, "nobody", "-y", status=3).err
        assert "would remove member" in ev("group", "remove-member", group, "worker", "--dry-run").err
        reader.kill()
        assert "removed member" in ev("group", "remove-member", group, "first", "-y").err
        assert ev.json("group", "describe", group)["members"] == []
    finally:
        reader.kill()


def test_it_is_shown_again_and_again(either: CommandLine, group: str) -> None:
    """--watch into a pipe: one round after the other, until Ctrl-C; a time may follow."""
    running = either.start("group", "lag", group, "--watch", "100ms", "-o", "jsonl")
    try:
        running.wait_for(b'"lag": 6}\n')
        either("group", "seek", group, "--to", "end", "-y", "-q")
        running.wait_for(b'"lag": 0}\n')
    finally:
        running.kill()
    assert "too often" in either("group", "list", "--watch=1ms", status=2).err
