"""ev consume: which records, in what form, where it ends; and for groups, that exactly what was written is committed."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess

import pytest

from support.command_line import CommandLine
from support.waiting import wait_for


def numbers(first: int, last: int) -> bytes:
    return b"".join(b"%d\n" % number for number in range(first, last + 1))


def committed(ev: CommandLine, group: str) -> dict[str, int]:
    """Per topic/partition, what the group has committed."""
    described = ev("group", "describe", group, "--json", status=None)
    if described.status:
        return {}
    return {f"{row['topic']}/{row['partition']}": row["committed"] for row in described.json["lag"]}


@pytest.fixture
def ten(ev: CommandLine) -> CommandLine:
    """A topic t with the values 1 to 10."""
    ev("produce", "t", data=numbers(1, 10))
    return ev


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("-e",), numbers(1, 10)),
        (("-n", "3"), numbers(1, 3)),
        (("-c", "3"), numbers(1, 3)),
        (("-n", "0"), b""),
        (("-o", "7", "-e"), numbers(8, 10)),
        (("-o", "-2", "-e"), numbers(9, 10)),
        (("-o", "+2", "-n", "1"), numbers(3, 3)),
        (("-o", "2:4"), numbers(3, 4)),
        (("-o", ":3"), numbers(1, 3)),
        (("-o", ":end-8"), numbers(1, 2)),
        (("-o", "end", "-e"), b""),
        (("-o", "@-1h:now"), numbers(1, 10)),
        (("--since", "-1h", "-e"), numbers(1, 10)),
        (("--until", "-1h"), b""),
        (("-p", "0", "-e"), numbers(1, 10)),
        (("-o", "9", "-e", "-f", "%t/%p@%o %v\\n"), b"t/0@9 10\n"),
        (("-o", "9", "-e", "-O"), b"9\t10\n"),
        (("-o", "9", "-e", "-K", "="), b"=10\n"),
        (("-o", "9", "-e", "-0"), b"10\0"),
        (("-o", "9", "-e", "-D", "--"), b"10--"),
        (("-o", "8", "-e", "-f", "raw"), b"910"),
        (("-o", "9", "-e", "-f", "hex"), b"3130\n"),
        (("-o", "9", "-e", "-f", "lp32"), b"\0\0\0\x0210"),
        (("-o", "9", "-e", "-f", "kv"), b"\t10\n"),
        (("-t", "t", "-o", "9", "-e"), b"10\n10\n"),
    ],
)
def test_which_records_in_what_form(ten: CommandLine, arguments: tuple[str, ...], found: bytes) -> None:
    """Ranges, bounds and formats; kcat's spellings too."""
    if arguments[0] == "-t":
        assert ten("consume", *arguments).out == b"10\n"
    else:
        assert ten("consume", "t", *arguments).out == found


def test_several_topics_and_expressions(ten: CommandLine) -> None:
    """-r takes whole names."""
    ten("produce", "tt", data=b"other\n")
    assert sorted(ten("consume", "t", "tt", "-e").out.split()) == sorted([*numbers(1, 10).split(), b"other"])
    assert ten("consume", "-r", "t{2}", "-e").out == b"other\n"
    ten("consume", "-r", "x.*", "-e", status=3)


def test_missing_things_are_exit_3_and_nothing_is_made(ten: CommandLine) -> None:
    """A reader never creates a topic; the nearest name is offered."""
    ten("produce", "payments", data=b"x\n")
    assert "'payments'" in ten("consume", "paymnts", "-e", status=3).err
    assert "no partition 7" in ten("consume", "t", "-p", "7", status=3).err
    assert ten("topic", "list", "-o", "name").lines == ["payments", "t"]


def test_waiting_for_a_topic(ev: CommandLine) -> None:
    """--wait until it is there, and then its records; no longer than --for and --idle say."""
    for bound in ("--for", "--idle"):
        done = ev("consume", "later", "--wait", bound, "100ms", status=6)
        assert "'later' has not come" in done.err
    reader = ev.start("consume", "later", "--wait")
    try:
        reader.wait_for(b"waiting for topic 'later'")
        ev("produce", "later", data=b"x\n")
        reader.wait_for(b"x\n")
    finally:
        reader.kill()


def test_the_end_is_where_it_was_at_the_start(ten: CommandLine) -> None:
    """-e ends although somebody goes on producing."""
    writer = ten.start("produce", "t")
    try:
        writer.send(b"more\n" * 10)
        for _ in range(3):
            writer.send(b"more\n" * 10)
            assert ten("consume", "t", "-e", timeout_s=20).out.startswith(numbers(1, 10))
    finally:
        writer.kill()


def test_an_empty_topic_ends_at_once(ev: CommandLine) -> None:
    """-e, -o :end and -o end -e."""
    ev("topic", "create", "t", "-p", "3")
    for bounds in (("-e",), ("-o", ":end"), ("-o", "end", "-e"), ("-g", "g", "-e")):
        assert ev("consume", "t", *bounds, timeout_s=30).out == b""


def test_too_few_records_before_the_silence_are_exit_6(ten: CommandLine) -> None:
    """--idle and --for end a run; only with -n is that a failure."""
    assert ten("consume", "t", "-n", "11", "--idle", "300ms", status=6).out == numbers(1, 10)
    assert ten("consume", "t", "-n", "11", "--for", "500ms", status=6).out == numbers(1, 10)
    assert ten("consume", "t", "--idle", "300ms").out == numbers(1, 10)
    assert ten("consume", "t", "-n", "10", "--idle", "5s").out == numbers(1, 10)


def test_records_of_many_partitions(ev: CommandLine) -> None:
    """All of them, each partition in order."""
    ev("topic", "create", "t", "-p", "5")
    data = b"".join(b"k%d:%d\n" % (number % 23, number) for number in range(3000))
    ev("produce", "t", "-K", ":", data=data)
    lines = ev("consume", "t", "-e", "-K", ":").out.splitlines(keepends=True)
    assert sorted(lines) == sorted(data.splitlines(keepends=True))
    by_key: dict[bytes, list[int]] = {}
    for line in lines:
        key, _, value = line.partition(b":")
        by_key.setdefault(key, []).append(int(value))
    assert all(found == sorted(found) for found in by_key.values())
    assert sorted(ev("consume", "t", "-p", "0,2-4", "-e").out.split() + ev("consume", "t", "-p", "1", "-e").out.split()) == sorted(
        b"%d" % number for number in range(3000)
    )


def test_a_terminal_gets_lines_for_a_person(ten: CommandLine) -> None:
    """Where each record is, harmless to the terminal."""
    ten("produce", "t", data=b"\x1b]0;owned\x07\n")
    terminal = ten.terminal("consume", "t", "-o", "9", "-e")
    try:
        assert terminal.wait() == 0
        assert "t/0@9" in terminal.seen
        assert "\\x1b]0;owned\\x07" in terminal.seen
        assert "\x1b]0" not in terminal.seen
    finally:
        terminal.close()


# -- groups ----------------------------------------------------------------------------------------------------------------------


def test_a_group_goes_on_where_it_stopped(ten: CommandLine) -> None:
    """-n N commits exactly N, however many had been fetched."""
    assert ten("consume", "t", "-g", "g", "-n", "3").out == numbers(1, 3)
    assert committed(ten, "g") == {"t/0": 3}
    assert ten("consume", "t", "--group", "g", "-n", "4").out == numbers(4, 7)
    assert ten("consume", "t", "-g", "g", "-e").out == numbers(8, 10)
    assert committed(ten, "g") == {"t/0": 10}
    assert ten("consume", "t", "-g", "g", "-e").out == b""


def test_without_a_topic_a_group_has_its_own(ten: CommandLine) -> None:
    """The topics on which it has commits; none is exit 2 with the groups that there are."""
    ten("consume", "t", "-g", "billing", "-n", "3")
    assert ten("consume", "--group", "billing", "-e").out == numbers(4, 10)
    assert "billing" in ten("consume", "-g", "nobody", status=2).err


def test_where_a_group_begins(ten: CommandLine) -> None:
    """-o counts where nothing is committed; with --reset it always does."""
    assert ten("consume", "t", "-g", "g", "-o", "-2", "-n", "1").out == numbers(9, 9)
    assert ten("consume", "t", "-g", "g", "-o", "start", "-e").out == numbers(10, 10)
    assert ten("consume", "t", "-g", "g", "-o", "start", "--reset", "-n", "2").out == numbers(1, 2)
    assert ten("consume", "t", "-g", "g", "-o", "stored", "-n", "1").out == numbers(3, 3)


def test_a_group_of_the_new_protocol(ten: CommandLine) -> None:
    """-X group.protocol=consumer: the same rules, but the broker assigns, and finds what matches -r, also topics that come later."""
    new = ("-X", "group.protocol=consumer")
    assert ten("consume", "t", "-g", "g", *new, "-n", "3").out == numbers(1, 3)
    assert committed(ten, "g") == {"t/0": 3}
    assert ten("consume", "t", "-g", "g", *new, "--balancer", "range", "-e").out == numbers(4, 10)
    reader = ten.start("consume", "-r", "t[0-9]?", "-g", "pattern", *new)
    reader.wait_for(b"10\n")
    ten("produce", "t2", data=b"later\n")
    reader.wait_for(b"later\n")
    assert "uniform" in ten("consume", "t", "-g", "g", *new, "--balancer", "sticky", status=2).err
    assert "classic or consumer" in ten("consume", "t", "-g", "g", "-X", "group.protocol=newest", status=2).err
    assert "group.consumer.session.timeout.ms" in ten("consume", "t", "-g", "g", *new, "-X", "session.timeout.ms=6000", status=2).err


def test_commit_modes(ten: CommandLine) -> None:
    """none leaves the group as it was, end commits once."""
    ten("consume", "t", "-g", "g", "-n", "3", "--commit", "none")
    assert committed(ten, "g") == {}
    ten("consume", "t", "-g", "g", "-n", "3", "--commit", "end")
    assert committed(ten, "g") == {"t/0": 3}


def test_a_reader_that_leaves_ends_it_quietly(ten: CommandLine) -> None:
    """`| head` is exit 141 and silence."""
    done = ten.shell("ev consume t | head -n 2; echo ${PIPESTATUS[0]}")
    assert done.lines == ["1", "2", "141"]
    assert done.err == ""


def test_a_reader_that_leaves_while_nothing_comes_is_noticed(ten: CommandLine) -> None:
    """No write is needed to see that the pipe has no reader."""
    reader = ten.start("consume", "t", "-g", "g", "--commit", "written")
    reader.wait_for(b"10\n")
    assert reader.process.stdout is not None
    reader.process.stdout.close()
    assert reader.process.wait(20) == -signal.SIGPIPE
    assert committed(ten, "g") == {"t/0": 10}


def read_some(process: subprocess.Popen[bytes], size: int) -> bytes:
    assert process.stdout is not None
    data = b""
    while len(data) < size:
        piece = os.read(process.stdout.fileno(), size - len(data))
        assert piece
        data += piece
    return data


@pytest.fixture
def many(ev: CommandLine) -> CommandLine:
    """A topic t with 40,000 numbered records of 50 bytes: more than a pipe holds."""
    ev("produce", "t", data=b"".join(b"%049d\n" % number for number in range(40_000)))
    return ev


def test_a_closed_pipe_commits_exactly_what_was_written(many: CommandLine) -> None:
    """Every record that is committed was in the pipe whole; the next run begins with the first one that was not."""
    process = many.start("consume", "t", "-g", "g", "--commit", "written").process
    read_some(process, 5_000)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(20) == -signal.SIGPIPE
    offset = committed(many, "g").get("t/0", 0)
    # 100 records were read, and the pipe holds at most 64 KiB more.
    assert 100 <= offset <= 100 + 65536 // 50 + 1
    assert int(many("consume", "t", "-g", "g", "-n", "1").out) == offset


def test_ctrl_c_commits_exactly_what_was_written(many: CommandLine) -> None:
    """Also when the pipe is full: the record that is half out is finished, and what is committed is what the reader finds."""
    running = many.start("consume", "t", "-g", "g", "--commit", "written")
    read_some(running.process, 5_000)
    wait_for(lambda: "pipe_write" in wchan(running.process.pid) or "poll" in wchan(running.process.pid), "a full pipe")
    running.signal(signal.SIGINT)
    rest = running.end()
    assert rest.status == 130
    assert (5_000 + len(rest.out)) % 50 == 0
    assert committed(many, "g") == {"t/0": (5_000 + len(rest.out)) // 50}


def wchan(pid: int) -> str:
    try:
        return pathlib.Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return "poll"


def test_interrupted_while_idle(ten: CommandLine) -> None:
    """Exit 130, everything that was written is committed."""
    reader = ten.start("consume", "t", "-g", "g", "--commit", "written")
    reader.wait_for(b"10\n")
    reader.signal(signal.SIGINT)
    assert reader.end().status == 130
    assert committed(ten, "g") == {"t/0": 10}


def test_an_engine_that_goes_and_comes_again(ten: CommandLine) -> None:
    """The reader says that nobody answers, goes on trying, and reads on at the same address; nothing comes twice."""
    reader = ten.start("consume", "t", "-g", "g", "--commit", "written", "-b", ten.address)
    reader.wait_for(b"10\n")
    address = ten.address
    ten("down")
    reader.wait_for(b"does not answer")
    ten("up", "--listen", address)
    ten("produce", "t", data=b"11\n")
    reader.wait_for(b"11\n")
    reader.wait_for(b"again")
    reader.signal(signal.SIGINT)
    done = reader.end()
    assert (done.status, done.out) == (130, numbers(1, 11))


def test_interrupted_while_waiting_for_a_topic(ev: CommandLine) -> None:
    """--wait ends as everything does."""
    reader = ev.start("consume", "later", "--wait")
    reader.wait_for(b"waiting for topic")
    reader.signal(signal.SIGINT)
    assert reader.end().status == 130


def test_terminated(ten: CommandLine) -> None:
    """SIGTERM is exit 143, and commits too."""
    reader = ten.start("consume", "t", "-g", "g", "--commit", "written")
    reader.wait_for(b"10\n")
    reader.signal(signal.SIGTERM)
    assert reader.end().status == 143
    assert committed(ten, "g") == {"t/0": 10}


def test_a_full_disk_commits_nothing_that_was_not_written(many: CommandLine) -> None:
    """/dev/full takes no byte: one line, exit 1, no commit."""
    done = many.shell("ev consume t -g g > /dev/full")
    assert done.status == 1
    assert done.err == "ev: cannot write to stdout: No space left on device\n"
    assert committed(many, "g") == {}


def test_a_file_is_synced_before_its_records_are_committed(ten: CommandLine) -> None:
    """What is committed is what the file has."""
    done = ten.shell("ev consume t -g g -e > out; cat out")
    assert done.out == numbers(1, 10)
    assert committed(ten, "g") == {"t/0": 10}


def test_killed_it_loses_nothing(many: CommandLine) -> None:
    """SIGKILL at any moment: whoever goes on finds every record that was not written, some perhaps twice."""
    running = many.start("consume", "t", "-g", "g", "--commit", "written", "-X", "session.timeout.ms=6000")
    first = read_some(running.process, 200_000)
    running.process.kill()
    assert running.process.stdout is not None
    first += running.process.stdout.read()
    running.process.wait()
    running.kill()
    done = many("consume", "t", "-g", "g", "-X", "session.timeout.ms=6000", "-e", timeout_s=100)
    seen = {int(line) for line in re.findall(rb"\d{49}(?=\n)", first + done.out)}
    assert seen == set(range(40_000))


def test_two_members_share_the_partitions(ev: CommandLine) -> None:
    """Each record goes to one of them, and nothing is lost when one leaves."""
    ev("topic", "create", "t", "-p", "4")
    one, two = (ev.start("consume", "t", "-g", "g", "--commit", "written") for _ in range(2))
    try:
        wait_for(lambda: [len(member["partitions"]) for member in members(ev)] == [2, 2], "two members with two partitions each")
        ev("produce", "t", "-K", ":", data=b"".join(b"%d:%d\n" % (number, number) for number in range(1000)))
        wait_for(lambda: total_lag(ev) == 0, "everything to be committed")
        one.signal(signal.SIGINT)
        first = one.end()
        assert first.status == 130
        wait_for(lambda: len(members(ev)) == 1 and len(members(ev)[0]["partitions"]) == 4, "one member with all partitions")
        two.signal(signal.SIGINT)
        second = two.end()
    finally:
        one.kill()
        two.kill()
    assert sorted(map(int, (first.out + second.out).split())) == list(range(1000))
    assert first.out
    assert second.out


def members(ev: CommandLine) -> list[dict[str, list[str]]]:
    described = ev("group", "describe", "g", "--json", status=None)
    found: list[dict[str, list[str]]] = described.json["members"] if described.status == 0 else []
    return found


def total_lag(ev: CommandLine) -> int:
    described = ev.json("group", "describe", "g")
    partitions = sum(row["end"] for row in described["lag"])
    return int(described["total_lag"]) if partitions == 1000 else 1


def test_the_rack_says_where_one_is(ev: CommandLine) -> None:
    """A broker that has nothing nearer is read from as ever."""
    ev("produce", "t", data=b"a\nb\n")
    assert ev("consume", "t", "--rack", "north", "-e").out == b"a\nb\n"
