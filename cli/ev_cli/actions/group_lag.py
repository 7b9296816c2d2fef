"""ev group lag and ev group wait: how far groups are behind, and waiting until they are not."""

from __future__ import annotations

import time

from ev_cli import output
from ev_cli.actions.several import EARLIEST, LATEST, offsets_at
from ev_cli.failures import DONE, UNMET, UsageFailure
from ev_cli.naming import chosen, matching
from ev_cli.session import Session
from ev_cli.times import duration_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ev.client.admin import Admin
    from ev.client.results import CommittedOffset, GroupDescription

    Partition = tuple[str, int]
    Row = dict[str, Any]

COLUMNS = {
    "group": ("group", "state", "partitions", "lag"),
    "topic": ("group", "topic", "partitions", "lag"),
    "member": ("group", "member", "host", "partitions", "lag"),
    "partition": ("group", "topic", "partition", "committed", "end", "lag", "member"),
}
POLL_MS = 500
STATES = ("PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "Empty", "Assigning", "Reconciling", "NotReady")


def show_lag(options: Any) -> int:
    session = Session(options)
    by = options.by or "group"
    if by not in COLUMNS:
        raise UsageFailure(f"--by {by} is unknown", f"one of {', '.join(COLUMNS)}")
    with session.admin() as admin:
        listings = [listing.group for listing in admin.groups()]
        if options.regex or not options.groups:
            names = matching(options.groups, listings, regex=options.regex)
        else:
            names = chosen(options.groups, listings, "group", session.where, regex=False)
        described = {group.group: group for group in admin.describe_groups(names)}
        found = lags(admin, names, described=described if options.all_lag else None)
    table = output.Table(COLUMNS[by])
    for row in summed(by, names, described, found):
        table.add(**row)
    if by != "partition":
        table.rows.sort(key=lambda row: -int(row["lag"]))
    output.show(table, options)
    above = [row for row in table.rows if options.maximum is not None and (row["lag"] or 0) > options.maximum]
    if above:
        session.talk(f"{len(above)} of {len(table.rows)} above a lag of {options.maximum}")
    return UNMET if above else DONE


def summed(by: str, names: list[str], described: Mapping[str, GroupDescription], found: Mapping[str, list[Row]]) -> list[Row]:
    """The rows of `--by`: one per partition, or sums over those that have the same group, topic or member."""
    rows = []
    for name in names:
        group = described[name]
        owned = owners(group)
        for row in found[name]:
            row["member"] = owned.get((row["topic"], row["partition"]), (None, None))[0]
        if by == "partition":
            rows += [{"group": name, **row} for row in found[name]]
        elif by == "group":
            lag = sum(row["lag"] or 0 for row in found[name])
            rows.append({"group": name, "state": group.state, "partitions": len(found[name]), "lag": lag})
        else:
            rows += _parts(by, name, found[name], dict(owned.values()))
    return rows


def _parts(by: str, name: str, rows: list[Row], hosts: dict[str | None, str | None]) -> list[Row]:
    """The sums of one group over its topics or members. Partitions that nobody owns have the member null."""
    sums: dict[Any, Row] = {}
    for row in rows:
        part = row[by]
        extra = {"host": hosts.get(part)} if by == "member" else {}
        one = sums.setdefault(part, {"group": name, by: part, **extra, "partitions": 0, "lag": 0})
        one["partitions"] += 1
        one["lag"] += row["lag"] or 0
    return list(sums.values())


def owners(group: GroupDescription) -> dict[Partition, tuple[str | None, str | None]]:
    """(client id, host) of the member that has each partition; members of one client id are told apart by their member id."""
    ids = [member.client_id for member in group.members]
    return {
        partition: (member.client_id if ids.count(member.client_id) == 1 else member.member_id, member.host)
        for member in group.members
        for partition in member.partitions
    }


def lags(
    admin: Admin, names: Iterable[str], topics: set[str] | None = None, described: Mapping[str, GroupDescription] | None = None
) -> dict[str, list[Row]]:
    """Per group, one row for each partition with a commit. What is behind the start of the log is not counted as lag.

    With `described` the partitions without a commit have rows, too: those of all topics that a group has committed for or that its members
    read. The whole of such a partition is lag.
    """
    committed = {name: committed_by(admin, name) for name in names}
    if described is not None:
        _add_unread(admin, committed, described)
    partitions = sorted({partition for offsets in committed.values() for partition in offsets if not topics or partition[0] in topics})
    starts, ends = offsets_at(admin, partitions, EARLIEST), offsets_at(admin, partitions, LATEST)
    found: dict[str, list[Row]] = {}
    for name, offsets in committed.items():
        rows = []
        for partition in sorted(set(offsets) & set(partitions)):
            offset = offsets[partition]
            start, end = starts.get(partition), ends.get(partition)
            counts = end is not None and start is not None and (offset is not None or described is not None)
            lag = max(0, (end or 0) - max(offset or 0, start or 0)) if counts else None
            rows.append(
                {"topic": partition[0], "partition": partition[1], "committed": offset, "start": start, "end": end, "lag": lag},
            )
        found[name] = rows
    return found


def committed_by(admin: Admin, group: str) -> dict[Partition, int | None]:
    """What a group has committed. Groups that commit nothing of this kind (share groups) have no commits, which is no failure."""
    from ev.errors import ErrorCode, KafkaError

    try:
        found: dict[Partition, CommittedOffset] = admin.committed_offsets(group)
    except KafkaError as error:
        if error.code != ErrorCode.GROUP_ID_NOT_FOUND:
            raise
        return {}
    return {partition: None if committed.offset < 0 else committed.offset for partition, committed in found.items()}


def _add_unread(admin: Admin, committed: dict[str, dict[Partition, int | None]], described: Mapping[str, GroupDescription]) -> None:
    topics = {name: {topic for topic, _ in offsets} for name, offsets in committed.items()}
    for name, group in described.items():
        topics[name].update(topic for member in group.members for topic in member.topics)
        topics[name].update(topic for member in group.members for topic, _ in member.partitions)
    wanted = sorted(set().union(*topics.values()))
    there = {topic.name: topic for topic in admin.describe_topics(wanted) if topic.error is None}
    for name, offsets in committed.items():
        for topic in topics[name] & set(there):
            for partition in there[topic].partitions:
                offsets.setdefault((topic, partition.index), None)


def check_state(text: str | None) -> None:
    """No group would ever be in a state that is misspelled."""
    if text is not None and text.lower() not in [state.lower() for state in STATES]:
        raise UsageFailure(f"--state {text} is unknown", f"one of {', '.join(STATES)}")


def wait_for_group(options: Any) -> int:
    """Until the group is in the state, and no more behind than it may be."""
    session = Session(options)
    if options.lag is None and options.state is None:
        raise UsageFailure("it is not said what to wait for", "give --lag N or --state STATE")
    check_state(options.state)
    limit_ms = None if options.duration is None else duration_ms(options.duration, "--for")
    started = time.monotonic()
    told = ""
    with session.admin() as admin:
        while True:
            missing = unmet(admin, options.group, options.lag, options.state)
            if not missing:
                return DONE
            if missing != told and options.verbose:
                session.talk(missing)
                told = missing
            if limit_ms is not None and (time.monotonic() - started) * 1000 >= limit_ms:
                session.talk(f"waited {options.duration} in vain: {missing}")
                return UNMET
            time.sleep(POLL_MS / 1000)


def unmet(admin: Admin, name: str, lag: int | None, state: str | None) -> str:
    """What is still missing; empty when nothing is."""
    (group,) = admin.describe_groups([name])
    there = group.state or "Dead"
    if state is not None and there.lower() != state.lower():
        return f"group {output.safe(name)} is {there}, not {state}" if group.error is None else f"there is no group {output.safe(name)}"
    if lag is None:
        return ""
    if group.error is not None:
        return f"there is no group {output.safe(name)}"
    rows = lags(admin, [name], described={name: group})[name]
    behind = sum(row["lag"] or 0 for row in rows)
    if not rows:
        return f"group {output.safe(name)} has committed nothing"
    return f"group {output.safe(name)} has a lag of {behind}" if behind > lag else ""
