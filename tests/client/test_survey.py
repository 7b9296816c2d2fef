"""What a watcher asks: many things in one request, of everybody at once; what nobody answers has an error. On ev and on Apache Kafka."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest

from ev.client.admin import Admin
from ev.client.consumer import Consumer
from ev.client.producer import Producer
from ev.client.results import NewTopic
from ev.errors import ErrorCode, TimedOutError, UnreachableError
from support.engine import Engine
from support.waiting import wait_for

Fresh = Callable[[str], str]


def test_many_groups_are_asked_about_at_once(bootstrap: str, admin: Admin, fresh: Fresh) -> None:
    """What each has committed and who reads for it; one that commits nothing, one that does not exist, one of the newer protocol."""
    topic, newer = fresh("topic"), fresh("newer")
    admin.create_topics([NewTopic(topic, 2, 1)])
    groups = [fresh("group") for _ in range(20)]
    wait_for(lambda: admin.describe_topics([topic])[0].error is None, "the topic")
    for number, group in enumerate(groups):
        assert list(admin.alter_committed_offsets(group, {(topic, 1): number}).values()) == [None]
    with Consumer(bootstrap, group=newer, group_protocol="consumer") as consumer:
        consumer.subscribe([topic])
        wait_for(lambda: consumer.poll_batches(100) or consumer.assignment(), "the member")
        sent: list[str] = []
        send = admin._cluster.send
        admin._cluster.send = lambda message, *rest, **more: (sent.append(type(message).__name__), send(message, *rest, **more))[1]  # type: ignore[method-assign,func-returns-value]
        committed = admin.survey_committed([*groups, "nobody-is-this"])
        assert [{p: found.offset for p, found in committed[group].offsets.items()} for group in groups] == [
            {(topic, 1): number} for number in range(20)
        ]
        assert committed["nobody-is-this"].offsets == {}
        assert sent == ["FindCoordinatorRequest", "OffsetFetchRequest"]
        described = admin.survey_members([groups[0], newer, "nobody-is-this"])
        assert sent[2:] == ["FindCoordinatorRequest", "DescribeGroupsRequest", "ConsumerGroupDescribeRequest"]
        assert (described[groups[0]].state, described[groups[0]].members) == ("Empty", [])
        assert [(member.client_id, member.partitions) for member in described[newer].members] == [("ev", [(topic, 0), (topic, 1)])]
        nobody = described["nobody-is-this"].error
        assert nobody is not None
        assert nobody.code == ErrorCode.GROUP_ID_NOT_FOUND
        listed, errors = admin.survey_groups()
        assert {newer, *groups} <= {listing.group for listing in listed}
        assert errors == {}
        assert described[newer] == admin.describe_groups([newer])[0]
        del admin._cluster.send


def test_offsets_and_directories_with_what_is_missing(bootstrap: str, admin: Admin, fresh: Fresh) -> None:
    """Both ends of what is there, an error for what is not, and nothing is waited for."""
    topic = fresh("topic")
    admin.create_topics([NewTopic(topic, 2, 1)])
    wait_for(lambda: topic in {row.name for row in admin.survey_topics()[1]}, "the topic")
    cluster, topics = admin.survey_topics()
    assert cluster.brokers
    assert any(row.internal for row in topics) or not any(row.name.startswith("__") for row in topics)
    with Producer(bootstrap) as producer:
        producer.produce_many(topic, [b"x"] * 9, partition=1)
        producer.flush()
    found = admin.survey_ends([(topic, 0), (topic, 1), (topic, 7), ("missing-topic", 0)])
    assert [found[topic, 0].offset, found[topic, 1].offset] == [0, 9]
    assert found[topic, 7].error is not None
    assert found["missing-topic", 0].error is not None
    assert admin.survey_starts([(topic, 1)])[topic, 1].offset == 0
    with Producer(bootstrap) as producer:
        for number in range(3):
            producer.produce_many(topic, [b"x" * 100], partition=0, timestamps=[1_000_000 + number])
            producer.flush()
    assert admin.survey_arrivals({(topic, 0): 1, (topic, 1): 500, ("missing-topic", 0): 0}) == {(topic, 0): 1_000_001}
    directories, errors = admin.survey_directories()
    assert (topic, 1) in {partition for directory in directories for partition in directory.partitions}
    assert errors == {}


def test_who_is_gone_is_told_at_once(tmp_path: pathlib.Path) -> None:
    """Nobody answers any more: that is raised for the question as a whole, without trying for as long as a command would."""
    with Engine(tmp_path / "data") as engine, Admin(engine.address, timeout_ms=60_000) as admin:
        admin.create_topics([NewTopic("orders")])
        admin.survey_topics()
        assert admin.survey_committed(["g"])["g"].error is None
        engine.kill()
        for ask in (
            lambda: admin.survey_ends([("orders", 0)]),
            admin.survey_groups,
            admin.survey_directories,
            admin.survey_topics,
        ):
            with pytest.raises((UnreachableError, TimedOutError)):
                ask()
        assert admin.survey_committed(["g"])["g"].error is not None
        assert admin.survey_members(["g"])["g"].error is not None
