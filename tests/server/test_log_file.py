"""The daemon's log: rotated, safe to read, and never in the engine's way."""

from __future__ import annotations

import json
import logging
import os
import pathlib
import stat
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from ev.server import log_file
from ev.server.log_file import LINE_BYTES_MAX, JsonFormatter, LogWriter, RotatedFile, Stream
from support.engine import Engine
from support.waiting import wait_for


def record(message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("ev.test", logging.INFO, __file__, 1, message, args, None)


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "log" / "ev.log"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_a_line_has_time_level_and_place(path: pathlib.Path) -> None:
    """In UTC with milliseconds, so that lines of several engines sort."""
    writer = LogWriter(RotatedFile(str(path)))
    writer.emit(record("listening on %s", "127.0.0.1:9092"))
    writer.close()
    moment, rest = path.read_text().split(" ", 1)
    assert rest == "INFO ev.test listening on 127.0.0.1:9092\n"
    assert len(moment) == len("2026-11-23T01:07:47.123Z")
    assert moment.endswith("Z")


def test_what_a_client_sent_cannot_forge_lines_or_reach_the_terminal(path: pathlib.Path) -> None:
    """Line breaks and escapes of a name that a client chose are shown, not obeyed."""
    writer = LogWriter(RotatedFile(str(path)))
    writer.emit(record("client %s", "a\n2026 INFO all is well\x1b[2J\x9b"))
    writer.close()
    assert path.read_text().count("\n") == 1
    assert "a\\x0a2026 INFO all is well\\x1b[2J\\x9b" in path.read_text()


def test_who_waits_for_the_log_finds_every_line_so_far(path: pathlib.Path) -> None:
    """As whoever was told that the engine is there does."""
    writer = LogWriter(RotatedFile(str(path)))
    for number in range(100):
        writer.emit(record("line %d", number))
    writer.wait(60)
    assert path.read_text().count("\n") == 100
    writer.close()


def test_nobody_waits_for_a_log_that_is_not_read(pipe: tuple[int, int]) -> None:
    """No longer than they said."""
    reader, end = pipe
    os.set_blocking(end, True)
    writer = LogWriter(Stream(end))
    for _ in range(100):
        writer.emit(record("x" * 4000))
    writer.wait(0.01)
    lines = 0
    while lines < 100:  # everything was kept, and nothing is written any more when the pipe is closed
        lines += os.read(reader, 1 << 16).count(b"\n")
    writer.close()


def test_the_file_is_rotated_and_the_oldest_goes(path: pathlib.Path) -> None:
    """Never more than the given number of files, none larger than its bound, the newest lines in the first."""
    file = RotatedFile(str(path), bytes_max=100, count=3)
    for number in range(20):
        file.write(f"line {number:02d} {'x' * 30}\n".encode())
    assert sorted(one.name for one in path.parent.iterdir()) == ["ev.log", "ev.log.1", "ev.log.2"]
    assert all(one.stat().st_size <= 100 for one in path.parent.iterdir())
    together = "".join((path.parent / name).read_text() for name in ("ev.log.2", "ev.log.1", "ev.log"))
    assert [line[5:7] for line in together.splitlines()] == [f"{number:02d}" for number in range(20)][-len(together.splitlines()) :]
    assert together.splitlines()[-1].startswith("line 19")


def test_the_file_is_its_owners_alone(path: pathlib.Path) -> None:
    """Topic and client names are nobody else's business."""
    RotatedFile(str(path)).write(b"x\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_log_is_continued_after_a_restart(path: pathlib.Path) -> None:
    """Yesterday's lines stay, and count towards the size."""
    RotatedFile(str(path), bytes_max=10).write(b"12345678\n")
    RotatedFile(str(path), bytes_max=10).write(b"abc\n")
    assert path.read_text() == "abc\n"
    assert path.with_name("ev.log.1").read_text() == "12345678\n"


def test_a_log_that_cannot_be_written_costs_lines_and_nothing_else(tmp_path: pathlib.Path) -> None:
    """A directory in the place of the file: lines are lost and counted, no exception leaves the logger."""
    (tmp_path / "ev.log").mkdir()
    writer = LogWriter(RotatedFile(str(tmp_path / "ev.log")))
    for _ in range(3):
        writer.emit(record("into the void"))
    writer.close()
    assert writer.dropped == 3


def test_a_full_device_costs_lines_and_nothing_else() -> None:
    """/dev/full refuses every write with ENOSPC."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        writer = LogWriter(Stream(descriptor))
        writer.emit(record("into the void"))
        writer.close()
        assert writer.dropped == 1
    finally:
        os.close(descriptor)


def test_a_pipe_that_nobody_reads_does_not_hold_up_the_engine(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that writes is stuck; whoever logs goes on, and lines beyond the bound are dropped and counted."""
    monkeypatch.setattr(log_file, "LINES_WAITING_MAX", 100)
    monkeypatch.setattr(log_file, "CLOSE_WAIT_S", 0.1)
    reader, descriptor = pipe
    writer = LogWriter(Stream(descriptor))
    begin = time.monotonic()

    def logged_and_dropped() -> bool:
        for _ in range(2000):
            writer.emit(record("x" * 1000))
        return writer.dropped > 0

    wait_for(logged_and_dropped, "lines to be dropped")  # the thread may have begun to write at the very end of the first ones
    writer.close()
    assert time.monotonic() - begin < 5
    os.set_blocking(reader, False)  # let the stuck thread end: it gets room until everything that waited is written

    def drained() -> bool:
        while True:
            try:
                os.read(reader, 1 << 20)
            except BlockingIOError:
                return writer._lines.empty()

    wait_for(drained, "the writing thread to get rid of its lines")


def test_lost_lines_are_counted_in_the_log_when_it_works_again(path: pathlib.Path) -> None:
    """Nobody takes a gap for silence."""
    writer = LogWriter(RotatedFile(str(path)))
    writer.dropped = 7
    writer.emit(record("back"))
    writer.close()
    assert path.read_text().splitlines()[0].startswith("7 lines were lost here")


def test_a_line_may_be_json(path: pathlib.Path) -> None:
    """One object a line, whatever is in the message; a traceback is a field of it."""
    writer = LogWriter(RotatedFile(str(path)), JsonFormatter())
    writer.emit(record("client %s", 'a\n"\x1b[2J\x9b\ud800\u2028é'))
    try:
        raise ValueError("broken")
    except ValueError:
        broken = logging.LogRecord("ev.test", logging.ERROR, __file__, 1, "it broke", (), sys.exc_info())
    writer.emit(broken)
    writer.emit(record("%s", "\x00" * 50_000))
    writer.dropped = 7
    writer.emit(record("back"))
    writer.close()
    text = path.read_bytes()
    assert text.isascii()
    assert not any(byte < 0x20 and byte != 0x0A for byte in text)
    lines = text.decode().splitlines()
    assert all(len(line) <= LINE_BYTES_MAX for line in lines)
    first, second, third, lost, back = (json.loads(line) for line in lines)
    assert first["message"] == 'client a\n"\x1b[2J\x9b\ud800\u2028é'
    assert (first["level"], first["logger"]) == ("INFO", "ev.test")
    assert len(first["time"]) == len("2026-11-23T01:07:47.123Z")
    assert second["message"] == "it broke"
    assert "ValueError: broken" in second["trace"]
    assert third["message"].strip("\x00") == ""
    assert lost["message"].startswith("7 lines were lost here")
    assert back["message"] == "back"


def test_the_daemons_log_is_json_when_it_is_told_so(start_engine: Callable[..., Engine]) -> None:
    """From its first line to its last."""
    engine = start_engine(settings={"ev.log.format": "json"})
    assert engine.stop() == 0
    lines = [json.loads(line) for line in engine.log().splitlines()]
    assert "listening on" in lines[0]["message"]
    assert "closed" in lines[-1]["message"]
