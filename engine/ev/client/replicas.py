"""What an admin client asks about replicas: who shall lead a partition, and which brokers shall have it."""

from __future__ import annotations

from ev.client.questions import Questions, by_topic, values_by_topic
from ev.client.results import Result
from ev.client.routing import ask_controller
from ev.errors import KafkaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    TopicPartition = tuple[str, int]

PREFERRED, UNCLEAN = 0, 1
"""The kinds of elections: the first replica takes over; or anyone does, at the price of records that it does not have."""


class Reassignment(Result):
    """A partition that moves: the brokers that have it or will, those of them that get it, and those that give it up."""

    __slots__ = ("adding", "removing", "replicas")

    def __init__(self, replicas: list[int], adding: list[int], removing: list[int]) -> None:
        self.replicas = replicas
        self.adding = adding
        self.removing = removing


class ReplicaQuestions(Questions):
    """The family of questions about replicas."""

    def elect_leaders(
        self, partitions: Iterable[TopicPartition] | None = None, *, unclean: bool = False
    ) -> dict[TopicPartition, KafkaError | None]:
        """Have the preferred replica lead these partitions; without any, all those that are led by another.

        `unclean`: have any replica lead that is there, although it may lack records. ELECTION_NOT_NEEDED is an error like the others.
        """
        from ev.wire.messages.k43_elect_leaders import ElectLeadersRequest, TopicPartitions  # noqa: PLC0415

        topics = None if partitions is None else [TopicPartitions(name, some) for name, some in by_topic(partitions).items()]
        request = ElectLeadersRequest(UNCLEAN if unclean else PREFERRED, topics, self.timeout_ms)
        answer = ask_controller(self._cluster, request, lambda response: [response.error_code], self.timeout_ms)
        if answer.error_code:
            raise KafkaError(answer.error_code)
        return {
            (topic.topic, row.partition_id): KafkaError(row.error_code, row.error_message) if row.error_code else None
            for topic in answer.replica_election_results
            for row in topic.partition_result
        }

    def reassignments(self, partitions: Iterable[TopicPartition] | None = None) -> dict[TopicPartition, Reassignment]:
        """The partitions that move at the moment; of these, or of all."""
        from ev.wire.messages.k46_list_partition_reassignments import (  # noqa: PLC0415
            ListPartitionReassignmentsRequest,
            ListPartitionReassignmentsTopics,
        )

        topics = (
            None if partitions is None else [ListPartitionReassignmentsTopics(name, some) for name, some in by_topic(partitions).items()]
        )
        request = ListPartitionReassignmentsRequest(self.timeout_ms, topics)
        answer = ask_controller(self._cluster, request, lambda response: [response.error_code], self.timeout_ms)
        if answer.error_code:
            raise KafkaError(answer.error_code, answer.error_message)
        found = {
            (topic.name, row.partition_index): Reassignment(list(row.replicas), list(row.adding_replicas), list(row.removing_replicas))
            for topic in answer.topics
            for row in topic.partitions
        }
        return dict(sorted(found.items()))

    def alter_reassignments(self, targets: Mapping[TopicPartition, Sequence[int] | None]) -> dict[TopicPartition, KafkaError | None]:
        """Move partitions to these brokers, the first of which is to lead; None cancels a move that is under way."""
        from ev.wire.messages.k45_alter_partition_reassignments import (  # noqa: PLC0415
            AlterPartitionReassignmentsRequest,
            ReassignablePartition,
            ReassignableTopic,
        )

        topics = [
            ReassignableTopic(name, [ReassignablePartition(index, None if brokers is None else list(brokers)) for index, brokers in rows])
            for name, rows in values_by_topic(targets).items()
        ]
        request = AlterPartitionReassignmentsRequest(timeout_ms=self.timeout_ms, topics=topics)
        answer = ask_controller(self._cluster, request, lambda response: [response.error_code], self.timeout_ms)
        if answer.error_code:
            raise KafkaError(answer.error_code, answer.error_message)
        rows = {(topic.name, row.partition_index): row for topic in answer.responses for row in topic.partitions}
        return {
            partition: KafkaError(rows[partition].error_code, rows[partition].error_message) if rows[partition].error_code else None
            for partition in targets
            if partition in rows
        }
