"""ev quota: how much users, clients and addresses may have of a cluster."""

from __future__ import annotations

from ev_cli import output
from ev_cli.actions.config import pairs
from ev_cli.actions.several import report
from ev_cli.failures import DONE, NOT_FOUND, Failure, UsageFailure
from ev_cli.inverses import quota_change
from ev_cli.journal import undoable
from ev_cli.naming import nearest
from ev_cli.plans import Plan
from ev_cli.session import Session
from ev_cli.sizes import number_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KINDS = ("user", "client-id", "ip")
KEYS = ("producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate", "connection_creation_rate")


def list_quotas(options: Any) -> int:
    session = Session(options)
    entity = _entity(options)
    with session.admin() as admin:
        quotas = admin.quotas(entity, strict=options.strict)
    table = output.Table(("entity", "quota", "value"))
    for quota in quotas:
        for key, value in quota.values.items():
            table.add(entity=_text(quota.entity), quota=key, value=_number(value), names=quota.entity)
    output.show(table, options)
    return DONE


def set_quota(options: Any) -> int:
    session = Session(options)
    entity = _named(options)
    texts = pairs([*options.values, *options.configs], "KEY=VALUE")
    if not texts:
        raise UsageFailure("it is not said what to set", f"write KEY=VALUE with KEY one of {', '.join(KEYS)}")
    values = {_key(key): number_of(text, key) for key, text in texts.items()}
    return _change(session, options, entity, values, [])


def unset_quota(options: Any) -> int:
    return _change(Session(options), options, _named(options), {}, [_key(key) for key in options.keys])


def _change(session: Session, options: Any, entity: dict[str, str | None], values: dict[str, float], unset: list[str]) -> int:
    plan = Plan(session, options, ("entity", "quota", "now", "then"))
    with session.admin() as admin:
        now = next((quota.values for quota in admin.quotas(entity, strict=True) if quota.entity == entity), {})
        if not values:
            unset = unset or list(now)
            missing = [key for key in unset if key not in now]
            if missing or not unset:
                what = f"quota {missing[0]!r}" if missing else "quota"
                raise Failure(f"{_text(entity)} has no {what} on {session.where}", "`ev quota list` shows what is there", code=NOT_FOUND)
        for key, value in values.items():
            plan.add(entity=_text(entity), quota=key, now=_number(now.get(key)), then=_number(value))
        for key in unset:
            plan.add(entity=_text(entity), quota=key, now=_number(now.get(key)), then=None)
        if options.dry_run:
            outcome = admin.alter_quotas(entity, values, unset=unset, validate_only=True)
            if outcome.error is None:
                plan.only_shown()
                return DONE
        else:
            inverse = quota_change(f"quotas of {_text(entity)}", entity, now, {**values, **dict.fromkeys(unset)})
            (outcome,) = undoable(session, admin, [inverse], lambda: [admin.alter_quotas(entity, values, unset=unset)])
    outcome.name = _text(entity)
    return report([outcome], "altered quotas of", options, session)


def _entity(options: Any) -> dict[str, str | None]:
    """What is named: kinds with their names, None for the default."""
    found: dict[str, str | None] = {}
    for kind in options.default:
        kind = "client-id" if kind == "client" else kind
        if kind not in KINDS:
            raise UsageFailure(f"--default {kind} is unknown", f"one of {', '.join(KINDS)}")
        found[kind] = None
    for kind, name in (("user", options.user), ("client-id", options.client_id), ("ip", options.ip)):
        if name is None:
            continue
        if kind in found:
            raise UsageFailure(f"--{kind} and --default {kind} contradict each other", "give one of them")
        found[kind] = name
    if "ip" in found and len(found) > 1:
        raise UsageFailure("--ip goes with no --user and no --client-id", "an address has quotas of its own")
    return dict(sorted(found.items()))


def _named(options: Any) -> dict[str, str | None]:
    entity = _entity(options)
    if not entity:
        raise UsageFailure("it is not said whose quotas", "give --user, --client-id, --ip or --default")
    return entity


def _key(text: str) -> str:
    """A quota by Kafka's name; dashes will do. What this version does not know the cluster may."""
    key = text.replace("-", "_")
    near = None if key in KEYS else nearest(key, KEYS)
    if near is not None:
        raise UsageFailure(f"{text!r} is no quota", f"did you mean {near!r}?")
    return key


def _text(entity: dict[str, str | None]) -> str:
    return ",".join(f"{kind}={'(default)' if name is None else name}" for kind, name in entity.items())


def _number(value: float | None) -> float | int | None:
    return None if value is None else int(value) if value == int(value) else value
