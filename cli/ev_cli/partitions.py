"""Partitions as they are named on a command line, TOPIC for all of a topic's, TOPIC:0,2-5 for some; and brokers, by their ids."""

from __future__ import annotations

from ev_cli.failures import NOT_FOUND, Failure, UsageFailure, no_such
from ev_cli.naming import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ev.client.results import TopicDescription
    from ev_cli.session import Session

    Partition = tuple[str, int]


def named_partitions(texts: Iterable[str], topics: Mapping[str, TopicDescription], where: str) -> list[Partition]:
    """Each once, in the order in which they are named. What is not there is a failure."""
    found: dict[Partition, None] = {}
    for text in texts:
        name, colon, numbers = text.partition(":")
        topic = topics.get(name)
        if topic is None:
            raise no_such("topic", name, nearest(name, topics), where)
        there = [partition.index for partition in topic.partitions]
        for index in _numbers(numbers, text) if colon else there:
            if index not in there:
                raise Failure(f"topic {name!r} has no partition {index}", f"its partitions are 0 to {len(there) - 1}", code=NOT_FOUND)
            found[name, index] = None
    return list(found)


def check_named(texts: Iterable[str]) -> None:
    """Raise UsageFailure for what could not name partitions, whatever topics there are."""
    for text in texts:
        _, colon, numbers = text.partition(":")
        if colon:
            _numbers(numbers, text)


def check_brokers(texts: Iterable[str]) -> None:
    """Raise UsageFailure for what could not be the id of a broker."""
    for text in texts:
        if not text.isdecimal():
            raise UsageFailure(f"{text!r} is no id of a broker", "`ev cluster brokers` shows them")


def _numbers(numbers: str, text: str) -> list[int]:
    """`0,2-5` as numbers."""
    found: list[int] = []
    for item in numbers.split(","):
        first, dash, last = item.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageFailure(f"{text!r} names no partitions", "write TOPIC, TOPIC:0 or TOPIC:0,2-5")
        found += range(int(first), int(last if dash else first) + 1)
    return found


def partition_text(partition: Partition) -> str:
    return f"{partition[0]}:{partition[1]}"


def broker_id(text: str, there: Iterable[int], session: Session) -> int:
    """The id of a broker that is there."""
    check_brokers([text])
    if int(text) not in there:
        raise Failure(f"no broker {text} on {session.where}", f"there are {', '.join(map(str, there))}", code=NOT_FOUND)
    return int(text)
