"""ev consume --into FILE: the file has every record exactly once, whatever is killed in between."""

from __future__ import annotations

import json
import pathlib
import random
import time

from support.command_line import CommandLine
from support.waiting import wait_for


def values(first: int, last: int) -> bytes:
    return b"".join(b"%d\n" % number for number in range(first, last))


def test_each_run_appends_what_is_new(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """FILE.state remembers how far; -n stops exactly there; what was written after the last state is cut off."""
    file, state = tmp_path / "out", tmp_path / "out.state"
    ev("produce", "t", data=values(0, 10))
    ev("consume", "t", "-n", "4", "--into", str(file))
    assert file.read_bytes() == values(0, 4)
    assert json.loads(state.read_text())["offsets"] == [["t", 0, 4]]
    with file.open("ab") as more:
        more.write(b"half a rec")
    done = ev("consume", "t", "-e", "--into", str(file))
    assert file.read_bytes() == values(0, 10)
    assert "10 bytes at the end" in done.err
    assert ev("consume", "t", "-e", "--into", str(file)).err == ""
    assert file.read_bytes() == values(0, 10)

    file.write_bytes(b"0\n")
    assert "had 20" in ev("consume", "t", "-e", "--into", str(file), status=1).err
    (tmp_path / "mine").write_bytes(b"precious")
    assert "no " in ev("consume", "t", "-e", "--into", str(tmp_path / "mine"), status=1).err
    assert (tmp_path / "mine").read_bytes() == b"precious"
    state.write_text("{}")
    assert "out.state" in ev("consume", "t", "-e", "--into", str(file), status=1).err
    ev("consume", "t", "-e", "--into", str(tmp_path / "no" / "such"), status=1)


def test_only_one_writes_a_file(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """The second ends at once."""
    ev("produce", "t", data=values(0, 3))
    first = ev.start("consume", "t", "--into", str(tmp_path / "out"))
    wait_for(lambda: (tmp_path / "out").exists() and (tmp_path / "out").stat().st_size == 6, "the file")
    assert "another process writes" in ev("consume", "t", "-e", "--into", str(tmp_path / "out"), status=1).err
    first.kill()
    ev("consume", "t", "-e", "--into", str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == values(0, 3)


def test_killed_at_any_moment_it_has_everything_once(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """Several partitions, some kills, then a run to the end."""
    chance = random.Random(5)
    ev("topic", "create", "t", "-p", "3")
    ev("produce", "t", "--partitioner", "rr", data=b"".join(b"%08d\n" % number for number in range(60_000)))
    file = tmp_path / "out"
    for _ in range(4):
        state = tmp_path / "out.state"
        if state.exists() and sum(offset for _, _, offset in json.loads(state.read_text())["offsets"]) == 60_000:
            break  # it was too quick for us
        running = ev.start("consume", "t", "--into", str(file), "-X", "max.partition.fetch.bytes=20000")
        size = file.stat().st_size if file.exists() else 0
        wait_for(lambda size=size: file.exists() and file.stat().st_size != size, "it to cut or to write")  # type: ignore[misc]
        time.sleep(chance.random() * 0.05)
        running.process.kill()
        running.kill()
    ev("consume", "t", "-e", "--into", str(file))
    assert sorted(file.read_bytes().split()) == [b"%08d" % number for number in range(60_000)]
