"""ev topic: create, list, describe, alter and delete topics."""

from __future__ import annotations

from ev_cli import output
from ev_cli.actions.several import EARLIEST, LATEST, MAX_TIMESTAMP, offsets_at, plan, report, sections_of
from ev_cli.failures import DONE, UsageFailure
from ev_cli.naming import chosen, confirm, matching
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ev.client.admin import Admin
    from ev.client.results import ConfigDescription, Outcome, TopicDescription

    Partition = tuple[str, int]

SHOWN_CONFIGS = ("cleanup.policy", "retention.ms")
SECTIONS = ("summary", "partitions", "config")


def list_topics(options: Any) -> int:
    session = Session(options)
    if options.sort not in (None, "name", "records"):
        raise UsageFailure(f"--sort {options.sort} is unknown", "name or records")
    form = output.output_format(options)
    table = output.Table(("name", "partitions", "replicas"), ("records", "policy", "retention_ms", "last_write"))
    with session.admin() as admin:
        topics = {topic.name: topic for topic in admin.topics(internal=options.internal)}
        names = sorted(matching(options.patterns, topics, regex=options.regex))
        details = _details(admin, [topics[name] for name in names]) if _wants_details(form) or options.sort == "records" else {}
    for name in names:
        topic = topics[name]
        table.add(name=name, partitions=len(topic.partitions), replicas=topic.replication_factor, **details.get(name, {}))
    if options.sort == "records":
        table.rows.sort(key=lambda row: -int(row["records"]))
    output.show(table, options)
    return DONE


def _wants_details(form: str) -> bool:
    return form in ("wide", "json", "jsonl", "csv", "yaml")


def _details(admin: Admin, topics: list[TopicDescription]) -> dict[str, dict[str, Any]]:
    """What a list shows beyond the metadata: records, policy, retention, the time of the last record."""
    if not topics:
        return {}
    names = [topic.name for topic in topics]
    partitions = [(topic.name, partition.index) for topic in topics for partition in topic.partitions]
    starts, ends = offsets_at(admin, partitions, EARLIEST), offsets_at(admin, partitions, LATEST)
    newest = _timestamps(admin, partitions)
    configs = {described.name: described for described in admin.describe_configs("topic", names, keys=SHOWN_CONFIGS)}
    found: dict[str, dict[str, Any]] = {}
    for topic in topics:
        own = [(topic.name, partition.index) for partition in topic.partitions]
        last = max((newest.get(partition, -1) for partition in own), default=-1)
        retention = _config_value(configs[topic.name], "retention.ms")
        found[topic.name] = {
            "records": sum(max(0, (ends[one] or 0) - (starts[one] or 0)) for one in own),
            "policy": _config_value(configs[topic.name], "cleanup.policy"),
            "retention_ms": None if retention is None else int(retention),
            "last_write": last if last >= 0 else None,
        }
    return found


def _config_value(described: ConfigDescription, name: str) -> str | None:
    entry = described.entries.get(name)
    return None if entry is None else entry.value


def _timestamps(admin: Admin, partitions: Iterable[Partition]) -> dict[Partition, int]:
    from ev.errors import EvError

    try:
        found = admin.list_offsets(dict.fromkeys(partitions, MAX_TIMESTAMP))
    except EvError:
        return {}  # an old broker does not know the question; the list shows everything else
    return {partition: offset.timestamp for partition, offset in found.items() if offset.error is None}


def describe_topics(options: Any) -> int:
    session = Session(options)
    sections = sections_of(options.section, SECTIONS)
    form = output.output_format(options)
    with session.admin() as admin:
        known = {topic.name: topic for topic in admin.topics(internal=True)}
        names = chosen(options.topics, known, "topic", session.where, regex=options.regex)
        described = [_described(admin, known[name], options.all_configs) for name in names]
    if form in ("table", "wide"):
        output.write_text("\n".join(_topic_text(topic, sections, form == "wide") for topic in described))
        return DONE
    table = output.Table(("name", "topic_id", "partitions", "replicas", "records"))
    for topic in described:
        kept = {name: value for name, value in topic.items() if name not in SECTIONS or name in sections}
        table.add(**kept)
    if form in ("tsv", "csv", "name"):
        rows = output.Table(("name", "partition", "leader", "replicas", "in_sync", "start", "end"))
        for topic in described:
            for partition in topic["partitions"]:
                rows.add(name=topic["name"], **partition)
        table = rows
    output.show(table, options, one=len(described) == 1 and not options.regex)
    return DONE


def _described(admin: Admin, topic: TopicDescription, all_configs: bool) -> dict[str, Any]:
    own = [(topic.name, partition.index) for partition in topic.partitions]
    starts, ends = offsets_at(admin, own, EARLIEST), offsets_at(admin, own, LATEST)
    config = admin.describe_configs("topic", [topic.name])[0]
    partitions = [
        {
            "partition": partition.index,
            "leader": partition.leader,
            "replicas": partition.replicas,
            "in_sync": partition.in_sync,
            "start": starts[topic.name, partition.index],
            "end": ends[topic.name, partition.index],
        }
        for partition in topic.partitions
    ]
    return {
        "name": topic.name,
        "topic_id": _uuid_text(topic.topic_id),
        "internal": topic.internal,
        "replicas": topic.replication_factor,
        "records": sum(max(0, (ends[one] or 0) - (starts[one] or 0)) for one in own),
        "partitions": partitions,
        "config": {
            entry.name: entry.value
            for entry in sorted(config.entries.values(), key=lambda entry: entry.name)
            if all_configs or not entry.is_default
        },
    }


def _uuid_text(topic_id: bytes) -> str:
    """A topic id as Kafka writes it."""
    from binascii import b2a_base64

    return b2a_base64(topic_id, newline=False).decode().rstrip("=").translate({0x2B: "-", 0x2F: "_"})


def _topic_text(topic: dict[str, Any], sections: tuple[str, ...], wide: bool) -> str:
    """One topic for a person: summary, partitions, settings."""
    text = ""
    if "summary" in sections:
        partitions = f"{len(topic['partitions'])} partition{'' if len(topic['partitions']) == 1 else 's'}"
        replicas = f"{topic['replicas']} replica{'' if topic['replicas'] == 1 else 's'}"
        text += f"{output.safe(topic['name'])}  {partitions}, {replicas}, {topic['records']} records, id {topic['topic_id']}\n"
    if "partitions" in sections:
        table = output.Table(("partition", "leader", "start", "end"), ("replicas", "in_sync"))
        for partition in topic["partitions"]:
            table.add(**partition)
        text += output.aligned(table, wide or topic["replicas"] > 1)
    if "config" in sections and topic["config"]:
        text += "".join(f"{name} = {output.safe(str(value))}\n" for name, value in topic["config"].items())
    return text


def create_topics(options: Any) -> int:
    from ev.client.results import NewTopic

    session = Session(options)
    configs = dict(_pairs(options.configs, "-c"))
    if options.compact:
        configs["cleanup.policy"] = "compact"
    partitions, replication = (-1 if each is None else each for each in (options.partitions, options.replication))
    new = [NewTopic(name, partitions, replication, configs) for name in options.topics]
    if options.dry_run:
        return plan("create topic", options.topics, session)
    with session.admin() as admin:
        outcomes = admin.create_topics(new)
    return report(outcomes, "created topic", options, session, ignored=(36,) if options.if_not_exists else ())


def alter_topics(options: Any) -> int:
    session = Session(options)
    sets, append, subtract = _pairs(options.configs, "-c"), _pairs(options.append, "--append"), _pairs(options.subtract, "--subtract")
    has_changes = bool(sets or options.unset or append or subtract)
    if options.partitions is None and not has_changes:
        raise UsageFailure("nothing to alter", "give -p, -c, --unset, --append or --subtract")
    with session.admin() as admin:
        known = {topic.name: topic for topic in admin.topics(internal=True)}
        names = chosen(options.topics, known, "topic", session.where, regex=False)
        if options.dry_run:
            return plan("alter topic", names, session)
        outcomes: list[Outcome] = []
        if options.partitions is not None:
            outcomes += admin.create_partitions({name: _count(options.partitions, len(known[name].partitions)) for name in names})
        if has_changes:
            outcomes += [
                admin.alter_configs("topic", name, dict(sets), unset=options.unset, append=dict(append), subtract=dict(subtract))
                for name in names
            ]
    return report(outcomes, "altered topic", options, session)


def _count(text: str, now: int) -> int:
    """`N` partitions in all, or `+N` more than now."""
    digits = text.removeprefix("+")
    if not digits.isdigit():
        raise UsageFailure(f"-p {text!r} is no number of partitions", "write N, or +N for more than now")
    return int(digits) + (now if text.startswith("+") else 0)


def delete_topics(options: Any) -> int:
    session = Session(options)
    with session.admin() as admin:
        known = [topic.name for topic in admin.topics(internal=True)]
        names = [name for name in options.topics if name in known] if options.if_exists and not options.regex else options.topics
        names = chosen(names, known, "topic", session.where, regex=options.regex) if names else []
        if options.dry_run or not names:
            return plan("delete topic", names, session)
        confirm(f"delete {', '.join(map(output.safe, names))} on {session.where} with all records", options)
        outcomes = admin.delete_topics(names)
    return report(outcomes, "deleted topic", options, session, ignored=(3,) if options.if_exists else ())


def _pairs(items: list[str], flag: str) -> list[tuple[str, str]]:
    pairs = []
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise UsageFailure(f"{flag} {item!r} sets nothing", f"write {flag} KEY=VALUE")
        pairs.append((name, value))
    return pairs
