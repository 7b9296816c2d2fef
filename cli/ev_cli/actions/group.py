"""ev group: list, describe and delete consumer groups, with their lag."""

from __future__ import annotations

from ev_cli import output
from ev_cli.actions.several import EARLIEST, LATEST, offsets_at, plan, report, sections_of
from ev_cli.failures import DONE
from ev_cli.naming import chosen, confirm, matching
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev.client.admin import Admin
    from ev.client.results import GroupDescription

    Partition = tuple[str, int]

SECTIONS = ("summary", "lag", "members")


def list_groups(options: Any) -> int:
    session = Session(options)
    table = output.Table(("group", "state", "type", "members", "lag"))
    with session.admin() as admin:
        listings = {listing.group: listing for listing in admin.groups()}
        names = sorted(matching(options.patterns, listings, regex=options.regex))
        described = {group.group: group for group in admin.describe_groups(names)} if names else {}
        lags = _lags(admin, names)
    for name in names:
        group = described[name]
        lag = sum(row["lag"] or 0 for row in lags[name])
        state = group.state or listings[name].state
        if (options.state is not None and state.lower() != options.state.lower()) or (options.lagging and not lag):
            continue
        table.add(group=name, state=state, type=listings[name].type or "classic", members=len(group.members), lag=lag)
    output.show(table, options)
    return DONE


def describe_groups(options: Any) -> int:
    session = Session(options)
    sections = sections_of(options.section, SECTIONS)
    with session.admin() as admin:
        known = [listing.group for listing in admin.groups()]
        names = chosen(options.groups, known, "group", session.where, regex=options.regex)
        described = {group.group: group for group in admin.describe_groups(names)}
        lags = _lags(admin, names, set(options.topic))
    groups = [_described(described[name], lags[name]) for name in names]
    form = output.output_format(options)
    if form in ("table", "wide"):
        output.write_text("\n".join(_group_text(group, sections, form == "wide") for group in groups))
        return DONE
    if form in ("tsv", "csv", "name"):
        table = output.Table(("group", "topic", "partition", "committed", "start", "end", "lag", "member"))
        for group in groups:
            for row in group["lag"]:
                table.add(group=group["group"], **row)
    else:
        table = output.Table(("group",))
        for group in groups:
            table.add(**{name: value for name, value in group.items() if name not in ("lag", "members") or name in sections})
    output.show(table, options, one=len(groups) == 1 and not options.regex)
    return DONE


def delete_groups(options: Any) -> int:
    session = Session(options)
    with session.admin() as admin:
        known = [listing.group for listing in admin.groups()]
        names = chosen(options.groups, known, "group", session.where, regex=options.regex)
        if options.dry_run:
            return plan("delete group", names, session)
        confirm(f"delete {', '.join(map(output.safe, names))} on {session.where} with all committed offsets", options)
        outcomes = admin.delete_groups(names)
    return report(outcomes, "deleted group", options, session)


def _lags(admin: Admin, names: list[str], topics: set[str] | None = None) -> dict[str, list[dict[str, Any]]]:
    """Per group, one row for each partition with a commit. What is behind the start of the log is not counted as lag."""
    committed = {name: admin.committed_offsets(name) for name in names}
    partitions = sorted({partition for offsets in committed.values() for partition in offsets if not topics or partition[0] in topics})
    starts, ends = offsets_at(admin, partitions, EARLIEST), offsets_at(admin, partitions, LATEST)
    found: dict[str, list[dict[str, Any]]] = {}
    for name, offsets in committed.items():
        rows = []
        for partition in sorted(set(offsets) & set(partitions)):
            offset = offsets[partition].offset
            start, end = starts.get(partition), ends.get(partition)
            lag = None if end is None or start is None or offset < 0 else max(0, end - max(offset, start))
            rows.append(
                {
                    "topic": partition[0],
                    "partition": partition[1],
                    "committed": None if offset < 0 else offset,
                    "start": start,
                    "end": end,
                    "lag": lag,
                }
            )
        found[name] = rows
    return found


def _described(group: GroupDescription, lag: list[dict[str, Any]]) -> dict[str, Any]:
    owners = {partition: member.client_id for member in group.members for partition in member.partitions}
    for row in lag:
        row["member"] = owners.get((row["topic"], row["partition"]))
    return {
        "group": group.group,
        "state": group.state,
        "protocol": group.protocol or None,
        "coordinator": group.coordinator,
        "total_lag": sum(row["lag"] or 0 for row in lag),
        "lag": lag,
        "members": [
            {
                "member_id": member.member_id,
                "client_id": member.client_id,
                "instance_id": member.instance_id,
                "host": member.host,
                "topics": member.topics,
                "partitions": [f"{topic}/{index}" for topic, index in member.partitions],
            }
            for member in group.members
        ],
    }


def _group_text(group: dict[str, Any], sections: tuple[str, ...], wide: bool) -> str:
    """One group for a person: summary, lag per partition, members."""
    text = ""
    if "summary" in sections:
        count = len(group["members"])
        protocol = f", {output.safe(group['protocol'])}" if group["protocol"] else ""
        members = f"{count} member{'' if count == 1 else 's'}"
        text += f"{output.safe(group['group'])}  {group['state']}, {members}{protocol}, lag {group['total_lag']}\n"
    if "lag" in sections and group["lag"]:
        table = output.Table(("topic", "partition", "committed", "end", "lag", "member"), ("start",))
        for row in group["lag"]:
            table.add(**row)
        text += output.aligned(table, wide)
    if "members" in sections and group["members"]:
        table = output.Table(("member_id", "client_id", "host", "partitions"), ("instance_id", "topics"))
        for member in group["members"]:
            table.add(**member)
        text += output.aligned(table, wide)
    return text
