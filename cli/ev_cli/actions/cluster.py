"""ev cluster: what a cluster is, who its brokers are, what they speak and store, and who leads."""

from __future__ import annotations

from ev_cli import output
from ev_cli.failures import DONE, UsageFailure, as_failure, heavier
from ev_cli.partitions import broker_id, named_partitions, partition_text
from ev_cli.plans import Plan
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev.client.admin import Admin
    from ev.client.brokers import LogDirectory
    from ev.client.results import TopicDescription

    Partition = tuple[str, int]

ELECTION_NOT_NEEDED = 84
WAYS = ("directory", "topic", "partition")


def cluster_info(options: Any) -> int:
    session = Session(options)
    with session.admin() as admin:
        cluster = admin.cluster()
        session.verify(cluster.cluster_id)
        topics = admin.topics(internal=True)
        found = {
            "cluster_id": cluster.cluster_id,
            "bootstrap": session.bootstrap,
            "controller": cluster.controller_id if cluster.controller_id >= 0 else None,
            "metadata_version": _metadata_version(admin),
            "brokers": len(cluster.brokers),
            "topics": sum(not topic.internal for topic in topics),
            "partitions": sum(len(topic.partitions) for topic in topics if not topic.internal),
            "internal_topics": sum(topic.internal for topic in topics),
            "groups": len(admin.groups()),
        }
    if output.output_format(options) in ("table", "wide"):
        table = output.Table(("name", "value"))
        for name, value in found.items():
            table.add(name=name.replace("_", " "), value=value)
        output.write_text(output.aligned(table, wide=False, headers=False))
    else:
        table = output.Table(tuple(found))
        table.add(**found)
        output.show(table, options, one=True)
    return DONE


def _metadata_version(admin: Admin) -> int | None:
    from ev.errors import EvError

    try:
        levels = {feature.name: feature.level for feature in admin.features()}
    except EvError:
        return None
    return levels.get("metadata.version")


def list_brokers(options: Any) -> int:
    session = Session(options)
    with session.admin() as admin:
        cluster = admin.cluster()
        topics = admin.topics(internal=True)
        sizes = _bytes_by_broker(admin)
    table = output.Table(("broker", "host", "port", "rack", "controller", "partitions", "leads"), ("bytes", "usable_bytes"))
    for broker in cluster.brokers:
        stored, usable = sizes.get(broker.node_id, (None, None))
        table.add(
            broker=broker.node_id,
            host=broker.host,
            port=broker.port,
            rack=broker.rack,
            controller=broker.node_id == cluster.controller_id,
            partitions=sum(broker.node_id in partition.replicas for topic in topics for partition in topic.partitions),
            leads=sum(broker.node_id == partition.leader for topic in topics for partition in topic.partitions),
            bytes=stored,
            usable_bytes=usable,
        )
    output.show(table, options)
    return DONE


def _bytes_by_broker(admin: Admin) -> dict[int, tuple[int, int | None]]:
    """What each broker stores, and has room for; nothing where that may not be asked."""
    from ev.errors import EvError

    found: dict[int, tuple[int, int | None]] = {}
    try:
        directories = admin.log_directories()
    except EvError:
        return found
    for directory in directories:
        stored, usable = found.get(directory.broker, (0, 0))
        usable = None if usable is None or directory.usable_bytes < 0 else usable + directory.usable_bytes
        found[directory.broker] = stored + sum(directory.partitions.values()), usable
    return found


def cluster_quorum(options: Any) -> int:
    session = Session(options)
    with session.admin() as admin:
        quorum = admin.quorum()
    table = output.Table(("node", "role", "end_offset", "lag"), ("last_fetch_timestamp", "last_caught_up_timestamp"))
    end = max((each.end_offset for each in quorum.voters if each.node_id == quorum.leader_id), default=quorum.high_watermark)
    for role, replicas in (("voter", quorum.voters), ("observer", quorum.observers)):
        for each in sorted(replicas, key=lambda each: each.node_id):
            table.add(
                node=each.node_id,
                role="leader" if each.node_id == quorum.leader_id else role,
                end_offset=each.end_offset,
                lag=max(0, end - each.end_offset),
                last_fetch_timestamp=each.last_fetch_ms if each.last_fetch_ms >= 0 else None,
                last_caught_up_timestamp=each.last_caught_up_ms if each.last_caught_up_ms >= 0 else None,
            )
    form = output.output_format(options)
    if form in ("json", "yaml", "jsonl"):
        whole = output.Table(("leader",))
        whole.add(leader=quorum.leader_id, leader_epoch=quorum.leader_epoch, high_watermark=quorum.high_watermark, nodes=table.rows)
        output.show(whole, options, one=True)
        return DONE
    if form in ("table", "wide"):
        table.title = f"leader {quorum.leader_id}, epoch {quorum.leader_epoch}, high watermark {quorum.high_watermark}"
    output.show(table, options)
    return DONE


def cluster_features(options: Any) -> int:
    session = Session(options)
    with session.admin() as admin:
        features = admin.features()
    table = output.Table(("feature", "level", "supported_min", "supported_max"))
    for feature in features:
        table.add(feature=feature.name, level=feature.level, supported_min=feature.supported_min, supported_max=feature.supported_max)
    output.show(table, options)
    return DONE


def cluster_api_versions(options: Any) -> int:
    session = Session(options)
    with session.admin() as admin:
        brokers = _brokers(admin, options.brokers, session)
        rows = [(broker, api) for broker in brokers for api in admin.api_versions(broker)]
    table = output.Table(("broker", "key", "api", "lowest", "newest"))
    table.name = "api"
    for broker, api in rows:
        table.add(broker=broker, key=api.key, api=api.name or None, lowest=api.lowest, newest=api.newest)
    output.show(table, options)
    return DONE


def cluster_log_directories(options: Any) -> int:
    if options.by not in (None, *WAYS):
        raise UsageFailure(f"--by {options.by} is unknown", " or ".join(WAYS))
    session = Session(options)
    with session.admin() as admin:
        directories = admin.log_directories(_brokers(admin, options.brokers, session))
        if options.topic:
            named_partitions(options.topic, {topic.name: topic for topic in admin.topics(internal=True)}, session.where)
    status = DONE
    for directory in directories:
        if directory.error is not None:
            failure = as_failure(directory.error, session.where)
            output.say(f"ev: broker {directory.broker}, {output.safe(directory.path)}: {output.safe(failure.line())}")
            status = heavier(status, failure.code)
    table = _by_directory(directories, options) if options.by in (None, "directory") else _by_partition(directories, options)
    output.show(table, options)
    return status


def _by_directory(directories: list[LogDirectory], options: Any) -> output.Table:
    table = output.Table(("broker", "directory", "partitions", "bytes", "total_bytes", "usable_bytes"))
    for directory in directories:
        sizes = [size for (topic, _), size in directory.partitions.items() if not options.topic or topic in options.topic]
        total, usable = directory.total_bytes, directory.usable_bytes
        table.add(
            broker=directory.broker,
            directory=directory.path,
            partitions=len(sizes),
            bytes=sum(sizes),
            total_bytes=total if total >= 0 else None,
            usable_bytes=usable if usable >= 0 else None,
        )
    return table


def _by_partition(directories: list[LogDirectory], options: Any) -> output.Table:
    """A row for each replica; with --by topic one for all that a broker has of it in a directory. The largest first."""
    whole = options.by == "topic"
    table = output.Table(("topic", "partitions" if whole else "partition", "broker", "bytes"), ("directory",))
    for directory in directories:
        wanted = {p: size for p, size in directory.partitions.items() if not options.topic or p[0] in options.topic}
        if whole:
            for topic in dict.fromkeys(topic for topic, _ in wanted):
                sizes = [size for (name, _), size in wanted.items() if name == topic]
                table.add(topic=topic, partitions=len(sizes), broker=directory.broker, bytes=sum(sizes), directory=directory.path)
        else:
            for (topic, index), size in wanted.items():
                table.add(topic=topic, partition=index, broker=directory.broker, bytes=size, directory=directory.path)
    table.rows.sort(key=lambda row: (-row["bytes"], row["topic"], row.get("partition", 0), row["broker"]))
    return table


def _brokers(admin: Admin, texts: list[str], session: Session) -> list[int]:
    """The ids that were named, each of them there; all without any."""
    there = [broker.node_id for broker in admin.cluster().brokers]
    return [broker_id(text, there, session) for text in texts] or there


def elect_leaders(options: Any) -> int:
    session = Session(options)
    with session.admin() as admin:
        topics = {topic.name: topic for topic in admin.topics(internal=True)}
        named = named_partitions(options.partitions, topics, session.where) if options.partitions else None
        plan = Plan(session, options, ("partition", "leader", "preferred", "in_sync"))
        wanted = _to_elect(topics, named, unclean=options.unclean)
        for partition, (leader, preferred, in_sync) in wanted.items():
            plan.add(partition=partition_text(partition), leader=leader, preferred=preferred, in_sync=in_sync)
        if plan.only_shown():
            return DONE
        if not wanted:
            session.talk(
                f"every partition is led by its preferred replica on {session.where}" if not options.unclean else "nothing to elect"
            )
            return DONE
        many = f"{len(wanted)} partition{'' if len(wanted) == 1 else 's'}"
        plan.agree(f"let {'any replica, although records may be lost,' if options.unclean else 'the preferred replica'} lead {many}")
        errors = admin.elect_leaders(wanted, unclean=options.unclean)
    status = DONE
    for partition, error in errors.items():
        if error is None or error.code == ELECTION_NOT_NEEDED:
            session.talk(f"elected a leader of {output.safe(partition_text(partition))} on {session.where}")
            continue
        failure = as_failure(error, session.where)
        output.say(f"ev: {output.safe(partition_text(partition))}: {output.safe(failure.line())}")
        status = heavier(status, failure.code)
    return status


def _to_elect(
    topics: dict[str, TopicDescription], named: list[Partition] | None, *, unclean: bool
) -> dict[Partition, tuple[int | None, int, list[int]]]:
    """(leader, preferred leader, replicas in sync) of the partitions that another leads, or, for an unclean election, that nobody leads."""
    found = {}
    for topic in topics.values():
        for each in topic.partitions:
            key = topic.name, each.index
            needs = each.leader < 0 if unclean else bool(each.replicas) and each.leader != each.replicas[0]
            if needs and (named is None or key in named):
                found[key] = (each.leader if each.leader >= 0 else None, each.replicas[0], each.in_sync)
    return found
