"""DescribeClientQuotas (48): the quotas of all entities, or of those that a filter takes.

Versions 0-1. A filter names kinds of entities: each with a name, its default, or whatever it is. Without `strict` an entity may have
other kinds beside those; with it, it has no other. (ClientQuotasImage.describe)

v1 flexible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ev.broker.client_quotas import CLIENT_ID, IP, USER
from ev.errors import ErrorCode, KafkaError
from ev.wire.acls import Operation
from ev.wire.messages.k48_describe_client_quotas import (
    DescribeClientQuotasRequest,
    DescribeClientQuotasResponse,
    EntityData,
    EntryData,
    ValueData,
)

if TYPE_CHECKING:
    from types import EllipsisType

    from ev.broker.broker import Broker
    from ev.broker.runtime import Call
    from ev.wire.messages.k48_describe_client_quotas import ComponentData

KEY = 48
VERSIONS = (0, 1)

EXACT: Final = 0
DEFAULT: Final = 1
SPECIFIED: Final = 2


def handle(broker: Broker, call: Call) -> None:
    request: DescribeClientQuotasRequest = call.request
    try:
        if not broker.allows_on_cluster(call, Operation.DESCRIBE_CONFIGS):
            raise KafkaError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
        wanted = _filter(request)
    except KafkaError as error:
        call.reply(DescribeClientQuotasResponse(error_code=error.code, error_message=error.message, entries=None))
        return
    entries = []
    for entity, quotas in broker.client_quotas:
        parts = dict(entity.parts())
        if _takes(wanted, parts, strict=request.strict):
            named = [EntityData(kind, name) for kind, name in parts.items()]
            entries.append(EntryData(named, [ValueData(key, value) for key, value in quotas.items()]))
    call.reply(DescribeClientQuotasResponse(entries=entries), broker.metadata_round)


def _filter(request: DescribeClientQuotasRequest) -> dict[str, str | EllipsisType | None]:
    """What is wanted of each kind: a name, None for the default, or anything (...). Raises KafkaError."""
    wanted: dict[str, str | EllipsisType | None] = {}
    for component in request.components:
        kind = component.entity_type
        if not kind:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Invalid empty entity type.")
        if kind in wanted:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Entity type {kind} cannot appear more than once in the filter.")
        if kind not in (USER, CLIENT_ID, IP):
            raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, f"Unsupported entity type {kind}")
        wanted[kind] = _wanted(component)
    if IP in wanted and len(wanted) > 1:
        message = (
            "Invalid entity filter component combination. IP filter component should not be used with user or clientId filter component."
        )
        raise KafkaError(ErrorCode.INVALID_REQUEST, message)
    return wanted


def _wanted(component: ComponentData) -> str | EllipsisType | None:
    kind = component.match_type
    if kind not in (EXACT, DEFAULT, SPECIFIED):
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown match type {kind}")
    if kind == EXACT:
        if component.match is None:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Request specified MATCH_TYPE_EXACT, but set match string to null.")
        return component.match
    if component.match is not None:
        name = "DEFAULT" if kind == DEFAULT else "SPECIFIED"
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Request specified MATCH_TYPE_{name}, but also specified a match string.")
    return None if kind == DEFAULT else ...


def _takes(wanted: dict[str, str | EllipsisType | None], parts: dict[str, str | None], *, strict: bool) -> bool:
    if strict and len(parts) != len(wanted):
        return False
    return all(kind in parts and name in (..., parts[kind]) for kind, name in wanted.items())
