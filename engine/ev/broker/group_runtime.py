"""Carries out what the group coordinator decides: appends to `__consumer_offsets`, replays, answers, wakes.

A group lives in the partition that Kafka would choose for it: the hash of its name, modulo the number of partitions. Records of
a decision are appended and handed back to the coordinator at once; a reply leaves when the newest round that carries bytes of
its groups' partitions is synced, whether or not the decision wrote anything. So nobody, not even a reader, is told what a
power cut could still take back.

What a transaction commits for a group is in the same log, and pending until the transaction's marker is there too.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from ev.broker.alarm import Alarm
from ev.broker.features import GROUP
from ev.broker.internal_topic import InternalTopic
from ev.broker.renewal import Renewal
from ev.broker.replay import newest
from ev.broker.runtime import Amended
from ev.broker.topics import OFFSETS_TOPIC
from ev.coordinators.decision import Caller, Decision, Now
from ev.coordinators.group_records import is_group_key
from ev.coordinators.groups import Groups
from ev.errors import ErrorCode, KafkaError, MalformedError
from ev.wire.acls import Operation, Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.log.partition import Partition
    from ev.log.transactions import Marker

logger = logging.getLogger(__name__)

VALUES_BYTES_MAX: Final = 16 << 20
"""A decision that would write more is refused: Kafka refuses a group whose record is larger than a message may be."""


class TopicView:
    """The topics, as far as the coordinator asks about them."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._topics = broker.topics

    def topic_id(self, name: str) -> bytes | None:
        topic = self._topics.get(name)
        return None if topic is None else topic.id

    def topic_name(self, topic_id: bytes) -> str | None:
        return self._topics.name_of(topic_id)

    def partition_count(self, name: str) -> int:
        return self._topics.partitions_of(name)

    def names(self) -> list[str]:
        return [topic.name for topic in self._topics]

    @property
    def guarded(self) -> bool:
        return self._broker.authorizer is not None

    def may_see(self, identity: tuple[str, str], name: str) -> bool:
        authorizer = self._broker.authorizer
        return authorizer is None or authorizer.allows(*identity, Operation.DESCRIBE, Resource.TOPIC, name, quiet=True)

    @property
    def version(self) -> int:
        return self._topics.version + self._broker.acls.changes


class GroupRuntime:
    """The group coordinator in its broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.groups = Groups(broker.settings, broker.randomness, TopicView(broker), broker.group_configs)
        self._alarm = Alarm(broker.runtime, self.groups.next_deadline_ms, self._pass_time)
        self.topic = InternalTopic(broker, OFFSETS_TOPIC, broker.new_offsets_topic)
        self._renewals: dict[int, Renewal] = {}

    def start(self) -> None:
        """Learn all groups from the log. Sessions begin anew: whoever still lives has a session timeout to show it."""
        now = self._now()
        for partition in self.topic.partitions():
            for key, value, producer_id, _ in newest(partition):
                self._replay(partition, key, value, producer_id, now)
        self._carry_out(self.groups.loaded(now), now)

    # ---- what handlers call

    @property
    def serves_the_new_protocol(self) -> bool:
        """Whether the feature and the settings allow groups of the new protocol (KIP-848)."""
        return bool(self._broker.features.level(GROUP)) and "consumer" in self._broker.settings.group_coordinator_rebalance_protocols

    def decide(
        self,
        call: Call,
        method: Callable[[Any, Caller, Now], Decision],
        error: Callable[[int], Any],
        *,
        creates: bool = False,
        amend: Callable[[Any], None] | None = None,
    ) -> None:
        """Have the coordinator decide about this request. `creates`: it may bring a group into being, so the log has to be there.

        `amend` changes the answer before it leaves.
        """
        token = call if amend is None else Amended(call, amend)
        caller = Caller(token, call.version, call.client_id, f"/{call.client_host}", error, (call.principal, call.client_host))
        request = call.request

        def run(error_code: int) -> None:
            now = self._now()
            self._carry_out(Decision().refuse(caller, error_code) if error_code else method(request, caller, now), now)

        if creates or self.topic.is_being_made:  # requests are decided in the order in which they came
            self.topic.when_ready(run)
        else:
            run(ErrorCode.NONE)

    def topic_deleted(self, topic: str, topic_id: bytes) -> None:
        """The topic is gone for good: forget what was committed on it."""
        self._carry_out(self.groups.topic_deleted(topic, topic_id), self._now())

    def end_transaction(self, index: int, producer_id: int, epoch: int, marker: Marker) -> int:
        """Write a marker into a partition of the topic: what the producer's transaction committed counts, or never did.

        Returns the marker's round. Raises KafkaError.
        """
        partition = self.topic.partition(index)
        now = self._now()
        appended = partition.append_marker(producer_id, epoch, marker, now.wall_ms)
        for group_id in self.groups.pending_groups(producer_id):
            if self.topic.index_of(group_id) == index:
                self.groups.transaction_ended(producer_id, group_id, commits=marker.commits, now=now)
        self._alarm.arm()
        return appended.round

    # ---- decisions

    def _carry_out(self, decision: Decision, now: Now) -> None:
        refusal = self._write(decision, now) if decision.records else None
        if refusal is not None:
            logger.warning("records of groups could not be written: %s", refusal)
            decision = self.groups.refused(decision, refusal.code, now)
        after = self.topic.round_of(decision.groups)
        self._alarm.arm()
        for caller, message in decision.replies:
            caller.token.reply(message, after=after)

    def _write(self, decision: Decision, now: Now) -> KafkaError | None:
        """Append the records, one batch for each partition, and replay what was appended."""
        if sum(len(record.value or b"") for record in decision.records) > VALUES_BYTES_MAX:
            return KafkaError(ErrorCode.RECORD_LIST_TOO_LARGE, f"a group may write {VALUES_BYTES_MAX} bytes at a time")
        batches: dict[int, list[tuple[bytes, bytes | None]]] = {}
        for group_id, key, value in decision.records:
            batches.setdefault(self.topic.index_of(group_id), []).append((key, value))
        refusal = None
        for index, records in batches.items():
            try:
                partition = self.topic.partition(index)
                partition.append_records(records, now.wall_ms, producer=decision.producer)
            except KafkaError as error:
                refusal = error
            else:
                for key, value in records:
                    if decision.producer is None:
                        self.groups.replay(key, value, now)
                    else:
                        self.groups.replay_pending(key, value, decision.producer[0])
                self._renewal(partition).appended()
        if refusal is None:
            for group_id in dict.fromkeys(record.group_id for record in decision.records if is_group_key(record.key)):
                logger.info("group %r %s", group_id, self.groups.summary(group_id))
        return refusal

    def _renewal(self, partition: Partition) -> Renewal:
        known = self._renewals.get(partition.index)
        if known is None or known.partition is not partition:

            def group_ids() -> Iterator[str]:
                return (each for each in self.groups.group_ids() if self.topic.index_of(each) == partition.index)

            known = self._renewals[partition.index] = Renewal(partition, self._broker.runtime, group_ids, self.groups)
        return known

    def _replay(self, partition: Partition, key: bytes, value: bytes | None, producer_id: int | None, now: Now) -> None:
        """One record at the start. One that does not parse is reported and passed over; the other groups must not suffer from it."""
        try:
            if producer_id is None:
                self.groups.replay(key, value, now)
            else:
                self.groups.replay_pending(key, value, producer_id)
        except MalformedError as error:
            logger.error("%s-%d holds a record that does not parse: %s", partition.topic, partition.index, error)

    # ---- time

    def _now(self) -> Now:
        return Now(self._broker.clock.wall_ms(), self._broker.clock.monotonic_ms())

    def _pass_time(self) -> None:
        now = self._now()
        while (decision := self.groups.pass_time(now)) is not None:
            self._carry_out(decision, now)
