"""Client quotas over a socket: set, taken away, described."""

from __future__ import annotations

from collections.abc import Mapping

from ev.wire.messages.k48_describe_client_quotas import ComponentData, DescribeClientQuotasRequest
from ev.wire.messages.k49_alter_client_quotas import AlterClientQuotasRequest, EntityData, OpData, RequestEntryData
from support.raw_transactions import Ask
from support.waiting import wait_for

Entity = Mapping[str, str | None]
Told = list[tuple[Entity, dict[str, float]]]


def altered(ask: Ask, *entries: tuple[Entity, Mapping[str, float | None]], validate_only: bool = False) -> list[tuple[int, str | None]]:
    """(error code, message) for each entity of the answer; a quota of None is taken away."""
    asked = [
        RequestEntryData(
            [EntityData(kind, name) for kind, name in entity.items()],
            [OpData(key, value or 0.0, value is None) for key, value in quotas.items()],
        )
        for entity, quotas in entries
    ]
    answer = ask(AlterClientQuotasRequest(asked, validate_only), 1)
    return [(entry.error_code, entry.error_message) for entry in answer.entries]


def described(ask: Ask, *components: ComponentData, strict: bool = False) -> Told:
    """What is set for the entities that the filter takes, in order."""
    answer = ask(DescribeClientQuotasRequest(list(components), strict), 1)
    assert answer.error_code == 0, answer.error_message
    told = [
        ({part.entity_type: part.entity_name for part in entry.entity}, {value.key: value.value for value in entry.values})
        for entry in answer.entries
    ]
    return sorted(told, key=lambda each: sorted((kind, name or "") for kind, name in each[0].items()))


def given(ask: Ask, entity: Entity, **quotas: float | None) -> None:
    """Set them, and wait until the broker knows of it: in Kafka that is a moment later."""
    assert altered(ask, (entity, dict(quotas))) == [(0, None)]
    wanted = {key: value for key, value in quotas.items() if value is not None}

    def known() -> bool:
        found = next((told for other, told in described(ask) if other == entity), {})
        return {key: found.get(key) for key in quotas} == {key: wanted.get(key) for key in quotas}

    wait_for(known, f"the quotas of {entity}")


def taken_away(ask: Ask) -> None:
    """Nobody has a quota any more."""
    for entity, quotas in described(ask):
        given(ask, entity, **dict.fromkeys(quotas))
