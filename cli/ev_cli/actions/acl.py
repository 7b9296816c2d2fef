"""ev acl: list, add and remove the rights of principals."""

from __future__ import annotations

from ev_cli import output
from ev_cli.actions.several import report, show_plan
from ev_cli.failures import DONE, NOT_FOUND, Failure, UsageFailure
from ev_cli.inverses import acls_change, exactly
from ev_cli.journal import undoable
from ev_cli.naming import confirm
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev.client.acls import AclFilter
    from ev.client.results import Acl

COLUMNS = ("principal", "permission", "operation", "resource", "name", "pattern", "host")


def list_acls(options: Any) -> int:
    session = Session(options)
    filters = _filters(options, "match")
    found: list[Acl] = []
    with session.admin() as admin:
        for asked in filters:
            found += [acl for acl in admin.acls(asked) if acl not in found]
    output.show(_table([acl for acl in found if acl.pattern == "prefixed" or not options.prefixed]), options)
    return DONE


def _table(acls: list[Acl]) -> output.Table:
    from ev.client.acls import in_order

    table = output.Table(COLUMNS)
    for acl in in_order(acls):
        table.add(**{column: getattr(acl, column) for column in COLUMNS})
    return table


def add_acls(options: Any) -> int:
    session = Session(options)
    acls = _wanted(options)
    if options.dry_run:
        show_plan(_table(acls), "add:", [str(acl) for acl in acls], options, session)
        return DONE
    with session.admin() as admin:
        change = acls_change("add ACLs", added=[acl for acl in acls if not admin.acls(exactly(acl))])
        outcomes = undoable(session, admin, [change], lambda: admin.create_acls(acls))
    return report(outcomes, "added:", options, session)


def remove_acls(options: Any) -> int:
    from ev.client.acls import in_order
    from ev.client.results import Outcome

    session = Session(options)
    filters = _filters(options, "prefixed" if options.prefixed else "literal")
    if not (_resources(options) or options.principals or options.hosts or options.operations):
        raise UsageFailure("it is not said which ACLs are to go", "name a principal or a resource")
    with session.admin() as admin:
        doomed: list[Acl] = []
        for asked in filters:
            doomed += [acl for acl in admin.acls(asked) if acl not in doomed]
        doomed = in_order(doomed)
        if not doomed:
            raise Failure(f"no such ACL on {session.where}", "`ev acl list` shows what is there", code=NOT_FOUND)
        if show_plan(_table(doomed), "remove:", [str(acl) for acl in doomed], options, session):
            return DONE
        confirm(f"remove {len(doomed)} ACL{'' if len(doomed) == 1 else 's'} on {session.where}", options)
        change = acls_change("remove ACLs", removed=doomed)
        outcomes = undoable(session, admin, [change], lambda: [Outcome(str(acl)) for acl in admin.delete_acls(filters)])
    return report(outcomes, "removed:", options, session)


def _wanted(options: Any) -> list[Acl]:
    """The ACLs that the command line describes: each principal, host and operation with each resource."""
    from ev.client.results import Acl

    if options.allow and options.deny:
        raise UsageFailure("--allow and --deny contradict each other", "give one of them")
    resources = _resources(options)
    principals, operations = _principals(options), _operations(options)
    missing = (
        "--topic, --group, --transactional-id or --cluster"
        if not resources
        else "--principal"
        if not principals
        else "--operation"
        if not operations
        else ""
    )
    if missing:
        raise UsageFailure(f"{missing} is missing", "an ACL says who may do what with which resource")
    pattern = "prefixed" if options.prefixed else "literal"
    return [
        Acl(
            resource,
            name,
            principal,
            operation,
            pattern="literal" if resource == "cluster" else pattern,
            host=host,
            permission="deny" if options.deny else "allow",
        )
        for resource, name in resources
        for principal in principals
        for host in options.hosts or ["*"]
        for operation in operations
    ]


def _filters(options: Any, pattern: str) -> list[AclFilter]:
    """The filters that together fit what the command line describes. What is not said fits everything."""
    from ev.client.acls import AclFilter

    permission = None if options.allow == options.deny else "allow" if options.allow else "deny"
    resources: list[tuple[str | None, str | None]] = [*_resources(options)]
    principals: list[str | None] = [*_principals(options)] or [None]
    hosts: list[str | None] = [*options.hosts] or [None]
    operations: list[str | None] = [*_operations(options)] or [None]
    anything = not resources and pattern != "prefixed"
    return [
        AclFilter(
            resource,
            name,
            pattern="any" if anything or resource == "cluster" else pattern,
            principal=principal,
            host=host,
            operation=operation,
            permission=permission,
        )
        for resource, name in resources or [(None, None)]
        for principal in principals
        for host in hosts
        for operation in operations
    ]


def _resources(options: Any) -> list[tuple[str, str]]:
    from ev.client.acls import CLUSTER

    found = [("topic", name) for name in options.topics]
    found += [("group", name) for name in options.groups]
    found += [("transactional_id", name) for name in options.transactional_ids]
    return [*found, ("cluster", CLUSTER)] if options.cluster else found


def _principals(options: Any) -> list[str]:
    return [name if ":" in name else f"User:{name}" for name in options.principals]


def _operations(options: Any) -> list[str]:
    """The operations, by Kafka's words: describe-configs, DescribeConfigs and describe_configs are the same."""
    from ev.client.acls import OPERATIONS

    known = {word.replace("_", ""): word for word in OPERATIONS}
    found = []
    for text in options.operations:
        for word in text.split(","):
            operation = known.get(word.strip().lower().replace("_", "").replace("-", ""))
            if operation is None:
                raise UsageFailure(f"--operation {word.strip()} is unknown", f"one of {', '.join(OPERATIONS)}")
            found.append(operation)
    return found
