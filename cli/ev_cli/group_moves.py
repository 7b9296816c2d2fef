"""Moving and deleting groups with the inverse in the journal: what `ev group seek`, `ev group delete` and the interface have in common."""

from __future__ import annotations

from ev_cli.actions.seeking import read_offsets, targets
from ev_cli.actions.several import EARLIEST, LATEST, offsets_at, topic_partitions
from ev_cli.failures import Failure, UsageFailure, no_such
from ev_cli.inverses import offsets_change, place_text
from ev_cli.journal import undoable
from ev_cli.naming import chosen, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ev.client.admin import Admin
    from ev.client.results import CommittedOffset, Outcome
    from ev_cli.actions.seeking import Seek
    from ev_cli.journal import Change
    from ev_cli.session import Session

    Partition = tuple[str, int]
    Committed = dict[Partition, CommittedOffset]


class Move:
    """Where a group is and where it would be: `wanted` lies between `starts` and `ends`; `outside` are the partitions for which the place
    that was asked for does not."""

    __slots__ = ("committed", "ends", "group", "outside", "starts", "wanted")

    def __init__(
        self,
        group: str,
        committed: Committed,
        wanted: dict[Partition, int],
        starts: Mapping[Partition, int | None],
        ends: Mapping[Partition, int | None],
        outside: list[Partition],
    ) -> None:
        self.group = group
        self.committed = committed
        self.wanted = wanted
        self.starts = starts
        self.ends = ends
        self.outside = outside

    def lag_after(self, place: Partition) -> int:
        return max(0, (self.ends[place] or 0) - self.wanted[place])


def committed_by(admin: Admin, group: str) -> Committed:
    """What a group has committed; nothing for groups of a kind that has no such offsets."""
    from ev.errors import ErrorCode, KafkaError

    try:
        return {place: committed for place, committed in admin.committed_offsets(group).items() if committed.offset >= 0}
    except KafkaError as error:
        if error.code == ErrorCode.GROUP_ID_NOT_FOUND:
            return {}
        raise


def check_there(admin: Admin, group: str, seek: Seek, where: str) -> None:
    """A group that has no commits yet is made by its first, if that was meant."""
    names = [listing.group for listing in admin.groups()]
    if group not in names and not seek.new_topics:
        failure = no_such("group", group, nearest(group, names), where)
        raise Failure(failure.message, f"{failure.hint} (--new-topics makes a group)", code=failure.code)


def planned(admin: Admin, group: str, seek: Seek, where: str) -> Move:
    """Where each partition would be. Changes nothing."""
    committed = committed_by(admin, group)
    if seek.file is not None:
        asked: dict[Partition, int] = read_offsets(seek.file, group)
    elif seek.group is not None:
        asked = {place: found.offset for place, found in committed_by(admin, seek.group).items()}
        if not asked:
            raise Failure(f"group {seek.group!r} has committed nothing on {where}", "`ev group list` shows the groups", code=3)
    else:
        asked = {}
    places = _places(admin, seek, asked, committed, where)
    starts, ends = offsets_at(admin, places, EARLIEST), offsets_at(admin, places, LATEST)
    wanted = targets(admin, seek, places, asked, committed, starts, ends)
    outside = [place for place, offset in wanted.items() if place in asked and asked[place] != offset]
    outside += [place for place, offset in wanted.items() if seek.offset is not None and seek.offset != offset]
    return Move(group, committed, wanted, starts, ends, outside)


def _places(
    admin: Admin, seek: Seek, asked: Mapping[Partition, int], committed: Mapping[Partition, CommittedOffset], where: str
) -> list[Partition]:
    """The partitions that a seek is about. Topics for which the group has committed nothing need --new-topics."""
    topics = topic_partitions(seek.topics)
    source = asked or committed
    names = list(topics) or sorted({topic for topic, _ in source})
    if not names:
        raise UsageFailure("the group has committed nothing", "name topics with -t, and add --new-topics")
    known = {topic for topic, _ in committed}
    fresh = [name for name in names if name not in known]
    if fresh and not seek.new_topics:
        raise Failure(f"the group has committed nothing for topic {fresh[0]!r}", "--new-topics commits for it all the same", code=1)
    there = {topic.name: topic for topic in admin.topics(internal=True)}
    chosen(names, there, "topic", where, regex=False)
    found = []
    for name in names:
        indexes = [partition.index for partition in there[name].partitions]
        only = topics.get(name)
        for index in only if only is not None else indexes:
            if index not in indexes:
                raise Failure(f"topic {name!r} has no partition {index}", f"its partitions are 0 to {indexes[-1]}", code=3)
            if not asked or (name, index) in asked:
                found.append((name, index))
    return found


def move(session: Session, admin: Admin, plan: Move) -> tuple[Change, list[Outcome]]:
    """Commit the offsets of the plan for the group. The change has a number when `ev undo` knows of it."""
    change = offsets_change(f"seek group {plan.group}", plan.group, plan.committed, plan.wanted)
    return change, undoable(session, admin, [change], lambda: commit(admin, plan.group, plan.wanted))


def commit(admin: Admin, group: str, wanted: Mapping[Partition, int]) -> list[Outcome]:
    from ev.client.results import Outcome

    altered = admin.alter_committed_offsets(group, wanted) if wanted else {}
    return [Outcome(place_text(place), error) for place, error in altered.items()]


def delete(session: Session, admin: Admin, committed: Mapping[str, Committed]) -> tuple[list[Change], list[Outcome]]:
    """Delete these groups, of which this is committed."""
    names = list(committed)
    changes = [offsets_change(f"delete group {name}", name, committed[name], dict.fromkeys(committed[name])) for name in names]
    return changes, undoable(session, admin, changes, lambda: admin.delete_groups(names))
