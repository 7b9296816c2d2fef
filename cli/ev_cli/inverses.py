"""How the items of each kind of change are read and put back, for `ev undo`.

    kind            subject                  items                           value
    group-offsets   [group]                  topic/partition                 [offset, metadata]
    config          [kind, name]             setting                         text; {"hidden": true} where it is a secret
    acl             []                       the ACL's fields as JSON        true
    quota           [the entity as JSON]     quota                           number

An item that is not there has the value None. `KINDS` has two functions for each kind: read(admin, subject, items) gives the present values,
restore(admin, subject, wanted) makes the items have these. A noun that adds a kind adds its two functions here.
"""

from __future__ import annotations

import json

from ev_cli.actions.several import refuse_members
from ev_cli.journal import Change

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from ev.client.admin import Admin
    from ev.client.results import Acl, CommittedOffset, Outcome

    Items = dict[str, Any]
    Partition = tuple[str, int]
    Read = Callable[[Admin, list[str], list[str]], Items]
    Restore = Callable[[Admin, list[str], Items], list[Outcome]]

HIDDEN = {"hidden": True}
"""Stands for a secret, which is neither shown nor kept."""
OWN_SOURCES = {"topic": ("topic",), "broker": ("broker",), "group": ("group",), "client-metrics": ("client-metrics",)}
"""Where a setting comes from that somebody has set for this very thing."""
ACL_FIELDS = ("resource", "name", "principal", "operation", "pattern", "host", "permission")


# -- offsets of groups -----------------------------------------------------------------------------------------------------------


def offsets_change(what: str, group: str, before: Mapping[Partition, CommittedOffset], after: Mapping[Partition, int | None]) -> Change:
    """The change that gives a group these committed offsets; None forgets one."""
    return Change(
        "group-offsets",
        [group],
        what,
        {place_text(place): offset_value(before.get(place)) for place in after},
        {place_text(place): None if offset is None else [offset, ""] for place, offset in after.items()},
    )


def place_text(place: Partition) -> str:
    return f"{place[0]}/{place[1]}"


def place_of(text: str) -> Partition:
    topic, _, index = text.rpartition("/")
    return topic, int(index)


def offset_value(committed: CommittedOffset | None) -> list[Any] | None:
    return None if committed is None or committed.offset < 0 else [committed.offset, committed.metadata or ""]


def _read_offsets(admin: Admin, subject: list[str], items: list[str]) -> Items:
    refuse_members(admin, subject[0])
    found = admin.committed_offsets(subject[0])
    return {item: offset_value(found.get(place_of(item))) for item in items}


def _restore_offsets(admin: Admin, subject: list[str], wanted: Items) -> list[Outcome]:
    from ev.client.results import CommittedOffset, Outcome

    group = subject[0]
    kept = {place_of(item): CommittedOffset(value[0], metadata=value[1]) for item, value in wanted.items() if value is not None}
    gone = [place_of(item) for item, value in wanted.items() if value is None]
    outcomes = admin.alter_committed_offsets(group, kept) if kept else {}
    if gone:
        outcomes = {**outcomes, **admin.delete_committed_offsets(group, gone)}
    return [Outcome(place_text(place), error) for place, error in outcomes.items()]


# -- configurations ------------------------------------------------------------------------------------------------------------


def config_change(
    admin: Admin,
    kind: str,
    name: str,
    values: Mapping[str, str],
    *,
    unset: Iterable[str] = (),
    append: Mapping[str, str] | None = None,
    subtract: Mapping[str, str] | None = None,
) -> Change:
    """The change that these operations make of one thing's settings, with the values that they have now."""
    described = admin.describe_configs(kind, [name])
    entries = described[0].entries if described and described[0].error is None else {}
    effective = {key: (entry.value or "") for key, entry in entries.items()}
    after: Items = {**values, **dict.fromkeys(unset)}
    for key, value in (append or {}).items():
        there = _list(effective.get(key, ""))
        after[key] = ",".join(there + [item for item in _list(value) if item not in there])
    for key, value in (subtract or {}).items():
        after[key] = ",".join([item for item in _list(effective.get(key, "")) if item not in _list(value)])
    secrets = {key for key, entry in entries.items() if entry.sensitive}
    return Change(
        "config",
        [kind, name],
        f"alter {kind} {name or '*'}",
        {key: _own_value(entries.get(key), kind, name) for key in after},
        {key: HIDDEN if key in secrets and value is not None else value for key, value in after.items()},
    )


def _list(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _own_value(entry: Any, kind: str, name: str) -> Any:
    """The value that was set for this thing; None when it has none of its own."""
    own = ("broker-default",) if kind == "broker" and not name else OWN_SOURCES.get(kind, (kind,))
    if entry is None or entry.source not in own:
        return None
    return HIDDEN if entry.sensitive else entry.value


def _read_config(admin: Admin, subject: list[str], items: list[str]) -> Items:
    kind, name = subject
    described = admin.describe_configs(kind, [name])
    if described and described[0].error is not None:
        raise described[0].error
    entries = described[0].entries if described else {}
    return {key: _own_value(entries.get(key), kind, name) for key in items}


def _restore_config(admin: Admin, subject: list[str], wanted: Items) -> list[Outcome]:
    kind, name = subject
    values = {key: value for key, value in wanted.items() if value is not None}
    return [admin.alter_configs(kind, name, values, unset=[key for key in wanted if wanted[key] is None])]


# -- ACLs ------------------------------------------------------------------------------------------------------------------------


def acls_change(what: str, added: Iterable[Acl] = (), removed: Iterable[Acl] = ()) -> Change:
    """The change that adds ACLs which were not there, and removes some that were."""
    new, old = [acl_text(acl) for acl in added], [acl_text(acl) for acl in removed]
    return Change("acl", [], what, {**dict.fromkeys(new), **dict.fromkeys(old, True)}, {**dict.fromkeys(new, True), **dict.fromkeys(old)})


def acl_text(acl: Acl) -> str:
    return json.dumps({name: getattr(acl, name) for name in ACL_FIELDS})


def acl_of(text: str) -> Acl:
    from ev.client.results import Acl

    return Acl(**json.loads(text))


def _read_acls(admin: Admin, subject: list[str], items: list[str]) -> Items:
    return {item: True if admin.acls(exactly(acl_of(item))) else None for item in items}


def _restore_acls(admin: Admin, subject: list[str], wanted: Items) -> list[Outcome]:
    from ev.client.results import Outcome

    outcomes = admin.create_acls([acl_of(item) for item, value in wanted.items() if value])
    gone = [acl_of(item) for item, value in wanted.items() if not value]
    if gone:
        admin.delete_acls([exactly(acl) for acl in gone])
    return [*outcomes, *[Outcome(str(acl)) for acl in gone]]


def exactly(acl: Acl) -> Any:
    """The filter that fits this one ACL."""
    from ev.client.acls import AclFilter

    return AclFilter(
        acl.resource,
        acl.name,
        pattern=acl.pattern,
        principal=acl.principal,
        host=acl.host,
        operation=acl.operation,
        permission=acl.permission,
    )


# -- quotas ----------------------------------------------------------------------------------------------------------------------


def quota_change(what: str, entity: Mapping[str, str | None], before: Mapping[str, float], after: Mapping[str, float | None]) -> Change:
    """The change that gives an entity these quotas; None takes one away."""
    return Change("quota", [json.dumps(dict(sorted(entity.items())))], what, {key: before.get(key) for key in after}, dict(after))


def _read_quotas(admin: Admin, subject: list[str], items: list[str]) -> Items:
    entity = json.loads(subject[0])
    found = next((quota.values for quota in admin.quotas(entity, strict=True) if quota.entity == entity), {})
    return {key: found.get(key) for key in items}


def _restore_quotas(admin: Admin, subject: list[str], wanted: Items) -> list[Outcome]:
    values = {key: value for key, value in wanted.items() if value is not None}
    return [admin.alter_quotas(json.loads(subject[0]), values, unset=[key for key in wanted if wanted[key] is None])]


KINDS: dict[str, tuple[Read, Restore]] = {
    "group-offsets": (_read_offsets, _restore_offsets),
    "config": (_read_config, _restore_config),
    "acl": (_read_acls, _restore_acls),
    "quota": (_read_quotas, _restore_quotas),
}
