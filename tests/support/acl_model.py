"""Kafka's rules of who may do what, word for word: without an index, and remembering nothing."""

from __future__ import annotations

from collections.abc import Iterable

from ev.broker.acls import Acl
from ev.wire.acls import Operation, Pattern, Permission

TOPIC_OPERATIONS = (
    Operation.READ,
    Operation.WRITE,
    Operation.CREATE,
    Operation.DELETE,
    Operation.ALTER,
    Operation.DESCRIBE,
    Operation.DESCRIBE_CONFIGS,
    Operation.ALTER_CONFIGS,
)
IMPLIES_DESCRIBE = {Operation.DESCRIBE, Operation.READ, Operation.WRITE, Operation.DELETE, Operation.ALTER}
IMPLIES_DESCRIBE_CONFIGS = {Operation.DESCRIBE_CONFIGS, Operation.ALTER_CONFIGS}


def is_about(acl: Acl, kind: int, name: str) -> bool:
    if acl.resource_type != kind:
        return False
    if acl.pattern == Pattern.PREFIXED:
        return name.startswith(acl.name)
    return acl.name in (name, "*")


def says(acl: Acl, operation: int) -> bool:
    if acl.operation in (operation, Operation.ALL):
        return True
    if acl.permission == Permission.DENY:
        return False
    if operation == Operation.DESCRIBE:
        return acl.operation in IMPLIES_DESCRIBE
    return operation == Operation.DESCRIBE_CONFIGS and acl.operation in IMPLIES_DESCRIBE_CONFIGS


def model_allows(acls: Iterable[Acl], principal: str, host: str, operation: int, kind: int, name: str, *, default: bool) -> bool:
    """Whether the principal may, who is no super user."""
    about = [acl for acl in acls if is_about(acl, kind, name)]
    said = {acl.permission for acl in about if acl.principal in (principal, "User:*") and acl.host in (host, "*") and says(acl, operation)}
    if not about:
        return default
    return Permission.ALLOW in said and Permission.DENY not in said
