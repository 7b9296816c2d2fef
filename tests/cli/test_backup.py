"""`ev server backup` and `ev server restore`, as a person calls them."""

from __future__ import annotations

import pathlib

from support.command_line import CommandLine


def test_there_and_back(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """While the engine runs; the copy has the records and the name of the cluster."""
    ev("produce", "events", data=b"one\ntwo\n")
    said = ev("server", "backup", str(tmp_path / "saved.tar"))
    assert said.out == b""
    assert "is saved in" in said.err
    assert ev("server", "backup", str(tmp_path / "saved"), "-q").err == ""
    cluster = ev.json("server", "status")["cluster_id"]
    for name in ("saved.tar", "saved"):
        place = str(tmp_path / f"restored-{name}")
        assert "is what" in ev("server", "restore", str(tmp_path / name), "--data-dir", place).err
        assert ev("consume", "events", "-e", "-q", "--data-dir", place).out == b"one\ntwo\n"
        assert ev.json("server", "status", "--data-dir", place)["cluster_id"] == cluster
        ev("down", "--data-dir", place)
    assert ev("server", "verify", "--data-dir", str(tmp_path / "saved")).out == b""


def test_what_cannot_be_done_says_why(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """Exit status 3 for an engine that is not there, 1 for a file that is not there or in the way."""
    assert "no data directory" in ev("server", "backup", str(tmp_path / "saved"), status=3).err
    assert "no backup" in ev("server", "restore", str(tmp_path / "saved"), status=1).err
    ev("produce", "events", data=b"one\n")
    (tmp_path / "taken").write_text("")
    assert "exists already" in ev("server", "backup", str(tmp_path / "taken"), status=1).err
    ev("server", "backup", str(tmp_path / "saved"))
    assert "not empty" in ev("server", "restore", str(tmp_path / "saved"), status=1).err


def test_a_terminal_gets_a_bar(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """On stderr, and it is gone in the end."""
    ev("produce", "events", data=b"one\n")
    terminal = ev.terminal("server", "backup", str(tmp_path / "saved"))
    try:
        assert terminal.wait() == 0
    finally:
        terminal.close()
    assert "% of" in terminal.seen
