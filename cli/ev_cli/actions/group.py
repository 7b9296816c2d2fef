"""ev group list and describe: groups with their lag and members."""

from __future__ import annotations

from ev_cli import output
from ev_cli.actions.group_lag import check_state, lags, owners
from ev_cli.actions.several import sections_of
from ev_cli.failures import DONE, UsageFailure
from ev_cli.naming import chosen, matching
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev.client.results import GroupDescription, GroupListing

CLASSIC = "classic"
"""What brokers that know no types have."""
TYPES = (CLASSIC, "consumer", "share", "streams")
SECTIONS = ("summary", "lag", "members")


def list_groups(options: Any) -> int:
    check_state(options.state)
    if options.type is not None and options.type.lower() not in TYPES:
        raise UsageFailure(f"--type {options.type} is unknown", f"one of {', '.join(TYPES)}")
    session = Session(options)
    table = output.Table(("group", "state", "type", "members", "lag"))
    with session.admin() as admin:
        listings = {listing.group: listing for listing in admin.groups() if _is_of(listing, options.type)}
        names = sorted(matching(options.patterns, listings, regex=options.regex))
        described = {group.group: group for group in admin.describe_groups(names)}
        found = lags(admin, names)
    for name in names:
        group, listing = described[name], listings[name]
        lag = sum(row["lag"] or 0 for row in found[name])
        state = listing.state if group.error is not None else group.state or listing.state
        if (options.state is not None and state.lower() != options.state.lower()) or (options.lagging and not lag):
            continue
        table.add(group=name, state=state, type=listing.type or CLASSIC, members=len(group.members), lag=lag)
    output.show(table, options)
    return DONE


def _is_of(listing: GroupListing, kind: str | None) -> bool:
    """Whether a group is of the type that was asked for: classic, consumer, share, streams."""
    return kind is None or (listing.type or CLASSIC).lower() == kind.lower()


def describe_groups(options: Any) -> int:
    session = Session(options)
    sections = sections_of(options.section, SECTIONS)
    with session.admin() as admin:
        known = [listing.group for listing in admin.groups()]
        names = chosen(options.groups, known, "group", session.where, regex=options.regex)
        described = {group.group: group for group in admin.describe_groups(names)}
        found = lags(admin, names, set(options.topic), described if options.all_lag else None)
    groups = [_described(described[name], found[name]) for name in names]
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


def _described(group: GroupDescription, lag: list[dict[str, Any]]) -> dict[str, Any]:
    owned = owners(group)
    for row in lag:
        row["member"] = owned.get((row["topic"], row["partition"]), (None, None))[0]
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
