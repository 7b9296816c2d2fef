"""Members of groups in ev's own client, polled in turns by the test: what they have, what their callbacks were told, what they have read.

member = Member(address, "group", ["topic"], commits=True)
poll_until([member], lambda: len(member.partitions) == 3, "three partitions")
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from ev.client.consumer import Consumer
from ev.client.producer import Producer
from support.waiting import wait_for

Partition = tuple[str, int]


class Member:
    """A consumer in a group. `commits`: it commits what it has read when partitions are taken from it."""

    def __init__(
        self, bootstrap: str, group: str, topics: list[str], *, pattern: str | None = None, commits: bool = False, **options: Any
    ) -> None:
        if options.get("group_protocol") != "consumer":
            options.setdefault("heartbeat_interval_ms", 100)
        options.setdefault("max_wait_ms", 50)
        self.told: list[tuple[str, list[Partition]]] = []
        self.seen: list[tuple[Partition, int]] = []
        self.consumer = Consumer(bootstrap, group=group, **options)
        self.commits = commits
        self.consumer.subscribe(
            topics,
            pattern=pattern,
            on_assigned=lambda partitions: self.told.append(("assigned", partitions)),
            on_revoked=self.revoked,
            on_lost=lambda partitions: self.told.append(("lost", partitions)),
        )

    def revoked(self, partitions: list[Partition]) -> None:
        self.told.append(("revoked", partitions))
        if self.commits:
            self.consumer.commit()

    def poll(self) -> None:
        for batch in self.consumer.poll_batches(20):
            self.seen += [((batch.topic, batch.partition), offset) for offset in batch.columns.offsets]

    @property
    def partitions(self) -> list[Partition]:
        return sorted(self.consumer.assignment())

    def count_of(self, what: str) -> int:
        """How many partitions the callbacks were told to be assigned, revoked or lost."""
        return sum(len(partitions) for told, partitions in self.told if told == what)


def poll_until(members: list[Member], condition: Callable[[], Any], what: str) -> None:
    def turn() -> Any:
        for member in members:
            member.poll()
        return condition()

    wait_for(turn, what, 30, pause_s=0)


def shared_out(members: list[Member], topic: str, partitions: int) -> bool:
    """Every partition has one reader, and nobody has two more than another."""
    held = Counter(partition for member in members for partition in member.partitions)
    sizes = [len(member.partitions) for member in members]
    return held == Counter((topic, index) for index in range(partitions)) and max(sizes) - min(sizes) <= 1


def fill(bootstrap: str, topic: str, partitions: int, count: int) -> None:
    """So many records more in each partition."""
    with Producer(bootstrap) as producer:
        for partition in range(partitions):
            producer.produce_many(topic, [b"%d" % number for number in range(count)], partition=partition)
