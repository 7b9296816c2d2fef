"""ev topic create, alter, delete and clone: what changes the topics themselves."""

from __future__ import annotations

import time

from ev_cli import output
from ev_cli.actions.several import EARLIEST, LATEST, offsets_at, report, show_plan
from ev_cli.failures import DONE, NOT_FOUND, Failure, UsageFailure, no_such
from ev_cli.naming import chosen, confirm, nearest
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ev.client.admin import Admin
    from ev.client.results import NewTopic, Outcome, TopicDescription

COMPACT = ("cleanup.policy", "compact")
WAIT_MS = 100
TOPIC_ALREADY_EXISTS = 36
UNKNOWN_TOPIC_OR_PARTITION = 3


def create_topics(options: Any) -> int:
    for flag, number in (("-p", options.partitions), ("-r", options.replication)):
        if number == 0:
            raise UsageFailure(f"{flag} 0 makes no topic", "write a number from 1 on")
    session = Session(options)
    if not options.topics and options.file is None:
        raise UsageFailure("no topic to create", "ev topic create TOPIC, or --file FILE")
    if options.like is not None and options.file is not None:
        raise UsageFailure("--like and --file contradict each other", "give one of them")
    configs = dict(pairs(options.configs, "-c"))
    if options.compact:
        configs.setdefault(*COMPACT)
    with session.admin() as admin:
        new = _new_topics(admin, options, configs, session)
        table = output.Table(("topic", "partitions", "replicas", "config"))
        for topic in new:
            table.add(
                topic=topic.name,
                partitions=topic.partitions if topic.partitions >= 0 else None,
                replicas=topic.replication_factor if topic.replication_factor >= 0 else None,
                config=topic.configs,
            )
        if options.dry_run:
            show_plan(table, "create topic", [topic.name for topic in new], options, session)
            return DONE
        return _create(admin, new, options, session)


def _new_topics(admin: Admin, options: Any, configs: dict[str, str], session: Session) -> list[NewTopic]:
    """The topics to be made: by name with what the options say, on top of another topic or of what a file declares."""
    from ev.client.results import NewTopic

    partitions = -1 if options.partitions is None else options.partitions
    replication = -1 if options.replication is None else options.replication
    if options.file is not None:
        return _from_file(options, configs, partitions, replication)
    if options.like is not None:
        there, settings = _like(admin, options.like, session)
        configs = {**settings, **configs}
        partitions = len(there.partitions) if options.partitions is None else partitions
        replication = there.replication_factor if options.replication is None else replication
    return [NewTopic(name, partitions, replication, configs) for name in options.topics]


def _from_file(options: Any, configs: dict[str, str], partitions: int, replication: int) -> list[NewTopic]:
    from ev.client.results import NewTopic
    from ev_cli.declared import read_file

    declared = read_file(options.file)
    missing = [name for name in options.topics if name not in declared]
    if missing:
        raise Failure(f"{options.file} declares no topic {missing[0]!r}", f"it declares {', '.join(declared) or 'none'}", code=NOT_FOUND)
    return [
        NewTopic(
            name,
            topic.partitions if options.partitions is None else partitions,
            topic.replication_factor if options.replication is None else replication,
            {**topic.config, **configs},
        )
        for name, topic in declared.items()
        if not options.topics or name in options.topics
    ]


def _like(admin: Admin, name: str, session: Session) -> tuple[TopicDescription, dict[str, str]]:
    """Another topic, and what was set for it."""
    (there,) = admin.describe_topics([name])
    if there.error is not None:
        raise no_such("topic", name, nearest(name, [topic.name for topic in admin.topics()]), session.where)
    return there, own_settings(admin, [name])[name]


def own_settings(admin: Admin, names: list[str]) -> dict[str, dict[str, str]]:
    """What was set for each of these topics itself."""
    return {
        described.name: {entry.name: entry.value or "" for entry in described.entries.values() if entry.source == "topic"}
        for described in admin.describe_configs("topic", names)
    }


def _create(admin: Admin, new: list[NewTopic], options: Any, session: Session) -> int:
    outcomes = admin.create_topics(new)
    if options.wait:
        _wait_for_leaders(admin, [outcome.name for outcome in outcomes if outcome.error is None], session)
    return report(outcomes, "created topic", options, session, ignored=(TOPIC_ALREADY_EXISTS,) if options.if_not_exists else ())


def _wait_for_leaders(admin: Admin, names: list[str], session: Session) -> None:
    """Return when every partition of the topics can be written to."""
    deadline = time.monotonic() + session.timeout_ms / 1000
    while True:
        described = admin.describe_topics(names)
        ready = [topic.error is None and all(one.leader >= 0 for one in topic.partitions) for topic in described]
        if len(ready) == len(names) and all(ready):
            return
        if time.monotonic() >= deadline:
            raise Failure(f"the topics are made, but have no leaders on {session.where} yet", "`ev topic describe` shows them", code=4)
        time.sleep(WAIT_MS / 1000)


def clone_topic(options: Any) -> int:
    """A topic with the partitions and settings of another, and no records."""
    from ev.client.results import NewTopic

    session = Session(options)
    with session.admin() as admin:
        there, settings = _like(admin, options.source, session)
        new = NewTopic(options.target, len(there.partitions), there.replication_factor, settings)
        table = output.Table(("topic", "partitions", "replicas", "config"))
        table.add(topic=new.name, partitions=new.partitions, replicas=new.replication_factor, config=settings)
        if options.dry_run:
            show_plan(table, "create topic", [new.name], options, session)
            return DONE
        return report(admin.create_topics([new]), "created topic", options, session)


# -- alter -----------------------------------------------------------------------------------------------------------------------


def alter_topics(options: Any) -> int:
    session = Session(options)
    sets, append, subtract = pairs(options.configs, "-c"), pairs(options.append, "--append"), pairs(options.subtract, "--subtract")
    has_changes = bool(sets or options.unset or append or subtract)
    if options.partitions is None and not has_changes:
        raise UsageFailure("nothing to alter", "give -p, -c, --unset, --append or --subtract")
    if options.partitions is not None:
        _count(options.partitions, 0)  # before anybody is asked
    with session.admin() as admin:
        known = {topic.name: topic for topic in admin.topics(internal=True)}
        names = chosen(options.topics, known, "topic", session.where, regex=False)
        counts = {} if options.partitions is None else {name: _count(options.partitions, len(known[name].partitions)) for name in names}
        if options.unset:
            from ev_cli.actions.config import Entity, check_unset

            check_unset(admin.describe_configs("topic", names[:1])[0], options.unset, Entity(f"topic/{names[0]}"))
        if options.dry_run:
            return _plan_of_alter(admin, names, known, counts, options, session)
        outcomes: list[Outcome] = list(admin.create_partitions(counts)) if counts else []
        if has_changes:
            outcomes += _alter_settings(admin, names, options, session)
    return report(outcomes, "altered topic", options, session)


def _alter_settings(admin: Admin, names: list[str], options: Any, session: Session) -> list[Outcome]:
    from ev_cli.journal import undoable

    operations = _operations(options)
    values = dict(pairs(options.configs, "-c"))
    changes = _changes(admin, names, options)
    return undoable(session, admin, changes, lambda: [admin.alter_configs("topic", name, values, **operations) for name in names])


def _changes(admin: Admin, names: list[str], options: Any) -> list[Any]:
    from ev_cli.inverses import config_change

    values = dict(pairs(options.configs, "-c"))
    return [config_change(admin, "topic", name, values, **_operations(options)) for name in names]


def _operations(options: Any) -> dict[str, Any]:
    """What else is done to settings than giving them values, as `Admin.alter_configs` takes it."""
    return {
        "unset": options.unset,
        "append": dict(pairs(options.append, "--append")),
        "subtract": dict(pairs(options.subtract, "--subtract")),
    }


def _plan_of_alter(
    admin: Admin, names: list[str], known: Mapping[str, TopicDescription], counts: Mapping[str, int], options: Any, session: Session
) -> int:
    table = output.Table(("topic", "what", "before", "after"))
    for name, count in counts.items():
        table.add(topic=name, what="partitions", before=len(known[name].partitions), after=count)
    for change in _changes(admin, names, options):
        for key in change.after:
            table.add(topic=change.subject[1], what=key, before=change.before[key], after=change.after[key])
    show_plan(table, "alter topic", names, options, session)
    return DONE


def _count(text: str, now: int) -> int:
    """`N` partitions in all, or `+N` more than now."""
    digits = text.removeprefix("+")
    if not digits.isdigit():
        raise UsageFailure(f"-p {text!r} is no number of partitions", "write N, or +N for more than now")
    return int(digits) + (now if text.startswith("+") else 0)


# -- delete ----------------------------------------------------------------------------------------------------------------------


def delete_topics(options: Any) -> int:
    session = Session(options)
    with session.admin() as admin:
        known = {topic.name: topic for topic in admin.topics(internal=True)}
        names = [name for name in options.topics if name in known] if options.if_exists and not options.regex else options.topics
        names = chosen(names, known, "topic", session.where, regex=options.regex) if names else []
        table = deletion_plan(admin, [known[name] for name in names])
        if show_plan(table, "delete topic", names, options, session) or not names:
            return DONE
        confirm(f"delete {', '.join(map(output.safe, names))} on {session.where} with all records; nothing brings them back", options)
        outcomes = admin.delete_topics(names)
    return report(outcomes, "deleted topic", options, session, ignored=(UNKNOWN_TOPIC_OR_PARTITION,) if options.if_exists else ())


def deletion_plan(admin: Admin, topics: list[TopicDescription]) -> output.Table:
    """What would be lost with these topics."""
    table = output.Table(("topic", "partitions", "records"))
    places = [(topic.name, one.index) for topic in topics for one in topic.partitions if one.leader >= 0]
    starts, ends = offsets_at(admin, places, EARLIEST), offsets_at(admin, places, LATEST)
    for topic in topics:
        own = [(topic.name, one.index) for one in topic.partitions]
        records = sum(max(0, (ends.get(place) or 0) - (starts.get(place) or 0)) for place in own)
        table.add(topic=topic.name, partitions=len(own), records=records)
    return table


def pairs(items: list[str], flag: str) -> list[tuple[str, str]]:
    """KEY=VALUE, several times."""
    found = []
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise UsageFailure(f"{flag} {item!r} sets nothing", f"write {flag} KEY=VALUE")
        found.append((name, value))
    return found
