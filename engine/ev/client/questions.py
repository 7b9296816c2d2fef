"""What every family of an admin client's questions stands on: the cluster, and one way to ask a broker of it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ev.client.cluster import Cluster

    TopicPartition = tuple[str, int]


class Questions:
    """`Admin` is made of its families; each is a class of its own that has only methods."""

    timeout_ms: int

    @property
    def _cluster(self) -> Cluster:
        raise NotImplementedError

    def _call(self, request: Any, node: int | None) -> Any:
        """Ask one broker, or any, and raise the error that speaks for the whole answer."""
        raise NotImplementedError

    def _brokers(self) -> list[int]:
        """The ids of all brokers that are there now."""
        self._cluster.retry(lambda: self._cluster.refresh(()), self.timeout_ms)
        return sorted(self._cluster.metadata.brokers)


def by_topic(partitions: Iterable[TopicPartition]) -> dict[str, list[int]]:
    """The same by topic, in the order in which the topics came."""
    topics: dict[str, list[int]] = {}
    for topic, index in partitions:
        topics.setdefault(topic, []).append(index)
    return topics


def values_by_topic(values: Mapping[TopicPartition, Any]) -> dict[str, list[tuple[int, Any]]]:
    """The same, with a value for each partition."""
    topics: dict[str, list[tuple[int, Any]]] = {}
    for (topic, index), value in values.items():
        topics.setdefault(topic, []).append((index, value))
    return topics
