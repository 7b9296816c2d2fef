"""The conversations of `scenarios/*.txt`, held with a real Apache Kafka: what we expect of ourselves is what Kafka does.

Left out are conversations in which time passes, the log fills up or the coordinator restarts, and those that say `only here`,
with the reason.
"""

from __future__ import annotations

import pathlib
import re
import select
import time
import uuid
import zlib
from functools import partial
from typing import Any

import pytest

from ev.coordinators.decision import Caller
from ev.errors import ErrorCode
from ev.wire.catalog import API
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic
from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest
from ev.wire.messages.k12_heartbeat import HeartbeatRequest
from ev.wire.messages.k19_create_topics import CreatableTopic, CreateTopicsRequest
from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from support.apache_kafka import Kafka
from support.conversation import EVENTS, Conversation, Scenario, Words, scenarios
from support.raw_client import RawClient
from support.waiting import wait_for

pytestmark = pytest.mark.java

LOCAL_EVENTS = {"time", "restart", "full", "room", "set", "topic-deleted", "recreated"}
KEYS = {api.request: api.key for api in API.values()}
REPLY = re.compile(r"^\w+< ")
NAMES_GROUPS = ("describe", "describe_consumers", "delete")
LOOKS = re.compile(r"^\w+> (describe|describe_consumers|list)\b")
"""Kafka shows of its groups what its log has: what was answered a moment ago without a record in the log may not be there yet."""
READS_FOLLOW_WITHIN_S = 5
QUIET_S = 0.02
NOBODY = HeartbeatRequest(group_id="nobody", member_id="nobody", generation_id=1)


def can_be_held_with_kafka(scenario: Scenario) -> bool:
    return not scenario.only_here and not any(line.split()[0] in LOCAL_EVENTS for line in scenario.lines)


SCENARIOS = [scenario for scenario in scenarios(pathlib.Path(__file__).parent / "scenarios") if can_be_held_with_kafka(scenario)]


class KafkaConversation(Conversation):
    """Sends each request on a connection of its own. Groups and topics have a prefix there, because the broker has seen others."""

    def __init__(self, address: str, prefix: str) -> None:
        super().__init__()
        self.address, self.prefix = address, prefix
        self.ids: dict[str, bytes] = {}
        self.barrier = RawClient(address)
        self.open: list[tuple[RawClient, Caller, int]] = []

    def hold(self, line: str, expected: list[str]) -> list[str]:
        """Let one event happen, and hear as many replies as are expected, or more."""
        if "> " not in line:
            return self.play(line)
        self.play(prefixed(line, self.prefix))
        self._listen(len(expected))
        return [each.replace(self.prefix, "") for each in self.heard]

    def close(self) -> None:
        self.barrier.close()
        for client, _, _ in self.open:
            client.close()

    def _event(self, words: Words) -> None:
        """Topics are the only event; they exist when everybody can see them."""
        wanted = {self.prefix + name: int(count) for name, count in words.options.items()}
        with RawClient(self.address) as client:
            made = [CreatableTopic(name=name, num_partitions=count, replication_factor=1) for name, count in wanted.items()]
            client.ask(19, 5, CreateTopicsRequest(topics=made, timeout_ms=10_000))
            asked = MetadataRequest(topics=[MetadataRequestTopic(name=name) for name in wanted], allow_auto_topic_creation=False)
            found = wait_for(lambda: all_there(client.ask(3, 12, asked)), "the topics")
            wait_for(lambda: coordinator_knows(client, wanted, self.prefix), "the coordinator to know the topics")
        for topic in found:
            self.topics.create(topic.name, len(topic.partitions))
            self.topics.ids[topic.name] = bytes(topic.topic_id)

    def _ask(self, request: Any, method: Any, caller: Caller) -> None:
        client, key = RawClient(self.address, client_id=caller.client_id), KEYS[type(request)]
        client.ask(12, 4, NOBODY)  # from here on the broker watches this connection
        client.send(client.frame(key, caller.version, request))
        self.open.append((client, caller, key))

    def _said_list(self, message: Any, version: int) -> str:
        """This conversation's groups only."""
        message.groups = sorted(
            (group for group in message.groups if group.group_id.startswith(self.prefix)), key=lambda group: group.group_id
        )
        return super()._said_list(message, version)

    def _wait_until_taken(self) -> None:
        """Return when the broker has taken the request that was sent last, though it has not answered it.

        One thread of it reads from all connections and one handles what was read, in that order. An answer to a later request shows that
        the request was read by then, in the same round of reading at the latest; the answer to one more, that it was handled.
        """
        for _ in range(2):
            self.barrier.ask(12, 4, NOBODY)

    def _listen(self, wanted: int) -> None:
        if not wanted:
            self._wait_until_taken()
        while self.open:
            sockets = [client.socket for client, _, _ in self.open]
            readable, _, _ = select.select(sockets, [], [], 10 if wanted > 0 else QUIET_S)
            if not readable:
                return
            for entry in [entry for entry in self.open if entry[0].socket in readable]:
                client, caller, key = entry
                self.open.remove(entry)
                self.heard.append(self._reply(caller, client.answer(key, caller.version)))
                client.close()
                wanted -= 1


def in_order(replies: list[str]) -> list[str]:
    """Without the order of replies, and of what is listed in one, which nobody promises."""
    return sorted(" ".join(sorted(reply.split())) for reply in replies)


def all_there(answer: Any) -> Any:
    return all(topic.error_code == 0 and topic.partitions for topic in answer.topics) and answer.topics


def coordinator_knows(client: RawClient, wanted: dict[str, int], prefix: str) -> bool:
    """Whether a member of the new protocol would get all of the topics: the one who answers Metadata may know them before."""
    probe = ConsumerGroupHeartbeatRequest(
        group_id=f"probe-{prefix}{uuid.uuid4().hex}",
        member_id="probe",
        rebalance_timeout_ms=10_000,
        subscribed_topic_names=list(wanted),
        topic_partitions=[],
    )
    answer = client.ask(68, 1, probe)
    if answer.error_code or answer.assignment is None:
        return False
    probe.member_epoch = -1
    client.ask(68, 1, probe)
    return sum(len(part.partitions) for part in answer.assignment.topic_partitions) == sum(wanted.values())


def prefixed(line: str, prefix: str) -> str:
    """The line with the prefix before every group and topic."""
    client, request = line.split("> ", 1)
    verb, *words = request.split()
    changed = []
    for number, word in enumerate(words):
        is_group = verb != "list" and "=" not in word and word != "none" and (number == 0 or verb in NAMES_GROUPS)
        name, _, value = word.partition("=")
        if "/" in value:
            changed.append(f"{name}=" + ",".join(prefix + place for place in value.split(",")))
        elif is_group or "/" in word or (verb == "beat" and "=" not in word and word != "owned"):
            changed.append(prefix + word)
        elif ":" in word and not word.endswith(":garbage"):
            name, _, topics = word.partition(":")
            changed.append(f"{name}:" + ",".join(prefix + topic for topic in topics.split(",")))
        else:
            changed.append(word)
    return f"{client}> {verb} {' '.join(changed)}"


def rounds(lines: list[str]) -> list[tuple[str, list[str]]]:
    """Each event with the replies that it brings about."""
    found: list[tuple[str, list[str]]] = []
    for line in lines:
        if line.split()[0] in EVENTS or "> " in line:
            found.append((line, []))
        elif REPLY.match(line):
            found[-1][1].append(line)
    return found


def knows_nobody(client: RawClient, absent: HeartbeatRequest) -> bool:
    code: int = client.ask(12, 4, absent).error_code
    return code == ErrorCode.UNKNOWN_MEMBER_ID


@pytest.fixture(scope="module")
def address(apache: Kafka) -> str:
    """A Kafka whose coordinator is ready in every partition: at first it says that it is not."""
    with RawClient(apache.bootstrap) as client:
        client.ask(10, 4, FindCoordinatorRequest(coordinator_keys=["first"]))
        for number in range(64):
            absent = HeartbeatRequest(group_id=f"group-{number}", member_id="nobody", generation_id=1)
            wait_for(partial(knows_nobody, client, absent), "the coordinator", 60)
    return apache.bootstrap


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.title for scenario in SCENARIOS])
def test_kafka_says_what_we_say(address: str, scenario: Scenario) -> None:
    """After each event the same replies, in any order."""
    conversation = KafkaConversation(address, f"{zlib.crc32(scenario.title.encode()):08x}.")
    try:
        for line, expected in rounds(scenario.lines):
            heard = in_order(conversation.hold(line, expected))
            deadline = time.monotonic() + READS_FOLLOW_WITHIN_S
            while heard != in_order(expected) and LOOKS.match(line) and time.monotonic() < deadline:
                heard = in_order(conversation.hold(line, expected))
            assert [line, *heard] == [line, *in_order(expected)]
    finally:
        conversation.close()
