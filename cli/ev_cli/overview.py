"""A cluster at one moment, and what moved between two: topics with their rates, groups with their lag, brokers."""

from __future__ import annotations

import time

from ev_cli.actions.several import EARLIEST, LATEST, offsets_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev.client.admin import Admin
    from ev.client.results import ClusterDescription, TopicDescription

    Partition = tuple[str, int]
    Row = dict[str, Any]


class Moment:
    """What the brokers say now. Groups that are only read along cost a question each, so they are asked once for a pair of moments."""

    def __init__(self, admin: Admin, *, with_groups: bool) -> None:
        self.cluster: ClusterDescription = admin.cluster()
        self.topics: list[TopicDescription] = admin.topics()
        partitions = [(topic.name, each.index) for topic in self.topics for each in topic.partitions]
        self.ends = offsets_at(admin, partitions, LATEST)
        self.at = time.monotonic()
        self.time_ms = int(time.time() * 1000)
        self.starts: dict[Partition, int | None] = {}
        self.sizes: dict[Partition, int] = {}
        self.stored: dict[int, int] = {}
        self.groups: list[Row] = []
        self.committed: dict[str, dict[Partition, int]] = {}
        if with_groups:
            self.starts = offsets_at(admin, partitions, EARLIEST)
            self._ask_for_sizes(admin)
            self._ask_for_groups(admin)

    def _ask_for_sizes(self, admin: Admin) -> None:
        from ev.errors import EvError

        try:
            directories = admin.log_directories()
        except EvError:
            return  # whoever may not ask for them sees everything else
        for directory in directories:
            self.stored[directory.broker] = self.stored.get(directory.broker, 0) + sum(directory.partitions.values())
            for partition, size in directory.partitions.items():
                self.sizes[partition] = max(self.sizes.get(partition, 0), size)

    def _ask_for_groups(self, admin: Admin) -> None:
        from ev.errors import EvError

        for listing in admin.groups():
            try:
                members = len(admin.describe_groups([listing.group])[0].members)
                committed = {p: found.offset for p, found in admin.committed_offsets(listing.group).items() if found.offset >= 0}
            except EvError:
                continue  # it has gone meanwhile, or is not ours to see
            self.committed[listing.group] = committed
            self.groups.append({"group": listing.group, "state": listing.state, "members": members})

    def lag(self, group: str) -> int:
        """How many records the group is behind. What lies before the start of a log is gone, and no lag."""
        behind = 0
        for partition, offset in self.committed.get(group, {}).items():
            end, start = self.ends.get(partition), self.starts.get(partition)
            behind += 0 if end is None else max(0, end - max(offset, start or 0))
        return behind


def between(first: Moment, second: Moment) -> dict[str, Any]:
    """The overview: rates from the two, everything else from the second. The busiest topics and the groups furthest behind come first."""
    seconds = max(second.at - first.at, 0.001)
    topics: list[Row] = []
    by_broker = dict.fromkeys([broker.node_id for broker in second.cluster.brokers], 0.0)
    leads = dict.fromkeys(by_broker, 0)
    for topic in second.topics:
        rate = 0.0
        for each in topic.partitions:
            before, after = first.ends.get((topic.name, each.index)), second.ends.get((topic.name, each.index))
            came = 0 if before is None or after is None else max(0, after - before)
            rate += came / seconds
            if each.leader in by_broker:
                by_broker[each.leader] += came / seconds
                leads[each.leader] += 1
        own = [(topic.name, each.index) for each in topic.partitions]
        topics.append(
            {
                "topic": topic.name,
                "records_per_s": round(rate, 1),
                "records": sum(max(0, (second.ends.get(p) or 0) - (second.starts.get(p) or 0)) for p in own),
                "bytes": sum(second.sizes.get(p, 0) for p in own) if second.sizes else None,
                "partitions": len(own),
            }
        )
    groups: list[Row] = [{**row, "lag": second.lag(row["group"])} for row in second.groups]
    brokers = [
        {
            "broker": broker.node_id,
            "address": f"{broker.host}:{broker.port}",
            "controller": broker.node_id == second.cluster.controller_id,
            "leads": leads[broker.node_id],
            "records_per_s": round(by_broker[broker.node_id], 1),
            "bytes": second.stored.get(broker.node_id),
        }
        for broker in second.cluster.brokers
    ]
    topics.sort(key=lambda row: (-row["records_per_s"], -row["records"], row["topic"]))
    groups.sort(key=lambda row: (-row["lag"], row["group"]))
    return {
        "time": second.time_ms,
        "cluster_id": second.cluster.cluster_id,
        "interval_ms": round(seconds * 1000),
        "records_per_s": round(sum(row["records_per_s"] for row in topics), 1),
        "brokers": brokers,
        "topics": topics,
        "groups": groups,
    }
