"""ev topic apply: makes topics what files declare them to be."""

from __future__ import annotations

from ev_cli import output
from ev_cli.actions.several import report
from ev_cli.actions.topic_changes import deletion_plan, own_settings
from ev_cli.declared import read_path
from ev_cli.ending import complain
from ev_cli.failures import DONE, FAILED, UNMET, Failure, UsageFailure, heavier
from ev_cli.naming import confirm
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ev.client.admin import Admin
    from ev.client.results import Outcome, TopicDescription
    from ev_cli.declared import DeclaredTopic

CREATE, GROW, SET, UNSET, DELETE, IMPOSSIBLE = "create", "add-partitions", "set", "unset", "delete", "impossible"


class Step:
    """One change: what is done to which topic, to which part of it, from what to what."""

    __slots__ = ("action", "after", "before", "part", "topic")

    def __init__(self, action: str, topic: str, part: str, before: Any, after: Any) -> None:
        self.action = action
        self.topic = topic
        self.part = part
        self.before = before
        self.after = after

    def __repr__(self) -> str:
        return f"Step({self.action} {self.topic} {self.part} {self.before!r} -> {self.after!r})"


def steps_of(
    declared: Mapping[str, DeclaredTopic], there: Mapping[str, TopicDescription], settings: Mapping[str, Mapping[str, str]], prune: bool
) -> list[Step]:
    """What has to be done. With `prune` what is not declared goes: topics, and settings of declared topics."""
    steps: list[Step] = []
    for name, topic in declared.items():
        if name not in there:
            steps.append(Step(CREATE, name, "topic", None, topic.partitions if topic.partitions > 0 else None))
            steps += [Step(SET, name, key, None, value) for key, value in topic.config.items()]
            continue
        count, replicas = len(there[name].partitions), there[name].replication_factor
        if topic.partitions > count:
            steps.append(Step(GROW, name, "partitions", count, topic.partitions))
        elif 0 < topic.partitions < count:
            steps.append(Step(IMPOSSIBLE, name, "partitions", count, topic.partitions))
        if topic.replication_factor > 0 and topic.replication_factor != replicas:
            steps.append(Step(IMPOSSIBLE, name, "replication_factor", replicas, topic.replication_factor))
        own = settings.get(name, {})
        steps += [Step(SET, name, key, own.get(key), value) for key, value in topic.config.items() if own.get(key) != value]
        if prune:
            steps += [Step(UNSET, name, key, value, None) for key, value in own.items() if key not in topic.config]
    if prune:
        steps += [Step(DELETE, name, "topic", len(there[name].partitions), None) for name in there if name not in declared]
    return steps


def apply(options: Any) -> int:
    session = Session(options)
    declared = read_path(options.path)
    if options.prune and not declared:
        raise UsageFailure(f"{options.path} declares nothing, and --prune would delete every topic", "declare the topics that shall stay")
    with session.admin() as admin:
        there = {topic.name: topic for topic in admin.topics()}
        known = [name for name in declared if name in there]
        steps = steps_of(declared, there, own_settings(admin, known), options.prune)
        table = output.Table(("topic", "action", "part", "before", "after"))
        for step in steps:
            table.add(topic=step.topic, action=step.action, part=step.part, before=step.before, after=step.after)
        if options.dry_run:
            output.show(table, options)
            session.talk(f"{len(steps)} change{'' if len(steps) == 1 else 's'} pending on {session.where}")
            return UNMET if steps else DONE
        possible = [step for step in steps if step.action != IMPOSSIBLE]
        status = _tell_impossible(steps, options)
        if not possible:
            session.talk(f"nothing to change on {session.where}")
            return status
        _agree(admin, possible, there, table, options, session)
        outcomes = _carry_out(admin, possible, declared, session)
    return heavier(status, report(outcomes, "applied to topic", options, session))


def _tell_impossible(steps: list[Step], options: Any) -> int:
    """What cannot be done in place: partitions never become fewer, replicas move by reassignment."""
    ways = {"partitions": "partitions never become fewer: copy the topic", "replication_factor": "`ev reassign` moves replicas"}
    found = [step for step in steps if step.action == IMPOSSIBLE]
    for step in found:
        failure = Failure(f"{step.part} cannot go from {step.before} to {step.after}", ways[step.part])
        complain(failure, wants_json=bool(options.json) or options.output in ("json", "jsonl"), about=step.topic)
    return FAILED if found else DONE


def _agree(
    admin: Admin, steps: list[Step], there: Mapping[str, TopicDescription], table: output.Table, options: Any, session: Session
) -> None:
    doomed = [there[step.topic] for step in steps if step.action == DELETE]
    if not options.yes and output.is_terminal(0) and output.is_terminal(2):
        output.say(output.aligned(table, False).rstrip("\n"))
    lost = ""
    if doomed:
        records = sum(row["records"] for row in deletion_plan(admin, doomed).rows)
        lost = f", which deletes {len(doomed)} topics with {records} records that nothing brings back"
    confirm(f"make {len(steps)} change{'' if len(steps) == 1 else 's'} on {session.where}{lost}", options)


def _carry_out(admin: Admin, steps: list[Step], declared: Mapping[str, DeclaredTopic], session: Session) -> list[Outcome]:
    """Everything, topics to be deleted last. What fails does not keep the rest from being done."""
    from ev.client.results import NewTopic

    new = [declared[step.topic] for step in steps if step.action == CREATE]
    made = {topic.name for topic in new}
    outcomes: list[Outcome] = []
    if new:
        outcomes += admin.create_topics([NewTopic(topic.name, topic.partitions, topic.replication_factor, topic.config) for topic in new])
    grown = {step.topic: step.after for step in steps if step.action == GROW}
    if grown:
        outcomes += admin.create_partitions(grown)
    outcomes += _alter(admin, [step for step in steps if step.action in (SET, UNSET) and step.topic not in made], session)
    doomed = [step.topic for step in steps if step.action == DELETE]
    return outcomes + (list(admin.delete_topics(doomed)) if doomed else [])


def _alter(admin: Admin, steps: list[Step], session: Session) -> list[Outcome]:
    """Settings, one request for each topic."""
    from ev_cli.inverses import config_change
    from ev_cli.journal import undoable

    names = list(dict.fromkeys(step.topic for step in steps))
    values = {name: {step.part: str(step.after) for step in steps if step.topic == name and step.action == SET} for name in names}
    unset = {name: [step.part for step in steps if step.topic == name and step.action == UNSET] for name in names}
    changes = [config_change(admin, "topic", name, values[name], unset=unset[name]) for name in names]
    return undoable(
        session, admin, changes, lambda: [admin.alter_configs("topic", name, values[name], unset=unset[name]) for name in names]
    )
