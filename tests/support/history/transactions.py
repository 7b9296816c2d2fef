"""What transactions promise: all or nothing is seen of each, nothing before its end, and none depends on itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from support.history.reads import Logs, strayed

if TYPE_CHECKING:
    from support.history.facts import Anomaly, Place, Transaction
    from support.history.record import History


def of_transactions(history: History) -> Iterator[Anomaly]:
    yield from _aborted(history)
    yield from _torn(history)
    logs = Logs(history)
    for number, transaction in enumerate(history.transactions):
        yield from _inside(f"{transaction.process}, transaction {number}", transaction, logs)
    yield from _circular(history)


def _aborted(history: History) -> Iterator[Anomaly]:
    if not any(history.aborted.values()):
        return
    readers = [("the final read", place, records) for place, records in history.final.items()]
    readers += [(reader, place, records) for (reader, place), records in history.reads.items() if reader not in history.uncommitted_readers]
    for reader, place, records in readers:
        aborted = history.aborted.get(place)
        if aborted:
            yield from (("aborted", f"{reader} {place}@{offset} {value!r}") for offset, value in records if value in aborted)
    for transaction in history.transactions:
        for place, offset, value in transaction.polls:
            if value in history.aborted.get(place, ()):
                yield "aborted", f"{transaction.process} {place}@{offset} {value!r}"


def _torn(history: History) -> Iterator[Anomaly]:
    seen = {place: {value for _, value in records} for place, records in history.final.items()}
    for transaction in history.transactions:
        sends = [(place, value) for place, value in transaction.sends if place in seen]
        there = [(place, value) for place, value in sends if value in seen[place]]
        if there and len(there) < len(sends):
            missing = next(send for send in sends if send not in there)
            yield "torn", f"{transaction.process}, {transaction.outcome.value}: {there[0]} is there, {missing} is not"


def _inside(name: str, transaction: Transaction, logs: Logs) -> Iterator[Anomaly]:
    own = set(transaction.sends)
    offsets: dict[Place, list[int]] = defaultdict(list)
    for place, offset, value in transaction.polls:
        offsets[place].append(offset)
        if (place, value) in own:
            yield "precommitted", f"{name} read its own {place}@{offset} {value!r}"
    for place, polled in offsets.items():
        yield from strayed(name, place, polled, logs.visible(place, committed=True), " inside")


def _circular(history: History) -> Iterator[Anomaly]:
    """A circle of transactions, each of which has read what the next one has sent."""
    writers = {send: number for number, transaction in enumerate(history.transactions) for send in transaction.sends}
    read_from: dict[int, list[int]] = {}
    for number, transaction in enumerate(history.transactions):
        found = {writers[place, value] for place, _, value in transaction.polls if (place, value) in writers}
        read_from[number] = sorted(found - {number})
    done: set[int] = set()
    for start in read_from:
        path: dict[int, None] = {}
        pending = [iter((start,))]
        while pending:
            number = next(pending[-1], -1)
            if number < 0:
                pending.pop()
                if path:
                    done.add(path.popitem()[0])
            elif number in path:
                circle = [*list(path)[list(path).index(number) :], number]
                yield "circular", " read from ".join(f"transaction {each} of {history.transactions[each].process}" for each in circle)
                return
            elif number not in done:
                path[number] = None
                pending.append(iter(read_from[number]))
