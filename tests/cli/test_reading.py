"""ev consume, tail, get and trace: which records, in what order, in what form; one broker for all of these promises, ev's and Kafka's."""

from __future__ import annotations

import json
import pathlib
import re
import time
from collections.abc import Iterator

import pytest

from ev.client import Producer
from support.command_line import CommandLine

BEGIN = 1_700_000_000_000
ORDERS = 30
FOR_EVER = ("-c", "retention.ms=-1")


@pytest.fixture(scope="module", params=["ev", pytest.param("apache", marks=pytest.mark.java)])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """orders and payments: events of 5 customers over 4 and 3 partitions, each event a second after the one before it."""
    directory: pathlib.Path = tmp_path_factory.mktemp("reading")
    ev = CommandLine(directory, NO_COLOR="1")
    if request.param == "apache":
        ev.variables["EV_BOOTSTRAP"] = request.getfixturevalue("apache").bootstrap
    try:
        for topic, partitions in (("orders", 4), ("payments", 3), ("empty", 2), ("marked", 1), ("numbers", 1)):
            ev("topic", "create", topic, "-p", str(partitions), *FOR_EVER)
        with Producer(address_of(ev)) as producer:
            for number in range(ORDERS):
                key = b"c%d" % (number % 5)
                value = json.dumps({"id": number, "customer": {"name": f"name-{number % 5}"}, "amount": number * 10}).encode()
                headers = [("n", b"%d" % number)]
                producer.produce("orders", value, key, headers=headers, timestamp_ms=BEGIN + number * 1000)
                if number % 2:
                    producer.produce("payments", b"paid %d" % number, key, timestamp_ms=BEGIN + number * 1000 + 500)
            producer.produce("numbers", b"\0\0\0\7", b"\xff\xfe", timestamp_ms=BEGIN)
            producer.produce("numbers", None, b"gone", timestamp_ms=BEGIN + 1)
            producer.flush()
        with Producer(address_of(ev), transactional_id="reader-of-markers") as producer:
            producer.init_transactions()
            producer.begin_transaction()
            producer.produce("marked", b"one")
            producer.commit_transaction()
            producer.begin_transaction()
            producer.produce("marked", b"two")
            producer.flush()
            producer.abort_transaction()
        yield ev
    finally:
        ev.close()


def address_of(ev: CommandLine) -> str:
    return ev.variables.get("EV_BOOTSTRAP") or ev.address


def ids(out: bytes) -> list[int]:
    return [json.loads(line)["id"] for line in out.splitlines()]


# -- order ---------------------------------------------------------------------------------------------------------------------------


def test_the_order_of_time_over_partitions_and_topics(world: CommandLine) -> None:
    """--order time: however the partitions are read."""
    assert ids(world("consume", "orders", "-e", "--order", "time").out) == list(range(ORDERS))
    both = world("consume", "orders", "payments", "-e", "--order", "time", "-f", "%T\n").lines
    assert both == sorted(both)
    assert len(both) == ORDERS + ORDERS // 2
    assert ids(world("consume", "orders", "-e", "--order", "time", "-n", "7").out) == list(range(7))


def test_the_newest_over_all_partitions(world: CommandLine) -> None:
    """--tail: exactly so many, in the order of time; with filters, of those that they let through."""
    assert ids(world("consume", "orders", "-e", "--tail", "4").out) == [26, 27, 28, 29]
    assert ids(world("consume", "orders", "-e", "--tail", "3", "--key", "c1").out) == [16, 21, 26]
    assert ids(world("consume", "orders", "-e", "--tail", "2", "--where", "value.amount < 100").out) == [8, 9]
    assert world("consume", "orders", "-e", "--tail", "0").out == b""
    assert ids(world("consume", "orders", "-e", "--tail", "1000").out) == list(range(ORDERS))
    assert ids(world("consume", "orders", "--until", "1700000010", "--tail", "2").out) == [8, 9]
    assert world("consume", "empty", "-e", "--tail", "5").out == b""


def test_tail_shows_the_newest_ten_and_then_what_comes(world: CommandLine) -> None:
    """For a person, in the order of time, from all partitions."""
    world("topic", "create", "followed", "-p", "3")
    now_ms = int(time.time() * 1000) - 1000
    with Producer(address_of(world)) as producer:
        for number in range(20):
            producer.produce("followed", b"old-%d" % number, b"k%d" % number, timestamp_ms=now_ms + number)
        producer.flush()
    tail = world.start("tail", "followed")
    try:
        tail.wait_for(b"old-19")
        assert re.findall(rb"old-\d+", tail.out) == [b"old-%d" % number for number in range(10, 20)]
        world("produce", "followed", "-K", ":", data=b"".join(b"n%d:new-%d\n" % (number, number) for number in range(5)))
        for number in range(5):
            tail.wait_for(b"new-%d" % number)
        assert b"followed/" in tail.out
    finally:
        tail.kill()
    assert len(world("tail", "followed", "--tail", "3", "-e", "-f", "%v\n").lines) == 3
    newest = world("tail", "followed", "-n", "2", "-f", "%v\n").lines
    assert [len(newest), all(line.startswith("new-") for line in newest)] == [2, True]
    assert json.loads(world("tail", "followed", "--tail", "1", "-e", "-J").out)["value"].startswith("new-")


# -- which -----------------------------------------------------------------------------------------------------------------------------


def test_only_what_matches(world: CommandLine) -> None:
    """--grep, repeated for and; --where; nothing found is exit 6."""
    assert sorted(ids(world("consume", "orders", "-e", "--grep", "k:^c1$", "--grep", '!v:"id": 1').out)) == [6, 21, 26]
    assert ids(world("consume", "orders", "-e", "--grep", "h:n=^17$").out) == [17]
    where = "value.customer.name == 'name-3' and value.amount > 100 and headers.n < 20"
    assert sorted(ids(world("consume", "orders", "-e", "--where", where).out)) == [13, 18]
    assert world("consume", "orders", "payments", "-e", "--grep", "t:^pay", "-f", "%t\n").lines == ["payments"] * (ORDERS // 2)
    assert world("consume", "orders", "-e", "--grep", "v:nothing", status=6).out == b""
    assert "column 7" in world("consume", "orders", "--where", "value.", status=2).err


def test_a_key_is_read_from_its_partition(world: CommandLine) -> None:
    """--key reads one partition, and says which."""
    done = world("consume", "orders", "-e", "--key", "c2")
    assert ids(done.out) == [2, 7, 12, 17, 22, 27]
    assert "of 4 partitions" in done.err
    assert "-p" in world("consume", "orders", "--key", "c2", "-p", "1", status=2).err


def test_so_many_of_each_partition(world: CommandLine) -> None:
    """--per-partition ends when every partition has given as many, or has come to its end."""
    found = world("consume", "orders", "--per-partition", "2", "-e", "-f", "%p\n").lines
    assert all(found.count(partition) == 2 for partition in set(found))
    assert world("consume", "numbers", "--per-partition", "1", "-f", "%k{hex}\n").lines == ["fffe"]


def test_a_filter_commits_what_it_leaves_out(world: CommandLine) -> None:
    """A member of a group does not read it again."""
    assert ids(world("consume", "orders", "-g", "filtering", "-e", "--grep", "h:n=^3$").out) == [3]
    world("consume", "orders", "-g", "filtering", "-e", "--grep", "v:.", status=6)
    assert world.json("group", "describe", "filtering")["total_lag"] == 0


def test_times(world: CommandLine) -> None:
    """Durations behind a time, UTC for times without a zone."""
    assert ids(world("consume", "orders", "--order", "time", "-o", "@1700000010:5s").out) == list(range(10, 15))
    assert ids(world("consume", "orders", "--order", "time", "-o", "@2023-11-14T22:13:40:@2023-11-14T22:13:43", "--utc").out) == [
        20,
        21,
        22,
    ]
    assert ids(world("consume", "orders", "-e", "--since", "2023-11-14T22:13:48Z", "--order", "time").out) == [28, 29]


def test_control_records(world: CommandLine) -> None:
    """--control shows what ends transactions."""
    assert world("consume", "marked", "-e").lines == ["one"]
    assert world("consume", "marked", "-e", "--read-uncommitted").lines == ["one", "two"]
    rows = [json.loads(line) for line in world("consume", "marked", "-e", "--control", "-J").lines]
    assert [(row["offset"], row.get("control")) for row in rows] == [(0, None), (1, "commit"), (3, "abort")]
    assert world("consume", "marked", "-e", "--control", "-f", "%o %a{control-bit} %a{transactional-bit;bool}\n").lines == [
        "0 0 true",
        "1 1 true",
        "3 1 true",
    ]
    assert "commits the transaction of producer" in world("consume", "marked", "-e", "--control", "-f", "pretty").out.decode()


def test_a_topic_that_is_deleted_while_it_is_read(world: CommandLine) -> None:
    """Its reader does not wait for ever: exit 3 and one line, also in a group."""
    world("topic", "create", "doomed", "-p", "2")
    world("produce", "doomed", data=b"last words\n")
    readers = [world.start("consume", "doomed", *group) for group in ((), ("-g", "mourners"))]
    for reader in readers:
        reader.wait_for(b"last words\n")
    world("topic", "delete", "doomed", "-y")
    for reader in readers:
        done = reader.end()
        assert done.status == 3, done
        assert "'doomed' was deleted while it was read" in done.err.splitlines()[-1]


# -- in what form ------------------------------------------------------------------------------------------------------------------------


def test_bytes_as_what_they_are(world: CommandLine) -> None:
    """-s for text, and in JSON as JSON."""
    assert world("consume", "numbers", "-e", "-s", "value=i32be,key=hex", "-K", "=", "--null", "-").lines == ["fffe=7", "676f6e65=-"]
    rows = [json.loads(line) for line in world("consume", "numbers", "-e", "-s", "value=i32be", "--fields", "k,v").lines]
    assert rows == [{"key_b64": "//4=", "value": 7}, {"key": "gone", "value": None}]
    done = world("consume", "numbers", "-e", "-s", "value=i64be", status=1)
    assert "numbers/0@0" in done.err
    assert done.out == b""


def test_a_terminal_that_knows_ascii_only_gets_ascii(world: CommandLine) -> None:
    """Nothing raises, nothing is lost."""
    world("topic", "create", "accents")
    world("produce", "accents", data="caf\u00e9\n".encode())
    assert "caf\\xe9" in world("consume", "accents", "-e", "-f", "pretty", PYTHONIOENCODING="ascii").out.decode("ascii")
    assert world("consume", "accents", "-e", PYTHONIOENCODING="ascii").out == "caf\u00e9\n".encode()


def test_json_goes_through_a_pipe_and_comes_back(world: CommandLine) -> None:
    """ev consume -J | ev produce -J: the same keys, values, nulls, headers and timestamps, byte for byte."""
    kinds: list[bytes | None] = [
        None,
        b"",
        b"text",
        b"\xff\x00\n",
        "\u00e9\u2028\U0001f600".encode(),
        b'{"a": 1}',
        b"null",
        b"\x7f",
        b'"\\\r',
    ]
    world("topic", "create", "source", "copy", "-p", "1", *FOR_EVER)
    with Producer(address_of(world)) as producer:
        for number, key in enumerate(kinds):
            for value in kinds:
                producer.produce("source", value, key, headers=[("h", value), ("h", key), ("", b"")], timestamp_ms=BEGIN + number)
        producer.flush()
    assert world.shell("ev consume source -e -J | ev produce copy -J").status == 0
    exact = "%T %S %K %k{hex} %v{hex} %h{%k=%v{hex},}\n"
    source, copy = (world("consume", topic, "-e", "-f", exact, "--null", "NULL").out for topic in ("source", "copy"))
    assert source == copy
    assert source.count(b"\n") == len(kinds) ** 2


# -- one record --------------------------------------------------------------------------------------------------------------------------


def test_one_record_all_of_it(world: CommandLine) -> None:
    """JSON for a program, a line for each thing for a person, -f as for consume."""
    found = world("get", "numbers/0/0").json
    assert (found["offset"], found["key_b64"], found["timestamp"]) == (0, "//4=", BEGIN)
    assert world("get", "numbers/0@1", "-f", "%k %S").out == b"gone -1"
    assert world("get", "numbers/0/-1", "--null", "nothing", "-f", "value").out == b"nothing\n"
    assert world("get", "numbers/0/0", "-s", "value=i32be", "-J").json["value"] == 7
    (place,) = world("consume", "orders", "-n", "1", "-f", "%p/%o").lines
    terminal = world.terminal("get", f"orders/{place}", "--utc")
    try:
        assert terminal.wait() == 0
        for shown in (f"orders/{place}", "2023-11-14T22:13:", "+00:00", "header n", "bytes)"):
            assert shown in terminal.seen
    finally:
        terminal.close()


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("numbers/0/2", "offsets 0 to 1"),
        ("numbers/0/-3", "offsets 0 to 1"),
        ("numbers/1/0", "no partition 1"),
        ("nubmers/0/0", "'numbers'"),
        ("empty/0/0", "empty"),
        ("marked/0/1", "marks"),
        ("nowhere/numbers/0/0", "no context 'nowhere'"),
    ],
)
def test_a_record_that_is_not_there_is_exit_3(world: CommandLine, record: str, said: str) -> None:
    """With what there is."""
    done = world("get", record, status=3)
    assert said in done.err
    assert done.out == b""


# -- one key through the topics ------------------------------------------------------------------------------------------------


def test_a_key_through_all_topics(world: CommandLine) -> None:
    """In the order of time, with the delay since the event before; JSON too."""
    rows = [json.loads(line) for line in world("trace", "c3", "orders", "payments", "-J").lines]
    assert [(row["topic"], row["timestamp"] - BEGIN, row["delay_ms"]) for row in rows][:4] == [
        ("orders", 3000, None),
        ("payments", 3500, 500),
        ("orders", 8000, 4500),
        ("orders", 13000, 5000),
    ]
    everywhere = world("trace", "c3", "-J")
    assert [json.loads(line) for line in everywhere.lines] == rows
    assert everywhere.err == ""
    partition, offset = rows[1]["partition"], rows[1]["offset"]
    assert world("trace", "c3", "payments", "-n", "1").lines == [f"{BEGIN + 3500}\t\tpayments\t{partition}\t{offset}\tpaid 3"]
    terminal = world.terminal("trace", "c3", "orders", "payments", "-n", "2", "--utc")
    try:
        assert terminal.wait() == 0
        assert "+500ms  payments/" in terminal.seen
    finally:
        terminal.close()


def test_a_key_that_is_nowhere_is_exit_6(world: CommandLine) -> None:
    """With what to try; --all-partitions finds what another partitioner has put elsewhere."""
    assert "--all-partitions" in world("trace", "nobody", "orders", status=6).err
    world("topic", "create", "elsewhere", "-p", "3")
    for partition in range(3):
        world("produce", "elsewhere", "-k", "lost", "-p", str(partition), data=b"%d\n" % partition)
    assert len(world("trace", "lost", "elsewhere", "-J").lines) == 1
    assert len(world("trace", "lost", "elsewhere", "-J", "--all-partitions").lines) == 3


def test_a_trace_that_goes_on(world: CommandLine) -> None:
    """--follow shows what comes, with its delay."""
    world("topic", "create", "growing", *FOR_EVER)
    world("produce", "growing", "-k", "g1", "--timestamp", str(BEGIN), data=b"early\n")
    trace = world.start("trace", "g1", "growing", "--follow")
    try:
        trace.wait_for(b"early\n")
        world("produce", "growing", "-k", "g1", "--timestamp", str(BEGIN + 90_000), data=b"late\n")
        trace.wait_for(b"late\n")
        assert trace.out.splitlines()[-1].split(b"\t")[:2] == [b"%d" % (BEGIN + 90_000), b"90000"]
    finally:
        trace.kill()
