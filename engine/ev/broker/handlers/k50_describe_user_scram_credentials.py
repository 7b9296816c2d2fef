"""DescribeUserScramCredentials (50): which users there are, and which mechanisms and iterations each has; never a key.

Version 0. No list of users, or an empty one, means all of them (ScramImage.describe).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ev.errors import ErrorCode, error_message
from ev.security.credentials import BY_NAME
from ev.wire.acls import Operation
from ev.wire.messages.k50_describe_user_scram_credentials import (
    CredentialInfo,
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 50
VERSIONS = (0, 0)


def handle(broker: Broker, call: Call) -> None:
    request: DescribeUserScramCredentialsRequest = call.request
    if not broker.allows_on_cluster(call, Operation.DESCRIBE):
        code = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        call.reply(DescribeUserScramCredentialsResponse(error_code=code, error_message=error_message(code), results=[]))
        return
    asked = Counter(user.name for user in request.users) if request.users else Counter(broker.scram_users.names())
    results = [_described(broker, name, count) for name, count in asked.items()]
    call.reply(DescribeUserScramCredentialsResponse(error_message=None, results=results), broker.metadata_round)


def _described(broker: Broker, name: str, count: int) -> DescribeUserScramCredentialsResult:
    credentials = broker.scram_users.of(name)
    code, message = ErrorCode.NONE, None
    if count > 1:
        message = f"Cannot describe SCRAM credentials for the same user twice in a single request: {name}"
        return DescribeUserScramCredentialsResult(user=name, error_code=ErrorCode.DUPLICATE_RESOURCE, error_message=message)
    if not credentials:
        code = ErrorCode.RESOURCE_NOT_FOUND
        message = f"Attempt to describe a user credential that does not exist: {name}"
    infos = [CredentialInfo(BY_NAME[mechanism].number, credential.iterations) for mechanism, credential in credentials.items()]
    return DescribeUserScramCredentialsResult(user=name, error_code=code, error_message=message, credential_infos=infos)
