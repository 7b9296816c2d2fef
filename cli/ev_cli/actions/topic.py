"""ev topic list and describe: topics with their partitions, records and settings."""

from __future__ import annotations

from ev_cli import output
from ev_cli.actions.several import EARLIEST, LATEST, MAX_TIMESTAMP, offsets_at, sections_of
from ev_cli.failures import DONE, UsageFailure
from ev_cli.naming import chosen, matching
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from ev.client.admin import Admin
    from ev.client.results import ConfigDescription, TopicDescription, TopicPartitionDescription

    Partition = tuple[str, int]
    Ends = Mapping[Partition, int | None]
    IsSick = Callable[[TopicPartitionDescription, int], bool]

SHOWN_CONFIGS = ("cleanup.policy", "retention.ms")
SECTIONS = ("summary", "partitions", "config")
SORTS = {"name": None, "size": "size", "records": "records"}
"""--sort, and the column that the largest come first by."""
MIN_IN_SYNC = "min.insync.replicas"


def list_topics(options: Any) -> int:
    session = Session(options)
    sort = options.sort or "name"
    if sort not in SORTS:
        raise UsageFailure(f"--sort {sort} is unknown", f"one of {', '.join(SORTS)}")
    form = output.output_format(options)
    table = output.Table(("name", "partitions", "replicas"), ("records", "size", "policy", "retention_ms", "last_write"))
    with session.admin() as admin:
        topics = {topic.name: topic for topic in admin.topics(internal=options.internal)}
        names = sorted(matching(options.patterns, topics, regex=options.regex))
        details = _details(admin, [topics[name] for name in names]) if _wants_details(form) or sort != "name" else {}
    for name in names:
        topic = topics[name]
        table.add(name=name, partitions=len(topic.partitions), replicas=topic.replication_factor, **details.get(name, {}))
    column = SORTS[sort]
    if column is not None:
        table.rows.sort(key=lambda row: -int(row[column] or 0))
    output.show(table, options)
    return DONE


def _wants_details(form: str) -> bool:
    return form in ("wide", "json", "jsonl", "csv", "yaml")


def _details(admin: Admin, topics: list[TopicDescription]) -> dict[str, dict[str, Any]]:
    """What a list shows beyond the metadata: records, policy, retention, the time of the last record."""
    if not topics:
        return {}
    names = [topic.name for topic in topics]
    partitions = [(topic.name, partition.index) for topic in topics for partition in topic.partitions if partition.leader >= 0]
    starts, ends = offsets_at(admin, partitions, EARLIEST), offsets_at(admin, partitions, LATEST)
    newest = _timestamps(admin, partitions)
    sizes = _sizes(admin)
    configs = {described.name: described for described in admin.describe_configs("topic", names, keys=SHOWN_CONFIGS)}
    found: dict[str, dict[str, Any]] = {}
    for topic in topics:
        own = [(topic.name, partition.index) for partition in topic.partitions]
        last = max((newest.get(partition, -1) for partition in own), default=-1)
        retention = _config_value(configs[topic.name], "retention.ms")
        found[topic.name] = {
            "records": sum(max(0, (ends.get(one) or 0) - (starts.get(one) or 0)) for one in own),
            "size": None if sizes is None else sum(sizes.get(one, 0) for one in own),
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


def _sizes(admin: Admin) -> dict[Partition, int] | None:
    """The bytes of each partition, of one replica; None where nobody may or can tell."""
    from ev.errors import EvError

    try:
        directories = admin.log_directories()
    except EvError:
        return None
    found: dict[Partition, int] = {}
    for directory in directories:
        for partition, size in directory.partitions.items():
            found[partition] = max(size, found.get(partition, 0))
    return found


def describe_topics(options: Any) -> int:
    session = Session(options)
    sections = sections_of(options.section, SECTIONS)
    form = output.output_format(options)
    is_sick = _filter_of(options)
    if not options.topics and is_sick is None:
        raise UsageFailure("no TOPIC to describe", "`ev topic list` shows what is there")
    with session.admin() as admin:
        known = {topic.name: topic for topic in admin.topics(internal=True)}
        names = chosen(options.topics, known, "topic", session.where, regex=options.regex) if options.topics else sorted(known)
        described = _described(admin, [known[name] for name in names], options.all_configs, is_sick)
    if form in ("table", "wide"):
        output.write_text("\n".join(_topic_text(topic, sections, form == "wide") for topic in described))
        return DONE
    if form in ("tsv", "csv", "name"):
        table = output.Table(("name", "partition", "leader", "replicas", "in_sync", "start", "end"))
        for topic in described:
            for partition in topic["partitions"]:
                table.add(name=topic["name"], **partition)
    else:
        table = output.Table(("name", "topic_id", "partitions", "replicas", "records"))
        for topic in described:
            table.add(**{name: value for name, value in topic.items() if name not in SECTIONS or name in sections})
    output.show(table, options, one=len(options.topics) == 1 and not options.regex)
    return DONE


def _filter_of(options: Any) -> IsSick | None:
    """Which partitions are wanted: all without a filter, else those that fit one of them. It is told min.insync.replicas, too."""
    wanted: list[IsSick] = []
    if options.under_replicated:
        wanted.append(lambda partition, least: len(partition.in_sync) < len(partition.replicas))
    if options.unavailable:
        wanted.append(lambda partition, least: partition.leader < 0)
    if options.under_min_isr:
        wanted.append(lambda partition, least: len(partition.in_sync) < least)
    return (lambda partition, least: any(one(partition, least) for one in wanted)) if wanted else None


def _described(admin: Admin, topics: list[TopicDescription], all_configs: bool, is_sick: IsSick | None) -> list[dict[str, Any]]:
    """Everything about topics; with a filter only those that have such partitions, and only these."""
    configs = {config.name: config for config in admin.describe_configs("topic", [topic.name for topic in topics])}
    shown: dict[str, list[TopicPartitionDescription]] = {}
    for topic in topics:
        least = int(_config_value(configs[topic.name], MIN_IN_SYNC) or 1) if topic.name in configs else 1
        shown[topic.name] = [one for one in topic.partitions if is_sick is None or is_sick(one, least)]
    all_places = [(topic.name, partition.index) for topic in topics for partition in topic.partitions if partition.leader >= 0]
    starts, ends = offsets_at(admin, all_places, EARLIEST), offsets_at(admin, all_places, LATEST)
    return [
        _one_described(topic, shown[topic.name], configs.get(topic.name), all_configs, starts, ends)
        for topic in topics
        if is_sick is None or shown[topic.name]
    ]


def _one_described(
    topic: TopicDescription,
    shown: list[TopicPartitionDescription],
    config: ConfigDescription | None,
    all_configs: bool,
    starts: Ends,
    ends: Ends,
) -> dict[str, Any]:
    own = [(topic.name, partition.index) for partition in topic.partitions]
    entries = [] if config is None else sorted(config.entries.values(), key=lambda entry: entry.name)
    return {
        "name": topic.name,
        "topic_id": _uuid_text(topic.topic_id),
        "internal": topic.internal,
        "replicas": topic.replication_factor,
        "records": sum(max(0, (ends.get(one) or 0) - (starts.get(one) or 0)) for one in own),
        "partitions": [
            {
                "partition": partition.index,
                "leader": partition.leader,
                "replicas": partition.replicas,
                "in_sync": partition.in_sync,
                "start": starts.get((topic.name, partition.index)),
                "end": ends.get((topic.name, partition.index)),
            }
            for partition in shown
        ],
        "config": {entry.name: entry.value for entry in entries if all_configs or not entry.is_default},
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
