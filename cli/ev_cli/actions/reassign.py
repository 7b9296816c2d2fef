"""ev reassign: partitions move from brokers to brokers, as a plan says."""

from __future__ import annotations

import time

from ev_cli import output
from ev_cli.failures import DONE, Failure, Interrupted, UsageFailure, as_failure, heavier
from ev_cli.interrupts import Interrupts
from ev_cli.partitions import broker_id, check_brokers, check_named, named_partitions, partition_text
from ev_cli.placing import placed
from ev_cli.plans import Plan
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from ev.client.admin import Admin
    from ev.errors import KafkaError

    Partition = tuple[str, int]
    Placement = Mapping[Partition, Sequence[int]]

VERSION = 1
LOOK_EVERY_MS = 500


def list_reassignments(options: Any) -> int:
    session = Session(options)
    with session.admin() as admin:
        found = admin.reassignments(_named(admin, options, session) if options.partitions else None)
    table = output.Table(("partition", "replicas", "adding", "removing"))
    for partition, moving in found.items():
        table.add(partition=partition_text(partition), replicas=moving.replicas, adding=moving.adding, removing=moving.removing)
    output.show(table, options)
    return DONE


def _named(admin: Admin, options: Any, session: Session) -> list[Partition]:
    topics = {topic.name: topic for topic in admin.topics(internal=True)}
    return named_partitions(options.partitions or list(topics), topics, session.where)


def _current(admin: Admin) -> dict[Partition, list[int]]:
    return {(topic.name, each.index): each.replicas for topic in admin.topics(internal=True) for each in topic.partitions}


def plan_reassignment(options: Any) -> int:
    session = Session(options)
    if options.replicas is not None and options.replicas < 1:
        raise UsageFailure("--replication-factor takes a number from 1 on")
    check_brokers(text for item in (options.brokers or "", *options.away_from) for text in item.split(",") if text)
    check_named(options.partitions)
    with session.admin() as admin:
        brokers = {broker.node_id: broker.rack for broker in admin.cluster().brokers}
        wanted = [broker_id(text, brokers, session) for text in (options.brokers or "").split(",") if text] or sorted(brokers)
        away = {broker_id(text, brokers, session) for item in options.away_from for text in item.split(",")}
        targets = [broker for broker in wanted if broker not in away]
        if not targets:
            raise UsageFailure("no broker is left that could have them", f"there are {', '.join(map(str, sorted(brokers)))}")
        current = _current(admin)
        chosen = {partition: current[partition] for partition in _named(admin, options, session)}
    most = options.replicas or max((len(have) for have in chosen.values()), default=0)
    if most > len(targets):
        raise Failure(
            f"{most} replicas need as many brokers, and there are {len(targets)}", "name more with --brokers, or give --replication-factor"
        )
    then = placed(chosen, targets, replicas=options.replicas, racks=brokers)
    moves = {partition: brokers_of for partition, brokers_of in then.items() if brokers_of != list(chosen[partition])}
    if options.file is not None:
        _write(options.file, moves)
        session.talk(f"wrote {options.file}: `ev reassign run {options.file}` begins")
    _show(chosen, moves, options)
    if not moves:
        session.talk(f"nothing has to move on {session.where}")
    return DONE


def _show(current: Placement, moves: Placement, options: Any) -> None:
    table = output.Table(("partition", "now", "then"))
    for partition, brokers in moves.items():
        table.add(partition=partition_text(partition), now=list(current[partition]), then=list(brokers))
    output.show(table, options)


def run_reassignment(options: Any) -> int:
    moves = _read(options.file)
    session = Session(options)
    with session.admin() as admin:
        current = _current(admin)
        there = [broker.node_id for broker in admin.cluster().brokers]
        for partition, brokers in moves.items():
            if partition not in current:
                raise Failure(f"no partition {partition_text(partition)} on {session.where}", f"{options.file} names it", code=3)
            for broker in brokers:
                broker_id(str(broker), there, session)
        plan = Plan(session, options, ("partition", "now", "then"))
        for partition, brokers in moves.items():
            plan.add(partition=partition_text(partition), now=list(current[partition]), then=list(brokers))
        if plan.only_shown():
            return DONE
        plan.agree(f"move {len(moves)} partition{'' if len(moves) == 1 else 's'} on {session.where}")
        if options.rollback is not None:
            _write(options.rollback, {partition: current[partition] for partition in moves})
            session.talk(f"wrote {options.rollback}, which leads back")
        status = _told(admin.alter_reassignments(moves), "moving", session)
        if options.wait and status == DONE:
            status = _wait(admin, list(moves), session)
    return status


def _wait(admin: Admin, partitions: list[Partition], session: Session) -> int:
    """Until none of them moves any more."""
    interrupts = Interrupts().install()
    left = len(partitions)
    shows = output.is_terminal(2) and not session.options.quiet
    try:
        while left:
            left = len(admin.reassignments(partitions))
            if shows:
                output.say_unfinished(f"\r{len(partitions) - left} of {len(partitions)} partitions have moved ")
            if left:
                with interrupts.waiting():
                    time.sleep(LOOK_EVERY_MS / 1000)
    except Interrupted:
        session.talk("the moves go on without us: `ev reassign list` shows them, `ev reassign cancel` gives them up")
        return interrupts.status
    finally:
        if shows:
            output.say("")
    session.talk(f"all {len(partitions)} have moved on {session.where}")
    return DONE


def cancel_reassignments(options: Any) -> int:
    session = Session(options)
    with session.admin() as admin:
        moving = admin.reassignments(_named(admin, options, session) if options.partitions else None)
        plan = Plan(session, options, ("partition", "replicas", "adding", "removing"))
        for partition, each in moving.items():
            plan.add(partition=partition_text(partition), replicas=each.replicas, adding=each.adding, removing=each.removing)
        if plan.only_shown():
            return DONE
        if not moving:
            session.talk(f"nothing moves on {session.where}")
            return DONE
        plan.agree(f"give up {len(moving)} move{'' if len(moving) == 1 else 's'} on {session.where}")
        return _told(admin.alter_reassignments(dict.fromkeys(moving)), "cancelled", session)


def _told(errors: Mapping[Partition, KafkaError | None], done: str, session: Session) -> int:
    status = DONE
    for partition, error in errors.items():
        name = output.safe(partition_text(partition))
        if error is None:
            session.talk(f"{done} {name} on {session.where}")
            continue
        failure = as_failure(error, session.where)
        output.say(f"ev: {name}: {output.safe(failure.line())}")
        status = heavier(status, failure.code)
    return status


# -- plans in files, in the form of kafka-reassign-partitions --------------------------------------------------------------------


def _write(path: str, moves: Placement) -> None:
    import json

    rows = [{"topic": topic, "partition": index, "replicas": list(brokers)} for (topic, index), brokers in moves.items()]
    text = json.dumps({"version": VERSION, "partitions": rows}, indent=1) + "\n"
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}") from None


def _read(path: str) -> dict[Partition, list[int]]:
    import json
    import sys

    try:
        if path == "-":
            output.need_stdin()
            text = sys.stdin.read()
        else:
            with open(path, encoding="utf-8") as file:
                text = file.read()
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}") from None
    try:
        return parsed(json.loads(text))
    except ValueError as error:
        raise Failure(f"{path} is no plan: {error}", "`ev reassign plan -O FILE` writes one") from None


def parsed(content: Any) -> dict[Partition, list[int]]:
    """What a file of a plan says. ValueError tells what is wrong with it."""
    rows = content.get("partitions") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise ValueError('it has no list "partitions"')
    found: dict[Partition, list[int]] = {}
    for number, row in enumerate(rows, 1):
        topic, index, brokers = (row.get(name) if isinstance(row, dict) else None for name in ("topic", "partition", "replicas"))
        is_list = isinstance(brokers, list) and bool(brokers) and all(isinstance(broker, int) for broker in brokers)
        if not (isinstance(topic, str) and isinstance(index, int) and isinstance(brokers, list) and is_list):
            raise ValueError(f"entry {number} needs a topic, a partition and a list of replicas")
        if (topic, index) in found:
            raise ValueError(f"entry {number} names {topic}:{index} again")
        found[topic, index] = brokers
    return found
