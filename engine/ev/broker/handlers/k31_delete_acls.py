"""DeleteAcls (31): whatever filters fit goes, and is named in the answer.

Versions 1-3. The answer leaves when that is on disk. The filters look at the same ACLs: what two of them fit is named twice.

v1 prefixed patterns, v2 flexible, v3 users as resources.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.broker.handlers.k29_describe_acls import UNKNOWN_ELEMENTS, asked_filter
from ev.broker.handlers.k30_create_acls import check
from ev.errors import ErrorCode, KafkaError
from ev.wire.messages.k31_delete_acls import DeleteAclsFilterResult, DeleteAclsMatchingAcl, DeleteAclsRequest, DeleteAclsResponse

if TYPE_CHECKING:
    from ev.broker.acls import Acl
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 31
VERSIONS = (1, 3)


def handle(broker: Broker, call: Call) -> None:
    request: DeleteAclsRequest = call.request
    filters = [asked_filter(each) for each in request.filters]
    try:
        check(broker, call)
        found = [None if asked.is_unknown else broker.acls.fitting(asked) for asked in filters]
        broker.change_acls((), [acl for acls in found if acls for acl in acls], call.now_ms)
    except KafkaError as error:
        results = [_refused(error) for _ in filters]
    else:
        unknown = KafkaError(ErrorCode.INVALID_REQUEST, UNKNOWN_ELEMENTS)
        results = [_refused(unknown) if acls is None else _deleted(acls) for acls in found]
    call.reply(DeleteAclsResponse(filter_results=results), broker.metadata_round)


def _deleted(acls: list[Acl]) -> DeleteAclsFilterResult:
    matching = [
        DeleteAclsMatchingAcl(
            error_message=None,
            resource_type=acl.resource_type,
            resource_name=acl.name,
            pattern_type=acl.pattern,
            principal=acl.principal,
            host=acl.host,
            operation=acl.operation,
            permission_type=acl.permission,
        )
        for acl in acls
    ]
    return DeleteAclsFilterResult(error_message=None, matching_acls=matching)


def _refused(error: KafkaError) -> DeleteAclsFilterResult:
    return DeleteAclsFilterResult(error_code=error.code, error_message=error.message, matching_acls=[])
