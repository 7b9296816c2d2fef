"""ev token: delegation tokens, secrets that stand for a principal for a while. The local engine has none.

The secret of a token is never named on a command line: renew and expire take the id, and ask the cluster for the rest.
"""

from __future__ import annotations

from contextlib import contextmanager

from ev_cli import output
from ev_cli.failures import DONE, FAILED, NOT_FOUND, Failure
from ev_cli.naming import nearest
from ev_cli.plans import Plan
from ev_cli.session import Session
from ev_cli.times import duration_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ev.client.admin import Admin
    from ev.client.delegation import DelegationToken

COLUMNS = ("token", "owner", "renewers", "expires_at")
WIDE = ("issued_at", "max_timestamp", "requester")


def list_tokens(options: Any) -> int:
    session = Session(options)
    with _admin(session) as admin:
        tokens = admin.tokens([_principal(owner) for owner in options.owner] or None)
    table = output.Table(COLUMNS, WIDE)
    for token in tokens:
        table.add(**_row(token))
    output.show(table, options)
    return DONE


def create_token(options: Any) -> int:
    session = Session(options)
    lifetime_ms = -1 if options.lifetime is None else duration_ms(options.lifetime, "--max-lifetime")
    owner = None if options.owner is None else _principal(options.owner)
    plan = Plan(session, options, ("owner", "renewers", "max_lifetime_ms"))
    renewers = [_principal(name) for name in options.renewer]
    plan.add(owner=owner, renewers=renewers, max_lifetime_ms=lifetime_ms if lifetime_ms >= 0 else None)
    with _admin(session) as admin:
        if options.dry_run:
            admin.tokens()  # whether it has tokens at all
            plan.only_shown()
            return DONE
        token = admin.create_token(renewers=renewers, owner=owner, max_lifetime_ms=lifetime_ms)
    import base64

    table = output.Table(("token", "secret", "owner", "renewers", "expires_at"), WIDE)
    table.add(**{"secret": base64.b64encode(token.hmac).decode(), **_row(token)})
    output.show(table, options, one=True)
    return DONE


def renew_token(options: Any) -> int:
    session = Session(options)
    period_ms = -1 if options.period is None else duration_ms(options.period, "--for")
    with _admin(session) as admin:
        token = _token(admin, options.token, session)
        plan = Plan(session, options, COLUMNS, WIDE)
        plan.add(**_row(token))
        if plan.only_shown():
            return DONE
        expires_ms = admin.renew_token(token.hmac, period_ms)
    return _changed(token, expires_ms, options)


def expire_token(options: Any) -> int:
    session = Session(options)
    period_ms = -1 if options.period is None else duration_ms(options.period, "--after")
    with _admin(session) as admin:
        token = _token(admin, options.token, session)
        plan = Plan(session, options, COLUMNS, WIDE)
        plan.add(**_row(token))
        if plan.only_shown():
            return DONE
        plan.agree(f"end token {output.safe(token.token_id)} of {output.safe(token.owner)} on {session.where}")
        expires_ms = admin.expire_token(token.hmac, period_ms)
    return _changed(token, expires_ms, options)


@contextmanager
def _admin(session: Session) -> Iterator[Admin]:
    """The admin client; a broker that knows no tokens is one clear line."""
    from ev.errors import ErrorCode, KafkaError, UnsupportedApiError

    refused = f"delegation tokens are not supported by {session.where}"
    try:
        with session.admin() as admin:
            yield admin
    except UnsupportedApiError:
        hint = "they are for clusters: name one with -b or -C" if session.target.is_local else "its brokers do not know them"
        raise Failure(refused, hint, code=FAILED) from None
    except KafkaError as error:
        if error.code == ErrorCode.DELEGATION_TOKEN_AUTH_DISABLED:
            raise Failure(refused, "its brokers have no delegation.token.secret.key") from None
        if error.code == ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED:
            hint = "use a context with SASL (not with a token itself) or TLS with a certificate of the client"
            raise Failure(f"{session.where} takes no requests about tokens over this connection", hint, code=5) from None
        raise


def _token(admin: Admin, token_id: str, session: Session) -> DelegationToken:
    tokens = {token.token_id: token for token in admin.tokens()}
    if token_id not in tokens:
        near = nearest(token_id, tokens)
        hint = f"did you mean {near!r}?" if near else "`ev token list` shows those that we may see"
        raise Failure(f"no token {token_id!r} on {session.where}", hint, code=NOT_FOUND)
    return tokens[token_id]


def _changed(token: DelegationToken, expires_ms: int, options: Any) -> int:
    token.expires_ms = expires_ms
    table = output.Table(COLUMNS, WIDE)
    table.add(**_row(token))
    output.show(table, options, one=True)
    return DONE


def _principal(name: str) -> str:
    return name if ":" in name else f"User:{name}"


def _row(token: DelegationToken) -> dict[str, Any]:
    return {
        "token": token.token_id,
        "owner": token.owner,
        "renewers": token.renewers,
        "expires_at": token.expires_ms,
        "issued_at": token.issued_ms,
        "max_timestamp": token.max_ms,
        "requester": token.requester,
    }
