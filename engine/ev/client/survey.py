"""What somebody asks who watches a cluster: many things in one request, of all brokers at the same time, and once.

Nothing is tried again here, since the next look comes soon anyway: an item that nobody answered for carries the error, and those of brokers
that are well do not wait for one that is away. What is asked of coordinators goes in one request to each of them, for however many groups.
"""

from __future__ import annotations

from ev.client.brokers import log_directory
from ev.client.cluster import GROUP
from ev.client.offsets import FETCH_VERSION_MAX, FETCH_VERSION_OF_MANY_GROUPS, list_request, listed_offsets
from ev.client.positions import EARLIEST, LATEST
from ev.client.questions import Questions
from ev.client.results import CommittedOffset, FoundOffset, GroupDescription, GroupListing, MemberDescription, Result
from ev.client.routing import COORDINATOR_MOVED, ask_leaders_once, leader_and_epoch
from ev.errors import ErrorCode, EvError, KafkaError, TimedOutError, UnreachableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ev.client.brokers import LogDirectory
    from ev.client.cluster import Cluster
    from ev.client.connection import Ticket
    from ev.wire.codec import Message
    from ev.wire.messages.k15_describe_groups import DescribedGroup, DescribedGroupMember
    from ev.wire.messages.k69_consumer_group_describe import DescribedGroup as DescribedConsumerGroup

    TopicPartition = tuple[str, int]

CONSUMER_PROTOCOL = "consumer"
FIND_VERSION_OF_MANY_KEYS = 4
GROUPS_AT_ONCE = 500


class GroupOffsets(Result):
    """What a group has committed per partition, those without a commit left out; or why that is not known."""

    __slots__ = ("error", "offsets")

    def __init__(self, offsets: dict[TopicPartition, CommittedOffset], error: EvError | None = None) -> None:
        self.offsets = offsets
        self.error = error


class SurveyQuestions(Questions):
    """The family of questions of those who watch."""

    def survey_offsets(self, at: Mapping[TopicPartition, int]) -> dict[TopicPartition, FoundOffset]:
        """The offsets of timestamps (-1 the end, -2 the start) as the leaders know them now.

        Raises UnreachableError or TimedOutError only when no leader has answered at all.
        """
        cluster = self._cluster
        unknown = {topic for topic, _ in at if topic not in cluster.metadata.topics and topic not in cluster.metadata.topic_errors}
        if unknown:
            cluster.refresh(sorted(unknown), timeout_ms=self.timeout_ms)
        found: dict[TopicPartition, FoundOffset] = {}
        problem = ask_leaders_once(
            cluster,
            dict(at),
            found,
            lambda wanted: list_request(wanted, 0, self.timeout_ms),
            listed_offsets,
            lambda error: FoundOffset(-1, error=error),
            self.timeout_ms,
        )
        if not found and isinstance(problem, (UnreachableError, TimedOutError)):
            raise problem
        for partition in at:
            if partition not in found:
                found[partition] = FoundOffset(-1, error=as_kafka_error(problem))
        return found

    def survey_ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, FoundOffset]:
        return self.survey_offsets(dict.fromkeys(partitions, LATEST))

    def survey_starts(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, FoundOffset]:
        return self.survey_offsets(dict.fromkeys(partitions, EARLIEST))

    def survey_arrivals(self, at: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """The timestamps (ms) of the records at these offsets, as their batches have them; where there is none, no item.

        One request for each: a broker gives at least one whole batch to the first partition of a request, and to the others no more than
        was asked for.
        """
        from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchTopic  # noqa: PLC0415

        cluster = self._cluster
        tickets: dict[TopicPartition, Ticket] = {}
        for (topic, index), offset in at.items():
            where = leader_and_epoch(cluster, topic, index)
            if where is None:
                continue
            partition = FetchPartition(index, where[1], offset, partition_max_bytes=1)
            wanted = FetchTopic(topic, cluster.metadata.topics[topic].topic_id, [partition])
            tickets[topic, index] = cluster.send(FetchRequest(max_bytes=1, topics=[wanted]), where[0], timeout_ms=self.timeout_ms)
        cluster.wait_for(*tickets.values())
        found: dict[TopicPartition, int] = {}
        for place, ticket in tickets.items():
            records = None if ticket.error is not None else [row.records for topic in ticket.response.responses for row in topic.partitions]
            time_ms = arrival_of(records[0], at[place]) if records else None
            if time_ms is not None:
                found[place] = time_ms
        return found

    def survey_directories(self) -> tuple[list[LogDirectory], dict[int, EvError]]:
        """Where all brokers keep their logs, and the brokers that did not say."""
        from ev.wire.messages.k35_describe_log_dirs import DescribeLogDirsRequest  # noqa: PLC0415 - each API is loaded when it is used

        answers, errors = ask_all(self._cluster, lambda: DescribeLogDirsRequest(topics=None), self.timeout_ms)
        found: list[LogDirectory] = []
        for broker, answer in answers.items():
            found += [log_directory(broker, row) for row in sorted(answer.results, key=lambda row: row.log_dir)]
        return found, errors

    def survey_groups(self) -> tuple[list[GroupListing], dict[int, EvError]]:
        """All groups by name, and the brokers that did not say theirs."""
        from ev.wire.messages.k16_list_groups import ListGroupsRequest  # noqa: PLC0415

        answers, errors = ask_all(self._cluster, ListGroupsRequest, self.timeout_ms)
        rows = {row.group_id: row for answer in answers.values() for row in answer.groups}
        return [
            GroupListing(name, rows[name].protocol_type, rows[name].group_state, rows[name].group_type) for name in sorted(rows)
        ], errors

    def survey_members(self, groups: Iterable[str]) -> dict[str, GroupDescription]:
        """Each group with its members, as `describe_groups` has them."""
        from ev.wire.messages.k15_describe_groups import DescribeGroupsRequest  # noqa: PLC0415
        from ev.wire.messages.k69_consumer_group_describe import ConsumerGroupDescribeRequest  # noqa: PLC0415

        names = list(groups)
        found: dict[str, GroupDescription] = {}
        unknown: list[str] = []
        for node, some, ticket in self._asked_of_coordinators(names, found, lambda some: DescribeGroupsRequest(groups=some)):
            for row in ticket.response.groups if ticket.error is None else ():
                if row.error_code == ErrorCode.GROUP_ID_NOT_FOUND or row.group_state == "Dead":
                    unknown.append(row.group_id)
                self._learn_of(row.group_id, row.error_code)
                found[row.group_id] = classic_description(row, node)
            for name in some if ticket.error is not None else ():
                found[name] = unanswered_group(name, ticket.error)
        asked = self._asked_of_coordinators(unknown, found, lambda some: ConsumerGroupDescribeRequest(group_ids=some))
        for node, _, ticket in asked:
            for row in ticket.response.groups if ticket.error is None else ():
                if not row.error_code:
                    found[row.group_id] = consumer_description(row, node)
        return {name: found[name] for name in names if name in found}

    def survey_committed(self, groups: Iterable[str]) -> dict[str, GroupOffsets]:
        """What these groups have committed."""
        from ev.wire.messages.k09_offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup  # noqa: PLC0415

        names = list(groups)
        found: dict[str, Any] = {}

        def build(some: list[str]) -> OffsetFetchRequest:
            wanted = []
            for name in some:
                group = OffsetFetchRequestGroup(group_id=name)
                group.topics = None
                wanted.append(group)
            return OffsetFetchRequest(groups=wanted)

        for _, some, ticket in self._asked_of_coordinators(names, found, build, FETCH_VERSION_MAX):
            if ticket.error is not None or ticket.version < FETCH_VERSION_OF_MANY_GROUPS:
                found.update({name: GroupOffsets({}, ticket.error or KafkaError(ErrorCode.UNSUPPORTED_VERSION)) for name in some})
                continue
            for row in ticket.response.groups:
                self._learn_of(row.group_id, row.error_code)
                found[row.group_id] = GroupOffsets(
                    {
                        (topic.name, item.partition_index): CommittedOffset(
                            item.committed_offset, item.committed_leader_epoch, item.metadata
                        )
                        for topic in row.topics
                        for item in topic.partitions
                        if item.committed_offset >= 0
                    },
                    KafkaError(row.error_code) if row.error_code else None,
                )
        return {name: offsets_of(found[name]) for name in names if name in found}

    def _asked_of_coordinators(
        self, groups: list[str], refused: dict[str, Any], build: Any, version_max: int | None = None
    ) -> list[tuple[int, list[str], Ticket]]:
        """One request to each coordinator, all at the same time. Groups that nobody coordinates go to `refused` with the error."""
        cluster = self._cluster
        self._find_coordinators([name for name in groups if cluster.known_coordinator(name, GROUP) is None], refused)
        by_node: dict[int, list[str]] = {}
        for name in groups:
            node = cluster.known_coordinator(name, GROUP)
            if node is not None:
                by_node.setdefault(node, []).append(name)
        asked = []
        for node, names in by_node.items():
            for first in range(0, len(names), GROUPS_AT_ONCE):
                some = names[first : first + GROUPS_AT_ONCE]
                asked.append((node, some, cluster.send(build(some), node, timeout_ms=self.timeout_ms, version_max=version_max)))
        cluster.wait_for(*[ticket for _, _, ticket in asked])
        for _, some, ticket in asked:
            if isinstance(ticket.error, (UnreachableError, TimedOutError)):
                for name in some:
                    cluster.forget_coordinator(name)
        return asked

    def _find_coordinators(self, groups: list[str], refused: dict[str, Any]) -> None:
        """Ask any broker who coordinates these: of all in one request, or, where it is too old for that, one after the other."""
        from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest  # noqa: PLC0415

        cluster = self._cluster
        left = list(groups)
        while left:
            some = left[:GROUPS_AT_ONCE]
            ticket = cluster.send(FindCoordinatorRequest(some[0], GROUP, some), timeout_ms=self.timeout_ms)
            cluster.wait_for(ticket)
            if ticket.error is not None:
                for name in left:
                    refused[name] = unanswered_group(name, ticket.error)
                return
            many = ticket.version >= FIND_VERSION_OF_MANY_KEYS
            for name, row in [(row.key, row) for row in ticket.response.coordinators] if many else [(some[0], ticket.response)]:
                try:
                    cluster.learn_coordinator(name, GROUP, row)
                except KafkaError as error:
                    refused[name] = unanswered_group(name, error)
            left = left[len(some) :] if many else left[1:]

    def _learn_of(self, group: str, code: int) -> None:
        if code in COORDINATOR_MOVED:
            self._cluster.forget_coordinator(group)


def ask_all(cluster: Cluster, build: Any, timeout_ms: int) -> tuple[dict[int, Any], dict[int, EvError]]:
    """The same question to every broker, at the same time: the answers, and what kept the others from answering.

    Raises when nobody has answered.
    """
    tickets: dict[int, Ticket] = {}
    for node in sorted(cluster.metadata.brokers):
        message: Message = build()
        tickets[node] = cluster.send(message, node, timeout_ms=timeout_ms)
    cluster.wait_for(*tickets.values())
    answers: dict[int, Any] = {}
    errors: dict[int, EvError] = {}
    for node, ticket in tickets.items():
        code = getattr(ticket.response, "error_code", ErrorCode.NONE) if ticket.error is None else ErrorCode.NONE
        if ticket.error is not None:
            errors[node] = ticket.error
        elif code:
            errors[node] = KafkaError(code, getattr(ticket.response, "error_message", None))
        else:
            answers[node] = ticket.response
    if errors and not answers:
        raise next(iter(errors.values()))
    return answers, errors


def arrival_of(records: Any, offset: int) -> int | None:
    """The timestamp of the record at an offset, by the headers of the batches: between the first and the last of its batch."""
    from ev.wire.batch_header import LOG_APPEND_TIME, headers  # noqa: PLC0415

    for _, header in headers(records or b""):
        if header.base_offset + header.last_offset_delta < offset:
            continue
        first_ms, last_ms = header.base_timestamp, header.max_timestamp
        if header.attributes & LOG_APPEND_TIME or last_ms < first_ms or offset <= header.base_offset:
            return last_ms if header.attributes & LOG_APPEND_TIME else first_ms
        return first_ms + (last_ms - first_ms) * (offset - header.base_offset) // header.last_offset_delta
    return None


def as_kafka_error(problem: EvError | None) -> KafkaError:
    """An error for one partition, where the request for many of them was not answered."""
    if isinstance(problem, KafkaError):
        return problem
    code = ErrorCode.REQUEST_TIMED_OUT if isinstance(problem, TimedOutError) else ErrorCode.NETWORK_EXCEPTION
    return KafkaError(code, None if problem is None else str(problem))


def unanswered_group(name: str, error: EvError | None) -> GroupDescription:
    return GroupDescription(name, "", "", "", [], -1, as_kafka_error(error))


def offsets_of(answer: GroupOffsets | GroupDescription) -> GroupOffsets:
    """A group without a coordinator has no answer of the kind that was asked for."""
    return answer if isinstance(answer, GroupOffsets) else GroupOffsets({}, answer.error)


def classic_description(row: DescribedGroup, coordinator: int) -> GroupDescription:
    """A group of the older protocol; Dead with GROUP_ID_NOT_FOUND when it is not one."""
    if row.error_code == ErrorCode.GROUP_ID_NOT_FOUND or row.group_state == "Dead":
        error = KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, row.error_message)
        return GroupDescription(row.group_id, "Dead", "", "", [], coordinator, error)
    members = [member_description(member, row.protocol_type) for member in row.members]
    refusal = KafkaError(row.error_code, row.error_message) if row.error_code else None
    return GroupDescription(row.group_id, row.group_state, row.protocol_type, row.protocol_data, members, coordinator, refusal)


def consumer_description(row: DescribedConsumerGroup, coordinator: int) -> GroupDescription:
    """A group of the newer protocol (KIP-848), which the older question does not see."""
    members = [
        MemberDescription(
            member.member_id,
            member.instance_id,
            member.client_id,
            member.client_host,
            list(member.subscribed_topic_names),
            [(topic.topic_name, index) for topic in member.assignment.topic_partitions for index in topic.partitions],
        )
        for member in row.members
    ]
    return GroupDescription(row.group_id, row.group_state, CONSUMER_PROTOCOL, row.assignor_name, members, coordinator)


def member_description(member: DescribedGroupMember, protocol_type: str) -> MemberDescription:
    """What a member has, as far as it speaks the protocol of consumers (Connect's workers, for one, do not)."""
    from ev.client.assignors import decode_assignment, decode_subscription  # noqa: PLC0415

    topics: list[str] = []
    partitions: list[TopicPartition] = []
    if protocol_type == CONSUMER_PROTOCOL:
        topics = decode_subscription(member.member_metadata).topics if member.member_metadata else []
        partitions = decode_assignment(member.member_assignment)
    return MemberDescription(member.member_id, member.group_instance_id, member.client_id, member.client_host, topics, partitions)
