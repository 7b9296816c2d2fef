"""ev txn: transactions are listed and described, and those that hang are found and ended."""

from __future__ import annotations

from collections.abc import Callable

from conftest import StartEngine
from ev.client.producer import Producer
from support.command_line import CommandLine
from support.raw_client import RawClient
from support.raw_transactions import TransactionalProducer, asked_over, fetched, until_coordinators_are_there
from support.waiting import wait_for

Fresh = Callable[[str], str]


def bootstrap(ev: CommandLine) -> str:
    return ev.variables.get("EV_BOOTSTRAP") or ev.address


def test_an_open_transaction_is_seen_and_aborted(either: CommandLine, fresh: Fresh) -> None:
    """Its state, its producer, its partitions; and whoever has the transactional id is fenced when it is aborted."""
    topic, name = fresh("topic"), fresh("txn")
    either("topic", "create", topic)
    producer = Producer(bootstrap(either), transactional_id=name)
    try:
        producer.init_transactions()
        producer.begin_transaction()
        producer.produce(topic, b"open")
        producer.flush()
        listed = {row["transactional_id"]: row for row in either.json("txn", "list", f"{name}*")}
        assert listed[name]["state"] == "Ongoing"
        assert either("txns", "ls", name, "--state", "complete-commit").out == b""
        assert either("txn", "list", "--producer-id", str(listed[name]["producer_id"]), "-o", "name").lines == [name]
        described = either.json("txn", "describe", name)
        assert (described["state"], described["partitions"], described["timeout_ms"]) == ("Ongoing", [f"{topic}:0"], 60000)
        assert described["started_ms"] > 0
        (active,) = either.json("txn", "producers", topic, "--open")
        assert (active["partition"], active["first_offset"]) == (f"{topic}:0", 0)
        plan = either.json("txn", "abort", name, "--dry-run")
        assert plan[0]["partitions"] == [f"{topic}:0"]
        assert either.json("txn", "list", "--hanging", "-t", topic, "--older-than", "0s") == [], "its coordinator knows it"
        either("txn", "abort", name, "-y")
        wait_for(lambda: either.json("txn", "describe", name)["state"] in ("CompleteAbort", "Empty"), "the transaction to be aborted")
        assert either.json("txn", "producers", f"{topic}:0", "--open") == []
    finally:
        producer.close(timeout_ms=0)


def test_what_is_not_there_is_said(one_engine: CommandLine) -> None:
    """With the nearest name, exit 3; and nothing is aborted that was not named, exit 2."""
    assert "no transactional id 'nobody'" in one_engine("txn", "describe", "nobody", status=3).err
    assert "no topic 'nowhere'" in one_engine("txn", "producers", "nowhere", status=3).err
    one_engine("topic", "create", "named")
    assert "names no partitions" in one_engine("txn", "producers", "named:x", status=2).err
    assert "no partition 7" in one_engine("txn", "producers", "named:0,7", status=3).err
    assert "what to abort" in one_engine("txn", "abort", status=2).err
    assert "what to abort" in one_engine("txn", "abort", "a", "--hanging", status=2).err
    assert "--state asleep" in one_engine("txn", "list", "--state", "asleep", status=2).err
    assert "nothing hangs" in one_engine("txn", "abort", "--hanging", "-y").err


def test_a_hanging_transaction_is_found_and_aborted(ev: CommandLine, start_engine: StartEngine) -> None:
    """One that no coordinator is going to end, and that holds back whoever reads committed records."""
    engine = start_engine(settings={"transaction.partition.verification.enable": "false"})
    ev.variables["EV_BOOTSTRAP"] = engine.address
    ev("topic", "create", "hangs", "-p", "2")
    with RawClient(engine.address) as client:
        ask = asked_over(client)
        until_coordinators_are_there(ask)
        producer = TransactionalProducer(ask, "hanging")
        assert producer.begin() == 0
        assert producer.produce("hangs", 1, b"nobody knows") == 0
        assert fetched(ask, "hangs", 1, committed=True).last_stable_offset == 0
        assert ev.json("txn", "list", "--hanging") == [], "not before it has written nothing for long"
        (row,) = ev.json("txn", "list", "--hanging", "--older-than", "0s")
        assert (row["partition"], row["producer_id"], row["first_offset"]) == ("hangs:1", producer.producer_id, 0)
        assert "needs a yes" in ev("txn", "abort", "--hanging", "--older-than", "0s", status=2).err
        assert len(ev.json("txn", "abort", "--hanging", "--older-than", "0s", "-t", "hangs", "--dry-run")) == 1
        ev("txn", "abort", "--hanging", "--older-than", "0s", "-t", "hangs:1", "-y")
        assert fetched(ask, "hangs", 1, committed=True).last_stable_offset == 2
    assert ev.json("txn", "list", "--hanging", "--older-than", "0s") == []
