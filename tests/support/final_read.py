"""Reads a topic from its beginning to its end when everything has stopped, as readers of committed and of all records see it.

final_read(history, engine.address, "payments", 3)                        where there are no transactions
final_read(history, engine.address, "payments", 3, transactions=True)     and the markers between the records
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from ev.wire.messages.k02_list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from ev.wire.records import headers
from support.history import History, Place
from support.raw_client import RawClient
from support.raw_transactions import Ask, asked_over, fetched

LATEST, EARLIEST = -1, -2
FILLING = b"."


def final_read(
    history: History, address: str, topic: str, partitions: int, *, groups: Iterable[str] = (), transactions: bool = False
) -> None:
    """Every partition from its beginning to its end, and what the groups have committed."""
    places = [Place(topic, index) for index in range(partitions)]
    with RawClient(address) as client:
        ask = asked_over(client)
        starts = {place: offset_of(ask, place, EARLIEST) for place in places}
        for place, records in everything(address, starts).items():
            history.read_all(place, records, starts[place])
        if transactions:
            for place, records in everything(address, starts, committed=False).items():
                history.read_uncommitted(place, records, markers_of(ask, place, starts[place]))
    admin = AdminClient({"bootstrap.servers": address})
    for group in groups:
        found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(20)
        for committed in found.topic_partitions:
            history.commit_found(group, Place(committed.topic, committed.partition), committed.offset)


def records_of(address: str, place: Place) -> list[tuple[int, bytes]]:
    """(offset, value without its filling) of every record that a reader of committed records finds."""
    return everything(address, {place: 0})[place]


def everything(
    address: str, starts: Mapping[Place, int], *, committed: bool = True, timeout_s: float = 60
) -> dict[Place, list[tuple[int, bytes]]]:
    """The same of several partitions, each from this offset on."""
    settings = {"bootstrap.servers": address, "group.id": "auditor", "enable.auto.commit": False, "enable.partition.eof": True}
    settings |= {"isolation.level": "read_committed" if committed else "read_uncommitted", "fetch.wait.max.ms": 50}
    consumer = Consumer(settings)
    found: dict[Place, list[tuple[int, bytes]]] = {place: [] for place in starts}
    left = set(starts)
    deadline = time.monotonic() + timeout_s
    try:
        consumer.assign([TopicPartition(*place, start) for place, start in starts.items()])
        while left:
            assert time.monotonic() < deadline, f"{sorted(left)} could not be read to the end in {timeout_s} s"
            for message in consumer.consume(1000, 0.05):
                place = Place(message.topic() or "", message.partition() or 0)
                if message.error() is None:
                    found[place].append((message.offset() or 0, (message.value() or b"").rstrip(FILLING)))
                else:
                    left.discard(place)
        return found
    finally:
        consumer.close()


def markers_of(ask: Ask, place: Place, start: int = 0) -> list[int]:
    """The offsets of the control batches."""
    found: list[int] = []
    offset = start
    while data := fetched(ask, place.topic, place.partition, committed=False, offset=offset).records:
        for _, header in headers(data):
            if header.is_control:
                found.append(header.last_offset)
            offset = header.last_offset + 1
    return found


def offset_of(ask: Ask, place: Place, timestamp: int, *, committed: bool = False) -> int:
    """The beginning or the end of a partition; `committed`: its last stable offset."""
    asked = ListOffsetsTopic(place.topic, [ListOffsetsPartition(partition_index=place.partition, timestamp=timestamp)])
    request = ListOffsetsRequest(replica_id=-1, isolation_level=int(committed), topics=[asked])
    (found,) = ask(request, 6).topics[0].partitions
    assert found.error_code == 0, f"{place}: error {found.error_code}"
    return int(found.offset)


def unsettled(address: str, places: Iterable[Place]) -> list[str]:
    """Where a transaction is still open: the last stable offset is not the end."""
    with RawClient(address) as client:
        ask = asked_over(client)
        ends = [(place, offset_of(ask, place, LATEST, committed=True), offset_of(ask, place, LATEST)) for place in places]
    return [f"{place} is stable up to {stable}, its end is {end}" for place, stable, end in ends if stable < end]
