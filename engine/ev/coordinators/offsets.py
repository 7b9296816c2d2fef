"""Committed offsets: the table, who may commit, and when an offset expires.

The table changes in `put` and `remove` only, and those are called by replay. An offset also knows the topic's id, so that what
was committed for a deleted topic is never served for its successor of the same name.

An offset expires `offsets.retention.minutes` after

    its group became empty, or its commit if that was later     groups that had members
    its commit                                                  groups that never had members, and topics that a Stable group
                                                                of consumers does not subscribe to

and otherwise not at all.

What a transaction commits is pending until its marker says what becomes of it (KIP-98): it is seen by nobody, and keeps what was
committed before from expiring. A marker that commits lets the pending offset count, unless another was committed after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from ev.coordinators.classic import State
from ev.coordinators.classic_requests import member_error
from ev.coordinators.decision import Record
from ev.coordinators.group_records import NO_TOPIC_ID, CommittedOffset, offset_key, offset_value
from ev.errors import ErrorCode
from ev.wire.messages.k08_offset_commit import OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic
from ev.wire.messages.k09_offset_fetch import (
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)
from ev.wire.messages.k28_txn_offset_commit import (
    TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
)
from ev.wire.messages.k47_offset_delete import (
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ev.coordinators.classic import ClassicGroup
    from ev.coordinators.decision import Decision, Now
    from ev.coordinators.server_assignors import Place
    from ev.settings import Settings
    from ev.wire.messages.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
    from ev.wire.messages.k09_offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup
    from ev.wire.messages.k28_txn_offset_commit import TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition
    from ev.wire.messages.k47_offset_delete import OffsetDeleteRequest

MINUTE_MS: Final = 60_000
NO_OFFSET: Final = CommittedOffset(-1, -1, "", -1, -1, NO_TOPIC_ID)

GroupOffsets = dict[str, dict[int, CommittedOffset]]
PendingOffsets = dict[tuple[str, int], CommittedOffset]


class Topics(Protocol):
    """What a coordinator asks about topics."""

    def topic_id(self, name: str) -> bytes | None: ...

    def topic_name(self, topic_id: bytes) -> str | None: ...

    def partition_count(self, name: str) -> int: ...

    def names(self) -> Iterable[str]: ...

    @property
    def guarded(self) -> bool:
        """Whether some topics may not be seen by everybody."""

    def may_see(self, identity: tuple[str, str], name: str) -> bool:
        """Whether this principal, asking from this host, may know of the topic."""

    @property
    def version(self) -> int:
        """Another number after every change."""


class Group(Protocol):
    """What the table of offsets asks about a group, of whichever protocol."""

    group_id: str
    protocol_type: str | None
    state_timestamp_ms: int | None
    subscribed: frozenset[str] | None

    @property
    def state(self) -> State: ...

    def is_subscribed(self, topic: str) -> bool: ...


class Offsets:
    def __init__(self, settings: Settings, topics: Topics) -> None:
        self._settings = settings
        self._topics = topics
        self._groups: dict[str, GroupOffsets] = {}
        self._pending: dict[str, dict[int, PendingOffsets]] = {}  # by group and producer id
        self._order = 0

    # ---- the table

    def put(self, group_id: str, topic: str, partition: int, committed: CommittedOffset) -> None:
        self._order += 1
        self._groups.setdefault(group_id, {}).setdefault(topic, {})[partition] = committed._replace(order=self._order)

    def remove(self, group_id: str, topic: str, partition: int) -> None:
        for producer_id, offsets in list(self._pending.get(group_id, {}).items()):
            if offsets.pop((topic, partition), None) is not None and not offsets:
                self._forget_pending(group_id, producer_id)
        topics = self._groups.get(group_id, {})
        partitions = topics.get(topic, {})
        partitions.pop(partition, None)
        if not partitions:
            topics.pop(topic, None)
        if not topics:
            self._groups.pop(group_id, None)

    def put_pending(self, group_id: str, producer_id: int, topic: str, partition: int, committed: CommittedOffset) -> None:
        """The producer's transaction commits this, if it is committed itself."""
        self._order += 1
        pending = self._pending.setdefault(group_id, {}).setdefault(producer_id, {})
        pending[topic, partition] = committed._replace(order=self._order)

    def settle(self, group_id: str, producer_id: int, *, commits: bool) -> None:
        """The producer's transaction has ended."""
        for (topic, partition), committed in self._forget_pending(group_id, producer_id).items():
            before = self.of_group(group_id).get(topic, {}).get(partition)
            if commits and (before is None or before.order < committed.order):
                self.put(group_id, topic, partition, committed)

    def _forget_pending(self, group_id: str, producer_id: int) -> PendingOffsets:
        by_producer = self._pending.get(group_id, {})
        found = by_producer.pop(producer_id, {})
        if not by_producer:
            self._pending.pop(group_id, None)
        return found

    def pending_groups(self, producer_id: int) -> list[str]:
        """The groups for which the producer's open transaction has committed something."""
        return [group_id for group_id, by_producer in self._pending.items() if producer_id in by_producer]

    def pending_of(self, group_id: str) -> dict[int, PendingOffsets]:
        """By producer id."""
        return self._pending.get(group_id, {})

    def is_pending(self, group_id: str, topic: str, partition: int) -> bool:
        return any((topic, partition) in offsets for offsets in self.pending_of(group_id).values())

    def of_group(self, group_id: str) -> GroupOffsets:
        return self._groups.get(group_id, {})

    def group_ids(self) -> list[str]:
        return list(self._groups)

    def each(self, group_id: str) -> Iterator[tuple[str, int, CommittedOffset]]:
        for topic, partitions in self.of_group(group_id).items():
            for partition, committed in partitions.items():
                yield topic, partition, committed

    def records_of(self, group_id: str) -> list[Record]:
        """The records that say what was committed for the group."""
        return [
            Record(group_id, offset_key(group_id, topic, partition), offset_value(committed))
            for topic, partition, committed in self.each(group_id)
        ]

    # ---- OffsetCommit

    def commit(self, request: OffsetCommitRequest, version: int, now: Now, decision: Decision) -> OffsetCommitResponse:
        """Write down what may be committed; the answer says for each partition whether it was."""
        expires_ms = now.wall_ms + request.retention_time_ms if 2 <= version <= 4 and request.retention_time_ms >= 0 else -1
        topics = [self._commit_topic(request.group_id, topic, version, now.wall_ms, expires_ms, decision) for topic in request.topics]
        return OffsetCommitResponse(topics=topics)

    def commit_in_transaction(self, request: TxnOffsetCommitRequest, now: Now, decision: Decision) -> TxnOffsetCommitResponse:
        """Write down what the transaction commits, pending until it ends."""
        answer = TxnOffsetCommitResponse(topics=[])
        for topic in request.topics:
            topic_id = self._topics.topic_id(topic.name)
            partitions = []
            for partition in topic.partitions:
                error_code = int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION) if topic_id is None else self._commit_error(topic.name, partition)
                if topic_id is not None and not error_code:
                    committed = CommittedOffset(
                        partition.committed_offset,
                        partition.committed_leader_epoch,
                        partition.committed_metadata or "",
                        now.wall_ms,
                        -1,
                        topic_id,
                    )
                    key = offset_key(request.group_id, topic.name, partition.partition_index)
                    decision.write(request.group_id, key, offset_value(committed))
                partitions.append(TxnOffsetCommitResponsePartition(partition_index=partition.partition_index, error_code=error_code))
            answer.topics.append(TxnOffsetCommitResponseTopic(name=topic.name, partitions=partitions))
        return answer

    def places_in(self, topics: Sequence[OffsetCommitRequestTopic | TxnOffsetCommitRequestTopic], version: int = 0) -> Iterator[Place]:
        """The partitions of topics that there are; from version 10 on they are named by their ids."""
        for topic in topics:
            if version < 10 or isinstance(topic, TxnOffsetCommitRequestTopic):
                topic_id = self._topics.topic_id(topic.name)
            else:
                topic_id = bytes(topic.topic_id)
            if topic_id is not None:
                yield from ((topic_id, partition.partition_index) for partition in topic.partitions)

    def _commit_topic(
        self, group_id: str, topic: OffsetCommitRequestTopic, version: int, now_ms: int, expires_ms: int, decision: Decision
    ) -> OffsetCommitResponseTopic:
        name = topic.name if version < 10 else self._topics.topic_name(bytes(topic.topic_id))
        topic_id = self._topics.topic_id(name) if name is not None else None
        answer = OffsetCommitResponseTopic(name=topic.name, topic_id=topic.topic_id, partitions=[])
        for partition in topic.partitions:
            if name is None or topic_id is None:
                error_code = ErrorCode.UNKNOWN_TOPIC_ID if version >= 10 else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            else:
                error_code = self._commit_error(name, partition)
                if not error_code:
                    committed = CommittedOffset(
                        partition.committed_offset,
                        partition.committed_leader_epoch,
                        partition.committed_metadata or "",
                        now_ms,
                        expires_ms,
                        topic_id,
                    )
                    decision.write(group_id, offset_key(group_id, name, partition.partition_index), offset_value(committed))
            answer.partitions.append(OffsetCommitResponsePartition(partition_index=partition.partition_index, error_code=error_code))
        return answer

    def _commit_error(self, topic: str, partition: OffsetCommitRequestPartition | TxnOffsetCommitRequestPartition) -> int:
        if not 0 <= partition.partition_index < self._topics.partition_count(topic):
            return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        if len(partition.committed_metadata or "") > self._settings.offset_metadata_max_bytes:
            return ErrorCode.OFFSET_METADATA_TOO_LARGE
        return ErrorCode.NONE

    # ---- OffsetFetch

    def fetch(self, request: OffsetFetchRequest, version: int, errors: Mapping[str, int]) -> OffsetFetchResponse:
        """`errors`: of the groups that are answered with nothing else."""
        if version >= 8:
            stable = request.require_stable
            return OffsetFetchResponse(
                groups=[
                    OffsetFetchResponseGroup(group_id=group.group_id, topics=[], error_code=errors[group.group_id])
                    if errors.get(group.group_id)
                    else self._fetch_group(group, version, stable)
                    for group in request.groups
                ]
            )
        wanted = self._everything(request.group_id) if request.topics is None else [(t.name, t.partition_indexes) for t in request.topics]
        topics = [
            OffsetFetchResponseTopic(
                name=name,
                partitions=[
                    OffsetFetchResponsePartition(
                        partition_index=partition,
                        committed_offset=committed.offset,
                        committed_leader_epoch=committed.leader_epoch,
                        metadata=committed.metadata,
                        error_code=error_code,
                    )
                    for partition, committed, error_code in self._look_up(request.group_id, name, partitions, request.require_stable)
                ],
            )
            for name, partitions in wanted
        ]
        return OffsetFetchResponse(topics=topics, error_code=ErrorCode.NONE)

    def _fetch_group(self, group: OffsetFetchRequestGroup, version: int, stable: bool) -> OffsetFetchResponseGroup:
        answer = OffsetFetchResponseGroup(group_id=group.group_id, topics=[], error_code=ErrorCode.NONE)
        if group.topics is None:
            for name, partitions in self._everything(group.group_id):
                topic_id = self._topics.topic_id(name) or NO_TOPIC_ID
                answer.topics.append(self._fetch_topic(group.group_id, name, topic_id, partitions, stable))
            return answer
        for topic in group.topics:
            known = topic.name if version < 10 else self._topics.topic_name(bytes(topic.topic_id))
            if known is None:
                answer.topics.append(_unknown_topic(topic.topic_id, topic.partition_indexes))
            else:
                answer.topics.append(self._fetch_topic(group.group_id, known, topic.topic_id, topic.partition_indexes, stable))
        return answer

    def _fetch_topic(self, group_id: str, name: str, topic_id: bytes, partitions: Iterable[int], stable: bool) -> OffsetFetchResponseTopics:
        return OffsetFetchResponseTopics(
            name=name,
            topic_id=topic_id,
            partitions=[
                OffsetFetchResponsePartitions(
                    partition_index=partition,
                    committed_offset=committed.offset,
                    committed_leader_epoch=committed.leader_epoch,
                    metadata=committed.metadata,
                    error_code=error_code,
                )
                for partition, committed, error_code in self._look_up(group_id, name, partitions, stable)
            ],
        )

    def _everything(self, group_id: str) -> list[tuple[str, list[int]]]:
        """All topics and partitions with a commit that is still about the topic of that name."""
        found = []
        for topic, partitions in self.of_group(group_id).items():
            current = [partition for partition, committed in partitions.items() if not self._is_stale(topic, committed)]
            if current:
                found.append((topic, current))
        return found

    def _look_up(self, group_id: str, topic: str, partitions: Iterable[int], stable: bool) -> list[tuple[int, CommittedOffset, int]]:
        """(partition, what was committed, error code) of each. `stable`: nothing that a transaction is about to change."""
        table = self.of_group(group_id).get(topic, {})
        found = []
        for partition in partitions:
            committed = table.get(partition, NO_OFFSET)
            if stable and self.is_pending(group_id, topic, partition):
                found.append((partition, NO_OFFSET, int(ErrorCode.UNSTABLE_OFFSET_COMMIT)))
            else:
                found.append((partition, NO_OFFSET if self._is_stale(topic, committed) else committed, int(ErrorCode.NONE)))
        return found

    def _is_stale(self, topic: str, committed: CommittedOffset) -> bool:
        """Whether the offset is about a topic that is no longer there, perhaps with another of the same name in its place."""
        topic_id = self._topics.topic_id(topic)
        return topic_id is None or committed.topic_id not in (topic_id, NO_TOPIC_ID)

    # ---- OffsetDelete and the deletion of topics

    def delete(self, group: Group, request: OffsetDeleteRequest, decision: Decision) -> OffsetDeleteResponse:
        table = self.of_group(group.group_id)
        answer = OffsetDeleteResponse(error_code=ErrorCode.NONE, topics=[])
        for topic in request.topics:
            error_code = ErrorCode.NONE
            if self._topics.topic_id(topic.name) is None:
                error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            elif group.is_subscribed(topic.name):
                error_code = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
            deleted = OffsetDeleteResponseTopic(name=topic.name, partitions=[])
            for partition in topic.partitions:
                index = partition.partition_index
                there = 0 <= index < self._topics.partition_count(topic.name)
                code = error_code if there else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                deleted.partitions.append(OffsetDeleteResponsePartition(partition_index=index, error_code=code))
                if not code and index in table.get(topic.name, {}):
                    decision.write(group.group_id, offset_key(group.group_id, topic.name, index), None)
            answer.topics.append(deleted)
        return answer

    def forget_topic(self, group_id: str, topic: str, topic_id: bytes, decision: Decision) -> None:
        """Tombstones for what the group committed on the topic with this id, and on none of the same name before or after it."""
        for partition, committed in self.of_group(group_id).get(topic, {}).items():
            if committed.topic_id in (topic_id, NO_TOPIC_ID):
                decision.write(group_id, offset_key(group_id, topic, partition), None)

    def forget_stale(self, group_id: str, decision: Decision) -> None:
        """Tombstones for commits on topics that are gone: what a crash between a topic's deletion and these tombstones left."""
        for topic, partition, committed in self.each(group_id):
            if self._is_stale(topic, committed):
                decision.write(group_id, offset_key(group_id, topic, partition), None)

    def forget_group(self, group_id: str, decision: Decision) -> None:
        known = dict.fromkeys((topic, partition) for topic, partition, _ in self.each(group_id))
        for offsets in self.pending_of(group_id).values():
            known |= dict.fromkeys(offsets)
        for topic, partition in known:
            decision.write(group_id, offset_key(group_id, topic, partition), None)

    # ---- expiry

    def expire(self, group: Group, now_ms: int, decision: Decision) -> bool:
        """Tombstones for what has expired; True when nothing is left afterwards."""
        left = False
        for topic, partition, committed in self.each(group.group_id):
            expires_ms = self._expires_ms(group, topic, committed)
            if expires_ms is not None and expires_ms <= now_ms and not self.is_pending(group.group_id, topic, partition):
                decision.write(group.group_id, offset_key(group.group_id, topic, partition), None)
            else:
                left = True
        return not left

    def next_expiry_ms(self, group: Group) -> int | None:
        """The wall clock's time at which the first offset of the group expires as things stand."""
        times = (self._expires_ms(group, topic, committed) for topic, _, committed in self.each(group.group_id))
        return min((time for time in times if time is not None), default=None)

    def _expires_ms(self, group: Group, topic: str, committed: CommittedOffset) -> int | None:
        if group.is_subscribed(topic):
            return None
        since_ms = committed.commit_timestamp_ms
        if group.protocol_type is not None:
            if group.state is State.EMPTY:
                since_ms = max(since_ms, group.state_timestamp_ms or 0)
            elif not (group.state is State.STABLE and group.subscribed is not None):
                return None
        if committed.expire_timestamp_ms >= 0:
            return committed.expire_timestamp_ms
        return since_ms + self._settings.offsets_retention_minutes * MINUTE_MS


def _unknown_topic(topic_id: bytes, partitions: Iterable[int]) -> OffsetFetchResponseTopics:
    return OffsetFetchResponseTopics(
        topic_id=topic_id,
        partitions=[
            OffsetFetchResponsePartitions(
                partition_index=partition, committed_offset=-1, metadata="", error_code=ErrorCode.UNKNOWN_TOPIC_ID
            )
            for partition in partitions
        ],
    )


def commit_error(group: ClassicGroup | None, request: OffsetCommitRequest, version: int) -> int:
    """Why this caller may not commit for the group; NONE when it may.

    A group without members takes commits from anybody who names no generation: simple consumers, and administrators. Members
    commit in their own generation, also while a rebalance is waiting for them, but not while the next one is being handed out.
    """
    generation = request.generation_id_or_member_epoch
    if group is None:
        if generation < 0:
            return ErrorCode.NONE
        return ErrorCode.GROUP_ID_NOT_FOUND if version >= 9 else ErrorCode.ILLEGAL_GENERATION
    if generation < 0 and group.state is State.EMPTY:
        return ErrorCode.NONE
    if generation < 0 and not request.member_id and request.group_instance_id is None:
        return ErrorCode.UNKNOWN_MEMBER_ID
    error_code = member_error(group, request.member_id, request.group_instance_id)
    if error_code:
        return error_code
    if generation != group.generation:
        return ErrorCode.ILLEGAL_GENERATION
    return ErrorCode.REBALANCE_IN_PROGRESS if group.state is State.COMPLETING_REBALANCE else ErrorCode.NONE


def transactional_commit_error(group: ClassicGroup | None, request: TxnOffsetCommitRequest) -> int:
    """Why this producer may not commit for the group in its transaction; NONE when it may.

    A producer that names no member commits for whoever is in the group (versions before 3 could not name one).
    """
    generation = request.generation_id
    if group is None:
        return ErrorCode.NONE if generation < 0 else ErrorCode.ILLEGAL_GENERATION
    if generation < 0 and (group.state is State.EMPTY or not (request.member_id or request.group_instance_id is not None)):
        return ErrorCode.NONE
    error_code = member_error(group, request.member_id, request.group_instance_id)
    if error_code:
        return error_code
    return ErrorCode.NONE if generation == group.generation else ErrorCode.ILLEGAL_GENERATION
