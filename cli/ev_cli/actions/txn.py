"""ev txn: which transactions there are, what they are doing, and an end for those that hang.

A transaction hangs when a partition knows it as open and no coordinator is going to end it: readers of committed records do not get
past its beginning. It is found by asking the partitions for producers with an open transaction that have written nothing for long, and
the coordinators what they know of them.
"""

from __future__ import annotations

import time

from ev_cli import output
from ev_cli.failures import DONE, NOT_FOUND, Failure, UsageFailure, as_failure, heavier
from ev_cli.naming import matching, nearest
from ev_cli.partitions import check_named, named_partitions, partition_text
from ev_cli.plans import Plan
from ev_cli.session import Session
from ev_cli.times import duration_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev.client.admin import Admin
    from ev.client.coordinated import ActiveProducer, TransactionDescription

    Partition = tuple[str, int]

STATES = ("Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "PrepareEpochFence", "Dead")
TRANSACTIONAL_ID_NOT_FOUND = 105
OPEN = ("Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence")
HANGING_COLUMNS = ("partition", "producer_id", "producer_epoch", "first_offset", "last_write")


def list_transactions(options: Any) -> int:
    session = Session(options)
    _check_hanging(options)
    if options.hanging:
        with session.admin() as admin:
            hanging = _hanging(admin, options, session)
        table = output.Table(HANGING_COLUMNS)
        for partition, producer in hanging:
            table.add(**_hanging_row(partition, producer))
        output.show(table, options)
        return DONE
    longer_than_ms = -1 if options.open_for is None else duration_ms(options.open_for, "--open-for")
    states = [_state(text) for text in options.state]
    producer_ids = [] if options.producer_id is None else [options.producer_id]
    with session.admin() as admin:
        found = admin.transactions(states=states, producer_ids=producer_ids, longer_than_ms=longer_than_ms)
    listings = {listing.transactional_id: listing for listing in found}
    table = output.Table(("transactional_id", "state", "producer_id", "coordinator"))
    for name in matching(options.patterns, listings, regex=options.regex):
        one = listings[name]
        table.add(transactional_id=name, state=one.state, producer_id=one.producer_id, coordinator=one.coordinator)
    output.show(table, options)
    return DONE


def _state(text: str) -> str:
    """A state by Kafka's spelling: prepare-commit is PrepareCommit."""
    known = {state.lower(): state for state in STATES}
    state = known.get(text.lower().replace("-", "").replace("_", ""))
    if state is None:
        raise UsageFailure(f"--state {text} is unknown", f"one of {', '.join(STATES)}")
    return state


def describe_transactions(options: Any) -> int:
    session = Session(options)
    with session.admin() as admin:
        described = _known(admin, options.ids, session)
    now_ms = int(time.time() * 1000)
    table = output.Table(
        ("transactional_id", "state", "producer_id", "producer_epoch", "timeout_ms", "started_ms", "partitions"), ("coordinator", "open_ms")
    )
    for one in described:
        table.add(
            transactional_id=one.transactional_id,
            state=one.state,
            producer_id=one.producer_id,
            producer_epoch=one.producer_epoch,
            timeout_ms=one.timeout_ms,
            started_ms=one.started_ms if one.started_ms >= 0 else None,
            partitions=[partition_text(partition) for partition in one.partitions],
            coordinator=one.coordinator,
            open_ms=max(0, now_ms - one.started_ms) if one.started_ms >= 0 and one.state in OPEN else None,
        )
    output.show(table, options, one=len(described) == 1)
    return DONE


def _known(admin: Admin, ids: list[str], session: Session) -> list[TransactionDescription]:
    """Each of these, or the failure of one that is not there."""
    described = admin.describe_transactions(ids)
    for one in described:
        if one.error is None:
            continue
        if one.error.code != TRANSACTIONAL_ID_NOT_FOUND:
            raise one.error
        near = nearest(one.transactional_id, [listing.transactional_id for listing in admin.transactions()])
        hint = f"did you mean {near!r}?" if near else "`ev txn list` shows what is there"
        raise Failure(f"no transactional id {one.transactional_id!r} on {session.where}", hint, code=NOT_FOUND)
    return described


def list_producers(options: Any) -> int:
    session = Session(options)
    with session.admin() as admin:
        topics = {topic.name: topic for topic in admin.topics(internal=True)}
        found = admin.producers(named_partitions(options.partitions, topics, session.where))
    table = output.Table(
        ("partition", "producer_id", "producer_epoch", "last_sequence", "last_write", "first_offset"), ("coordinator_epoch",)
    )
    status = DONE
    for partition, producers in found.items():
        if producers.error is not None:
            failure = as_failure(producers.error, session.where)
            output.say(f"ev: {output.safe(partition_text(partition))}: {output.safe(failure.line())}")
            status = heavier(status, failure.code)
        for producer in producers.producers:
            if producer.started_at is not None or not options.open_only:
                row = _hanging_row(partition, producer)
                table.add(
                    **row,
                    last_sequence=producer.last_sequence,
                    coordinator_epoch=producer.coordinator_epoch if producer.coordinator_epoch >= 0 else None,
                )
    output.show(table, options)
    return status


def _hanging_row(partition: Partition, producer: ActiveProducer) -> dict[str, Any]:
    return {
        "partition": partition_text(partition),
        "producer_id": producer.producer_id,
        "producer_epoch": producer.producer_epoch,
        "first_offset": producer.started_at,
        "last_write": producer.last_timestamp if producer.last_timestamp >= 0 else None,
    }


def _check_hanging(options: Any) -> None:
    """What only --hanging asks for, before anybody is asked."""
    check_named(options.topics)
    if options.older_than is not None:
        duration_ms(options.older_than, "--older-than")
    if not options.hanging and (options.topics or options.older_than is not None):
        raise UsageFailure("-t and --older-than are about transactions that hang", "add --hanging")


def _hanging(admin: Admin, options: Any, session: Session) -> list[tuple[Partition, ActiveProducer]]:
    """What hangs in the topics that were named, or in all."""
    from ev.client.coordinated import HANGING_AFTER_MS, knows

    older_than_ms = HANGING_AFTER_MS if options.older_than is None else duration_ms(options.older_than, "--older-than")
    topics = {topic.name: topic for topic in admin.topics(internal=True)}
    partitions = named_partitions(options.topics or list(topics), topics, session.where)
    latest_ms = int(time.time() * 1000) - older_than_ms
    suspects = [
        (partition, producer)
        for partition, found in admin.producers(partitions).items()
        for producer in found.producers
        if producer.started_at is not None and producer.last_timestamp <= latest_ms
    ]
    if not suspects:
        return []
    listed = admin.transactions(producer_ids={producer.producer_id for _, producer in suspects})
    described = admin.describe_transactions([listing.transactional_id for listing in listed])
    return [(partition, producer) for partition, producer in suspects if not any(knows(each, producer, partition) for each in described)]


def abort_transactions(options: Any) -> int:
    if bool(options.ids) == bool(options.hanging):
        raise UsageFailure("it is not said what to abort", "give transactional ids, or --hanging")
    _check_hanging(options)
    session = Session(options)
    with session.admin() as admin:
        return _abort_hanging(admin, options, session) if options.hanging else _abort_ids(admin, options, session)


def _abort_hanging(admin: Admin, options: Any, session: Session) -> int:
    found = _hanging(admin, options, session)
    plan = Plan(session, options, HANGING_COLUMNS)
    for partition, producer in found:
        plan.add(**_hanging_row(partition, producer))
    if plan.only_shown():
        return DONE
    if not found:
        session.talk(f"nothing hangs on {session.where}")
        return DONE
    plan.agree(f"abort {len(found)} hanging transaction{'' if len(found) == 1 else 's'} on {session.where}")
    status = DONE
    for partition, producer in found:
        name = f"producer {producer.producer_id} in {partition_text(partition)}"
        error = admin.abort_in_partition(partition, producer)
        status = heavier(status, _told(name, error, session))
    return status


def _abort_ids(admin: Admin, options: Any, session: Session) -> int:
    described = _known(admin, options.ids, session)
    plan = Plan(session, options, ("transactional_id", "state", "producer_id", "partitions"))
    for one in described:
        names = [partition_text(partition) for partition in one.partitions]
        plan.add(transactional_id=one.transactional_id, state=one.state, producer_id=one.producer_id, partitions=names)
    if plan.only_shown():
        return DONE
    ids = ", ".join(output.safe(one.transactional_id) for one in described)
    plan.agree(f"fence the producers of {ids} on {session.where} and abort what they have open")
    status = DONE
    for one in described:
        status = heavier(status, _told(one.transactional_id, _fence(one, session), session))
    return status


def _fence(one: TransactionDescription, session: Session) -> Any:
    """Be its producer for a moment: whoever has the id is fenced then, and what is open is aborted. The error, if there is one."""
    from ev.errors import EvError

    producer = session.producer(transactional_id=one.transactional_id, transaction_timeout_ms=max(one.timeout_ms, 1))
    try:
        producer.init_transactions(timeout_ms=session.timeout_ms)
    except EvError as error:
        return error
    finally:
        producer.close(timeout_ms=0)
    return None


def _told(name: str, error: Any, session: Session) -> int:
    if error is None:
        session.talk(f"aborted {output.safe(name)} on {session.where}")
        return DONE
    failure = as_failure(error, session.where)
    output.say(f"ev: {output.safe(name)}: {output.safe(failure.line())}")
    return failure.code
