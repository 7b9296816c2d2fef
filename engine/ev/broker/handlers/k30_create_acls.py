"""CreateAcls (30): new ACLs, each answered for itself; one that is there already is no error.

Versions 1-3. The answer leaves when they are on disk, and they count at once.

v1 prefixed patterns, v2 flexible, v3 users as resources.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.broker.acls import Acl
from ev.broker.handlers.k29_describe_acls import NO_AUTHORIZER
from ev.errors import ErrorCode, KafkaError
from ev.wire.acls import Operation
from ev.wire.messages.k30_create_acls import AclCreation, AclCreationResult, CreateAclsRequest, CreateAclsResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 30
VERSIONS = (1, 3)


def handle(broker: Broker, call: Call) -> None:
    request: CreateAclsRequest = call.request
    try:
        check(broker, call)
        results = _created(broker, call, request.creations)
    except KafkaError as error:
        results = [_refused(error) for _ in request.creations]
    call.reply(CreateAclsResponse(results=results), broker.metadata_round)


def check(broker: Broker, call: Call) -> None:
    """Whether ACLs may be changed. Raises KafkaError."""
    if not broker.allows_on_cluster(call, Operation.ALTER):
        raise KafkaError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
    if broker.authorizer is None:
        raise KafkaError(ErrorCode.SECURITY_DISABLED, f"{NO_AUTHORIZER}.")


def _created(broker: Broker, call: Call, creations: list[AclCreation]) -> list[AclCreationResult]:
    """Create those that may be; a result for every one. Raises KafkaError, and then none is created."""
    results = []
    new = []
    for asked in creations:
        acl = Acl(
            asked.resource_type,
            asked.resource_name,
            asked.resource_pattern_type,
            asked.principal,
            asked.host,
            asked.operation,
            asked.permission_type,
        )
        try:
            acl.check()
        except KafkaError as error:
            results.append(_refused(error))
        else:
            new.append(acl)
            results.append(AclCreationResult())
    broker.change_acls(new, (), call.now_ms)
    return results


def _refused(error: KafkaError) -> AclCreationResult:
    return AclCreationResult(error_code=error.code, error_message=error.message)
