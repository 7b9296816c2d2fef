"""What an admin client asks about delegation tokens: secrets that stand for a principal for a while."""

from __future__ import annotations

from ev.client.questions import Questions
from ev.client.results import Result
from ev.errors import KafkaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


class DelegationToken(Result):
    """A token. Its `hmac` is the password that it stands for, with the id as the name of the user. Times in ms since 1970."""

    __slots__ = ("expires_ms", "hmac", "issued_ms", "max_ms", "owner", "renewers", "requester", "token_id")

    def __init__(
        self,
        token_id: str,
        owner: str,
        requester: str,
        renewers: list[str],
        issued_ms: int,
        expires_ms: int,
        max_ms: int,
        hmac: bytes,
    ) -> None:
        self.token_id = token_id
        self.owner = owner
        self.requester = requester
        self.renewers = renewers
        self.issued_ms = issued_ms
        self.expires_ms = expires_ms
        self.max_ms = max_ms
        self.hmac = hmac

    def __repr__(self) -> str:
        return f"DelegationToken({self.token_id!r}, owner={self.owner!r})"


class TokenQuestions(Questions):
    """The family of questions about delegation tokens. UnsupportedApiError where the brokers have none."""

    def tokens(self, owners: Iterable[str] | None = None) -> list[DelegationToken]:
        """The tokens that we may see; of these owners, or of all. An owner is written User:NAME."""
        from ev.wire.messages.k41_describe_delegation_token import (  # noqa: PLC0415
            DescribeDelegationTokenOwner,
            DescribeDelegationTokenRequest,
        )

        asked = None if owners is None else [DescribeDelegationTokenOwner(*principal_parts(owner)) for owner in owners]
        answer = self._call(DescribeDelegationTokenRequest(asked), None)
        found = [
            DelegationToken(
                row.token_id,
                f"{row.principal_type}:{row.principal_name}",
                requester_of(row),
                [f"{renewer.principal_type}:{renewer.principal_name}" for renewer in row.renewers],
                row.issue_timestamp,
                row.expiry_timestamp,
                row.max_timestamp,
                bytes(row.hmac),
            )
            for row in answer.tokens
        ]
        return sorted(found, key=lambda token: (token.issued_ms, token.token_id))

    def create_token(self, *, renewers: Iterable[str] = (), owner: str | None = None, max_lifetime_ms: int = -1) -> DelegationToken:
        """A new token for us, or for an owner whom we may speak for. -1: as long as the cluster lets it live."""
        from ev.wire.messages.k38_create_delegation_token import CreatableRenewers, CreateDelegationTokenRequest  # noqa: PLC0415

        may_renew = list(renewers)
        kind, name = (None, None) if owner is None else principal_parts(owner)
        request = CreateDelegationTokenRequest(
            kind,
            name,
            [CreatableRenewers(*principal_parts(renewer)) for renewer in may_renew],
            max_lifetime_ms,
        )
        row = self._call(request, None)
        return DelegationToken(
            row.token_id,
            f"{row.principal_type}:{row.principal_name}",
            requester_of(row),
            may_renew,
            row.issue_timestamp_ms,
            row.expiry_timestamp_ms,
            row.max_timestamp_ms,
            bytes(row.hmac),
        )

    def renew_token(self, hmac: bytes, period_ms: int = -1) -> int:
        """Let a token live for so long from now; -1: for as long as the cluster renews. Returns when it expires."""
        from ev.wire.messages.k39_renew_delegation_token import RenewDelegationTokenRequest  # noqa: PLC0415

        expires_ms: int = self._call(RenewDelegationTokenRequest(hmac, period_ms), None).expiry_timestamp_ms
        return expires_ms

    def expire_token(self, hmac: bytes, period_ms: int = -1) -> int:
        """Let a token end so long from now; -1: at once. Returns when it expires."""
        from ev.wire.messages.k40_expire_delegation_token import ExpireDelegationTokenRequest  # noqa: PLC0415

        expires_ms: int = self._call(ExpireDelegationTokenRequest(hmac, period_ms), None).expiry_timestamp_ms
        return expires_ms


def principal_parts(principal: str) -> tuple[str, str]:
    kind, colon, name = principal.partition(":")
    if not colon or not name:
        raise KafkaError(67, f"{principal!r} is no principal: User:NAME is expected")
    return kind, name


def requester_of(row: Any) -> str:
    """Who asked for the token; older brokers do not say it, and there it is the owner."""
    name = row.token_requester_principal_name
    return f"{row.token_requester_principal_type}:{name}" if name else f"{row.principal_type}:{row.principal_name}"
