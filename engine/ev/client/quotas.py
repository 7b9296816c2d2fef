"""What an admin client asks about quotas: how much users, clients and addresses may have of a broker."""

from __future__ import annotations

from ev.client.questions import Questions
from ev.client.results import Outcome, Result
from ev.client.routing import ask_controller
from ev.errors import KafkaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import EllipsisType

QUOTA_KINDS = ("user", "client-id", "ip")
_EXACT, _DEFAULT, _ANY = 0, 1, 2


class Quota(Result):
    """The quotas of one entity: a user, a client id, both, or an address. A name of None stands for all that have none of their own."""

    __slots__ = ("entity", "values")

    def __init__(self, entity: dict[str, str | None], values: dict[str, float]) -> None:
        self.entity = entity
        self.values = values


class QuotaQuestions(Questions):
    """The family of questions about quotas."""

    def quotas(self, where: Mapping[str, str | EllipsisType | None] | None = None, *, strict: bool = False) -> list[Quota]:
        """The quotas of entities with these kinds and names: None is the default's, ... that of anybody. `strict`: with no other kind."""
        from ev.wire.messages.k48_describe_client_quotas import ComponentData, DescribeClientQuotasRequest  # noqa: PLC0415

        components = [
            ComponentData(kind, _ANY if name is ... else _DEFAULT if name is None else _EXACT, name if isinstance(name, str) else None)
            for kind, name in (where or {}).items()
        ]
        answer = self._call(DescribeClientQuotasRequest(components, strict), None)
        found = [
            Quota(
                dict(sorted((part.entity_type, part.entity_name) for part in row.entity)),
                dict(sorted((value.key, value.value) for value in row.values)),
            )
            for row in answer.entries or ()
        ]
        return sorted(found, key=lambda quota: [(kind, name is not None, name or "") for kind, name in quota.entity.items()])

    def alter_quotas(
        self,
        entity: Mapping[str, str | None],
        values: Mapping[str, float] | None = None,
        *,
        unset: Iterable[str] = (),
        validate_only: bool = False,
    ) -> Outcome:
        """Give an entity these quotas, take those in `unset` from it, and leave its others."""
        from ev.wire.messages.k49_alter_client_quotas import (  # noqa: PLC0415
            AlterClientQuotasRequest,
            EntityData,
            OpData,
            RequestEntryData,
        )

        changes = [OpData(key, value, False) for key, value in (values or {}).items()] + [OpData(key, 0.0, True) for key in unset]
        entry = RequestEntryData([EntityData(kind, name) for kind, name in entity.items()], changes)
        request = AlterClientQuotasRequest([entry], validate_only)
        answer = ask_controller(self._cluster, request, lambda response: [row.error_code for row in response.entries], self.timeout_ms)
        row = answer.entries[0]
        return Outcome(entity_text(entity), KafkaError(row.error_code, row.error_message) if row.error_code else None)


def entity_text(entity: Mapping[str, str | None]) -> str:
    """An entity for a person."""
    return ", ".join(f"{kind} {'(default)' if name is None else name}" for kind, name in entity.items())
