"""ev cluster health: whether every partition has a leader and all of its replicas, once or again and again."""

from __future__ import annotations

import time

from ev_cli import output
from ev_cli.failures import DONE, UNMET, Interrupted, UsageFailure, as_failure
from ev_cli.interrupts import Interrupts
from ev_cli.session import Session
from ev_cli.times import duration_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ev.client.admin import Admin
    from ev.client.results import ClusterDescription, TopicDescription

LOOK_EVERY_MS = 1000
CHECKS = {
    "reachable": "somebody answers",
    "controller": "there is a controller",
    "brokers": "brokers that are there",
    "brokers_away": "no broker is missing",
    "leaderless": "every partition has a leader",
    "under_min_in_sync": "min.insync.replicas is reached",
    "under_replicated": "all replicas are in sync",
}
SHOWN = 10
"""So many partitions are named in a table; JSON names all."""


def cluster_health(options: Any) -> int:
    output.output_format(options)
    if options.duration is not None and not options.exit_when_healthy:
        raise UsageFailure("--for bounds the wait of --exit-when-healthy", "add -e")
    session = Session(options)
    with session.admin() as admin:
        if not options.exit_when_healthy:
            found = look(admin, session, patient=False)
            _show(found, options)
            return DONE if found["healthy"] else UNMET
        return _wait(admin, options, session)


def _wait(admin: Admin, options: Any, session: Session) -> int:
    """Look until all is well. What is wrong is shown whenever it has changed."""
    until = None if options.duration is None else time.monotonic() + duration_ms(options.duration, "--for") / 1000
    interrupts = Interrupts().install()
    shown: dict[str, Any] | None = None
    try:
        while True:
            found = look(admin, session, patient=True)
            if found != shown:
                _show(found, options)
                shown = found
            if found["healthy"]:
                return DONE
            left_s = LOOK_EVERY_MS / 1000 if until is None else min(LOOK_EVERY_MS / 1000, until - time.monotonic())
            if left_s <= 0:
                return UNMET
            with interrupts.waiting():
                time.sleep(left_s)
    except Interrupted:
        return interrupts.status


def look(admin: Admin, session: Session, *, patient: bool) -> dict[str, Any]:
    """What is wrong, by the names of the partitions. `patient`: a cluster that nobody reaches is not well, and no failure."""
    from ev.errors import TimedOutError, UnreachableError

    try:
        cluster = admin.cluster()
        topics = admin.topics(internal=True)
    except (UnreachableError, TimedOutError) as error:
        if not patient:
            raise
        return {"healthy": False, "reachable": False, "problem": as_failure(error, session.where).message}
    session.verify(cluster.cluster_id)
    return {**judged(cluster, topics, _least_in_sync(admin, topics)), "reachable": True}


def judged(cluster: ClusterDescription, topics: Iterable[TopicDescription], least: dict[str, int]) -> dict[str, Any]:
    """The state of all partitions. `least` has min.insync.replicas of topics that may miss some of theirs."""
    brokers = {broker.node_id for broker in cluster.brokers}
    leaderless, under_replicated, under_minimum, away = [], [], [], set()
    for topic in topics:
        for each in topic.partitions:
            name = f"{topic.name}:{each.index}"
            away.update(set(each.replicas) - brokers)
            if each.leader < 0:
                leaderless.append(name)
            if len(each.in_sync) < len(each.replicas):
                under_replicated.append(name)
            if len(each.in_sync) < min(least.get(topic.name, 1), len(each.replicas)):
                under_minimum.append(name)
    has_controller = cluster.controller_id in brokers
    return {
        "healthy": has_controller and not (leaderless or under_replicated or under_minimum or away),
        "controller": cluster.controller_id if has_controller else None,
        "brokers": sorted(brokers),
        "brokers_away": sorted(away),
        "leaderless": leaderless,
        "under_min_in_sync": under_minimum,
        "under_replicated": under_replicated,
    }


def _least_in_sync(admin: Admin, topics: list[TopicDescription]) -> dict[str, int]:
    """min.insync.replicas of the topics that miss replicas; for the others it does not matter."""
    from ev.errors import KafkaError

    names = [topic.name for topic in topics if any(len(each.in_sync) < len(each.replicas) for each in topic.partitions)]
    if not names:
        return {}
    try:
        described = admin.describe_configs("topic", names, keys=("min.insync.replicas",))
    except KafkaError:
        return {}
    found = {}
    for topic in described:
        entry = topic.entries.get("min.insync.replicas")
        if entry is not None and entry.value is not None and entry.value.isdecimal():
            found[topic.name] = int(entry.value)
    return found


def _show(found: dict[str, Any], options: Any) -> None:
    form = output.output_format(options)
    table = output.Table(("healthy",))
    if form in ("table", "wide", "tsv", "csv", "name"):
        table = output.Table(("check", "ok", "found"))
        rows = {"reachable": found["reachable"] or found.get("problem")}
        if found["reachable"]:
            rows.update({name: found[name] for name in found if name not in ("healthy", "reachable")})
        for name, value in rows.items():
            is_well = value is True or name == "brokers" or value == [] or (name == "controller" and value is not None)
            table.add(check=CHECKS[name], ok=is_well, found=_text(value, form))
    else:
        table.add(**found)
    output.show(table, options, one="healthy" in table.columns)


def _text(value: Any, form: str) -> Any:
    if value is True:
        return None
    if isinstance(value, list) and form in ("table", "wide") and len(value) > SHOWN:
        return f"{len(value)}: {', '.join(map(str, value[:SHOWN]))} …"
    return value if value != [] else None
