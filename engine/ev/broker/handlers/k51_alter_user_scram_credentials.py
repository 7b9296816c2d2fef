"""AlterUserScramCredentials (51): give users credentials, or take them away.

Version 0. The client computes the salted password; stored are the keys that are made from it. A user may be named once in a request,
whatever the mechanism; what is wrong with one user does not concern the others (ScramControlManager.alterCredentials).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode, KafkaError
from ev.security.credentials import BY_NUMBER, ITERATIONS_MAX, ITERATIONS_MIN, Credential, Mechanism, credential_from
from ev.wire.acls import Operation
from ev.wire.messages.k51_alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse,
    AlterUserScramCredentialsResult,
    ScramCredentialDeletion,
    ScramCredentialUpsertion,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.broker.scram_users import ByMechanism

KEY = 51
VERSIONS = (0, 0)

Change = ScramCredentialDeletion | ScramCredentialUpsertion

SALT_BYTES_MAX = 1024
TWICE = "A user credential cannot be altered twice in the same request"


def handle(broker: Broker, call: Call) -> None:
    request: AlterUserScramCredentialsRequest = call.request
    changed: dict[str, ByMechanism] = {}
    errors: dict[str, KafkaError] = {}
    changes: list[Change] = [*request.deletions, *request.upsertions]
    if not broker.allows_on_cluster(call, Operation.ALTER):
        errors = {change.name: KafkaError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED) for change in changes}
    for change in changes:
        if change.name in errors:
            continue
        try:
            if change.name in changed:
                raise KafkaError(ErrorCode.DUPLICATE_RESOURCE, TWICE)
            changed[change.name] = _changed(broker.scram_users.of(change.name), change)
        except KafkaError as error:
            changed.pop(change.name, None)
            errors[change.name] = error
    try:
        if changed:
            broker.alter_users(changed, call.now_ms)
    except KafkaError as error:
        errors.update(dict.fromkeys(changed, error))
    done = [AlterUserScramCredentialsResult(user=name, error_message=None) for name in changed if name not in errors]
    refused = [AlterUserScramCredentialsResult(name, error.code, error.message) for name, error in errors.items()]
    call.reply(AlterUserScramCredentialsResponse(results=[*done, *refused]), broker.metadata_round)


def _changed(credentials: ByMechanism, change: Change) -> ByMechanism:
    """The user's credentials after the change. Raises KafkaError."""
    if not change.name:
        raise KafkaError(ErrorCode.UNACCEPTABLE_CREDENTIAL, "Username must not be empty")
    mechanism = BY_NUMBER.get(change.mechanism)
    if mechanism is None:
        raise KafkaError(ErrorCode.UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism")
    others = {name: credential for name, credential in credentials.items() if name != mechanism.name}
    if isinstance(change, ScramCredentialUpsertion):
        return {**others, mechanism.name: _credential(mechanism, change)}
    if mechanism.name not in credentials:
        raise KafkaError(ErrorCode.RESOURCE_NOT_FOUND, "Attempt to delete a user credential that does not exist")
    return others


def _credential(mechanism: Mechanism, change: ScramCredentialUpsertion) -> Credential:
    if change.iterations < ITERATIONS_MIN:
        raise KafkaError(ErrorCode.UNACCEPTABLE_CREDENTIAL, "Too few iterations")
    if change.iterations > ITERATIONS_MAX:
        raise KafkaError(ErrorCode.UNACCEPTABLE_CREDENTIAL, "Too many iterations")
    if not 0 < len(change.salt) <= SALT_BYTES_MAX:
        raise KafkaError(ErrorCode.UNACCEPTABLE_CREDENTIAL, f"A salt has from 1 to {SALT_BYTES_MAX} bytes")
    return credential_from(mechanism, bytes(change.salted_password), bytes(change.salt), change.iterations)
