"""Carries out what the group coordinator decides: appends to `__consumer_offsets`, replays, answers, wakes.

A group lives in the partition that Kafka would choose for it: the hash of its name, modulo the number of partitions. Records of
a decision are appended and handed back to the coordinator at once; a reply leaves when the newest round that carries bytes of
its groups' partitions is synced, whether or not the decision wrote anything. So nobody, not even a reader, is told what a
power cut could still take back.

The topic is created when the first group needs it. Until then no group exists, and whoever asks about one is told so.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from ev.broker.renewal import Renewal
from ev.broker.replay import newest
from ev.broker.topics import OFFSETS_TOPIC
from ev.coordinators.decision import Caller, Decision, Now
from ev.coordinators.group_records import is_group_key
from ev.coordinators.groups import Groups
from ev.errors import ErrorCode, KafkaError, MalformedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ev.broker.broker import Broker
    from ev.broker.runtime import Call, Handle
    from ev.broker.topics import Topics
    from ev.log.partition import Partition

logger = logging.getLogger(__name__)

VALUES_BYTES_MAX: Final = 16 << 20
"""A decision that would write more is refused: Kafka refuses a group whose record is larger than a message may be."""

_INT_BITS: Final = 1 << 32
_INT_SIGN: Final = 1 << 31


def java_hash(text: str) -> int:
    """What java.lang.String.hashCode() returns: 31-adic over the UTF-16 code units, in 32 signed bits."""
    value = 0
    units = text.encode("utf-16-be", "surrogatepass")
    for position in range(0, len(units), 2):
        value = (31 * value + (units[position] << 8 | units[position + 1])) % _INT_BITS
    return value - _INT_BITS if value & _INT_SIGN else value


@lru_cache(maxsize=4096)
def partition_for(group_id: str, partition_count: int) -> int:
    """The partition of `__consumer_offsets` that holds this group."""
    value = java_hash(group_id)
    return 0 if value == -_INT_SIGN else abs(value) % partition_count


class TopicView:
    """The topics, as far as the coordinator asks about them."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    def topic_id(self, name: str) -> bytes | None:
        topic = self._topics.get(name)
        return None if topic is None else topic.id

    def topic_name(self, topic_id: bytes) -> str | None:
        return self._topics.name_of(topic_id)

    def partition_count(self, name: str) -> int:
        return self._topics.partitions_of(name)


class GroupRuntime:
    """The group coordinator in its broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.groups = Groups(broker.settings, broker.randomness, TopicView(broker.topics))
        self._timer: Handle | None = None
        self._timer_ms = 0
        self._waiting: list[Callable[[int], None]] | None = None  # until the topic is there; None when nobody creates it
        self._renewals: dict[int, Renewal] = {}

    def start(self) -> None:
        """Learn all groups from the log. Sessions begin anew: whoever still lives has a session timeout to show it."""
        now = self._now()
        for partition in self._partitions():
            for key, value in newest(partition).items():
                self._replay(partition, key, value, now)
        self._carry_out(self.groups.loaded(now), now)

    # ---- what handlers call

    def decide(
        self, call: Call, method: Callable[[Any, Caller, Now], Decision], error: Callable[[int], Any], *, creates: bool = False
    ) -> None:
        """Have the coordinator decide about this request. `creates`: it may bring a group into being, so the log has to be there."""
        caller = Caller(call, call.version, call.client_id, f"/{call.client_host}", error)
        request = call.request

        def run(error_code: int) -> None:
            now = self._now()
            self._carry_out(Decision().refuse(caller, error_code) if error_code else method(request, caller, now), now)

        if creates or self._waiting is not None:  # requests are decided in the order in which they came
            self._when_ready(run)
        else:
            run(ErrorCode.NONE)

    def topic_deleted(self, topic: str, topic_id: bytes) -> None:
        """The topic is gone for good: forget what was committed on it."""
        self._carry_out(self.groups.topic_deleted(topic, topic_id), self._now())

    # ---- decisions

    def _carry_out(self, decision: Decision, now: Now) -> None:
        refusal = self._write(decision, now) if decision.records else None
        if refusal is not None:
            logger.warning("records of groups could not be written: %s", refusal)
            decision = self.groups.refused(decision, refusal.code, now)
        after = self._round(decision.groups)
        self._arm()
        for caller, message in decision.replies:
            caller.token.reply(message, after=after)

    def _write(self, decision: Decision, now: Now) -> KafkaError | None:
        """Append the records, one batch for each partition, and replay what was appended."""
        if sum(len(record.value or b"") for record in decision.records) > VALUES_BYTES_MAX:
            return KafkaError(ErrorCode.RECORD_LIST_TOO_LARGE, f"a group may write {VALUES_BYTES_MAX} bytes at a time")
        batches: dict[int, list[tuple[bytes, bytes | None]]] = {}
        count = self._partition_count()
        for group_id, key, value in decision.records:
            batches.setdefault(partition_for(group_id, count), []).append((key, value))
        refusal = None
        for index, records in batches.items():
            try:
                partition = self._partition(index)
                partition.append_records(records, now.wall_ms)
            except KafkaError as error:
                refusal = error
            else:
                for key, value in records:
                    self.groups.replay(key, value, now)
                self._renewal(partition).appended()
        if refusal is None:
            for group_id in dict.fromkeys(record.group_id for record in decision.records if is_group_key(record.key)):
                logger.info("group %r %s", group_id, self.groups.summary(group_id))
        return refusal

    def _renewal(self, partition: Partition) -> Renewal:
        known = self._renewals.get(partition.index)
        if known is None or known.partition is not partition:
            count = self._partition_count()

            def group_ids() -> Iterator[str]:
                return (each for each in self.groups.group_ids() if partition_for(each, count) == partition.index)

            known = self._renewals[partition.index] = Renewal(partition, self._broker.runtime, group_ids, self.groups.records_of)
        return known

    def _round(self, groups: tuple[str, ...] | None) -> int:
        """The round that makes all durable that is known of these groups."""
        count = self._partition_count()
        if not count:
            return 0
        if groups is None:
            partitions = self._partitions()
        else:
            found = (self._broker.store.partition(OFFSETS_TOPIC, index) for index in {partition_for(each, count) for each in groups})
            partitions = [partition for partition in found if partition is not None]
        return max((partition.dirty_round for partition in partitions), default=0)

    def _replay(self, partition: Partition, key: bytes, value: bytes | None, now: Now) -> None:
        """One record at the start. One that does not parse is reported and passed over; the other groups must not suffer from it."""
        try:
            self.groups.replay(key, value, now)
        except MalformedError as error:
            logger.error("%s-%d holds a record that does not parse: %s", partition.topic, partition.index, error)

    # ---- time

    def _now(self) -> Now:
        return Now(self._broker.clock.wall_ms(), self._broker.clock.monotonic_ms())

    def _arm(self) -> None:
        """Have one timer, not later than the next deadline, and none when there is no deadline."""
        next_ms = self.groups.next_deadline_ms()
        if self._timer is not None:
            if next_ms is not None and self._timer_ms <= next_ms:
                return
            self._timer.cancel()
            self._timer = None
        if next_ms is not None:
            self._timer_ms = next_ms
            self._timer = self._broker.runtime.call_at(next_ms, self._pass_time)

    def _pass_time(self) -> None:
        self._timer = None
        now = self._now()
        while (decision := self.groups.pass_time(now)) is not None:
            self._carry_out(decision, now)
        self._arm()

    # ---- the log

    def _partition_count(self) -> int:
        return self._broker.topics.partitions_of(OFFSETS_TOPIC)

    def _partitions(self) -> list[Partition]:
        found = (self._broker.store.partition(OFFSETS_TOPIC, index) for index in range(self._partition_count()))
        return [partition for partition in found if partition is not None]

    def _partition(self, index: int) -> Partition:
        partition = self._broker.store.partition(OFFSETS_TOPIC, index)
        if partition is None:
            raise KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        return partition

    def _when_ready(self, run: Callable[[int], None]) -> None:
        """Run this with NONE as soon as groups can be written down, or with an error code when they cannot."""
        if self._waiting is not None:
            self._waiting.append(run)
        elif self._partition_count():
            run(ErrorCode.NONE)
        else:
            self._waiting = [run]
            try:
                self._broker.create_topics([self._broker.new_offsets_topic()], self._broker.clock.wall_ms(), self._created)
            except KafkaError as error:
                logger.warning("%s could not be created: %s", OFFSETS_TOPIC, error)
                self._created()

    def _created(self) -> None:
        waiting, self._waiting = self._waiting, None
        error_code = ErrorCode.NONE if self._partition_count() else ErrorCode.COORDINATOR_NOT_AVAILABLE
        for run in waiting or ():
            run(error_code)
