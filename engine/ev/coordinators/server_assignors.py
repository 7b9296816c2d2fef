"""Who reads what in a group of the new protocol, where the broker decides (KIP-848): the assignors `uniform` and `range`.

Both are given the topics that each member subscribes to, how many partitions they have, and what each member was to have before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: The partitions of each topic, by topic id.
Assignment = dict[bytes, frozenset[int]]
Place = tuple[bytes, int]


def uniform(
    subscriptions: Mapping[str, frozenset[bytes]], counts: Mapping[bytes, int], before: Mapping[str, Assignment]
) -> dict[str, Assignment]:
    """As many partitions for each member as for any other, give or take one, and no more of them moved than that takes."""
    taken: set[Place] = set()
    held: dict[str, list[Place]] = {}
    for member_id in sorted(subscriptions):
        theirs = _places(before.get(member_id, {}))
        held[member_id] = [
            place for place in theirs if place not in taken and place[0] in subscriptions[member_id] and place[1] < counts.get(place[0], 0)
        ]
        taken.update(held[member_id])
    wanted = sorted({topic for topics in subscriptions.values() for topic in topics if topic in counts})
    free = [(topic, index) for topic in wanted for index in range(counts[topic]) if (topic, index) not in taken]
    if len(set(subscriptions.values())) == 1:
        _fill_evenly(held, free)
    else:
        _fill_greedily(held, free, subscriptions)
    return {member_id: _grouped(places) for member_id, places in held.items()}


def _fill_evenly(held: dict[str, list[Place]], free: list[Place]) -> None:
    """Everybody may have everything: whoever has the most keeps one more if they cannot all have the same."""
    total = len(free) + sum(map(len, held.values()))
    quota, more = divmod(total, len(held))
    room = []
    for number, member_id in enumerate(sorted(held, key=lambda each: (-len(held[each]), each))):
        size = quota + (number < more)
        places = held[member_id]
        free += places[size:]
        del places[size:]
        room.append((member_id, size - len(places)))
    free.sort()
    position = 0
    for member_id, count in room:
        held[member_id] += free[position : position + count]
        position += count


def _fill_greedily(held: dict[str, list[Place]], free: list[Place], subscriptions: Mapping[str, frozenset[bytes]]) -> None:
    """Subscriptions differ: each partition goes to the least busy of its readers, then the busiest give to the least busy."""
    readers: dict[bytes, list[str]] = {}
    for member_id in sorted(subscriptions):
        for topic in subscriptions[member_id]:
            readers.setdefault(topic, []).append(member_id)
    for place in sorted(free, key=lambda each: (len(readers[each[0]]), each)):
        held[min(readers[place[0]], key=lambda each: (len(held[each]), each))].append(place)
    moved = True
    while moved:
        moved = False
        for giver in sorted(held, key=lambda each: (-len(held[each]), each)):
            for place in list(held[giver]):
                taker = min(readers[place[0]], key=lambda each: (len(held[each]), each))
                if len(held[taker]) + 1 < len(held[giver]):
                    held[giver].remove(place)
                    held[taker].append(place)
                    moved = True


def by_range(
    subscriptions: Mapping[str, frozenset[bytes]], counts: Mapping[bytes, int], before: Mapping[str, Assignment]
) -> dict[str, Assignment]:
    """Of each topic a run of neighbouring partitions, the same run of all topics that have the same readers and size."""
    result: dict[str, Assignment] = {member_id: {} for member_id in subscriptions}
    for topic, count in counts.items():
        readers = sorted(member_id for member_id, topics in subscriptions.items() if topic in topics)
        if not readers:
            continue
        quota, more = divmod(count, len(readers))
        begin = 0
        for number, member_id in enumerate(readers):
            end = begin + quota + (number < more)
            if end > begin:
                result[member_id][topic] = frozenset(range(begin, end))
            begin = end
    return result


ASSIGNORS: Final[
    dict[str, Callable[[Mapping[str, frozenset[bytes]], Mapping[bytes, int], Mapping[str, Assignment]], dict[str, Assignment]]]
] = {"uniform": uniform, "range": by_range}


def _places(assignment: Assignment) -> list[Place]:
    return [(topic, index) for topic in sorted(assignment) for index in sorted(assignment[topic])]


def _grouped(places: list[Place]) -> Assignment:
    found: dict[bytes, set[int]] = {}
    for topic, index in places:
        found.setdefault(topic, set()).add(index)
    return {topic: frozenset(indexes) for topic, indexes in found.items()}
