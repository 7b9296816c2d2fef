"""ev topic: how its verbs are spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import DESTROYS, READS, WRITES

app = typer.Typer(help="Topics: their settings, their records, their copies in files.", no_args_is_help=True, add_completion=False)

Topic = Annotated[str, typer.Argument(metavar="TOPIC", help="The topic.")]
Topics = Annotated[list[str], typer.Argument(metavar="TOPIC…", help="Topics.")]
Configs = Annotated[list[str] | None, typer.Option("--config", "-c", metavar="KEY=VALUE", help="A setting of the topic.")]
Regex = Annotated[bool, typer.Option("--regex", "-r", help="Names are regular expressions for whole names.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help="Only records from then on: -1h, 2026-01-31, ms …")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Only records from before then.")]
Some = Annotated[str | None, typer.Option("--partitions", "-p", metavar="LIST", help="Only these partitions: 0,2-5.")]


@declare(app, "list", "topic:list_topics", effect=READS, tabular=True)
def list_topics(
    patterns: Annotated[list[str] | None, typer.Argument(metavar="GLOB…", help="Only these names.")] = None,
    regex: Regex = False,
    internal: Annotated[bool, typer.Option("--internal", "-i", help="Internal topics too.")] = False,
    sort: Annotated[str | None, typer.Option("--sort", metavar="name|size|records", help="By name, or the largest first.")] = None,
) -> None:
    """List topics. With -o wide: how much is in them, and when it was last written to.

    ev topic list 'pay*' -o wide

    JSON: name, partitions, replicas, records, size, policy, retention_ms, last_write.
    """


@declare(app, "describe", "topic:describe_topics", effect=READS, tabular=True)
def describe_topics(
    topics: Annotated[list[str] | None, typer.Argument(metavar="TOPIC…", help="Topics; with one of the filters all without one.")] = None,
    regex: Regex = False,
    section: Annotated[str | None, typer.Option("--section", metavar="LIST", help="summary, partitions, config: which of them.")] = None,
    all_configs: Annotated[bool, typer.Option("--all", "-a", help="All settings, defaults too.")] = False,
    under_replicated: Annotated[
        bool, typer.Option("--under-replicated", help="Only partitions some of whose replicas are not in sync.")
    ] = False,
    unavailable: Annotated[bool, typer.Option("--unavailable", help="Only partitions without a leader.")] = False,
    under_min_isr: Annotated[
        bool, typer.Option("--under-min-isr", help="Only partitions with fewer replicas in sync than min.insync.replicas.")
    ] = False,
) -> None:
    """Show the partitions and settings of topics.

    ev topic describe payments

    JSON: name, topic_id, internal, replicas, records, partitions, config.
    """


@declare(app, "create", "topic_changes:create_topics", effect=WRITES, tabular=True)
def create_topics(
    topics: Annotated[list[str] | None, typer.Argument(metavar="TOPIC…", help="Topics; with --file those of the file.")] = None,
    partitions: Annotated[int | None, typer.Option("--partitions", "-p", metavar="N", help="Partitions (the engine's default, 1).")] = None,
    replication: Annotated[
        int | None, typer.Option("--replication-factor", "-r", metavar="N", help="Replicas (the engine's default).")
    ] = None,
    configs: Configs = None,
    compact: Annotated[bool, typer.Option("--compact", help="The same as -c cleanup.policy=compact.")] = False,
    like: Annotated[str | None, typer.Option("--like", metavar="TOPIC", help="With the partitions and settings of this topic.")] = None,
    file: Annotated[str | None, typer.Option("--file", metavar="FILE", help="As this file declares them, .toml or .json.")] = None,
    if_not_exists: Annotated[bool, typer.Option("--if-not-exists", help="A topic that is there is no failure.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Until every partition has a leader.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Create topics.

    ev topic create clicks -p 6 -c retention.ms=86400000

    JSON: topic, partitions, replicas, config (with --dry-run).
    """


@declare(app, "alter", "topic_changes:alter_topics", effect=WRITES, tabular=True)
def alter_topics(
    topics: Topics,
    partitions: Annotated[
        str | None, typer.Option("--partitions", "-p", metavar="N|+N", help="Partitions in all, or more than now.")
    ] = None,
    configs: Configs = None,
    unset: Annotated[list[str] | None, typer.Option("--unset", metavar="KEY", help="Back to the default.")] = None,
    append: Annotated[list[str] | None, typer.Option("--append", metavar="KEY=VALUE", help="Add to a list.")] = None,
    subtract: Annotated[list[str] | None, typer.Option("--subtract", metavar="KEY=VALUE", help="Take from a list.")] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Add partitions to topics, change their settings. ev undo takes back the settings; partitions stay.

    ev topic alter payments -p +2 -c retention.ms=3600000 --unset cleanup.policy

    JSON: topic, what, before, after (with --dry-run).
    """


@declare(app, "delete", "topic_changes:delete_topics", effect=DESTROYS, tabular=True)
def delete_topics(
    topics: Topics,
    regex: Regex = False,
    if_exists: Annotated[bool, typer.Option("--if-exists", help="A topic that is not there is no failure.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Delete topics with everything in them. Nothing brings it back.

    ev topic delete -r 'test-.*' --dry-run

    JSON: topic, partitions, records (with --dry-run).
    """


@declare(app, "clone", "topic_changes:clone_topic", effect=WRITES, tabular=True)
def clone_topic(
    source: Annotated[str, typer.Argument(metavar="SRC", help="The topic that is there.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="The topic that is made.")],
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Create a topic with the partitions and settings of another, without its records (ev copy takes those).

    ev topic clone payments payments-test

    JSON: topic, partitions, replicas, config (with --dry-run).
    """


@declare(app, "offsets", "topic_offsets:show_offsets", effect=READS, tabular=True, watched=True)
def show_offsets(
    topics: Topics,
    at: Annotated[str | None, typer.Option("--at", metavar="PLACE", help="start, end (default), max-timestamp or a point in time.")] = None,
    partitions: Some = None,
) -> None:
    """Show where the partitions of topics begin or end, or which offset has a time.

    ev topic offsets payments --at -1h

    JSON: topic, partition, offset, timestamp.
    """


@declare(app, "count", "topic_offsets:count", effect=READS, tabular=True)
def count(
    topics: Topics,
    exact: Annotated[bool, typer.Option("--exact", help="Read and count; else the end minus the start.")] = False,
    by: Annotated[str | None, typer.Option("--by", metavar="topic|partition|key|hour", help="What is counted apart.")] = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Count records. Where records were compacted away, or transactions aborted, only --exact is exact.

    ev topic count payments --since today --by hour

    JSON: topic, records; with --by also partition, key or timestamp.
    """


@declare(app, "trim", "topic_records:trim", effect=DESTROYS)
def trim(
    topic: Topic,
    offset: Annotated[
        str | None, typer.Option("--offset", "-o", metavar="PLACE", help="The first that stays: N, -N from the end, @TIME, end.")
    ] = None,
    partitions: Some = None,
    file: Annotated[str | None, typer.Option("--file", metavar="FILE", help="Lines of TOPIC PARTITION OFFSET.")] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Annotated[
        str | None, typer.Option("--output", metavar="FORM", help="The plan as table, json, jsonl, tsv, csv, yaml or name.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The same as --output json.")] = False,
    no_headers: Annotated[bool, typer.Option("--no-headers", help="A table without its first line.")] = False,
) -> None:
    """Delete the oldest records of a topic. Nothing brings them back.

    ev topic trim payments -o @-7d --dry-run

    JSON: topic, partition, start, new_start, end, records (with --dry-run).
    """


@declare(app, "empty", "topic_records:empty", effect=DESTROYS, tabular=True)
def empty(topics: Topics, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Delete all records of topics; the topics stay. Nothing brings the records back.

    ev topic empty test-payments --dry-run

    JSON: topic, partition, start, new_start, end, records (with --dry-run).
    """


@declare(app, "analyze", "topic_analyze:analyze", effect=READS, tabular=True)
def analyze(topics: Topics, since: Since = None, until: Until = None) -> None:
    """Read topics and say what their records are like: rates, sizes, keys, nulls, compression, spread.

    ev topic analyze payments --since -1h

    JSON: topic, partitions, records, bytes, stored_bytes, batches, first_timestamp, last_timestamp, records_per_s, bytes_per_s, sizes,
    distinct_keys, distinct_keys_exact, top_keys, null_keys, tombstones, with_headers, codecs, skew, by_partition.
    """


@declare(app, "dump", "topic_dump:dump", effect=READS)
def dump(
    topics: Topics,
    into: Annotated[str | None, typer.Option("--into", "-O", metavar="FILE", help="The file; - is stdout.")] = None,
    since: Since = None,
    until: Until = None,
    compression: Annotated[str | None, typer.Option("--compression", "-z", metavar="zstd|none", help="How the file is packed.")] = None,
) -> None:
    """Write topics into a file with nothing lost: keys, values, nulls, headers, timestamps, settings. ev-formats(7) draws it.

    ev topic dump payments orders -O shop.evdump
    """


@declare(app, "load", "topic_dump:load", effect=WRITES)
def load(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What ev topic dump has written; - is stdin.")],
    topic: Annotated[
        str | None, typer.Argument(metavar="TOPIC", help="One of the dumped topics, or another name for the only one.")
    ] = None,
    keep_partition: Annotated[
        bool, typer.Option("--keep-partition", help="Each record into the partition that it had; so it is with topics that load makes.")
    ] = False,
    create: Annotated[
        int | None,
        typer.Option(
            "--create", metavar="[=PARTITIONS]", help="Make topics that are not there, as they were or with so many partitions, anywhere."
        ),
    ] = None,
) -> None:
    """Read topics back from a file. Nothing is loaded from a file that is cut off or damaged.

    ev topic load shop.evdump payments
    """


@declare(app, "diff", "topic_diff:diff", effect=READS, tabular=True)
def diff(
    left: Annotated[str, typer.Argument(metavar="[CONTEXT/]TOPIC", help="One topic.")],
    right: Annotated[str, typer.Argument(metavar="[CONTEXT/]TOPIC", help="The other one.")],
    config: Annotated[bool, typer.Option("--config", help="Compare partitions and settings only.")] = False,
    records: Annotated[bool, typer.Option("--records", help="Compare partitions and records only.")] = False,
) -> None:
    """Compare two topics, also of two clusters; exit status 6 when they differ. Of records each partition's first difference is shown.

    ev topic diff payments payments-copy

    JSON: what, left, right.
    """


@declare(app, "apply", "topic_apply:apply", effect=DESTROYS, tabular=True)
def apply(
    path: Annotated[str, typer.Argument(metavar="FILE|DIR", help="A .toml or .json file, or a directory of them.")],
    prune: Annotated[
        bool, typer.Option("--prune", help="What is not declared goes: topics, and settings of those that are declared.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Make topics what files declare: create, add partitions, change settings. With --dry-run exit status 6 when changes are pending.

    ev topic apply topics.toml --dry-run

    JSON: topic, action, part, before, after (with --dry-run).
    """
