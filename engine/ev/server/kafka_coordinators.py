"""What is taken over of Kafka's groups and transactions: plain decisions over the records of its two internal topics.

Both sides write the same records, but a group's partition depends on how many there are, so records are appended anew. Of groups,
everything that this engine knows is taken: committed offsets of the topics that are imported, and of groups that are new here also who
was in them. Members have a session timeout to show that they live, as after a restart.

A transaction that was decided is brought to that end. One that was not is aborted, in the epoch after its producer's, as if it
had timed out: whoever goes on with that transactional id begins with a new epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ev.broker.topics import OFFSETS_TOPIC
from ev.coordinators.consumer_group_records import KEYS
from ev.coordinators.group_records import GROUP_METADATA, OffsetKey, read_key
from ev.coordinators.transaction_records import (
    PREPARED,
    State,
    Transaction,
    read_transaction_key,
    read_transaction_value,
    transaction_key,
    transaction_value,
)
from ev.coordinators.transactions import EPOCH_MAX

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ev.broker.replay import Newest

OF_GROUPS: Final = frozenset({GROUP_METADATA, *KEYS})


class NamedRecord(NamedTuple):
    """A record and the group or transactional id that says which partition it belongs to."""

    name: str
    key: bytes
    value: bytes


def group_of(key: bytes) -> str:
    """The group that a record of any type is about: its name comes first in all of them."""
    size = int.from_bytes(key[2:4], "big")
    return key[4 : 4 + size].decode()


def group_records(
    found: Iterable[Newest], topics: Collection[str], known_groups: Collection[str], committing: Collection[int], *, only_offsets: bool
) -> list[NamedRecord]:
    """The records to append. `committing`: producers whose transactions were decided to be committed."""
    records = []
    for key, value, producer_id, _ in found:
        if len(key) < 4 or (producer_id is not None and producer_id not in committing):
            continue
        subject = read_key(key)
        if isinstance(subject, OffsetKey):
            if subject.topic in topics:
                records.append(NamedRecord(subject.group_id, key, value))
        elif int.from_bytes(key[:2], "big") in OF_GROUPS and not only_offsets:
            group_id = group_of(key)
            if group_id not in known_groups:
                records.append(NamedRecord(group_id, key, value))
    return records


def transactions(found: Iterable[Newest]) -> dict[str, Transaction]:
    """Kafka's transactional ids."""
    known = {}
    for key, value, _, _ in found:
        transactional_id = read_transaction_key(key)
        if transactional_id is not None:
            known[transactional_id] = read_transaction_value(value)
    return known


def committing(known: Iterable[Transaction]) -> set[int]:
    """Producers whose transactions were decided to be committed, and may lack some of their markers."""
    return {each.producer_id for each in known if each.state is State.PREPARE_COMMIT}


def transaction_record(transactional_id: str, transaction: Transaction, topics: Collection[str]) -> NamedRecord | None:
    """The record to append; None when there is nothing to say of the id."""
    if transaction.state is State.DEAD:
        return None
    places = frozenset(place for place in transaction.partitions if place[0] in topics and place[0] != OFFSETS_TOPIC)
    if transaction.state in (State.ONGOING, State.PREPARE_EPOCH_FENCE):
        transaction = transaction._replace(state=State.PREPARE_ABORT, epoch=min(transaction.epoch + 1, EPOCH_MAX))
    if transaction.state not in PREPARED or not places:  # a transaction of it that hangs in Kafka belongs to nothing, and is aborted here
        transaction = transaction._replace(state=State.EMPTY)
    transaction = transaction._replace(partitions=places if transaction.state in PREPARED else frozenset())
    return NamedRecord(transactional_id, transaction_key(transactional_id), transaction_value(transaction))
