"""ev produce: what becomes a record, when it leaves, and what is said when not everything was acknowledged."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

from support.command_line import MODULE, CommandLine
from support.waiting import wait_for


def records(ev: CommandLine, topic: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in ev("consume", topic, "-e", "-J").lines]


def values(ev: CommandLine, topic: str) -> list[object]:
    return [record["value"] for record in records(ev, topic)]


def test_every_line_is_a_record_as_bytes(ev: CommandLine) -> None:
    """Carriage returns and bytes that are no text stay, an empty line is an empty record, the last one needs no newline."""
    ev("produce", "t", data=b"a\n\nb\r\n\xff\xfe\nlast")
    assert ev("consume", "t", "-e").out == b"a\n\nb\r\n\xff\xfe\nlast\n"
    assert ev("consume", "t", "-e", "-f", "%S ").out == b"1 0 2 2 4 "


def test_the_topic_is_made_on_the_local_engine_and_that_is_said(ev: CommandLine) -> None:
    """Once, on stderr; -q is silent."""
    assert "created topic t on the local engine" in ev("produce", "t", data=b"x\n").err
    assert ev("produce", "t", data=b"x\n").err == ""
    assert ev("produce", "u", "-q", data=b"x\n").err == ""


def test_on_a_cluster_a_topic_is_made_only_when_asked_for(ev: CommandLine) -> None:
    """Exit 3 with the nearest name; --create makes it, with so many partitions."""
    ev("up")
    cluster = ("-b", ev.address)
    assert "--create" in ev(*cluster, "produce", "payments", data=b"x\n", status=3).err
    ev(*cluster, "produce", "payments", "--create=3", data=b"x\n")
    assert len(ev.json(*cluster, "topic", "describe", "payments")["partitions"]) == 3
    assert "'payments'" in ev(*cluster, "produce", "paymnts", data=b"x\n", status=3).err


def test_keys_headers_and_times(ev: CommandLine) -> None:
    """-K cuts the line, -k is for all, -H may be repeated, --timestamp sets the time."""
    ev("produce", "t", "-K", ":", "-H", "a=1", "-H", "b:2", "-H", "c", "--timestamp", "1700000000000", data=b"k:v\nplain\n")
    first, second = records(ev, "t")
    assert (first["key"], first["value"], first["timestamp"]) == ("k", "v", 1700000000000)
    assert first["headers"] == [["a", "1"], ["b", "2"], ["c", None]]
    assert (second["key"], second["value"]) == (None, "plain")
    ev("produce", "u", "-k", "all", data=b"x\n")
    assert records(ev, "u")[0]["key"] == "all"


def test_null_and_other_delimiters(ev: CommandLine) -> None:
    """-Z, --null, -D and -0."""
    ev("produce", "t", "-Z", data=b"\nx\n")
    assert values(ev, "t") == [None, "x"]
    ev("produce", "u", "--null", "NULL", "-D", "||", data=b"a\nb||NULL||c")
    assert values(ev, "u") == ["a\nb", None, "c"]
    ev("produce", "w", "-0", data=b"a\nb\0c\0")
    assert values(ev, "w") == ["a\nb", "c"]


def test_a_value_on_the_command_line(ev: CommandLine) -> None:
    """One record; bytes of the argument as they are, stdin is left alone."""
    ev("produce", "t", "--value", "snow \u2603\udcff", data=b"not read\n")
    assert ev("consume", "t", "-e").out == b"snow \xe2\x98\x83\xff\n"


def test_files_are_records_or_lines(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """One file is read by lines, several are one record each, --whole and -l say it otherwise."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"a\nb\n")
    two.write_bytes(b"c\0\n")
    ev("produce", "lines", str(one))
    assert values(ev, "lines") == ["a", "b"]
    ev("produce", "several", str(one), str(two))
    assert values(ev, "several") == ["a\nb\n", "c\0\n"]
    ev("produce", "whole", "--whole", str(one))
    assert values(ev, "whole") == ["a\nb\n"]
    ev("produce", "listed", "-l", str(one), "-l", str(two))
    assert values(ev, "listed") == ["a", "b", "c\0"]
    ev("produce", "stdin", "--whole", data=b"a\nb")
    assert values(ev, "stdin") == ["a\nb"]


def test_a_file_that_cannot_be_read_is_named(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """Exit 1; with -E the others are sent all the same."""
    good = tmp_path / "good"
    good.write_bytes(b"x")
    done = ev("produce", "t", str(tmp_path / "none"), str(good), status=1)
    assert "none" in done.err
    done = ev("produce", "u", "-E", str(tmp_path / "none"), str(good), status=1)
    assert "none" in done.err
    assert values(ev, "u") == ["x"]


def test_only_so_many_records(ev: CommandLine) -> None:
    """-n ends before the input does."""
    ev("produce", "t", "-n", "2", data=b"a\nb\nc\n")
    assert values(ev, "t") == ["a", "b"]
    ev("produce", "u", "-n", "0", data=b"a\n")
    assert values(ev, "u") == []


def test_json_comes_back_as_it_was(ev: CommandLine) -> None:
    """`ev consume -J | ev produce -J` copies keys, values, headers and times, bytes and nulls included."""
    ev("produce", "a", "-K", ":", "-H", "h=1", data=b"k:v\n\xff:\xfe\nplain\n")
    ev("produce", "a", "-Z", "--timestamp", "1600000000000", data=b"\n")
    lines = ev("consume", "a", "-e", "-J").out
    ev("produce", "b", "-J", data=lines)
    wanted, found = records(ev, "a"), records(ev, "b")
    for record in [*wanted, *found]:
        del record["topic"]
    assert found == wanted


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_records_come_back(ev: CommandLine, codec: str) -> None:
    """Each codec."""
    data = b"".join(b"line %d of many that are alike\n" % number for number in range(2000))
    ev("produce", "t", "-z", codec, data=data)
    assert ev("consume", "t", "-e").out == data


def test_where_each_record_went(ev: CommandLine) -> None:
    """-v says it on stderr, --report on stdout."""
    assert "\u2192 t/0@0\n\u2192 t/0@1\n" in ev("produce", "t", "-v", data=b"a\nb\n").err
    assert ev("produce", "t", "--report", "%t %p %o", data=b"a\nb\n").out == b"t 0 2\nt 0 3\n"


def test_the_input_is_copied_to_stdout(ev: CommandLine) -> None:
    """-T, as tee does."""
    assert ev("produce", "t", "-T", data=b"a\nb").out == b"a\nb"


def test_a_line_leaves_as_soon_as_it_is_complete(ev: CommandLine) -> None:
    """While stdin stays open: what has been typed is consumed already."""
    ev("topic", "create", "t")
    reader = ev.start("consume", "t")
    writer = ev.start("produce", "t")
    try:
        for number in range(3):
            writer.send(b"line %d\nhal" % number)
            reader.wait_for(b"line %d\n" % number)
            writer.send(b"f\n")
            reader.wait_for(b"half\n" * (number + 1) if number == 0 else b"half\n")
        assert writer.end().status == 0
    finally:
        reader.kill()
        writer.kill()


def test_a_terminal_is_told_how_to_end_and_where_each_line_went(ev: CommandLine) -> None:
    """On stderr, for a person."""
    terminal = ev.terminal("produce", "payments")
    try:
        terminal.wait_for("one event per line, Ctrl-D ends")
        terminal.type("3.20 coffee\n")
        terminal.wait_for("\u2192 payments/0@0")
        terminal.type("4.80 tea\n")
        terminal.wait_for("\u2192 payments/0@1")
        terminal.type("\x04")
        assert terminal.wait() == 0
    finally:
        terminal.close()
    assert values(ev, "payments") == ["3.20 coffee", "4.80 tea"]


def test_interrupted_it_sends_what_was_complete(ev: CommandLine) -> None:
    """The first Ctrl-C ends in order: what came as whole lines is acknowledged, then it dies of the signal."""
    writer = ev.start("produce", "t", "-v")
    writer.send(b"a\nb\nnot comple")
    writer.wait_for("\u2192 t/0@1".encode())
    writer.signal(signal.SIGINT)
    assert writer.process.wait(20) == -signal.SIGINT
    writer.kill()
    assert values(ev, "t") == ["a", "b"]


def test_terminated_while_idle(ev: CommandLine) -> None:
    """SIGTERM is exit 143."""
    writer = ev.start("produce", "t", "-v")
    writer.send(b"a\n")
    writer.wait_for(b"t/0@0")
    writer.signal(signal.SIGTERM)
    assert writer.process.wait(20) == -signal.SIGTERM
    writer.kill()


def test_a_record_that_is_too_large_is_told_with_its_place(ev: CommandLine) -> None:
    """Exit 1: acked N of M, and the line and byte at which to go on."""
    data = b"small\n" + b"x" * 2_000_000 + b"\nbehind\n"
    done = ev("produce", "t", data=data, status=1)
    assert "acked" in done.err
    assert "first unacknowledged: line 2, byte 6" in done.err
    assert "MESSAGE_TOO_LARGE" in done.err
    assert values(ev, "t")[0] == "small"


def test_lines_of_900_kilobytes_are_records(ev: CommandLine) -> None:
    """Through a pipe, which gives 64 KiB at a time."""
    data = b"".join(bytes([65 + number]) * 900_000 + b"\n" for number in range(5))
    ev("produce", "t", data=data)
    assert ev("consume", "t", "-e").out == data


def test_an_engine_that_stops_in_the_middle(ev: CommandLine) -> None:
    """Exit 4, nothing acknowledged is counted twice, and the place at which to go on."""
    ev("topic", "create", "t")
    writer = ev.start("produce", "t", "-v", "-X", "delivery.timeout.ms=1500", "--timeout", "1s", "-b", ev.address)
    try:
        writer.send(b"one\ntwo\n")
        writer.wait_for(b"t/0@1")
        ev("down")
        writer.send(b"three\n")
        done = writer.end()
    finally:
        writer.kill()
    assert done.status == 4
    assert "acked 2 of 3, first unacknowledged: line 3, byte 8" in done.err


def test_nothing_in_nothing_sent(ev: CommandLine) -> None:
    """An empty input is no failure."""
    ev("produce", "t", data=b"")
    assert values(ev, "t") == []


def test_closed_stdin_is_a_failure(ev: CommandLine) -> None:
    """One line, exit 1."""
    done = ev.shell("ev produce t <&-")
    assert (done.status, done.err.splitlines()[0]) == (1, "ev: stdin is closed: give it a pipe, a file or a terminal")


def test_a_command_substitution_returns_at_once(ev: CommandLine) -> None:
    """Although the engine that it starts lives on: the daemon holds none of its streams."""
    begin = time.monotonic()
    done = ev.shell("x=$(echo a | ev produce t 2>&1); echo done $?")
    assert done.lines[-1] == "done 0"
    assert time.monotonic() - begin < 20
    os.kill(ev.pid, 0)


def test_ctrl_c_to_the_first_pipeline_leaves_the_engine_up(ev: CommandLine) -> None:
    """The daemon has a session of its own."""
    process = subprocess.Popen(
        [*MODULE, "produce", "t"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=ev.variables, start_new_session=True
    )
    try:
        wait_for(lambda: (ev.data_dir / "engine.json").exists(), "the engine")
        pid = ev.pid
        os.killpg(process.pid, signal.SIGINT)
        process.wait(20)
    finally:
        process.kill()
        process.communicate()
    assert os.getsid(pid) != os.getsid(0)
    assert ev.json("server", "status")["pid"] == pid


def test_what_answers_and_is_no_kafka(ev: CommandLine) -> None:
    """A web server at the address: exit 4, no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        writer = ev.start("-b", f"127.0.0.1:{server.getsockname()[1]}", "--timeout", "2s", "produce", "t")
        writer.send(b"x\n")
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            done = writer.end()
    assert done.status == 4
    assert len(done.err.splitlines()) == 1
