"""Consumers in groups of the new protocol (KIP-848), on real brokers, alone and beside librdkafka: the broker says who reads what."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import confluent_kafka
import pytest

from ev.client.admin import Admin
from ev.client.consumer import Consumer
from ev.client.producer import Producer
from ev.client.results import NewTopic
from ev.errors import ErrorCode, KafkaError, SettingError, UnsupportedApiError
from support.apache_kafka import ORDERLY, Kafka
from support.engine import Engine, environment
from support.exact_copy import ExactCopier, read_committed
from support.own_members import Member, fill, poll_until, shared_out
from support.scripted_broker import ScriptedCluster
from support.waiting import wait_for

SESSION_MS = 3_000
SETTINGS = {
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "100",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": str(SESSION_MS),
}
NEW: dict[str, Any] = {"group_protocol": "consumer"}
MakeTopic = Callable[..., str]
Fresh = Callable[[str], str]


@pytest.fixture(scope="module")
def quick_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Engine(tmp_path_factory.mktemp("quick") / "engine", settings=SETTINGS) as engine:
        yield engine.address


@pytest.fixture(scope="module")
def quick_kafka() -> Iterator[str]:
    with Kafka(properties=ORDERLY | SETTINGS) as kafka:
        yield kafka.bootstrap


@pytest.fixture(params=["ev", pytest.param("apache", marks=[pytest.mark.java, pytest.mark.slow])])
def bootstrap(request: pytest.FixtureRequest) -> str:
    """Brokers that want heartbeats often, and soon give up who sends none."""
    address: str = request.getfixturevalue("quick_kafka" if request.param == "apache" else "quick_engine")
    return address


@pytest.fixture
def members() -> Iterator[list[Member]]:
    """Members that a test makes; they leave in the end."""
    made: list[Member] = []
    yield made
    for member in made:
        member.consumer.close()


def test_members_come_and_go_and_share_what_there_is(bootstrap: str, make_topic: MakeTopic, fresh: Fresh, members: list[Member]) -> None:
    """Three members, six partitions; one leaves; everything was read, nobody read what another had committed, and who stays keeps."""
    topic, group = make_topic(6), fresh("group")
    fill(bootstrap, topic, 6, 50)
    for _ in range(3):
        members.append(Member(bootstrap, group, [topic], commits=True, **NEW))
        poll_until(members, lambda: shared_out(members, topic, 6), f"{len(members)} members to share six partitions")
    assert members[0].count_of("revoked") == 4
    assert members[1].count_of("revoked") == 1
    poll_until(members, lambda: sum(len(member.seen) for member in members) >= 300, "all records")
    for member in members:
        member.consumer.commit()
    members.pop().consumer.close()
    poll_until(members, lambda: shared_out(members, topic, 6), "two members to take over")
    fill(bootstrap, topic, 6, 10)
    before = sum(len(member.seen) for member in members)
    poll_until(members, lambda: sum(len(member.seen) for member in members) >= before + 60, "the new records")
    assert sum(len(member.seen) for member in members) == before + 60
    assert sum(member.count_of("lost") for member in members) == 0


def test_a_consumer_that_commits_by_itself_commits_before_it_gives_up(
    bootstrap: str, make_topic: MakeTopic, fresh: Fresh, members: list[Member]
) -> None:
    """What was handed out is committed when a partition goes to another member, and at the end: nothing is read twice."""
    topic, group = make_topic(2), fresh("group")
    fill(bootstrap, topic, 2, 20)
    first = Member(bootstrap, group, [topic], auto_commit=3_600_000, **NEW)
    members.append(first)
    poll_until([first], lambda: len(first.seen) == 40, "all records")
    second = Member(bootstrap, group, [topic], auto_commit=3_600_000, **NEW)
    members.append(second)
    poll_until(members, lambda: shared_out(members, topic, 2), "one each")
    fill(bootstrap, topic, 2, 5)
    poll_until(members, lambda: len(first.seen) + len(second.seen) >= 50, "the new records")
    first.consumer.close()
    poll_until([second], lambda: len(second.partitions) == 2, "the second to have both")
    fill(bootstrap, topic, 2, 5)
    poll_until([second], lambda: len(first.seen) + len(second.seen) >= 60, "the last records")
    assert Counter(first.seen + second.seen).most_common(1)[0][1] == 1


def test_a_pattern_is_evaluated_by_the_broker(bootstrap: str, admin: Admin, fresh: Fresh, members: list[Member]) -> None:
    """Topics that come later are read, too; a subscription by name takes its place."""
    prefix, group = fresh("pattern"), fresh("group")
    for name in ("-one", "-two"):
        admin.create_topics([NewTopic(prefix + name, 1, 1)])[0].or_raise()
    member = Member(bootstrap, group, [], pattern=f"{prefix}-(one|three)", **NEW)
    members.append(member)
    poll_until([member], lambda: member.partitions == [(f"{prefix}-one", 0)], "the first topic")
    assert member.consumer.subscription() == ()
    admin.create_topics([NewTopic(f"{prefix}-three", 2, 1)])[0].or_raise()
    poll_until([member], lambda: len(member.partitions) == 3, "the topic that came later")
    member.consumer.subscribe([f"{prefix}-two"])
    poll_until([member], lambda: member.partitions == [(f"{prefix}-two", 0)], "the topic that has a name")


def test_the_broker_assigns_as_it_is_asked_to(
    bootstrap: str, make_topic: MakeTopic, admin: Admin, fresh: Fresh, members: list[Member]
) -> None:
    """group_remote_assignor; an assignor that the broker does not have is an error that names those that it has."""
    topic, group = make_topic(4), fresh("group")
    members += [Member(bootstrap, group, [topic], group_remote_assignor="range", **NEW) for _ in range(2)]
    poll_until(members, lambda: shared_out(members, topic, 4), "two each")
    assert sorted(index for _, index in members[0].partitions) in ([0, 1], [2, 3])
    wrong = Member(bootstrap, fresh("group"), [topic], group_remote_assignor="alphabetic", **NEW)
    members.append(wrong)
    for _ in range(2):
        with pytest.raises(KafkaError, match="uniform") as caught:
            wait_for(wrong.poll, "the refusal")
        assert caught.value.code == ErrorCode.UNSUPPORTED_ASSIGNOR


def test_new_partitions_are_shared_out(bootstrap: str, make_topic: MakeTopic, admin: Admin, fresh: Fresh, members: list[Member]) -> None:
    """The broker sees that a topic has grown, and the members that there are partitions that they have not heard of."""
    topic, group = make_topic(1), fresh("group")
    member = Member(bootstrap, group, [topic], **NEW)
    members.append(member)
    poll_until([member], lambda: len(member.partitions) == 1, "one partition")
    admin.create_partitions({topic: 3})[0].or_raise()
    poll_until([member], lambda: len(member.partitions) == 3, "three partitions")
    fill(bootstrap, topic, 3, 5)
    poll_until([member], lambda: len(member.seen) == 15, "their records")


def test_a_member_that_does_not_poll_loses_its_place(bootstrap: str, make_topic: MakeTopic, fresh: Fresh, members: list[Member]) -> None:
    """After max_poll_interval_ms it leaves; the next poll says that partitions were lost, and joins again."""
    topic, group = make_topic(2), fresh("group")
    slow = Member(bootstrap, group, [topic], max_poll_interval_ms=1_000, **NEW)
    members.append(slow)
    poll_until([slow], lambda: len(slow.partitions) == 2, "both partitions")
    other = Member(bootstrap, group, [topic], **NEW)
    members.append(other)
    poll_until([slow, other], lambda: shared_out([slow, other], topic, 2), "one each")
    poll_until([other], lambda: len(other.partitions) == 2, "the other to take over")
    with pytest.raises(KafkaError) as caught:
        slow.consumer.commit({(topic, 0): 1})
    assert caught.value.code == ErrorCode.UNKNOWN_MEMBER_ID
    poll_until([slow, other], lambda: shared_out([slow, other], topic, 2), "one each again")
    assert slow.count_of("lost") == 1


def test_a_static_member_comes_back_to_its_partitions(bootstrap: str, make_topic: MakeTopic, fresh: Fresh, members: list[Member]) -> None:
    """Its place is kept over a restart, and the other member notices nothing; a second one under its name waits, as it is alive."""
    topic, group = make_topic(4), fresh("group")
    stays, goes = (Member(bootstrap, group, [topic], group_instance_id=name, **NEW) for name in ("stays", "goes"))
    members += [stays, goes]
    poll_until(members, lambda: shared_out(members, topic, 4), "two each")
    mine, told = goes.partitions, len(stays.told)
    goes.consumer.close()
    back = Member(bootstrap, group, [topic], group_instance_id="goes", **NEW)
    members.append(back)
    poll_until([stays, back], lambda: back.partitions, "the old place")
    assert back.partitions == mine
    assert len(stays.told) == told
    second = Member(bootstrap, group, [topic], group_instance_id="goes", **NEW)
    members.append(second)
    session: Any = second.consumer._session
    poll_until([stays, back, second], lambda: session.membership._refused_since_ms is not None, "it to be told to wait")
    assert (second.partitions, back.partitions) == ([], mine)


CHILD = """
import sys
from ev.client import Consumer
consumer = Consumer(sys.argv[1], group=sys.argv[2], group_protocol="consumer", group_instance_id=sys.argv[4] or None, max_wait_ms=50)
consumer.subscribe([sys.argv[3]], on_assigned=lambda _: print("has", len(consumer.assignment()), flush=True),
                   on_lost=lambda lost: print("lost", len(lost), flush=True))
while True:
    if consumer.poll_batches(50):
        consumer.commit()
"""


class Process:
    """A member that can die and be stopped as a whole."""

    def __init__(self, bootstrap: str, group: str, topic: str, instance: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, bootstrap, group, topic, instance], stdout=subprocess.PIPE, env=environment(), text=True
        )

    def wait_for(self, line: str) -> None:
        assert self.process.stdout is not None
        for said in self.process.stdout:
            if said.strip() == line:
                return
        raise AssertionError(f"it ended without saying {line!r}")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def test_members_that_die_or_sleep_are_replaced_and_who_wakes_up_joins_again(
    bootstrap: str, make_topic: MakeTopic, fresh: Fresh, members: list[Member]
) -> None:
    """kill -9 and SIGSTOP, for longer than a session: the other one takes over; SIGCONT: what was lost is told, then shared again."""
    topic, group = make_topic(2), fresh("group")
    stays = Member(bootstrap, group, [topic], **NEW)
    members.append(stays)
    poll_until([stays], lambda: len(stays.partitions) == 2, "both partitions")
    child = Process(bootstrap, group, topic)
    try:
        poll_until([stays], lambda: len(stays.partitions) == 1, "one each")
        child.wait_for("has 1")
        child.process.send_signal(signal.SIGSTOP)
        poll_until([stays], lambda: len(stays.partitions) == 2, "the sleeping one to be given up")
        child.process.send_signal(signal.SIGCONT)
        child.wait_for("lost 1")
        poll_until([stays], lambda: len(stays.partitions) == 1, "it to be back")
        child.wait_for("has 1")
    finally:
        child.end()
    poll_until([stays], lambda: len(stays.partitions) == 2, "the dead one to be given up")
    assert stays.count_of("lost") == 0


def test_who_succeeds_a_static_member_that_was_killed_gets_its_place_when_its_session_is_over(
    bootstrap: str, make_topic: MakeTopic, fresh: Fresh, members: list[Member]
) -> None:
    """The broker waits for it; its successor waits with it, without an error."""
    topic, group = make_topic(2), fresh("group")
    child = Process(bootstrap, group, topic, "i")
    try:
        child.wait_for("has 2")
    finally:
        child.end()
    back = Member(bootstrap, group, [topic], group_instance_id="i", **NEW)
    members.append(back)
    poll_until([back], lambda: len(back.partitions) == 2, "the place")


def test_a_member_that_an_administrator_removes_joins_again(
    bootstrap: str, make_topic: MakeTopic, fresh: Fresh, members: list[Member]
) -> None:
    """The broker does not know it any more: what it had is lost, and it gets it back."""
    topic, group = make_topic(1), fresh("group")
    member = Member(bootstrap, group, [topic], **NEW)
    members.append(member)
    poll_until([member], lambda: member.partitions, "the partition")
    session: Any = member.consumer._session
    imposter = Consumer(bootstrap, group=group, **NEW)
    leaves = session.membership.leave_request()  # somebody else says that it leaves, who knows its id
    imposter._cluster.call(leaves, imposter._coordinator.find(10_000))  # type: ignore[union-attr]
    imposter.close()
    poll_until([member], lambda: member.count_of("lost") == 1, "it to notice")
    poll_until([member], lambda: member.partitions, "the partition again")


def test_an_exact_copy_goes_by_the_members_epoch(bootstrap: str, admin: Admin, fresh: Fresh) -> None:
    """Offsets in transactions carry it: two copiers share the work while the group moves, and nothing is copied twice or left out."""
    source, target, group = fresh("source"), fresh("target"), fresh("copier")
    for name in (source, target):
        admin.create_topics([NewTopic(name, 2, 1)])[0].or_raise()
    values = [b"%d" % number for number in range(400)]
    with Producer(bootstrap, batch_bytes=500) as feeder:
        for partition in range(2):
            feeder.produce_many(source, values, partition=partition)
    copiers = [ExactCopier(bootstrap, source, target, f"{group}-0", batch_bytes=400, group=group, **NEW)]
    while copiers[0].copied < 200:
        copiers[0].turn()
    copiers.append(ExactCopier(bootstrap, source, target, f"{group}-1", batch_bytes=400, group=group, **NEW))

    def copied() -> bool:
        for copier in copiers:
            copier.turn()
        return sum(copier.copied for copier in copiers) >= 800

    wait_for(copied, "the copy to be whole", 60, pause_s=0)
    for copier in copiers:
        copier.close()
    copied_values = {index: sorted(int(value or b"") for value in found) for index, found in read_committed(bootstrap, target, 2).items()}
    assert copied_values == {0: list(range(400)), 1: list(range(400))}


@pytest.mark.clients
@pytest.mark.parametrize("first", ["ev", "librdkafka"])
def test_a_group_of_two_kinds_of_members_shares_a_topic(
    bootstrap: str, make_topic: MakeTopic, fresh: Fresh, members: list[Member], first: str
) -> None:
    """Each partition has one reader, every record is read; who is left has everything."""
    topic, group = make_topic(4), fresh("group")
    fill(bootstrap, topic, 4, 20)
    seen: Counter[tuple[int, int]] = Counter()
    settings = {"bootstrap.servers": bootstrap, "group.id": group, "group.protocol": "consumer", "auto.offset.reset": "earliest"}
    theirs = confluent_kafka.Consumer(settings)

    def poll_theirs() -> list[confluent_kafka.TopicPartition]:
        for message in theirs.consume(100, 0.02):
            assert message.error() is None
            seen[message.partition() or 0, message.offset() or 0] += 1
        return list(theirs.assignment())

    def join(who: str) -> None:
        if who == "ev":
            members.append(Member(bootstrap, group, [topic], **NEW))
        else:
            theirs.subscribe([topic])

    try:
        join(first)
        poll_until(members, lambda: poll_theirs() or (members and members[0].partitions), "the first one to have all")
        join("librdkafka" if first == "ev" else "ev")
        poll_until(members, lambda: len(poll_theirs()) == len(members[0].partitions) == 2, "two each")
        poll_until(members, lambda: poll_theirs() and len(seen) + len(set(members[0].seen)) >= 80, "all records")
        held = [index for _, index in members[0].partitions] + [item.partition for item in theirs.assignment()]
        assert sorted(held) == [0, 1, 2, 3]
    finally:
        theirs.close()
    poll_until(members, lambda: len(members[0].partitions) == 4, "ours to have all")


def test_a_member_goes_on_after_a_crash_of_the_engine(tmp_path: pathlib.Path, members: list[Member]) -> None:
    """kill -9 and a restart on the same port: no partition is lost, and what is committed is committed in the member's epoch."""
    with Engine(tmp_path / "engine", settings=SETTINGS) as engine:
        with Admin(engine.address) as admin:
            admin.create_topics([NewTopic("t", 2, 1)])[0].or_raise()
        fill(engine.address, "t", 2, 100)
        member = Member(engine.address, "g", ["t"], **NEW)
        members.append(member)
        poll_until([member], lambda: len(member.seen) == 200, "all records")
        member.consumer.commit()
        engine.kill()
        member.poll()
        engine.start()
        fill(engine.address, "t", 2, 10)
        poll_until([member], lambda: len(member.seen) == 220, "the records after the restart")
        member.consumer.commit()
        assert [item.offset for item in member.consumer.committed([("t", 0), ("t", 1)]).values()] == [110, 110]
        assert Counter(member.seen).most_common(1)[0][1] == 1
        assert member.count_of("lost") == 0
        member.consumer.close()


def test_a_broker_without_the_new_protocol_is_one_clear_error() -> None:
    """It lacks the request, or refuses it: the message names what is needed, and the classic protocol still works."""
    with ScriptedCluster(topics={"t": 1}) as cluster, Consumer(cluster.bootstrap, group="g", **NEW) as consumer:
        consumer.subscribe(["t"])
        for _ in range(2):
            with pytest.raises(UnsupportedApiError, match=r"4\.0.*classic"):
                wait_for(lambda: consumer.poll_batches(50), "the refusal")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"group_protocol": "newest"}, "classic or consumer"),
        ({"group_protocol": "consumer", "session_timeout_ms": 10_000}, "group.consumer.session.timeout.ms"),
        ({"group_protocol": "consumer", "heartbeat_interval_ms": 100}, "group.consumer.heartbeat.interval.ms"),
        ({"group_protocol": "consumer", "assignors": ["range"]}, "group_remote_assignor"),
        ({"group_remote_assignor": "range"}, "group_protocol=consumer"),
        ({"group_instance_id": " "}, "group_instance_id"),
    ],
)
def test_what_does_not_go_together_is_refused_at_once(options: dict[str, Any], told: str) -> None:
    """Before anything is sent, with what to do instead."""
    with pytest.raises(SettingError, match=told):
        Consumer("localhost:1", group="g", **options)


def test_a_pattern_needs_the_new_protocol() -> None:
    """In the classic one nobody would evaluate it."""
    with Consumer("localhost:1", group="g") as consumer, pytest.raises(SettingError, match="group_protocol=consumer"):
        consumer.subscribe(pattern="^t")
