"""ACLs on the wire: what the admin client says of them in words, in Kafka's numbers."""

from __future__ import annotations

from collections.abc import Iterable

from ev.client.results import Acl
from ev.wire.acls import (
    CLUSTER_NAME,
    OPERATION_NUMBERS,
    OPERATION_WORDS,
    PATTERN_NUMBERS,
    PATTERN_WORDS,
    PERMISSION_NUMBERS,
    PERMISSION_WORDS,
    RESOURCE_NUMBERS,
    RESOURCE_WORDS,
    Operation,
    Pattern,
    Permission,
    Resource,
)
from ev.wire.messages.k29_describe_acls import DescribeAclsRequest, DescribeAclsResponse
from ev.wire.messages.k30_create_acls import AclCreation
from ev.wire.messages.k31_delete_acls import DeleteAclsFilter, DeleteAclsMatchingAcl

CLUSTER = CLUSTER_NAME
"""The only name of a resource of kind `cluster`."""
OPERATIONS = tuple(OPERATION_NUMBERS)
PATTERN_FILTERS = {"any": Pattern.ANY, "match": Pattern.MATCH, **PATTERN_NUMBERS}


class AclFilter:
    """What ACLs are asked for; None fits everything. The pattern `match` finds all that are about a name, `any` those under it."""

    __slots__ = ("host", "name", "operation", "pattern", "permission", "principal", "resource")

    def __init__(
        self,
        resource: str | None = None,
        name: str | None = None,
        *,
        pattern: str = "any",
        principal: str | None = None,
        host: str | None = None,
        operation: str | None = None,
        permission: str | None = None,
    ) -> None:
        self.resource = resource
        self.name = name
        self.pattern = pattern
        self.principal = principal
        self.host = host
        self.operation = operation
        self.permission = permission

    @property
    def numbers(self) -> tuple[int, str | None, int, str | None, str | None, int, int]:
        """The fields of a filter as requests have them."""
        return (
            Resource.ANY if self.resource is None else RESOURCE_NUMBERS[self.resource],
            self.name,
            PATTERN_FILTERS[self.pattern],
            self.principal,
            self.host,
            Operation.ANY if self.operation is None else OPERATION_NUMBERS[self.operation],
            Permission.ANY if self.permission is None else PERMISSION_NUMBERS[self.permission],
        )


def describe_request(asked: AclFilter) -> DescribeAclsRequest:
    return DescribeAclsRequest(*asked.numbers)


def delete_filter(asked: AclFilter) -> DeleteAclsFilter:
    return DeleteAclsFilter(*asked.numbers)


def creation(acl: Acl) -> AclCreation:
    return AclCreation(
        RESOURCE_NUMBERS[acl.resource],
        acl.name,
        PATTERN_NUMBERS[acl.pattern],
        acl.principal,
        acl.host,
        OPERATION_NUMBERS[acl.operation],
        PERMISSION_NUMBERS[acl.permission],
    )


def described(response: DescribeAclsResponse) -> list[Acl]:
    """Every ACL of an answer."""
    return [
        acl_of(resource.resource_type, resource.resource_name, resource.pattern_type, acl)
        for resource in response.resources
        for acl in resource.acls
    ]


def in_order(acls: Iterable[Acl]) -> list[Acl]:
    """By what they are about, then by whom: brokers answer in any order."""
    return sorted(acls, key=lambda acl: (acl.resource, acl.name, acl.pattern, acl.principal, acl.permission, acl.operation, acl.host))


def deleted(row: DeleteAclsMatchingAcl) -> Acl:
    return acl_of(row.resource_type, row.resource_name, row.pattern_type, row)


def acl_of(resource_type: int, name: str, pattern: int, row: object) -> Acl:
    """A number that a newer broker has and this version does not know is shown as it is."""
    principal, host, operation, permission = (getattr(row, field) for field in ("principal", "host", "operation", "permission_type"))
    return Acl(
        RESOURCE_WORDS.get(resource_type, str(resource_type)),
        name,
        principal,
        OPERATION_WORDS.get(operation, str(operation)),
        pattern=PATTERN_WORDS.get(pattern, str(pattern)),
        host=host,
        permission=PERMISSION_WORDS.get(permission, str(permission)),
    )
