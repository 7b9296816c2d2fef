"""ev produce: forms of input, what is done about input that has none, transactions, pace and repetition."""

from __future__ import annotations

import json
import pathlib
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from support.command_line import MODULE, CommandLine


def records(ev: CommandLine, topic: str = "t") -> list[dict[str, object]]:
    return [json.loads(line) for line in ev("consume", topic, "-e", "-J").lines]


def values(ev: CommandLine, topic: str = "t") -> list[object]:
    return [record["value"] for record in records(ev, topic)]


def test_rows_of_csv_and_tsv(ev: CommandLine) -> None:
    """The first row names the columns; with a value they are parts of the record, without one the row is a JSON object."""
    ev("produce", "t", "-f", "csv", data=b'key,value,header.h,timestamp\r\na,"1, ""x""\ny",v,1700000000000\r\n,,,2023-11-14T22:13:20Z\r\n')
    first, second = records(ev)
    assert (first["key"], first["value"], first["headers"], first["timestamp"]) == ("a", '1, "x"\ny', [["h", "v"]], 1700000000000)
    assert (second["key"], second["value"], second["timestamp"]) == ("", "", 1700000000000)
    ev("produce", "u", "-f", "csv", "-Z", "--timestamp", "at", data=b"key,name,at\n7,Ann,1600000000\n")
    [row] = records(ev, "u")
    assert (row["key"], row["value"], row["timestamp"]) == ("7", '{"key":"7","name":"Ann","at":"1600000000"}', 1600000000000)
    ev("produce", "v", "-f", "tsv", "-Z", data=b"key\tvalue\na\\tb\\\\n\tx\\ny\n\t\n")
    assert [(record["key"], record["value"]) for record in records(ev, "v")] == [("a\tb\\n", "x\ny"), (None, None)]


def test_bad_rows_are_told_with_their_line(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """Lines within quotes are counted."""
    path = tmp_path / "rows.csv"
    path.write_bytes(b'key,value\na,"two\nlines"\nb\n')
    done = ev("produce", "t", "-f", "csv", str(path), status=1)
    assert f"line 4, byte 24 of {path}: 1 columns where the first row has 2" in done.err
    assert values(ev) == ["two\nlines"]
    assert "'extra'" in ev("produce", "t", "-f", "csv", data=b"value,extra\n", status=1).err
    assert "within quotes" in ev("produce", "t", "-f", "csv", data=b'value\n"open\n', status=1).err


def test_headers_and_widths_in_a_format(ev: CommandLine) -> None:
    """%H%h{…} reads as many headers as it says; numbers and topics may have a width."""
    form = "%T{byte}%t%p{big16}%d{big64}%K{3}%k%H{byte}%h{%K{byte}%k%V{big16}%v}%V{big32}%v"
    body = b"\x02t1" + struct.pack(">hq", 0, 1700000000000) + b"abc" + b"\x02" + b"\x01x\0\x01y" + b"\x01z\xff\xff" + b"\0\0\0\x03v\nw"
    ev("topic", "create", "t1")
    ev("produce", "t", "-f", form, data=body.replace(b"\xff\xff", b"\0\0") * 2)
    first, second = records(ev, "t1")
    assert (first["key"], first["value"], first["timestamp"]) == ("abc", "v\nw", 1700000000000)
    assert first["headers"] == second["headers"] == [["x", "y"], ["z", ""]]
    ev("produce", "t", "-f", "%k{re[[a-z]+]}%v\\n", data=b"abc123\n")
    assert [(record["key"], record["value"]) for record in records(ev)] == [("abc", "123")]


def test_what_consume_writes_by_a_format_produce_reads_by_it(ev: CommandLine) -> None:
    """Offsets are read, and mean nothing."""
    ev("produce", "a", "-K", ":", "-H", "h=1", "--timestamp", "1700000000000", data=b"k:v\nl:\xff\n")
    form = "%o %d %K{byte}%k%H{byte}%h{%K{byte}%k%V{byte}%v}%V{big32}%v"
    ev("produce", "b", "-f", form, data=ev("consume", "a", "-e", "-f", form).out)
    wanted, found = records(ev, "a"), records(ev, "b")
    for record in [*wanted, *found]:
        del record["topic"]
    assert found == wanted


@pytest.mark.parametrize(
    ("serde", "line", "key", "value"),
    [
        ("key=i32be,value=json", b'7:{"a":1}', b"\0\0\0\7", b'{"a":1}'),
        ("key=hex,value=base64", b"ff:YQ==", b"\xff", b"a"),
        ("u8", b"k:255", b"k", b"\xff"),
        ("value=f64le", b"k:1.5", b"k", struct.pack("<d", 1.5)),
        ("value=unpack:>iqx<hs", b"k:1,2 3 the rest", b"k", struct.pack(">iqx", 1, 2) + struct.pack("<h", 3) + b"the rest"),
        ("key=string", b"k:v", b"k", b"v"),
    ],
)
def test_text_becomes_bytes(ev: CommandLine, serde: str, line: bytes, key: bytes, value: bytes) -> None:
    """-s for key and value."""
    ev("produce", "t", "-K", ":", "-s", serde, data=line + b"\n")
    assert ev("consume", "t", "-e", "-f", "%k{hex} %v{hex}").out == f"{key.hex()} {value.hex()}".encode()


@pytest.mark.parametrize("serde", ["i32be", "f64le", "hex", "unpack:iq", "unpack:>hBs", "unpack:<h>h"])
def test_what_a_serde_shows_comes_back(one_engine: CommandLine, fresh: Callable[[str], str], serde: str) -> None:
    """As lines and as JSON: both ways mean the same order of bytes, and several fields are a list."""
    name = fresh("topic")
    sizes = {"i32be": 4, "f64le": 8, "hex": 3, "unpack:iq": 12, "unpack:>hBs": 9, "unpack:<h>h": 4}
    values = b"".join(b"%b\n" % bytes([*range(first, first + sizes[serde])]).hex().encode() for first in (0x41, 0x61))
    one_engine("produce", name, "-s", "hex", data=values)
    for number, json_records in enumerate(([], ["-J"])):
        shown = one_engine("consume", name, "-e", "-s", serde, *json_records).out
        one_engine("produce", f"{name}-{number}", "-s", serde, *json_records, data=shown)
        assert one_engine("consume", f"{name}-{number}", "-e", "-s", "hex").out == values


def test_what_is_no_number_is_told_with_its_place(ev: CommandLine) -> None:
    """And so is a serde that has no schema."""
    assert "line 2, byte 2: '300' is no u8" in ev("produce", "t", "-s", "u8", data=b"1\n300\n2\n", status=1).err
    assert ev("produce", "t", "-s", "avro", data=b"", status=2).err.startswith("ev: -s value=avro needs a schema")
    assert "-k: " in ev("produce", "t", "-k", "x", "-s", "key=i32be", data=b"", status=2).err


def test_malformed_input_stops_or_is_left_out_or_goes_elsewhere(ev: CommandLine) -> None:
    """stop: what came before is sent, and the place is named. skip: exit 1, in numbers. dlq: as it was, with the reason; exit 0."""
    data = b'{"value":"a"}\nnonsense\n{"value":"b"}\n[1]\n{"value":"c"}\n'
    done = ev("produce", "t", "-J", data=data, status=1)
    assert "line 2, byte 14: no JSON" in done.err
    assert "acked 1 of 1" in done.err
    assert values(ev) == ["a"]
    done = ev("produce", "u", "-J", "--on-error", "skip", data=data, status=1)
    assert "3 of 5 records acknowledged, 2 skipped" in done.err
    assert "line 4, byte 37" in done.err
    assert values(ev, "u") == ["a", "b", "c"]
    done = ev("produce", "v", "-J", "--on-error", "dlq=dead", data=data)
    assert "3 of 5 records acknowledged, 2 sent to the dead-letter topic" in done.err
    assert values(ev, "v") == ["a", "b", "c"]
    first, second = records(ev, "dead")
    assert (first["value"], second["value"]) == ("nonsense", "[1]")
    assert ["ev-dlq-place", "line 2, byte 14"] in first["headers"]  # type: ignore[operator]
    for text in ("dlq", "skip=x", "perhaps"):
        assert "--on-error" in ev("produce", "t", "--on-error", text, data=b"", status=2).err


def test_a_framed_input_stops_where_it_breaks(ev: CommandLine) -> None:
    """What came before is sent, whatever --on-error says: nobody knows where the next record begins."""
    data = b"\0\0\0\1a" + b"\0\0\0\1b" + b"\xff\xff\xff\0"
    done = ev("produce", "t", "-f", "lp32", "--on-error", "skip", data=data, status=1)
    assert "line 3, byte 10: a record says that its size is -256" in done.err
    assert values(ev) == ["a", "b"]


def test_a_record_that_the_broker_refuses_is_left_out(ev: CommandLine) -> None:
    """--on-error skip, for what is about that record alone."""
    done = ev("produce", "t", "--on-error", "skip", data=b"a\n" + b"x" * 2_000_000 + b"\nb\n", status=1)
    assert values(ev) == ["a", "b"]
    assert "2 of 3 records acknowledged, 1 skipped" in done.err
    done = ev("produce", "u", "--max-message-bytes", "5", "--on-error", "skip", data=b"a\nlonger\nb\n", status=1)
    assert values(ev, "u") == ["a", "b"]


def test_the_time_stands_in_a_field(ev: CommandLine) -> None:
    """Of the envelope, of the value, or of a line that is JSON."""
    ev("produce", "t", "-J", "--timestamp", "at", data=b'{"value":"{\\"at\\":1600000000}"}\n{"value":{"at":"2020-09-13T12:26:40Z"}}\n')
    ev("produce", "t", "--timestamp", "at", data=b'{"at":1600000000000}\n')
    assert [record["timestamp"] for record in records(ev)] == [1600000000000] * 3
    done = ev("produce", "t", "--timestamp", "at", data=b'{"when":1}\n', status=1)
    assert "line 1, byte 0: no field 'at'" in done.err


def test_the_envelope_of_kaf_has_its_time_as_text(ev: CommandLine) -> None:
    """RFC 3339."""
    ev("produce", "t", "-J", data=b'{"key":"k","payload":"v","headers":[{"key":"a","value":"1"}],"timestamp":"2020-09-13T12:26:40Z"}\n')
    [record] = records(ev)
    assert (record["key"], record["value"], record["headers"], record["timestamp"]) == ("k", "v", [["a", "1"]], 1600000000000)


def test_a_transaction_is_all_or_nothing(ev: CommandLine) -> None:
    """Committed at the end of the input; aborted when something is wrong, and when a signal comes."""
    ev("produce", "t", "--transaction", data=b"a\nb\n")
    done = ev("produce", "t", "-J", "--transaction=mine", data=b'{"value":"c"}\nbad\n', status=1)
    assert "the transaction was aborted, none of 1 records count" in done.err
    writer = ev.start("produce", "t", "--transaction", "-T")
    writer.send(b"d\n")
    writer.wait_for(b"d\n")
    writer.signal(signal.SIGINT)
    assert writer.process.wait(20) == -signal.SIGINT
    assert "was aborted" in writer.end().err
    assert values(ev) == ["a", "b"]
    assert "contradict" in ev("produce", "t", "--transaction", "--acks", "1", data=b"", status=2).err


def test_a_pace_is_kept(ev: CommandLine) -> None:
    """So many a second; a nonsensical one is a usage error."""
    ev("topic", "create", "t")
    begin = time.monotonic()
    ev("produce", "t", "--rate", "50/s", data=b"x\n" * 30)
    assert time.monotonic() - begin > 0.5
    assert len(values(ev)) == 30
    for text in ("0", "fast", "5/y"):
        assert "--rate" in ev("produce", "t", "--rate", text, data=b"", status=2).err


def test_the_input_is_sent_several_times(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """A value, files, stdin that can be read again; a pipe cannot."""
    ev("produce", "t", "--value", "x", "--repeat", "2500")
    assert values(ev) == ["x"] * 2500
    path = tmp_path / "lines"
    path.write_bytes(b"a\nb\n")
    ev("produce", "u", "--repeat", "2", str(path))
    assert ev.shell(f"ev produce u --repeat 2 -n 3 < {path}").status == 0
    assert values(ev, "u") == ["a", "b", "a", "b", "a", "b", "a"]
    assert "stdin cannot be read again" in ev("produce", "u", "--repeat", "2", data=b"c\n", status=1).err


def test_templates_are_filled_in(ev: CommandLine) -> None:
    """Number, time, UUID and random numbers, in value, key and headers."""
    ev("produce", "t", "--template", "--value", "%i %r{5..5} %% %d", "-k", "key-%i", "-H", "id=%u", "--repeat", "3")
    found = records(ev)
    assert [record["key"] for record in found] == ["key-1", "key-2", "key-3"]
    assert [str(record["value"]).rpartition(" ")[0] for record in found] == ["1 5 %", "2 5 %", "3 5 %"]
    assert len({str(record["headers"]) for record in found}) == 3
    assert "%x" in ev("produce", "t", "--template", "--value", "%x", status=1).err


def test_progress_is_for_a_person_at_a_terminal(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """A file that takes a while is shown with its share and the time left, and only there; nothing of it goes into a pipe."""
    path = tmp_path / "lines"
    path.write_bytes(b"x\n" * 40)
    ev("topic", "create", "t")
    assert ev("produce", "t", "--rate", "50", str(path)).err == ""
    terminal = ev.terminal("produce", "t", "--rate", "40", str(path))
    try:
        terminal.wait_for("sending")
        terminal.wait_for(" left")
        assert terminal.wait() == 0
    finally:
        terminal.close()
    assert len(values(ev)) == 80


def test_memory_is_bounded_whatever_the_lines(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """Two hundred thousand tiny lines, some large ones: the process stays under 150 MB."""
    path = tmp_path / "lines"
    path.write_bytes(b"ab\n" * 600_000 + (b"y" * 900_000 + b"\n") * 40)
    ev("topic", "create", "t")
    # A process of its own asks: what the tests themselves take would count as having been the command's.
    asks = "import subprocess, sys; from resource import *; subprocess.run(sys.argv[1:], check=True); "
    asks += "print(getrusage(RUSAGE_CHILDREN).ru_maxrss)"
    command = [sys.executable, "-c", asks, *MODULE, "produce", "t", str(path)]
    said = subprocess.run(command, env=ev.variables, capture_output=True, text=True, check=True, timeout=100).stdout
    assert int(said) < 150_000
