"""Which brokers shall have which partitions: even, and with as few moves as that allows.

Two numbers are kept even: how many replicas a broker has, and how many partitions it leads. A replica that is where it may be stays unless
its broker has more than its share; what is missing goes to the broker with the fewest, of those that have none of the partition yet,
and rather in a rack that has none. The first of a partition's brokers leads it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Partition = tuple[str, int]


def placed(
    current: Mapping[Partition, Sequence[int]],
    brokers: Sequence[int],
    *,
    replicas: int | None = None,
    racks: Mapping[int, str | None] | None = None,
) -> dict[Partition, list[int]]:
    """The brokers of each partition. `replicas`: how many each shall have; as many as now, at most as many as there are brokers."""
    wanted = {partition: min(replicas or len(now), len(brokers)) for partition, now in current.items()}
    share = -(-sum(wanted.values()) // len(brokers))
    load = dict.fromkeys(brokers, 0)
    kept: dict[Partition, list[int]] = {}
    for partition, now in current.items():
        kept[partition] = []
        for broker in now:
            if broker in load and load[broker] < share and len(kept[partition]) < wanted[partition]:
                kept[partition].append(broker)
                load[broker] += 1
    found: dict[Partition, list[int]] = {}
    for partition, have in kept.items():
        while len(have) < wanted[partition]:
            chosen = _next(have, load, racks or {})
            have.append(chosen)
            load[chosen] += 1
        found[partition] = have
    return _with_leaders(found, brokers)


def _next(have: Sequence[int], load: Mapping[int, int], racks: Mapping[int, str | None]) -> int:
    used = {racks.get(broker) for broker in have} - {None}
    free = [broker for broker in load if broker not in have]
    return min(free, key=lambda broker: (racks.get(broker) in used, load[broker], broker))


def _with_leaders(found: dict[Partition, list[int]], brokers: Sequence[int]) -> dict[Partition, list[int]]:
    """The first broker of each goes to the end of the line while it leads more than its share."""
    share = -(-len(found) // len(brokers))
    leads = dict.fromkeys(brokers, 0)
    for have in found.values():
        if leads[have[0]] >= share:
            first = min(have, key=lambda broker: leads[broker])
            have.remove(first)
            have.insert(0, first)
        leads[have[0]] += 1
    return found
