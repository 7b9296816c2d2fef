"""A log that is rotated, truncated, deleted and made again, while its reader comes and goes: each line once, in order."""

from __future__ import annotations

import os
import pathlib
import random
import shutil
import time

import pytest

from ev_cli.failures import Failure
from ev_cli.followed_file import BLOCK, FollowedFile
from ev_cli.rotation import Generation, Position, in_order, is_generation, position_of, start, successors


class Log:
    """A log and whoever writes and rotates it, by a clock of its own: the kernel's would give many writes the same time."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.path = directory / "app.log"
        self.lines: list[bytes] = []
        self.partial = b""
        self._now_ns = time.time_ns() - 3600 * 10**9

    def write(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)
        self._stamp(self.path)
        *whole, self.partial = (self.partial + data).split(b"\n")
        self.lines += whole

    def rename(self, *, create: bool = False) -> None:
        """As logrotate does: the numbers go up, and app.log becomes app.log.1."""
        if not self.path.exists():
            return
        self._shift()
        self.path.rename(self.path.with_name("app.log.1"))
        self._end_of_file()
        if create:
            self.path.touch()
            self._stamp(self.path)

    def copy_and_truncate(self) -> None:
        if not self.path.exists():
            return
        self._shift()
        shutil.copyfile(self.path, self.path.with_name("app.log.1"))
        self._stamp(self.path.with_name("app.log.1"))
        os.truncate(self.path, 0)
        self._stamp(self.path)
        self._end_of_file()

    def _end_of_file(self) -> None:
        if self.partial:
            self.lines.append(self.partial)
            self.partial = b""

    def _shift(self) -> None:
        numbers = sorted((int(path.suffix[1:]) for path in self.path.parent.glob("app.log.*")), reverse=True)
        for number in numbers:
            self.path.with_name(f"app.log.{number}").rename(self.path.with_name(f"app.log.{number + 1}"))

    def _stamp(self, path: pathlib.Path) -> None:
        self._now_ns += 1_000_000
        os.utime(path, ns=(self._now_ns, self._now_ns))


class Reader:
    """Reads a log, keeps the position as a topic would, and begins again from there after `crash`."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.records: list[bytes] = []
        self.kept: tuple[int, str] | None = None
        self.file = self._open()

    def _open(self) -> FollowedFile:
        position = None if self.kept is None else position_of(*self.kept)
        return FollowedFile(str(self.path), b"\n", 1 << 24, position)

    def step(self, *, commit: bool = True) -> bool:
        taken = self.file.read()
        if taken is None:
            return False
        if commit:
            self.records += taken.records
            self.kept = taken.position.offset, taken.position.note()
        else:
            self.crash()
        return True

    def crash(self) -> None:
        self.file.close()
        self.file = self._open()

    def read_all(self) -> list[bytes]:
        quiet = 0
        while quiet < 3:
            quiet = 0 if self.step() else quiet + 1
        return self.records


@pytest.mark.parametrize("seed", range(40))
def test_any_history_gives_each_line_once_and_in_order(tmp_path: pathlib.Path, seed: int) -> None:
    """Writes, half lines, rotations of both kinds, truncation, deletion, and a reader that crashes before or after it has committed."""
    draw = random.Random(seed)
    log = Log(tmp_path)
    log.write(b"first\n")
    reader = Reader(log.path)
    assert reader.step()
    number = 0
    for _ in range(80):
        action = draw.choice(["write", "write", "write", "read", "read", "rename", "copy", "crash", "lost", "gone", "again"])
        if action == "write":
            for _ in range(draw.randrange(1, 6)):
                number += 1
                log.write(b"line %d of seed %d, with something behind it\n" % (number, seed))
            if draw.random() < 0.3:
                log.write(b"half of %d" % number)
        elif action == "read":
            reader.step()
        elif action == "rename":
            log.rename(create=draw.random() < 0.5)
        elif action == "copy":
            log.copy_and_truncate()
        elif action == "crash":
            reader.crash()
        elif action == "lost":
            reader.step(commit=False)
        elif reader.read_all() == log.lines and not log.partial and log.path.exists():
            if action == "gone":
                log.path.unlink()
            else:
                os.truncate(log.path, 0)
    log.write(b"\nthe end\n")
    assert reader.read_all() == log.lines
    reader.file.close()


def test_a_last_line_waits_for_its_newline(tmp_path: pathlib.Path) -> None:
    """In the file that the path names; in one that was rotated it is a line."""
    log = Log(tmp_path)
    log.write(b"one\ntw")
    reader = Reader(log.path)
    assert reader.read_all() == [b"one"]
    log.write(b"o\nthr")
    assert reader.read_all() == [b"one", b"two"]
    log.rename()
    assert reader.read_all() == [b"one", b"two"]
    log.write(b"four\n")
    assert reader.read_all() == [b"one", b"two", b"thr", b"four"]


def test_what_is_not_there_yet_is_waited_for(tmp_path: pathlib.Path) -> None:
    """And that is said once."""
    log = Log(tmp_path)
    reader = Reader(log.path)
    assert reader.read_all() == []
    assert len(reader.file.remarks) == 1
    log.write(b"x\n")
    assert reader.read_all() == [b"x"]


def test_a_file_whose_inode_was_given_to_another_is_not_taken_for_it(tmp_path: pathlib.Path) -> None:
    """The bytes before the position decide; what is gone is said to be."""
    log = Log(tmp_path)
    log.write(b"old line\n" * 5)
    reader = Reader(log.path)
    reader.read_all()
    log.path.write_bytes(b"another line\n" * 10)  # the same inode, and longer
    reader.crash()
    assert reader.read_all()[5:] == [b"another line"] * 10
    assert any("is gone" in remark for remark in reader.file.remarks)


def test_a_file_that_is_written_anew_beyond_the_position_is_read_from_its_beginning(tmp_path: pathlib.Path) -> None:
    """Although it has never been seen shorter than it was."""
    log = Log(tmp_path)
    log.write(b"old line\n" * 5)
    reader = Reader(log.path)
    reader.read_all()
    log.path.write_bytes(b"another line\n" * 10)
    assert reader.read_all()[5:] == [b"another line"] * 10
    assert any("truncated" in remark for remark in reader.file.remarks)


def test_lines_longer_than_a_block(tmp_path: pathlib.Path) -> None:
    """Up to the bound, which is named with the place."""
    log = Log(tmp_path)
    log.write(b"a" * (3 * BLOCK) + b"\nb\n" + b"c" * BLOCK)
    reader = Reader(log.path)
    assert [len(line) for line in reader.read_all()] == [3 * BLOCK, 1]
    log.write(b"c\n")
    assert len(reader.read_all()[-1]) == BLOCK + 1
    log.write(b"d" * (17 << 20))
    with pytest.raises(Failure, match=r"byte \d+ of .*app.log: a record is longer than 16777216 bytes"):
        reader.read_all()


def test_what_is_no_regular_file_is_refused(tmp_path: pathlib.Path) -> None:
    """A directory, a pipe."""
    os.mkfifo(tmp_path / "app.log")
    with pytest.raises(Failure, match="no regular file"):
        Reader(tmp_path / "app.log").step()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("app.log", True),
        ("app.log.1", True),
        ("app.log-20260131", True),
        ("app.log.2026-01-31T10", True),
        ("app-3.log", True),
        ("app.2026-01-31.log", True),
        ("app.log.1.gz", False),
        ("app.log.bak", False),
        ("app.log~", False),
        ("apple.log", False),
        ("app.txt", False),
        ("app.log.", False),
    ],
)
def test_which_names_may_be_what_a_log_was_before(name: str, expected: bool) -> None:
    """Numbers and dates, behind the name or before its extension."""
    assert is_generation("app.log", name) is expected


def generation(name: str, inode: int, modified_ns: int, size: int = 10) -> Generation:
    return Generation(name, (1, inode), size, modified_ns, name == "app.log")


def test_files_are_ordered_by_their_last_write() -> None:
    """The higher number is older where that does not tell; what the path names is the newest."""
    files = [generation("app.log", 1, 5), generation("app.log.1", 2, 7), generation("app.log.2", 3, 7), generation("app.log-1", 4, 6)]
    assert [file.name for file in in_order(files)] == ["app.log-1", "app.log.2", "app.log.1", "app.log"]


def test_files_that_were_finished_do_not_come_again() -> None:
    """Also when somebody touches them."""
    files = [generation("app.log", 1, 9), generation("app.log.1", 2, 7), generation("app.log.2", 3, 8)]

    def is_finished(file: Generation) -> bool:
        return file.name == "app.log.2"

    assert [file.name for file in successors((1, 2), 5, files, is_finished)] == ["app.log"]
    assert [file.name for file in successors((1, 9), 5, files, is_finished)] == ["app.log.1", "app.log"]
    assert [file.name for file in successors((1, 9), 7, files, lambda file: False)] == ["app.log.2", "app.log"]


def test_what_is_written_late_into_a_finished_file_does_not_bring_all_of_it_again(tmp_path: pathlib.Path) -> None:
    """Not even when it is the one that was written to last."""
    log = Log(tmp_path)
    log.write(b"one\n")
    reader = Reader(log.path)
    reader.read_all()
    log.rename()
    log.write(b"two\n")
    reader.read_all()
    with log.path.with_name("app.log.1").open("ab") as file:
        file.write(b"late\n")
    log.rename()
    log.write(b"three\n")
    assert reader.read_all() == [b"one", b"two", b"three"]


def test_without_a_position_only_what_the_path_names_is_read() -> None:
    """Not what it was before."""
    files = [generation("app.log", 1, 9), generation("app.log.1", 2, 8)]
    begin = start(None, files, lambda file, position: True)
    assert begin.file is not None
    assert (begin.file.name, begin.offset, [file.name for file in begin.finished]) == ("app.log", 0, ["app.log.1"])


def test_a_position_is_text_and_comes_back() -> None:
    """And nothing else is taken for one."""
    position = Position((7, 8), 99, 64, "abcd", 12345)
    back = position_of(99, position.note())
    assert back is not None
    assert (back.identity, back.offset, back.tail_size, back.tail_digest, back.modified_ns) == ((7, 8), 99, 64, "abcd", 12345)
    for text in ("", "ev-follow 2 1 1 1 a 1", "ev-follow 1 x 1 1 a 1", "a b c d e f g"):
        assert position_of(1, text) is None
