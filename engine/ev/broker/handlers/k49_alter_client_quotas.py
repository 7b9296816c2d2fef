"""AlterClientQuotas (49): quotas are set for, or taken from, users, client ids, both together, and addresses.

Versions 0-1. Each entity is answered for itself, once. An address is an IP address as it is written; Kafka takes the name of a host
too, which this broker would have to look up. (ClientQuotaControlManager)

v1 flexible.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from ev.broker.client_quotas import ABSENT, Entity, check_quota, entity_of, refused
from ev.errors import ErrorCode, KafkaError
from ev.wire.acls import Operation
from ev.wire.messages.k49_alter_client_quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasResponse,
    EntityData,
    ResponseEntryData,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.client_quotas import ClientQuotas
    from ev.broker.runtime import Call
    from ev.wire.messages.k49_alter_client_quotas import OpData

KEY = 49
VERSIONS = (0, 1)

Parts = tuple[tuple[str, str | None], ...]


def handle(broker: Broker, call: Call) -> None:
    request: AlterClientQuotasRequest = call.request
    if not broker.allows_on_cluster(call, Operation.ALTER_CONFIGS):
        error = KafkaError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
        call.reply(AlterClientQuotasResponse(entries=[_entry(_parts(entry.entity), error) for entry in request.entries]))
        return
    results: dict[Parts, KafkaError | None] = {}
    changed: dict[Entity, dict[str, float]] = {}
    for entry in request.entries:
        parts = _parts(entry.entity)
        try:
            if parts in results or len({operation.key for operation in entry.ops}) < len(entry.ops):
                raise refused(f"Ignoring duplicate entity {_shown(parts)}")
            entity = _checked_entity(parts)
            changed[entity] = _altered(broker.client_quotas, entity, entry.ops)
            results[parts] = None
        except KafkaError as error:
            results[parts] = error
    changed = {entity: quotas for entity, quotas in changed.items() if quotas != broker.client_quotas.of(entity)}
    if changed and not request.validate_only:
        try:
            broker.set_quotas(changed, call.now_ms)
        except KafkaError as error:
            results = {parts: found or error for parts, found in results.items()}
    call.reply(AlterClientQuotasResponse(entries=[_entry(*result) for result in results.items()]), broker.metadata_round)


def _parts(entity: list[EntityData]) -> Parts:
    """(kind, name) of what the entity has; of a kind that is named twice, the last."""
    return tuple(sorted({each.entity_type: each.entity_name for each in entity}.items()))


def _checked_entity(parts: Parts) -> Entity:
    entity = entity_of(dict(parts))
    if entity.ip not in (ABSENT, None):
        try:
            return Entity(ip=str(ip_address(str(entity.ip))))
        except ValueError:
            raise refused(f"{entity.ip} is not a valid IP or resolvable host.") from None
    return entity


def _altered(quotas: ClientQuotas, entity: Entity, operations: list[OpData]) -> dict[str, float]:
    """All quotas of the entity, as they are to be. Raises KafkaError."""
    new = dict(quotas.of(entity))
    for operation in operations:
        if operation.remove:
            new.pop(operation.key, None)
        else:
            check_quota(entity, operation.key, operation.value)
            new[operation.key] = operation.value
    return new


def _shown(parts: Parts) -> str:
    """As Kafka's messages show an entity."""
    entries = ", ".join(f"{kind}={name if name is not None else 'null'}" for kind, name in parts)
    return f"ClientQuotaEntity(entries={{{entries}}})"


def _entry(parts: Parts, error: KafkaError | None) -> ResponseEntryData:
    code, message = (ErrorCode.NONE, None) if error is None else (error.code, error.message)
    return ResponseEntryData(code, message, [EntityData(kind, name) for kind, name in parts])
