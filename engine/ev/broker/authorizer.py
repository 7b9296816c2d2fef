"""Decides who may do what: Kafka's rules over the ACLs (StandardAuthorizerData.java).

A super user may do everything. For anybody else the ACLs count that are about the resource, whether under its name, a prefix of it or
for all resources of its kind. One that denies wins over all that allow. One that allows to read, write, delete or alter also allows to
describe, and one that allows to alter configurations also to describe them; what denies says nothing but what it says. Where ACLs are
about a resource and none allows, the answer is no. Where none is about it, it is `allow.everyone.if.no.acl.found`.

A decision is remembered until an ACL changes, so that a request of every day costs one look into a dictionary for each resource.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

from ev.wire.acls import OPERATION_WORDS, RESOURCE_WORDS, WILDCARD, Operation, Pattern, Permission, Resource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ev.broker.acls import Acl, Acls
    from ev.settings import Settings

log = logging.getLogger(__name__)

EVERYBODY: Final = "User:*"
DECISIONS_MAX: Final = 50_000
"""How many decisions are remembered; then they are forgotten, all of them at once."""
SOME_NAME: Final = "hardcode"
"""Kafka's name for a resource that nobody has."""
IMPLIED_BY: Final = {
    Operation.DESCRIBE: frozenset({Operation.DESCRIBE, Operation.READ, Operation.WRITE, Operation.DELETE, Operation.ALTER}),
    Operation.DESCRIBE_CONFIGS: frozenset({Operation.DESCRIBE_CONFIGS, Operation.ALTER_CONFIGS}),
}
"""What an ACL that allows one of these operations may be about instead."""
SUPPORTED: Final = {
    Resource.TOPIC: (
        Operation.READ,
        Operation.WRITE,
        Operation.CREATE,
        Operation.DELETE,
        Operation.ALTER,
        Operation.DESCRIBE,
        Operation.DESCRIBE_CONFIGS,
        Operation.ALTER_CONFIGS,
    ),
    Resource.GROUP: (Operation.READ, Operation.DELETE, Operation.DESCRIBE, Operation.DESCRIBE_CONFIGS, Operation.ALTER_CONFIGS),
    Resource.CLUSTER: (
        Operation.CREATE,
        Operation.ALTER,
        Operation.DESCRIBE,
        Operation.CLUSTER_ACTION,
        Operation.DESCRIBE_CONFIGS,
        Operation.ALTER_CONFIGS,
        Operation.IDEMPOTENT_WRITE,
    ),
}
"""The operations that there are for a kind of resource (AclEntry.supportedOperations)."""


class Authorizer:
    """The decisions of one broker."""

    __slots__ = ("_acls", "_decisions", "_default", "_some", "_super_users")

    def __init__(self, acls: Acls, super_users: Iterable[str], *, allows_without_acl: bool) -> None:
        self._acls = acls
        self._super_users = frozenset(super_users)
        self._default = allows_without_acl
        self._decisions: dict[tuple[str, str, int, int, str], bool] = {}
        self._some: dict[tuple[str, str, int, int], bool] = {}
        acls.on_change = self._forget

    @classmethod
    def configured(cls, settings: Settings, acls: Acls) -> Authorizer | None:
        """The authorizer that the settings ask for."""
        if not settings.authorizer_class_name:
            return None
        return cls(acls, settings.super_users, allows_without_acl=settings.allow_everyone_if_no_acl_found)

    def _forget(self) -> None:
        self._decisions.clear()
        self._some.clear()

    def allows(self, principal: str, host: str, operation: int, resource_type: int, name: str, *, quiet: bool = False) -> bool:
        """Whether the principal, asking from this host, may do this with this resource. `quiet`: a refusal is nothing to tell of."""
        key = (principal, host, operation, resource_type, name)
        decision = self._decisions.get(key)
        if decision is None:
            if len(self._decisions) >= DECISIONS_MAX:
                self._decisions.clear()
            decision = self._decisions[key] = principal in self._super_users or self._verdict(
                self._applying(principal, host, resource_type, name), operation
            )
            if not decision and not quiet:
                log.info("%s at %s may not %s %s %r", principal, host, OPERATION_WORDS[operation], RESOURCE_WORDS[resource_type], name)
        return decision

    def operations(self, principal: str, host: str, resource_type: int, name: str) -> int:
        """All operations that the principal may do with the resource, as a bit field."""
        supported = SUPPORTED[resource_type]
        if principal not in self._super_users:
            acls = self._applying(principal, host, resource_type, name)
            supported = tuple(operation for operation in supported if self._verdict(acls, operation))
        return sum(1 << operation for operation in supported)

    def _applying(self, principal: str, host: str, resource_type: int, name: str) -> list[Acl] | None:
        """The ACLs about the resource that hold for this principal at this host; None where none is about the resource at all."""
        found = False
        applying = []
        for acl in self._acls.about(resource_type, name):
            found = True
            if _holds(acl, principal, host):
                applying.append(acl)
        return applying if found else None

    def _verdict(self, acls: list[Acl] | None, operation: int) -> bool:
        if acls is None:
            return self._default
        allowed = False
        implied_by = IMPLIED_BY.get(operation, (operation,))
        for acl in acls:
            if acl.permission == Permission.DENY:
                if acl.operation in (operation, Operation.ALL):
                    return False
            elif acl.operation == Operation.ALL or acl.operation in implied_by:
                allowed = True
        return allowed

    def allows_some(self, principal: str, host: str, operation: int, resource_type: int) -> bool:
        """Whether there may be a resource of this kind with which the principal may do this (Authorizer.authorizeByResourceType)."""
        key = (principal, host, operation, resource_type)
        decision = self._some.get(key)
        if decision is None:
            if len(self._some) >= DECISIONS_MAX:
                self._some.clear()
            decision = self._some[key] = self._decide_some(principal, host, operation, resource_type)
        return decision

    def _decide_some(self, principal: str, host: str, operation: int, resource_type: int) -> bool:
        if self.allows(principal, host, operation, resource_type, SOME_NAME, quiet=True):
            return True
        acls = [
            acl for acl in self._acls.of_type(resource_type) if acl.operation in (operation, Operation.ALL) and _holds(acl, principal, host)
        ]
        denied = {(acl.pattern, acl.name) for acl in acls if acl.permission == Permission.DENY}
        if (Pattern.LITERAL, WILDCARD) in denied:
            return False
        return any(acl.permission == Permission.ALLOW and not _is_covered(acl, denied) for acl in acls)


def _holds(acl: Acl, principal: str, host: str) -> bool:
    """Whether the ACL is about this principal at this host."""
    return acl.principal in (principal, EVERYBODY) and (acl.host in (WILDCARD, host) or plain_address(acl.host) == plain_address(host))


def _is_covered(acl: Acl, denied: set[tuple[int, str]]) -> bool:
    """Whether everything that the ACL allows is denied by one of these names and prefixes."""
    if acl.pattern == Pattern.LITERAL:
        if acl.name == WILDCARD:
            return False
        if (Pattern.LITERAL, acl.name) in denied:
            return True
    return any((Pattern.PREFIXED, acl.name[:length]) in denied for length in range(1, len(acl.name) + 1))


@lru_cache(10_000)
def plain_address(host: str) -> str:
    """An address in one of its forms: `::1` and `0:0:0:0:0:0:0:1` are the same, and so is an IPv4 address inside an IPv6 one."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)
