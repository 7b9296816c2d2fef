"""ev topic: how its verbs are spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare

app = typer.Typer(help="Topics: their partitions and settings.", no_args_is_help=True, add_completion=False)

Topics = Annotated[list[str], typer.Argument(metavar="TOPIC…", help="Topics.")]
Configs = Annotated[list[str] | None, typer.Option("--config", "-c", metavar="KEY=VALUE", help="A setting of the topic.")]
Regex = Annotated[bool, typer.Option("--regex", "-r", help="Names are regular expressions for whole names.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


@declare(app, "list", "topic:list_topics", tabular=True)
def list_topics(
    patterns: Annotated[list[str] | None, typer.Argument(metavar="GLOB…", help="Only these names.")] = None,
    regex: Regex = False,
    internal: Annotated[bool, typer.Option("--internal", "-i", help="Internal topics too.")] = False,
    sort: Annotated[str | None, typer.Option("--sort", metavar="name|records", help="By name, or the largest first.")] = None,
) -> None:
    """List topics. With -o wide: how much is in them, and when it was last written to.

    ev topic list 'pay*' -o wide

    JSON: name, partitions, replicas, records, policy, retention_ms, last_write.
    """


@declare(app, "describe", "topic:describe_topics", tabular=True)
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


@declare(app, "create", "topic_changes:create_topics", tabular=True)
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
    dry_run: DryRun = False,
) -> None:
    """Create topics.

    ev topic create invoices -p 6 -c retention.ms=86400000

    JSON: topic, partitions, replicas, config (with --dry-run).
    """


@declare(app, "alter", "topic_changes:alter_topics", tabular=True)
def alter_topics(
    topics: Topics,
    partitions: Annotated[
        str | None, typer.Option("--partitions", "-p", metavar="N|+N", help="Partitions in all, or more than now.")
    ] = None,
    configs: Configs = None,
    unset: Annotated[list[str] | None, typer.Option("--unset", metavar="KEY", help="Back to the default.")] = None,
    append: Annotated[list[str] | None, typer.Option("--append", metavar="KEY=VALUE", help="Add to a list.")] = None,
    subtract: Annotated[list[str] | None, typer.Option("--subtract", metavar="KEY=VALUE", help="Take from a list.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Add partitions to topics, change their settings. ev undo takes back the settings; partitions stay.

    ev topic alter payments -p +2 -c retention.ms=3600000 --unset cleanup.policy

    JSON: topic, what, before, after (with --dry-run).
    """


@declare(app, "delete", "topic_changes:delete_topics", tabular=True)
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


@declare(app, "clone", "topic_changes:clone_topic", tabular=True)
def clone_topic(
    source: Annotated[str, typer.Argument(metavar="SRC", help="The topic that is there.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="The topic that is made.")],
    dry_run: DryRun = False,
) -> None:
    """Create a topic with the partitions and settings of another, without its records (ev copy takes those).

    ev topic clone payments payments-test

    JSON: topic, partitions, replicas, config (with --dry-run).
    """


@declare(app, "apply", "topic_apply:apply", tabular=True)
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
