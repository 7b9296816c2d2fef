"""ev topic and ev group: what they show and change, in every output form, and how they refuse."""

from __future__ import annotations

import csv
import io
import json
import signal

import pytest

from support.command_line import CommandLine


@pytest.fixture
def shop(ev: CommandLine) -> CommandLine:
    """Two topics with records, and a group that is behind on one of them."""
    ev("topic", "create", "orders", "-p", "2", "-c", "retention.ms=86400000")
    ev("produce", "orders", "-p", "1", data=b"a\nb\nc\n")
    ev("produce", "payments", data=b"x\n")
    ev("consume", "orders", "-g", "billing", "-n", "1")
    return ev


def test_a_list_in_every_form(shop: CommandLine) -> None:
    """TSV without a header into a pipe; JSON is a bare array; an empty list is [] and exit 0."""
    assert shop("topic", "list").out == b"orders\t2\t1\npayments\t1\t1\n"
    assert shop("topics").out == shop("topic", "ls").out == b"orders\t2\t1\npayments\t1\t1\n"
    assert shop("topic", "list", "-o", "name").lines == ["orders", "payments"]
    listed = shop.json("topic", "list")
    assert [(topic["name"], topic["partitions"], topic["records"]) for topic in listed] == [("orders", 2, 3), ("payments", 1, 1)]
    assert listed == [json.loads(line) for line in shop("topic", "list", "-o", "jsonl").lines]
    rows = list(csv.reader(io.StringIO(shop("topic", "list", "-o", "csv").out.decode(), newline="")))
    assert rows[0][:3] == ["name", "partitions", "replicas"]
    assert rows[1][:3] == ["orders", "2", "1"]
    assert shop("topic", "list", "-o", "table").lines[0].split() == ["NAME", "PARTITIONS", "REPLICAS"]
    assert "RECORDS" in shop("topic", "list", "-o", "wide").lines[0]
    assert shop("topic", "list", "-o", "table", "--no-headers").lines[0].split() == ["orders", "2", "1"]
    assert shop("topic", "list", "-o", "yaml").lines[0] == '- name: "orders"'
    assert shop.json("topic", "list", "nothing*") == []


def test_lists_are_narrowed_by_patterns(shop: CommandLine) -> None:
    """Globs, or regular expressions for the whole name; internal topics only when asked for."""
    assert shop("topic", "list", "pay*", "-o", "name").lines == ["payments"]
    assert shop("topic", "list", "-r", "o.*s", "-o", "name").lines == ["orders"]
    assert shop("topic", "list", "-r", "order", "-o", "name").lines == []
    assert "__consumer_offsets" in shop("topic", "list", "-i", "-o", "name").lines
    assert shop("topic", "list", "--sort", "records", "-o", "name").lines == ["orders", "payments"]


def test_a_topic_described(shop: CommandLine) -> None:
    """One object for one topic, an array for several; its own settings, or all of them."""
    orders = shop.json("topic", "describe", "orders")
    assert (orders["name"], orders["records"], len(orders["partitions"])) == ("orders", 3, 2)
    assert orders["partitions"][1] == {"partition": 1, "leader": 1, "replicas": [1], "in_sync": [1], "start": 0, "end": 3}
    assert orders["config"] == {"retention.ms": "86400000"}
    assert "cleanup.policy" in shop.json("topic", "describe", "-a", "orders")["config"]
    assert [topic["name"] for topic in shop.json("topic", "describe", "orders", "payments")] == ["orders", "payments"]
    text = shop("topic", "describe", "orders", "-o", "table").out.decode()
    assert "orders  2 partitions, 1 replica, 3 records" in text
    assert "retention.ms = 86400000" in text
    assert "PARTITION" not in shop("topic", "describe", "orders", "-o", "table", "--section", "summary").out.decode()


def test_names_that_are_not_there(shop: CommandLine) -> None:
    """Exit 3 with the nearest."""
    assert "'orders'" in shop("topic", "describe", "order", status=3).err
    assert "'orders'" in shop("topic", "delete", "ordesr", "-y", status=3).err
    assert "'billing'" in shop("group", "describe", "biling", status=3).err
    shop("topic", "describe", "-r", "x+", status=3)


def test_topics_are_made_changed_and_deleted(ev: CommandLine) -> None:
    """Several at once; what is there already is exit 1 unless that was foreseen."""
    assert "created topic b on the local engine" in ev("topic", "create", "a", "b", "-p", "2", "--compact").err
    assert ev.json("topic", "describe", "a")["config"] == {"cleanup.policy": "compact"}
    assert "a:" in ev("topic", "create", "a", "c", status=1).err
    assert ev("topic", "list", "-o", "name").lines == ["a", "b", "c"]
    ev("topic", "create", "a", "--if-not-exists")
    ev("topic", "alter", "a", "-p", "+1", "-c", "retention.ms=1000", "--unset", "cleanup.policy")
    described = ev.json("topic", "describe", "a")
    assert (len(described["partitions"]), described["config"]) == (3, {"retention.ms": "1000"})
    ev("topic", "alter", "a", "-p", "2", status=1)
    ev("topic", "alter", "a", "-c", "no.such.setting=1", status=1)
    ev("topic", "create", "bad/name", status=1)
    ev("topic", "rm", "b", "-y")
    ev("topic", "delete", "nothere", "--if-exists", "-y")
    ev("topic", "delete", "-r", "[ac]", "-y")
    assert ev("topic", "list").out == b""


def test_no_partitions_is_not_the_default_number(ev: CommandLine) -> None:
    """Zero is refused, for partitions and for replicas, before anybody is asked."""
    for option in ("-p", "-r"):
        refused = ev("topic", "create", "nothing", option, "0", status=2)
        assert f"{option} 0 makes no topic" in refused.err
    assert ev("topic", "list").out == b""


def test_a_plan_changes_nothing(shop: CommandLine) -> None:
    """--dry-run says what would be done."""
    assert "would delete topic orders" in shop("topic", "delete", "orders", "--dry-run").err
    assert "would create topic x" in shop("topic", "create", "x", "--dry-run").err
    assert "would delete group billing" in shop("group", "delete", "billing", "--dry-run").err
    assert shop("topic", "list", "-o", "name").lines == ["orders", "payments"]
    assert shop("group", "list", "-o", "name").lines == ["billing"]


def test_nothing_is_lost_without_a_yes(shop: CommandLine) -> None:
    """Without a terminal -y is needed; at one, the question is asked, and no is exit 8."""
    assert "-y" in shop("topic", "delete", "orders", status=2).err
    for answer, status in (("n\n", 8), ("\n", 8), ("y\n", 0)):
        terminal = shop.terminal("topic", "delete", "orders")
        try:
            terminal.wait_for("[y/N]")
            terminal.type(answer)
            assert terminal.wait() == status
        finally:
            terminal.close()
    assert shop("topic", "list", "-o", "name").lines == ["payments"]


def test_groups_with_their_lag(shop: CommandLine) -> None:
    """Per group and per partition; members while there are some."""
    assert shop("group", "list").out == b"billing\tEmpty\tclassic\t0\t2\n"
    assert shop("groups", "--lagging", "-o", "name").lines == ["billing"]
    assert shop("group", "list", "--state", "stable").out == b""
    described = shop.json("group", "describe", "billing")
    assert (described["state"], described["total_lag"]) == ("Empty", 2)
    (row,) = [row for row in described["lag"] if row["partition"] == 1]
    assert (row["topic"], row["committed"], row["start"], row["end"], row["lag"]) == ("orders", 1, 0, 3, 2)
    reader = shop.start("consume", "orders", "-g", "billing")
    try:
        reader.wait_for(b"b\nc\n")
        (member,) = shop.json("group", "describe", "billing")["members"]
        assert member["partitions"] == ["orders/0", "orders/1"]
        assert "orders/0" in shop("group", "describe", "billing", "-o", "table").out.decode()
        assert "NON_EMPTY_GROUP" in shop("group", "delete", "billing", "-y", status=1).err
    finally:
        reader.kill()


def test_a_group_is_deleted_with_its_commits(shop: CommandLine) -> None:
    """Its next consumer begins at the start."""
    shop("group", "delete", "billing", "-y")
    assert shop("group", "list").out == b""
    assert shop("consume", "orders", "-g", "billing", "-n", "3").out == b"a\nb\nc\n"


def test_a_terminal_gets_a_table(shop: CommandLine) -> None:
    """With a header, and without escapes that came from the cluster."""
    shop("consume", "orders", "-g", "\x1b[31mred", "-n", "1")
    terminal = shop.terminal("group", "list")
    try:
        assert terminal.wait() == 0
        assert "GROUP" in terminal.seen
        assert "\\x1b[31mred" in terminal.seen
    finally:
        terminal.close()


def test_a_terminal_is_drawn_anew_while_it_is_watched(shop: CommandLine) -> None:
    """Each round in the place of the one before, until Ctrl-C, which is exit 130."""
    terminal = shop.terminal("groups", "--watch", "100ms")
    try:
        terminal.wait_for("billing")
        assert "\x1b[H\x1b[J" in terminal.seen
        terminal.seen = ""
        terminal.wait_for("billing")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.wait() == 130
    finally:
        terminal.close()
