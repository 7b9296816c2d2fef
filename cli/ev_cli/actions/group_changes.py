"""ev group seek, forget, clone, delete and remove-member: what changes the offsets and the members of groups."""

from __future__ import annotations

import time

from ev_cli import output
from ev_cli.actions.seeking import Seek, offsets_text
from ev_cli.actions.several import refuse_members, report, show_plan, topic_partitions
from ev_cli.failures import DONE, Failure, UsageFailure
from ev_cli.group_moves import Move, check_there, commit, committed_by, delete, move, planned
from ev_cli.inverses import offsets_change, place_text
from ev_cli.journal import undoable
from ev_cli.naming import chosen, confirm
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ev.client.admin import Admin
    from ev.client.results import Outcome

    Partition = tuple[str, int]


def delete_groups(options: Any) -> int:
    session = Session(options)
    table = output.Table(("group", "state", "members", "offsets"))
    with session.admin() as admin:
        known = [listing.group for listing in admin.groups()]
        names = chosen(options.groups, known, "group", session.where, regex=options.regex)
        committed = {name: committed_by(admin, name) for name in names}
        for group in admin.describe_groups(names):
            table.add(group=group.group, state=group.state, members=len(group.members), offsets=len(committed[group.group]))
        if show_plan(table, "delete group", names, options, session):
            return DONE
        confirm(f"delete {', '.join(map(output.safe, names))} on {session.where} with all committed offsets", options)
        _, outcomes = delete(session, admin, committed)
    return report(outcomes, "deleted group", options, session)


# -- seek ------------------------------------------------------------------------------------------------------------------------


def seek(options: Any) -> int:
    """Move a group: show where to, and do it after a yes. Without a terminal to ask at and without -y it is only shown."""
    session = Session(options)
    seek = Seek(options, int(time.time() * 1000))
    with session.admin() as admin:
        check_there(admin, options.group, seek, session.where)
        if not options.export:
            refuse_members(admin, options.group)
        plan = planned(admin, options.group, seek, session.where)
        if plan.outside:
            count = len(plan.outside)
            session.talk(f"{count} partition{'' if count == 1 else 's'} do not reach that far: set to the nearest that is there")
        if options.export:
            output.write_text(offsets_text(plan.wanted))
            return DONE
        table = output.Table(("topic", "partition", "committed", "target", "lag"), ("start", "end"))
        _fill(table, plan)
        if not _is_agreed(table, options, session):
            return DONE
        _, outcomes = move(session, admin, plan)
    if options.output or options.json:
        output.show(table, options)
    return _ended(outcomes, f"moved group {output.safe(options.group)}", options, session)


def _fill(table: output.Table, plan: Move) -> None:
    for place, offset in plan.wanted.items():
        before = plan.committed.get(place)
        table.add(
            topic=place[0],
            partition=place[1],
            committed=None if before is None else before.offset,
            target=offset,
            lag=plan.lag_after(place),
            start=plan.starts[place],
            end=plan.ends[place],
        )


def _is_agreed(plan: output.Table, options: Any, session: Session) -> bool:
    """Whether the offsets shall be moved: -y, or a yes on a terminal. The plan is shown before."""
    if options.yes and not options.dry_run:
        return True
    if options.dry_run or not (output.is_terminal(0) and output.is_terminal(2)):
        output.show(plan, options)
        session.talk("nothing was changed" + ("" if options.dry_run else ": add -y to do it"))
        return False
    output.say(output.aligned(plan, False).rstrip("\n"))
    confirm(f"move group {output.safe(options.group)} on {session.where} like this", options)
    return True


def _ended(outcomes: list[Outcome], done: str, options: Any, session: Session) -> int:
    """One line for all partitions that went well, and one for each that did not."""
    good = [outcome for outcome in outcomes if outcome.error is None]
    if good:
        session.talk(f"{done} on {session.where}: {len(good)} partition{'' if len(good) == 1 else 's'}")
    return report([outcome for outcome in outcomes if outcome.error is not None], done, options, session)


# -- forget, clone, remove-member --------------------------------------------------------------------------------------------------


def forget(options: Any) -> int:
    """Delete what a group has committed for topics."""
    session = Session(options)
    topics = topic_partitions(options.topic)
    if not topics:
        raise UsageFailure("it is not said what to forget", "-t TOPIC or -t TOPIC:0,2-5")
    table = output.Table(("topic", "partition", "committed"))
    with session.admin() as admin:
        chosen([options.group], [listing.group for listing in admin.groups()], "group", session.where, regex=False)
        committed = committed_by(admin, options.group)
        doomed = {place: found for place, found in committed.items() if _is_named(place, topics)}
        missing = [name for name in topics if name not in {topic for topic, _ in doomed}]
        if missing:
            raise Failure(
                f"group {options.group!r} has committed nothing for {missing[0]!r}", "`ev group describe` shows what it has", code=3
            )
        for (topic, index), found in doomed.items():
            table.add(topic=topic, partition=index, committed=found.offset)
        if show_plan(table, "forget the offsets of group", [options.group], options, session):
            return DONE
        confirm(f"forget {len(doomed)} offsets of group {output.safe(options.group)} on {session.where}", options)
        change = offsets_change(f"forget offsets of group {options.group}", options.group, committed, dict.fromkeys(doomed))
        outcomes = undoable(session, admin, [change], lambda: _forget(admin, options.group, doomed))
    return _ended(outcomes, f"forgot offsets of group {output.safe(options.group)}", options, session)


def _is_named(place: Partition, topics: Mapping[str, list[int] | None]) -> bool:
    indexes = topics.get(place[0], [])
    return indexes is None or place[1] in indexes


def _forget(admin: Admin, group: str, doomed: Iterable[Partition]) -> list[Outcome]:
    from ev.client.results import Outcome

    return [Outcome(place_text(place), error) for place, error in admin.delete_committed_offsets(group, doomed).items()]


def clone(options: Any) -> int:
    """Give a group that has committed nothing what another one has committed."""
    session = Session(options)
    table = output.Table(("topic", "partition", "target"))
    with session.admin() as admin:
        chosen([options.source], [listing.group for listing in admin.groups()], "group", session.where, regex=False)
        if committed_by(admin, options.target):
            raise Failure(
                f"group {options.target!r} has committed offsets on {session.where}",
                f"`ev group seek {options.target} --to-group {options.source} --new-topics` moves it",
            )
        refuse_members(admin, options.target)
        wanted = {place: found.offset for place, found in committed_by(admin, options.source).items()}
        if not wanted:
            raise Failure(f"group {options.source!r} has committed nothing on {session.where}")
        for (topic, index), offset in wanted.items():
            table.add(topic=topic, partition=index, target=offset)
        if show_plan(table, f"clone group {output.safe(options.source)} to", [options.target], options, session):
            return DONE
        change = offsets_change(f"clone group {options.source} to {options.target}", options.target, {}, wanted)
        outcomes = undoable(session, admin, [change], lambda: commit(admin, options.target, wanted))
    return _ended(outcomes, f"cloned group {output.safe(options.source)} to {output.safe(options.target)}", options, session)


def remove_member(options: Any) -> int:
    """Make the coordinator forget a member, by its member id, instance id or client id."""
    session = Session(options)
    with session.admin() as admin:
        chosen([options.group], [listing.group for listing in admin.groups()], "group", session.where, regex=False)
        (group,) = admin.describe_groups([options.group])
        found = [member for member in group.members if options.member in (member.member_id, member.instance_id, member.client_id)]
        if len(found) != 1:
            ids = ", ".join(output.safe(member.member_id) for member in found or group.members) or "none"
            what = f"{len(found)} members are" if found else "no member is"
            raise Failure(f"{what} called {options.member!r} in group {options.group!r}", f"its members are {ids}", code=1 if found else 3)
        member = found[0]
        table = output.Table(("member_id", "client_id", "instance_id", "host", "partitions"))
        partitions = [place_text(place) for place in member.partitions]
        table.add(
            member_id=member.member_id,
            client_id=member.client_id,
            instance_id=member.instance_id,
            host=member.host,
            partitions=partitions,
        )
        if show_plan(table, "remove member", [member.member_id], options, session):
            return DONE
        confirm(f"remove member {output.safe(member.member_id)} of group {output.safe(options.group)} on {session.where}", options)
        outcome = admin.remove_member(options.group, member.member_id, member.instance_id)
    return report([outcome], "removed member", options, session)
