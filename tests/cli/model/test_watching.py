"""The model on a real engine, and on a cluster of ten thousand topics that is none: what it shows, when, and what that costs."""

from __future__ import annotations

import pathlib
import threading
import time
from collections.abc import Iterator

import pytest

from ev.client import Admin, Consumer, Producer
from ev.client.results import NewTopic
from ev.errors import KafkaError, TimedOutError, UnreachableError
from ev_cli.model.poller import ClusterModel
from ev_cli.model.snapshot import CONNECTED, LOST
from support.cluster_answers import AnswersOfMany
from support.command_line import CommandLine
from support.engine import Engine


@pytest.fixture
def engine(tmp_path: pathlib.Path) -> Iterator[Engine]:
    with Engine(tmp_path / "data") as running:
        yield running


def model_of(engine: Engine) -> ClusterModel:
    return ClusterModel(lambda: Admin(engine.address, timeout_ms=5_000, request_timeout_ms=5_000), is_local=True)


def produce(engine: Engine, topic: str, count: int, partition: int = 0) -> None:
    with Producer(engine.address) as producer:
        producer.produce_many(topic, [b"x" * 100] * count, partition=partition)
        producer.flush()


def commit(engine: Engine, topic: str, group: str, offset: int, partition: int = 0) -> None:
    with Admin(engine.address) as admin:
        assert admin.alter_committed_offsets(group, {(topic, partition): offset}) == {(topic, partition): None}


def test_an_engine_killed_and_started_again(engine: Engine) -> None:
    """What is seen while it runs; that it is gone is said, and the figures come back by themselves: on another port, too."""
    with Admin(engine.address) as admin:
        assert all(made.error is None for made in admin.create_topics([NewTopic("orders", 2), NewTopic("idle", 1)]))
    produce(engine, "orders", 50)
    commit(engine, "orders", "billing", 10)
    with model_of(engine) as model:
        model.want(topics=["orders"], groups=["billing"], topic_details=["orders"], group_details=["billing"])
        first = model.wait_for(lambda s: s.is_complete and s.groups["billing"].lag == 40, 10)
        assert first.is_connected
        assert (first.topics["orders"].records, first.topics["idle"].records) == (50, 0)
        assert [row.records for row in first.partitions["orders"]] == [50, 0]
        assert [(row.committed, row.end, row.lag) for row in first.group_partitions["billing"]] == [(10, 50, 40)]
        old = model.wait_for(lambda s: s.groups["billing"].time_lag_ms is not None, 10)
        assert 0 < (old.groups["billing"].time_lag_ms or 0) < 60_000, "since the record came, although that was before anybody looked"
        produce(engine, "orders", 1_000)
        moving = model.wait_for(lambda s: bool(s.records_in and s.records_in.per_s > 0 and s.groups["billing"].lag == 1_040), 10)
        assert moving.topics["orders"].received == 1_000
        model.wait_for(lambda s: (s.topics["orders"].size_bytes or 0) > 1_000 and s.brokers[0].stored_bytes is not None, 10)

        engine.kill()
        lost = model.wait_for(lambda s: s.connection.state == LOST, 10)
        assert lost.connection.error
        assert lost.connection.next_attempt_at is not None
        assert lost.records_in is None, "that nothing comes in is not known"
        assert lost.topics["orders"].records == 1_050
        model.wait_for(lambda s: s.connection.attempts >= 2, 10)

        engine.listen = "127.0.0.1:0"
        engine.start()
        produce(engine, "orders", 7)
        back = model.wait_for(lambda s: s.connection.state == CONNECTED and s.topics["orders"].records == 1_057, 15)
        assert back.groups["billing"].lag == 1_047
        model.wait_for(lambda s: s.topics["orders"].rate is not None, 10)
        assert [event.text.partition(":")[0] for event in back.events][:2] == ["answers again", "lost"]


def test_what_happens_is_told(engine: Engine) -> None:
    """A topic made, trimmed and deleted, a group with a member that comes and goes; trimming gives no negative figure."""
    with Admin(engine.address) as admin, model_of(engine) as model:
        model.wait_for(lambda s: s.is_complete, 10)
        admin.create_topics([NewTopic("orders", 1)])
        model.wait_for(lambda s: "orders" in s.topics, 10)
        model.want(topics=["orders"], groups=["billing"], group_details=["billing"])
        produce(engine, "orders", 30)
        model.wait_for(lambda s: s.topics["orders"].records == 30, 10)
        with Consumer(engine.address, group="billing") as consumer:
            consumer.subscribe(["orders"])
            while not consumer.poll(100):
                pass
            consumer.commit()
            read = model.wait_for(lambda s: "billing" in s.groups and s.groups["billing"].members == 1 and s.groups["billing"].lag == 0, 15)
            assert read.groups["billing"].verdict == "OK"
            assert read.groups["billing"].time_lag_ms == 0
            (row,) = model.wait_for(lambda s: bool(s.group_partitions.get("billing")) and bool(s.members["billing"]), 10).group_partitions[
                "billing"
            ]
            assert row.member == "ev"
            assert row.host
        produce(engine, "orders", 12)
        dead = model.wait_for(lambda s: s.groups["billing"].verdict == "DEAD" and s.groups["billing"].lag == 12, 15)
        assert dead.topics["orders"].max_lag == 12
        assert (dead.groups["billing"].time_lag_ms or 0) < 20_000
        admin.delete_records({("orders", 0): 35})
        trimmed = model.wait_for(lambda s: s.topics["orders"].records == 7 and s.groups["billing"].lag == 7, 15)
        assert trimmed.topics["orders"].rate is None or trimmed.topics["orders"].rate.per_s >= 0
        admin.delete_topics(["orders"])
        gone = model.wait_for(lambda s: "orders" not in s.topics, 10)
        told = {(event.kind, event.about, event.text.split(",")[0]) for event in gone.events}
        assert {("topic", "orders", "created"), ("topic", "orders", "deleted"), ("group", "billing", "appeared")} <= told


def test_the_figures_are_those_of_ev_group_describe(ev: CommandLine) -> None:
    """At the same moment: state, members, what is committed, the ends and the lag; without a record, with some, and after a trim."""
    ev("topic", "create", "orders", "-p", "3")
    for partition in ("0", "1"):
        ev("produce", "orders", "-p", partition, data=b"".join(b"%d\n" % number for number in range(50)))
    ev("consume", "orders", "-e", "-g", "billing", "-n", "60")
    ev("topic", "trim", "orders", "-p", "0", "-o", "20", "-y")
    described = ev.json("group", "describe", "billing")
    with ClusterModel(lambda: Admin(ev.json("server", "status")["address"]), is_local=True) as model:
        model.want(groups=["billing"], group_details=["billing"])
        shown = model.wait_for(lambda s: s.is_complete and bool(s.group_partitions.get("billing")), 10)
    group = shown.groups["billing"]
    assert (group.state, group.members, group.lag) == (described["state"], len(described["members"]), described["total_lag"])
    rows = [(row.topic, row.index, row.committed, row.end, row.lag) for row in shown.group_partitions["billing"]]
    assert rows == [(row["topic"], row["partition"], row["committed"], row["end"], row["lag"]) for row in described["lag"]]


def test_nobody_who_reads_waits() -> None:
    """While the cluster takes its time the snapshot is there at once, and so is the end of the model."""
    waiting, go_on = threading.Event(), threading.Event()

    class Slow(AnswersOfMany):
        def survey_groups(self):  # type: ignore[no-untyped-def]
            waiting.set()
            go_on.wait(30)
            return super().survey_groups()

    model = ClusterModel(lambda: Slow(10, 1), is_local=False)  # type: ignore[arg-type, return-value]
    model.start()
    assert waiting.wait(10)
    started = time.monotonic()
    for _ in range(1_000):
        model.want(topics=["topic-00001"])
        assert len(model.snapshot.topics) == 10
    assert time.monotonic() - started < 1
    with pytest.raises(TimedOutError):
        model.wait_for(lambda s: s.knows_groups, 0.05)
    model.close()
    assert time.monotonic() - started < 5
    go_on.set()


def test_what_is_refused_hides_nothing_else() -> None:
    """A question that the cluster does not answer to us is named with the reason; everything else is shown."""

    class Strict(AnswersOfMany):
        def survey_directories(self):  # type: ignore[no-untyped-def]
            raise KafkaError(31)

    with ClusterModel(lambda: Strict(10, 2), is_local=False) as model:  # type: ignore[arg-type, return-value]
        found = model.wait_for(lambda s: s.is_complete and "directories" in s.refused, 10)
    assert "authori" in found.refused["directories"].lower()
    assert found.topics["topic-00003"].size_bytes is None
    assert found.topics["topic-00003"].records == 3_000


def test_a_cluster_that_is_not_there_is_tried_again_and_again() -> None:
    """Why, and when next, stand in the snapshot; a refresh does not wait for that."""
    attempts = []

    def connect() -> Admin:
        attempts.append(time.monotonic())
        if len(attempts) < 4:
            raise UnreachableError("nothing listens at nowhere:9092")
        return AnswersOfMany(5, 0)  # type: ignore[return-value]

    with ClusterModel(connect, is_local=True) as model:
        lost = model.wait_for(lambda s: s.connection.attempts == 1, 10)
        assert lost.connection.error == "nothing listens at nowhere:9092"
        assert not lost.knows_topics
        found = model.wait_for(lambda s: s.connection.attempts == 3 or s.is_connected, 10)
        model.refresh()
        found = model.wait_for(lambda s: s.is_connected, 10)
    assert found.connection.error is None
    assert [event.kind for event in found.events] == []


def test_a_paused_model_asks_nothing() -> None:
    """And goes on where it was."""
    answers = AnswersOfMany(10, 2)
    with ClusterModel(lambda: answers, is_local=True) as model:  # type: ignore[arg-type, return-value]
        model.want(topics=["topic-00001"])
        model.wait_for(lambda s: s.is_complete, 10)
        model.paused = True
        model.refresh()
        while True:
            version, asked = model.snapshot.version, dict(answers.asked)
            time.sleep(0.4)
            if (model.snapshot.version, answers.asked) == (version, asked):
                break
        model.paused = False
        model.wait_for(lambda s: s.version > version, 10)


def test_ten_thousand_topics_are_there_at_once_and_cost_little() -> None:
    """The first snapshot as soon as the names are known, what is on screen before the rest; then a few hundredths of a core."""
    answers = AnswersOfMany(10_000, 1_000)
    visible, groups = answers.names[5_000:5_200], [row.group for row in answers.listed[:40]]
    model = ClusterModel(lambda: answers, is_local=False)  # type: ignore[arg-type, return-value]
    model.want(topics=visible, groups=groups)
    seen: list[tuple[bool, int]] = []
    model.on_change(
        lambda s: seen.append((s.knows_topics, sum(row.records is not None for row in s.topics.values()))) if len(seen) < 3 else None
    )
    began = time.process_time()
    with model:
        model.wait_for(lambda s: s.knows_topics, 20)
        to_names_s = time.process_time() - began
        complete = model.wait_for(lambda s: s.is_complete, 60)
        to_complete_s = time.process_time() - began
        began, wall = time.process_time(), time.monotonic()
        versions = model.snapshot.version
        model.wait_for(lambda s: s.version > versions + 5, 30)
        model.wait_for(lambda s: time.monotonic() > wall + 6, 30)
        steady = (time.process_time() - began) / (time.monotonic() - wall)
    assert seen[0] == (True, 0)
    assert seen[1][1] == len(visible), "what is on screen comes first"
    assert sum(row.lag is not None for row in complete.groups.values()) == 1_000
    assert len(complete.hottest(10)) == 0
    assert answers.asked["metadata"] == 1
    figures = f"names {to_names_s:.2f} s, complete {to_complete_s:.2f} s of CPU, then {steady:.1%} of a core"
    assert (to_names_s < 1.0, to_complete_s < 4.0, steady < 0.1) == (True, True, True), figures
