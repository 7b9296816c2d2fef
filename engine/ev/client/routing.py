"""Sends a request to whom it concerns: the leaders of partitions, a group's coordinator, the controller, every broker. Blocks; tries again.

What passes by itself is asked again until the time is over: a leader or coordinator that moved, a broker that is loading or away. What does
not pass stays with its item, so that one refused partition does not take the answers for the others with it.
"""

from __future__ import annotations

from ev.errors import ErrorCode, EvError, KafkaError, TimedOutError, UnreachableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Protocol, TypeVar

    from ev.client.cluster import Cluster
    from ev.client.coordinator import Coordinator
    from ev.wire.codec import Message

    class HasError(Protocol):
        error: KafkaError | None

    TopicPartition = tuple[str, int]
    V = TypeVar("V")
    R = TypeVar("R", bound=HasError)

COORDINATOR_MOVED = frozenset((ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NOT_COORDINATOR))
NO_EPOCH = -1


def leader_and_epoch(cluster: Cluster, topic: str, index: int) -> tuple[int, int] | None:
    """Who leads a partition and since which epoch; None while nobody does or nobody knows."""
    leader = cluster.metadata.leader(topic, index)
    if leader is None:
        return None
    return leader, cluster.metadata.topics[topic].partitions[index].leader_epoch


def ask_leaders(
    cluster: Cluster,
    items: Mapping[TopicPartition, V],
    build: Callable[[dict[TopicPartition, tuple[V, int]]], Message],
    read: Callable[[Any], dict[TopicPartition, R]],
    refuse: Callable[[KafkaError], R],
    timeout_ms: int,
) -> dict[TopicPartition, R]:
    """Ask each partition's leader and put the answers together. `build` gets what one broker is asked, with the leader epochs;
    `refuse` makes the answer for a partition that does not exist.

    Raises TimedOutError or the last error when some partition is still without an answer at the end.
    """
    deadline_ms = cluster.now_ms() + timeout_ms
    left = dict(items)
    found: dict[TopicPartition, R] = {}
    attempt = 0
    cluster.watch({topic for topic, _ in left})
    while True:
        problem: EvError | None = None
        if attempt or any(leader_and_epoch(cluster, *partition) is None for partition in left):
            problem = refreshed(cluster, left, max(1, deadline_ms - cluster.now_ms()))
        if problem is None:
            problem = ask_leaders_once(cluster, left, found, build, read, refuse, max(1, deadline_ms - cluster.now_ms()))
        for partition, answer in found.items():
            error = answer.error
            if error is None or not error.retriable or missing_code(cluster, *partition):
                left.pop(partition, None)
        if not left:
            return {partition: found[partition] for partition in items}
        pause_ms = cluster.backoff.after(attempt)
        if cluster.now_ms() + pause_ms >= deadline_ms:
            if all(partition in found for partition in left):
                return {partition: found[partition] for partition in items}
            raise problem or TimedOutError(f"no answer for {', '.join(f'{t}/{p}' for t, p in sorted(left)[:3])} in the time allowed")
        attempt += 1
        cluster.pause(pause_ms)


def refreshed(cluster: Cluster, partitions: Iterable[TopicPartition], timeout_ms: int) -> EvError | None:
    """Ask for the metadata of these again; what kept it from coming."""
    topics = sorted({topic for topic, _ in partitions})
    try:
        cluster.refresh(topics, timeout_ms=timeout_ms)
        for topic in topics:
            cluster.ask_others(topic)
    except (TimedOutError, UnreachableError) as error:
        return error
    return None


def ask_leaders_once(
    cluster: Cluster,
    left: dict[TopicPartition, V],
    found: dict[TopicPartition, R],
    build: Callable[[dict[TopicPartition, tuple[V, int]]], Message],
    read: Callable[[Any], dict[TopicPartition, R]],
    refuse: Callable[[KafkaError], R],
    timeout_ms: int,
) -> EvError | None:
    """One round over all brokers concerned, at the same time. Returns what kept some of them from answering."""
    by_leader: dict[int, dict[TopicPartition, tuple[V, int]]] = {}
    problem: EvError | None = None
    for (topic, index), value in left.items():
        where = leader_and_epoch(cluster, topic, index)
        if where is None:
            problem = KafkaError(cluster.metadata.topic_errors.get(topic, ErrorCode.LEADER_NOT_AVAILABLE), f"{topic}/{index} has no leader")
            code = missing_code(cluster, topic, index)
            if code:
                found[topic, index] = refuse(KafkaError(code, f"there is no partition {topic}/{index}"))
        else:
            by_leader.setdefault(where[0], {})[topic, index] = (value, where[1])
    tickets = [cluster.send(build(asked), node, timeout_ms=timeout_ms) for node, asked in by_leader.items()]
    cluster.wait_for(*tickets)
    for ticket in tickets:
        if ticket.error is None:
            found.update(read(ticket.response))
        elif isinstance(ticket.error, (TimedOutError, UnreachableError)):
            problem = ticket.error
        else:
            raise ticket.error
    return problem


def missing_code(cluster: Cluster, topic: str, index: int) -> int:
    """The code of a topic or partition that is known not to exist, or not to be ours to see; 0 when it may still turn up."""
    code = cluster.metadata.topic_errors.get(topic, ErrorCode.NONE)
    if code in (ErrorCode.LEADER_NOT_AVAILABLE, ErrorCode.NONE):
        info = cluster.metadata.topics.get(topic)
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if info is not None and index not in info.partitions else ErrorCode.NONE
    return code


def ask_coordinator(
    coordinator: Coordinator, message: Message, code_of: Callable[[Any], int], timeout_ms: int, version_max: int | None = None
) -> Any:
    """Ask the coordinator of a group. `code_of` finds the error that speaks for the whole answer."""
    cluster = coordinator.cluster
    deadline_ms = cluster.now_ms() + timeout_ms

    def ask() -> Any:
        node = coordinator.find(max(1, deadline_ms - cluster.now_ms()))
        try:
            response = cluster.call(message, node, timeout_ms=cluster.time_for_one(deadline_ms), version_max=version_max)
        except (UnreachableError, TimedOutError):
            coordinator.forget()
            raise
        code = code_of(response)
        if code in COORDINATOR_MOVED:
            coordinator.forget()
        if code and KafkaError(code).retriable:
            raise KafkaError(code)
        return response

    return cluster.retry(ask, timeout_ms)


def ask_controller(cluster: Cluster, message: Message, codes_of: Callable[[Any], list[int]], timeout_ms: int) -> Any:
    """Ask the controller, or, where brokers pass such requests on, the broker that says it is. Repeats what met a controller that moved."""
    deadline_ms = cluster.now_ms() + timeout_ms
    cluster.retry(lambda: cluster.refresh(()), timeout_ms)

    def ask() -> Any:
        known = cluster.metadata.controller_id
        node = known if known in cluster.metadata.brokers else None
        response = cluster.call(message, node, timeout_ms=max(1, deadline_ms - cluster.now_ms()))
        if ErrorCode.NOT_CONTROLLER in codes_of(response):
            cluster.refresh(())
            raise KafkaError(ErrorCode.NOT_CONTROLLER)
        return response

    return cluster.retry(ask, timeout_ms, unreachable_too=False)
