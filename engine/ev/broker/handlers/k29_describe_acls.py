"""DescribeAcls (29): the ACLs that a filter fits, gathered by the resource that they are about.

Versions 1-3. Without an authorizer the answer is SECURITY_DISABLED, as Kafka's is. A filter with numbers that are not known is refused
with INVALID_REQUEST, where Kafka closes the connection.

v1 prefixed patterns, v2 flexible, v3 users as resources.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ev.broker.acls import AclFilter
from ev.errors import ErrorCode, error_message
from ev.wire.acls import Operation
from ev.wire.messages.k29_describe_acls import AclDescription, DescribeAclsRequest, DescribeAclsResource, DescribeAclsResponse

if TYPE_CHECKING:
    from ev.broker.acls import Acl
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.wire.messages.k31_delete_acls import DeleteAclsFilter

KEY = 29
VERSIONS = (1, 3)
NO_AUTHORIZER: Final = "No Authorizer is configured"
UNKNOWN_ELEMENTS: Final = "The filter contains unknown elements"


def handle(broker: Broker, call: Call) -> None:
    request: DescribeAclsRequest = call.request
    if not broker.allows_on_cluster(call, Operation.DESCRIBE):
        code = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        call.reply(DescribeAclsResponse(error_code=code, error_message=error_message(code)))
        return
    if broker.authorizer is None:
        call.reply(DescribeAclsResponse(error_code=ErrorCode.SECURITY_DISABLED, error_message=f"{NO_AUTHORIZER} on the broker"))
        return
    asked = asked_filter(request)
    if asked.is_unknown:
        call.reply(DescribeAclsResponse(error_code=ErrorCode.INVALID_REQUEST, error_message=UNKNOWN_ELEMENTS))
        return
    resources: dict[tuple[int, str, int], DescribeAclsResource] = {}
    for acl in broker.acls.fitting(asked):
        resource = resources.setdefault(
            acl[:3],
            DescribeAclsResource(resource_type=acl.resource_type, resource_name=acl.name, pattern_type=acl.pattern, acls=[]),
        )
        resource.acls.append(described(acl))
    call.reply(DescribeAclsResponse(resources=list(resources.values())), broker.metadata_round)


def described(acl: Acl) -> AclDescription:
    return AclDescription(principal=acl.principal, host=acl.host, operation=acl.operation, permission_type=acl.permission)


def asked_filter(asked: DescribeAclsRequest | DeleteAclsFilter) -> AclFilter:
    return AclFilter(
        asked.resource_type_filter,
        asked.resource_name_filter,
        asked.pattern_type_filter,
        asked.principal_filter,
        asked.host_filter,
        asked.operation,
        asked.permission_type,
    )
