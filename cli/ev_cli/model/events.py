"""What has happened in a cluster, told from what was there at one look and at the next."""

from __future__ import annotations

from ev_cli.model.snapshot import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ev.client.results import Broker, GroupDescription, GroupListing, TopicDescription

TOPIC, GROUP, BROKER, LEADER, REBALANCE, CONNECTION = "topic", "group", "broker", "leader", "rebalance", "connection"
REBALANCING = frozenset(("PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling"))
LEADERS_TOLD = 3
"""When more partitions than this have moved at once it is told in one line."""


def between_topics(before: Mapping[str, TopicDescription], after: Iterable[TopicDescription], time_ms: int) -> list[Event]:
    """Topics that came and went, that are others of the same name, that have grown; partitions with another leader, or none."""
    events: list[Event] = []
    moved: list[Event] = []
    names = set()
    for topic in after:
        names.add(topic.name)
        known = before.get(topic.name)
        if known is None:
            count = len(topic.partitions)
            events.append(Event(time_ms, TOPIC, topic.name, f"created, {count} partition{'' if count == 1 else 's'}"))
        elif known.topic_id != topic.topic_id:
            events.append(Event(time_ms, TOPIC, topic.name, "deleted and created again"))
        else:
            if len(topic.partitions) > len(known.partitions):
                events.append(Event(time_ms, TOPIC, topic.name, f"{len(known.partitions)} → {len(topic.partitions)} partitions"))
            moved += leader_changes(known, topic, time_ms)
    events += [Event(time_ms, TOPIC, name, "deleted") for name in before if name not in names]
    if len(moved) > LEADERS_TOLD:
        lost = sum(event.text.endswith("nobody") for event in moved)
        text = f"{len(moved)} partitions have other leaders" + (f", {lost} of them none" if lost else "")
        moved = [Event(time_ms, LEADER, "", text)]
    return events + moved


def leader_changes(before: TopicDescription, after: TopicDescription, time_ms: int) -> list[Event]:
    known = {partition.index: partition.leader for partition in before.partitions}
    return [
        Event(time_ms, LEADER, f"{after.name}/{each.index}", f"leader {named(known[each.index])} → {named(each.leader)}")
        for each in after.partitions
        if known.get(each.index, each.leader) != each.leader
    ]


def named(leader: int) -> str:
    return "nobody" if leader < 0 else str(leader)


def between_brokers(before: Iterable[Broker], after: Iterable[Broker], known: Iterable[int], time_ms: int) -> list[Event]:
    """Brokers that have gone, that are back, that nobody has seen before. `known` were there at any time."""
    there, now, ever = {broker.node_id for broker in before}, {broker.node_id: broker for broker in after}, set(known)
    events = [Event(time_ms, BROKER, str(node), "gone") for node in sorted(there - now.keys())]
    for node in sorted(now.keys() - there):
        where = f"{now[node].host}:{now[node].port}"
        events.append(Event(time_ms, BROKER, str(node), f"back at {where}" if node in ever else f"joined at {where}"))
    return events


def between_groups(before: Mapping[str, GroupListing], after: Iterable[GroupListing], time_ms: int) -> list[Event]:
    """Groups that came and went, and those that began to hand out their partitions anew."""
    events: list[Event] = []
    names = set()
    for listing in after:
        names.add(listing.group)
        known = before.get(listing.group)
        if known is None:
            events.append(Event(time_ms, GROUP, listing.group, "appeared"))
        elif listing.state in REBALANCING and known.state not in REBALANCING:
            events.append(Event(time_ms, REBALANCE, listing.group, "rebalances"))
        elif listing.state == "Empty" and known.state not in ("Empty", ""):
            events.append(Event(time_ms, GROUP, listing.group, "has no members any more"))
    events += [Event(time_ms, GROUP, name, "deleted") for name in before if name not in names]
    return events


def between_members(before: GroupDescription | None, after: GroupDescription, time_ms: int) -> list[Event]:
    """Members that came and went."""
    if before is None:
        return []
    there, now = {member.member_id for member in before.members}, {member.member_id for member in after.members}
    if there == now or not now:
        return []
    came, went = len(now - there), len(there - now)
    parts = [f"{len(there)} → {len(now)} members"] if len(there) != len(now) else [f"{came} new of {len(now)} members"]
    if came and went and len(there) != len(now):
        parts.append(f"{came} came, {went} went")
    return [Event(time_ms, REBALANCE, after.group, ", ".join(parts))]
