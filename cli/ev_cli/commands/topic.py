"""ev topic: how its verbs are spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import DESTROYS, READS, WRITES

app = typer.Typer(help="Create, list, describe, alter and delete topics.", no_args_is_help=True, add_completion=False)

Topics = Annotated[list[str], typer.Argument(metavar="TOPIC…", help="Topics.")]
Configs = Annotated[list[str] | None, typer.Option("--config", "-c", metavar="KEY=VALUE", help="A setting of the topic.")]
Regex = Annotated[bool, typer.Option("--regex", "-r", help="Names are regular expressions for whole names.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


@declare(app, "list", "topic:list_topics", effect=READS, tabular=True)
def list_topics(
    patterns: Annotated[list[str] | None, typer.Argument(metavar="GLOB…", help="Only these names.")] = None,
    regex: Regex = False,
    internal: Annotated[bool, typer.Option("--internal", "-i", help="Internal topics too.")] = False,
    sort: Annotated[str | None, typer.Option("--sort", metavar="FIELD", help="name or records.")] = None,
) -> None:
    """List topics."""


@declare(app, "describe", "topic:describe_topics", effect=READS, tabular=True)
def describe_topics(
    topics: Topics,
    regex: Regex = False,
    section: Annotated[str | None, typer.Option("--section", metavar="LIST", help="summary, partitions, config: which of them.")] = None,
    all_configs: Annotated[bool, typer.Option("--all", "-a", help="All settings, defaults too.")] = False,
) -> None:
    """Show the partitions and settings of topics."""


@declare(app, "create", "topic:create_topics", effect=WRITES, tabular=True)
def create_topics(
    topics: Topics,
    partitions: Annotated[int | None, typer.Option("--partitions", "-p", metavar="N", help="Partitions (the engine's default, 1).")] = None,
    replication: Annotated[
        int | None, typer.Option("--replication-factor", "-r", metavar="N", help="Replicas (the engine's default).")
    ] = None,
    configs: Configs = None,
    compact: Annotated[bool, typer.Option("--compact", help="The same as -c cleanup.policy=compact.")] = False,
    if_not_exists: Annotated[bool, typer.Option("--if-not-exists", help="A topic that is there is no failure.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Create topics."""


@declare(app, "alter", "topic:alter_topics", effect=WRITES, tabular=True)
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
    """Add partitions to topics, change their settings."""


@declare(app, "delete", "topic:delete_topics", effect=DESTROYS, tabular=True)
def delete_topics(
    topics: Topics,
    regex: Regex = False,
    if_exists: Annotated[bool, typer.Option("--if-exists", help="A topic that is not there is no failure.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Delete topics with everything in them."""
