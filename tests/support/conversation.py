"""Plays conversations between clients and the group coordinator that are written down as text.

    == A follower that joins again is told the current generation
    topics orders=3                                     topics that exist, with their partitions
    set group.max.size=2                                settings, before the first event

    a> join g range:orders                              client `a` sends a request ...
    a< MEMBER_ID_REQUIRED member=a1                     ... and is answered
    log group g generation=1 members=a1:A               a record was appended
    log offset g orders/0 tombstone
    time 10000                                          milliseconds pass, deadlines come due at their own time
    restart                                             a new coordinator reads the log
    full                                                from now on the log refuses every record; `room` ends that
    topic-deleted orders
    only here: it is better so                          Kafka does something else; see test_scenarios_on_kafka.py

Every event is followed by everything that it brought about, in order; nothing else may happen. The first member id that client
`a` is given is called a1, the next a2, whatever it is in truth. Assignments and metadata are short words; `range:orders` is a
consumer's subscription to orders, and a plain word for members of another protocol type.

Members of the new protocol say `beat`; their first one has epoch 0 and makes their id. Which partitions somebody gets is the
assignor's choice, so only their number is told; a client that says `owned` reports those that it was told to have last:

    a> sync g member=a1 generation=1 a1=orders/0,orders/1   the leader gives real partitions, where the broker is to read them
    a< synced orders:2
    b> beat g epoch=0 orders                                joins, and subscribes to orders
    b< beats b1 epoch=2 has=nothing
    a> join g member=a1 owned coop:orders
    x> describe_consumers g
    x< described g Stable epoch=2 a1:classic:2:orders:1,b1:consumer:2:orders:1
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ev.broker.handlers import k08_offset_commit as commit_handler
from ev.broker.handlers import k09_offset_fetch as fetch_handler
from ev.broker.handlers import k15_describe_groups as describe_handler
from ev.broker.handlers import k42_delete_groups as delete_handler
from ev.coordinators.classic_replies import join_refused, sync_refused
from ev.coordinators.consumer_group_records import ConsumerKey, read_consumer_key, read_group, read_member, read_pattern
from ev.coordinators.decision import Caller, Decision, Now, Record
from ev.coordinators.group_config import GroupConfigs
from ev.coordinators.group_records import GroupKey, OffsetKey, read_group_value, read_key, read_offset_value
from ev.coordinators.groups import Groups
from ev.coordinators.subscriptions import assignment_value, read_assignment
from ev.errors import ErrorCode, error_name
from ev.randomness import SeededRandomness
from ev.settings import Settings
from ev.wire.codec import decode, encode
from ev.wire.messages import (
    k08_offset_commit,
    k09_offset_fetch,
    k11_join_group,
    k12_heartbeat,
    k13_leave_group,
    k14_sync_group,
    k15_describe_groups,
    k16_list_groups,
    k42_delete_groups,
    k47_offset_delete,
    k68_consumer_group_heartbeat,
    k69_consumer_group_describe,
)
from ev.wire.messages.consumer_protocol import ConsumerProtocolSubscription, TopicPartition

EVENTS = ("time", "restart", "full", "room", "topic-deleted", "topics", "set", "recreated")
DEFAULT_VERSIONS = {"join": 9, "sync": 4, "heartbeat": 4, "leave": 5, "commit": 9, "fetch": 9, "describe": 6, "list": 5, "delete": 2}
DEFAULT_VERSIONS |= {"beat": 1, "describe_consumers": 1}
START_MS = 1_000_000


class Scenario(NamedTuple):
    title: str
    lines: list[str]
    #: Why Apache Kafka does something else; empty when it does the same.
    only_here: str


def scenarios(directory: pathlib.Path) -> Iterator[Scenario]:
    """Every scenario of every text file in the directory."""
    for path in sorted(directory.glob("*.txt")):
        for part in re.split(r"^== ", path.read_text(), flags=re.MULTILINE)[1:]:
            title, *lines = (line.strip() for line in part.splitlines() if line.strip() and not line.startswith("#"))
            reasons = [line.partition(": ")[2] for line in lines if line.startswith("only here: ")]
            kept = [line for line in lines if not line.startswith("only here: ")]
            yield Scenario(f"{path.stem}: {title}", kept, " ".join(reasons))


class Words:
    """One line: a verb, plain words, and name=value options."""

    def __init__(self, text: str) -> None:
        first, *rest = text.split()
        self.verb = first
        self.options = dict(word.split("=", 1) for word in rest if "=" in word)
        self.plain = [word for word in rest if "=" not in word]

    def get(self, name: str, default: str) -> str:
        return self.options.pop(name, default)

    def number(self, name: str, default: int) -> int:
        return int(self.options.pop(name, default))


class TopicTable:
    """The topics of a conversation; a topic's id says how often it was made anew."""

    def __init__(self) -> None:
        self.partitions: dict[str, int] = {}
        self.made: dict[str, int] = {}
        self.ids: dict[str, bytes] = {}
        self.version = 0

    guarded = False

    def may_see(self, identity: tuple[str, str], name: str) -> bool:
        return True

    def names(self) -> list[str]:
        return list(self.partitions)

    def create(self, name: str, partitions: int) -> None:
        self.version += 1
        self.partitions[name] = partitions
        self.made[name] = self.made.get(name, 0) + 1
        self.ids[name] = f"{name}#{self.made[name]}".encode().ljust(16, b".")[:16]

    def delete(self, name: str) -> None:
        self.version += 1
        del self.partitions[name]

    def topic_id(self, name: str) -> bytes | None:
        return self.ids[name] if name in self.partitions else None

    def topic_name(self, topic_id: bytes) -> str | None:
        return next((name for name in self.partitions if self.ids[name] == topic_id), None)

    def partition_count(self, name: str) -> int:
        return self.partitions.get(name, 0)


class Conversation:
    """Carries out decisions as the runtime does, and tells what happened in lines of text."""

    def __init__(self) -> None:
        self.topics = TopicTable()
        self.settings: dict[str, str] = {}
        self.now_ms = START_MS
        self.full = False
        self.log: list[tuple[bytes, bytes | None]] = []
        self.heard: list[str] = []
        self.symbols: dict[str, str] = {}  # member id -> a1
        self.given: dict[str, int] = {}
        self.has: dict[str, dict[str, list[int]]] = {}  # what each client was told to have
        self.joins_as: dict[str, str] = {}
        self._groups: Groups | None = None
        self._randomness = SeededRandomness(7)

    @property
    def groups(self) -> Groups:
        if self._groups is None:
            settings = Settings.from_mapping(self.settings)
            self._groups = Groups(settings, self._randomness, self.topics, GroupConfigs(settings))
        return self._groups

    @property
    def now(self) -> Now:
        """The clocks differ, as clocks do."""
        return Now(self.now_ms + 1_700_000_000_000, self.now_ms)

    # ---- events

    def play(self, line: str) -> list[str]:
        """Let one event happen; returns what came of it."""
        self.heard = []
        head = line.split()[0]
        if head in EVENTS:
            self._event(Words(line))
        else:
            client, request = line.split("> ", 1)
            self._request(client, Words(request))
        return self.heard

    def _event(self, words: Words) -> None:
        match words.verb:
            case "topics":
                for name, count in words.options.items():
                    self.topics.create(name, int(count))
            case "set":
                self.settings.update(words.options)
            case "time":
                self._pass(int(words.plain[0]))
            case "restart":
                self._groups = None
                for key, value in self.log:
                    self.groups.replay(key, value, self.now)
                self._carry_out(self.groups.loaded(self.now))
            case "full" | "room":
                self.full = words.verb == "full"
            case "topic-deleted":
                name = words.plain[0]
                topic_id = self.topics.ids[name]
                self.topics.delete(name)
                self._carry_out(self.groups.topic_deleted(name, topic_id))
            case "recreated":
                self.topics.create(words.plain[0], 1)

    def _pass(self, delay_ms: int) -> None:
        end_ms = self.now_ms + delay_ms
        while (due_ms := self.groups.next_deadline_ms()) is not None and due_ms <= end_ms:
            self.now_ms = max(self.now_ms, due_ms)
            while (decision := self.groups.pass_time(self.now)) is not None:
                self._carry_out(decision)
        self.now_ms = end_ms

    def _request(self, client: str, words: Words) -> None:
        version = words.number("v", DEFAULT_VERSIONS.get(words.verb, 0))
        build: Callable[[Words, int], tuple[Any, Callable[..., Decision], Callable[[int], Any]]] = getattr(self, f"_{words.verb}")
        self.speaker = client
        request, method, error = build(words, version)
        self._ask(request, method, Caller((client, words.verb), version, client, "/127.0.0.1", error))

    def _ask(self, request: Any, method: Callable[..., Decision], caller: Caller) -> None:
        # Through the bytes, so that a version has only what it can have.
        request, _ = decode(type(request), caller.version, encode(request, caller.version))
        self._carry_out(method(request, caller, self.now))

    def _carry_out(self, decision: Decision) -> None:
        if decision.records and self.full:
            self.heard.append("log refuses")
            decision = self.groups.refused(decision, ErrorCode.KAFKA_STORAGE_ERROR, self.now)
        for _, key, value in decision.records:
            self.log.append((key, value))
            self.groups.replay(key, value, self.now)
        said = [self._reply(caller, message) for caller, message in decision.replies]
        self.heard += self._records(decision.records) + said

    # ---- requests

    def member(self, symbol: str) -> str:
        return next((member_id for member_id, known in self.symbols.items() if known == symbol), symbol)

    def symbol(self, member_id: str) -> str:
        if member_id in self.symbols:
            return self.symbols[member_id]
        return self._named(member_id, member_id.split("-")[0]) if "-" in member_id else member_id or "none"

    def _named(self, member_id: str, client: str) -> str:
        self.given[client] = self.given.get(client, 0) + 1
        return self.symbols.setdefault(member_id, f"{client}{self.given[client]}")

    def _join(self, words: Words, version: int) -> Any:
        kind = words.get("type", "consumer")
        group, *offered = words.plain
        member_id = self.member(words.get("member", ""))
        owned = self.has.get(self.speaker, {}) if "owned" in offered else None
        protocols = [_protocol(kind, each, owned) for each in offered if each != "owned"]
        self.joins_as[self.speaker] = words.options.get("instance", self.speaker)
        request = k11_join_group.JoinGroupRequest(
            group_id="" if group == "none" else group,
            session_timeout_ms=words.number("session", 10_000),
            rebalance_timeout_ms=words.number("rebalance", 30_000) if version else -1,
            member_id=member_id,
            group_instance_id=words.options.pop("instance", None),
            protocol_type=kind,
            protocols=protocols,
        )
        return request, self.groups.join, lambda code: join_refused(version, code, member_id)

    def _sync(self, words: Words, version: int) -> Any:
        request = k14_sync_group.SyncGroupRequest(
            group_id=words.plain[0],
            member_id=self.member(words.get("member", "")),
            generation_id=words.number("generation", -1),
            group_instance_id=words.options.pop("instance", None),
            protocol_type=words.options.pop("type", None),
            protocol_name=words.options.pop("protocol", None),
        )
        request.assignments = [
            k14_sync_group.SyncGroupRequestAssignment(member_id=self.member(name), assignment=_gift(given))
            for name, given in words.options.items()
        ]
        return request, self.groups.sync, sync_refused

    def _heartbeat(self, words: Words, version: int) -> Any:
        request = k12_heartbeat.HeartbeatRequest(
            group_id=words.plain[0],
            generation_id=words.number("generation", -1),
            member_id=self.member(words.get("member", "")),
            group_instance_id=words.options.pop("instance", None),
        )
        return request, self.groups.heartbeat, lambda code: k12_heartbeat.HeartbeatResponse(error_code=code)

    def _beat(self, words: Words, version: int) -> Any:
        group, *topics = words.plain
        epoch = words.number("epoch", 0)
        member_id = self.member(words.get("member", ""))
        if not member_id:
            member_id = f"{self.speaker}-{self.given.get(self.speaker, 0)}"
            self._named(member_id, self.speaker)
        owned = self.has.get(self.speaker, {}) if "owned" in topics else {} if epoch == 0 else None
        topics = [topic for topic in topics if topic != "owned"]
        request = k68_consumer_group_heartbeat.ConsumerGroupHeartbeatRequest(
            group_id=group,
            member_id=member_id,
            member_epoch=epoch,
            instance_id=words.options.pop("instance", None),
            rebalance_timeout_ms=words.number("rebalance", 30_000) if epoch == 0 else -1,
            subscribed_topic_names=topics or None,
            subscribed_topic_regex=words.options.pop("regex", None),
            server_assignor=words.options.pop("assignor", None),
            topic_partitions=None
            if owned is None
            else [
                k68_consumer_group_heartbeat.TopicPartitions(self.topics.topic_id(name) or bytes(16), indexes)
                for name, indexes in owned.items()
            ],
        )
        refuse = k68_consumer_group_heartbeat.ConsumerGroupHeartbeatResponse
        return request, self.groups.consumer_heartbeat, lambda code: refuse(error_code=code)

    def _leave(self, words: Words, version: int) -> Any:
        group, *who = words.plain
        request = k13_leave_group.LeaveGroupRequest(group_id=group)
        if version < 3:
            request.member_id = self.member(who[0])
        else:
            request.members = [k13_leave_group.MemberIdentity(member_id=self.member(each)) for each in who]
            for name, instance in words.options.items():
                member_id = "" if name == "anyone" else self.member(name)
                request.members.append(k13_leave_group.MemberIdentity(member_id=member_id, group_instance_id=instance))
        return request, self.groups.leave, lambda code: k13_leave_group.LeaveGroupResponse(error_code=code, members=[])

    def _commit(self, words: Words, version: int) -> Any:
        note = words.get("note", "")
        if note.startswith("x*"):
            note = "x" * int(note[2:])
        request = k08_offset_commit.OffsetCommitRequest(
            group_id=words.plain[0],
            generation_id_or_member_epoch=words.number("generation", -1),
            member_id=self.member(words.get("member", "")),
            group_instance_id=words.options.pop("instance", None),
            retention_time_ms=words.number("retention", -1),
        )
        for place, offset in words.options.items():
            topic, partition = place.split("/")
            named = k08_offset_commit.OffsetCommitRequestTopic(name=topic, topic_id=self.topics.topic_id(topic) or bytes(16))
            named.partitions = [
                k08_offset_commit.OffsetCommitRequestPartition(
                    partition_index=int(partition), committed_offset=int(offset), committed_metadata=note
                )
            ]
            if version >= 10:
                named.name = ""
            else:
                named.topic_id = bytes(16)
            request.topics.append(named)
        return request, self.groups.commit_offsets, lambda code: commit_handler.refused(request, code)

    def _fetch(self, words: Words, version: int) -> Any:
        group, *places = words.plain
        request = k09_offset_fetch.OffsetFetchRequest()
        wanted = [place.split("/") for place in places]
        if version < 8:
            request.group_id = group
            request.topics = [k09_offset_fetch.OffsetFetchRequestTopic(name=name, partition_indexes=[int(at)]) for name, at in wanted]
            request.topics = request.topics or None
        else:
            topics = [k09_offset_fetch.OffsetFetchRequestTopics(name=name, partition_indexes=[int(at)]) for name, at in wanted]
            if version >= 10:
                for topic in topics:
                    topic.topic_id, topic.name = self.topics.topic_id(topic.name) or bytes(16), ""
            request.groups = [k09_offset_fetch.OffsetFetchRequestGroup(group_id=group, topics=topics or None)]
        return request, self.groups.fetch_offsets, lambda code: fetch_handler.refused(request, code)

    def _delete_offsets(self, words: Words, version: int) -> Any:
        group, *places = words.plain
        request = k47_offset_delete.OffsetDeleteRequest(group_id=group)
        for place in places:
            name, at = place.split("/")
            partitions = [k47_offset_delete.OffsetDeleteRequestPartition(partition_index=int(at))]
            request.topics.append(k47_offset_delete.OffsetDeleteRequestTopic(name=name, partitions=partitions))
        return request, self.groups.delete_offsets, lambda code: k47_offset_delete.OffsetDeleteResponse(error_code=code, topics=[])

    def _describe(self, words: Words, version: int) -> Any:
        request = k15_describe_groups.DescribeGroupsRequest(groups=words.plain)
        return request, self.groups.describe_groups, lambda code: describe_handler.refused(request, code)

    def _describe_consumers(self, words: Words, version: int) -> Any:
        request = k69_consumer_group_describe.ConsumerGroupDescribeRequest(words.plain)
        return request, self.groups.describe_consumer_groups, lambda code: k69_consumer_group_describe.ConsumerGroupDescribeResponse()

    def _list(self, words: Words, version: int) -> Any:
        states, types = words.get("states", ""), words.get("types", "")
        request = k16_list_groups.ListGroupsRequest(
            states_filter=states.split(",") if states else [], types_filter=types.split(",") if types else []
        )
        return request, self.groups.list_groups, lambda code: k16_list_groups.ListGroupsResponse(error_code=code, groups=[])

    def _delete(self, words: Words, version: int) -> Any:
        request = k42_delete_groups.DeleteGroupsRequest(groups_names=words.plain)
        return request, self.groups.delete_groups, lambda code: delete_handler.refused(request, code)

    # ---- what is heard

    def _reply(self, caller: Caller, message: Any) -> str:
        client, verb = caller.token
        # Through the bytes again: a reply that this version cannot carry must not pass.
        message, _ = decode(type(message), caller.version, encode(message, caller.version))
        is_given = verb == "join" and message.error_code in (ErrorCode.NONE, ErrorCode.MEMBER_ID_REQUIRED)
        if is_given and message.member_id not in self.symbols:
            self._named(message.member_id, self.joins_as[client])
        self.listener = client
        said: str = getattr(self, f"_said_{verb}")(message, caller.version)
        return f"{client}< {said}"

    def _said_join(self, message: k11_join_group.JoinGroupResponse, version: int) -> str:
        if message.error_code:
            member = f" member={self.symbol(message.member_id)}" if message.error_code == ErrorCode.MEMBER_ID_REQUIRED else ""
            return error_name(message.error_code) + member
        said = f"joined generation={message.generation_id} protocol={message.protocol_name} member={self.symbol(message.member_id)}"
        said += f" leader={self.symbol(message.leader)}"
        if message.members:
            said += " members=" + ",".join(sorted(self.symbol(member.member_id) for member in message.members))
        return said + (" skip-assignment" if message.skip_assignment else "")

    def _said_sync(self, message: k14_sync_group.SyncGroupResponse, version: int) -> str:
        if message.error_code:
            return error_name(message.error_code)
        assignment = read_assignment(bytes(message.assignment))
        if assignment is not None:
            self.has[self.listener] = {part.topic: part.partitions for part in assignment.assigned_partitions}
        return f"synced {_given(bytes(message.assignment))}"

    def _said_beat(self, message: k68_consumer_group_heartbeat.ConsumerGroupHeartbeatResponse, version: int) -> str:
        if message.error_code:
            return error_name(message.error_code)
        said = f"beats {self.symbol(message.member_id or '')} epoch={message.member_epoch}"
        if message.assignment is None:
            return said
        parts = message.assignment.topic_partitions
        told = {self.topics.topic_name(bytes(part.topic_id)) or "?": part.partitions for part in parts}
        self.has[self.listener] = told
        return f"{said} has={_counts(told)}"

    def _said_describe_consumers(self, message: k69_consumer_group_describe.ConsumerGroupDescribeResponse, version: int) -> str:
        (group,) = message.groups
        if group.error_code:
            return error_name(group.error_code)
        members = [
            f"{self.symbol(member.member_id)}:{'consumer' if member.member_type else 'classic'}:{member.member_epoch}:"
            + _counts({part.topic_name: part.partitions for part in member.assignment.topic_partitions})
            for member in group.members
        ]
        return f"described {group.group_id} {group.group_state} epoch={group.group_epoch} {','.join(sorted(members))}"

    def _said_heartbeat(self, message: k12_heartbeat.HeartbeatResponse, version: int) -> str:
        return error_name(message.error_code) if message.error_code else "ok"

    def _said_leave(self, message: k13_leave_group.LeaveGroupResponse, version: int) -> str:
        if message.error_code or version < 3:
            return error_name(message.error_code) if message.error_code else "ok"
        return "left " + " ".join(
            f"{member.group_instance_id or self.symbol(member.member_id)}={error_name(member.error_code)}" for member in message.members
        )

    def _said_commit(self, message: k08_offset_commit.OffsetCommitResponse, version: int) -> str:
        return "committed " + " ".join(
            f"{topic.name or self.topics.topic_name(topic.topic_id)}/{each.partition_index}={error_name(each.error_code)}"
            for topic in message.topics
            for each in topic.partitions
        )

    def _said_fetch(self, message: k09_offset_fetch.OffsetFetchResponse, version: int) -> str:
        topics: Any = message.topics if version < 8 else message.groups[0].topics
        found = [
            f"{topic.name or self.topics.topic_name(topic.topic_id)}/{each.partition_index}="
            + (error_name(each.error_code) if each.error_code else f"{each.committed_offset}")
            + (f"({_short(each.metadata)})" if each.metadata else "")
            for topic in topics
            for each in topic.partitions
        ]
        return "offsets " + (" ".join(found) or "none")

    def _said_delete_offsets(self, message: k47_offset_delete.OffsetDeleteResponse, version: int) -> str:
        if message.error_code:
            return error_name(message.error_code)
        return "deleted " + " ".join(
            f"{topic.name}/{each.partition_index}={error_name(each.error_code)}" for topic in message.topics for each in topic.partitions
        )

    def _said_describe(self, message: k15_describe_groups.DescribeGroupsResponse, version: int) -> str:
        said = []
        for group in message.groups:
            members = ",".join(
                sorted(f"{self.symbol(member.member_id)}:{_given(bytes(member.member_assignment))}" for member in group.members)
            )
            words = [group.group_id, group.group_state, group.protocol_type, group.protocol_data, members]
            if group.error_code:
                words.append(error_name(group.error_code))
            said.append(" ".join(word for word in words if word))
        return "described " + "; ".join(said)

    def _said_list(self, message: k16_list_groups.ListGroupsResponse, version: int) -> str:
        listed = [
            "/".join(word for word in (group.group_id, group.protocol_type, group.group_state, group.group_type) if word)
            for group in message.groups
        ]
        return "listed " + (" ".join(listed) or "nothing")

    def _said_delete(self, message: k42_delete_groups.DeleteGroupsResponse, version: int) -> str:
        return "deleted " + " ".join(f"{each.group_id}={error_name(each.error_code)}" for each in message.results)

    def _records(self, records: list[Record]) -> list[str]:
        """A line for each, but one for all that are about a group of the new protocol."""
        lines: list[str] = []
        place: int | None = None
        for group_id, key, value in records:
            about = read_consumer_key(key)
            if about is None:
                lines.append(self._record(key, value))
                continue
            if place is None:
                place = len(lines)
                lines.append(f"log consumers {group_id}")
            lines[place] += self._consumer_record(about, value)
        return lines

    def _consumer_record(self, about: ConsumerKey, value: bytes | None) -> str:
        match about.kind:
            case 3:
                return " tombstone" if value is None else f" epoch={read_group(value)[0]}"
            case 5 if value is None:
                return f" without={self.symbol(about.name)}"
            case 5 if value is not None:
                kind = "consumer" if read_member(about.name, value).classic is None else "classic"
                return f" {kind}={self.symbol(about.name)}"
            case 16:
                return f" {about.name}=" + ("nothing" if value is None else ",".join(sorted(read_pattern(value).topics)) or "no-topic")
        return ""

    def _record(self, key: bytes, value: bytes | None) -> str:
        about = read_key(key)
        if isinstance(about, OffsetKey):
            place = f"log offset {about.group_id} {about.topic}/{about.partition}"
            if value is None:
                return f"{place} tombstone"
            committed = read_offset_value(value)
            return f"{place}={committed.offset}" + (f"({_short(committed.metadata)})" if committed.metadata else "")
        assert isinstance(about, GroupKey)
        if value is None:
            return f"log group {about.group_id} tombstone"
        group = read_group_value(value)
        said = f"log group {about.group_id} generation={group.generation}"
        if group.members:
            said += f" protocol={group.protocol} leader={self.symbol(group.leader or '')} members=" + ",".join(
                f"{self.symbol(member.member_id)}:{_given(bytes(member.assignment))}" for member in group.members
            )
        return said


def _protocol(kind: str, text: str, owned: dict[str, list[int]] | None) -> k11_join_group.JoinGroupRequestProtocol:
    name, _, wish = text.partition(":")
    metadata = wish.encode()
    if kind == "consumer" and wish != "garbage":
        subscription = ConsumerProtocolSubscription(topics=wish.split(",") if wish else [])
        version = 0 if owned is None else 1
        if owned:
            subscription.owned_partitions = [TopicPartition(topic, indexes) for topic, indexes in owned.items()]
        metadata = version.to_bytes(2, "big") + encode(subscription, version)
    return k11_join_group.JoinGroupRequestProtocol(name=name, metadata=metadata)


def _gift(text: str) -> bytes:
    """An assignment: `t/0,t/1` as consumers write it, any other word as it is."""
    if "/" not in text:
        return text.encode()
    given: dict[str, list[int]] = {}
    for place in text.split(","):
        topic, partition = place.split("/")
        given.setdefault(topic, []).append(int(partition))
    return assignment_value(given, bytes(2))


def _given(assignment: bytes) -> str:
    read = read_assignment(assignment)
    if read is not None and assignment[:1] == b"\0":
        return _counts({part.topic: part.partitions for part in read.assigned_partitions})
    return assignment.decode() or "nothing"


def _counts(partitions: dict[str, list[int]]) -> str:
    """How many partitions of each topic."""
    return ",".join(f"{topic}:{len(indexes)}" for topic, indexes in sorted(partitions.items())) or "nothing"


def _short(text: str) -> str:
    return text if len(text) <= 20 else f"{len(text)} characters"
