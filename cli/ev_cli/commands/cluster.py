"""ev cluster: how its verbs are spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import READS, WRITES

app = typer.Typer(help="Look at a cluster: its brokers, its health, what they speak and store.", no_args_is_help=True, add_completion=False)

Brokers = Annotated[list[str] | None, typer.Argument(metavar="BROKER…", help="Only these brokers, by id.")]


@declare(app, "info", "cluster:cluster_info", effect=READS, tabular=True, watched=True)
def cluster_info() -> None:
    """Say in a few lines what the cluster is: its id, controller, brokers, topics and groups.

    JSON: cluster_id, bootstrap, controller, metadata_version, brokers, topics, partitions, internal_topics, groups.

    ev cluster info
    """


@declare(app, "brokers", "cluster:list_brokers", effect=READS, tabular=True, watched=True)
def list_brokers() -> None:
    """List the brokers with what they lead and store.

    JSON: broker, host, port, rack, controller, partitions, leads, bytes, usable_bytes.

    ev cluster brokers
    """


@declare(app, "health", "health:cluster_health", effect=READS, tabular=True, watched=True)
def cluster_health(
    exit_when_healthy: Annotated[bool, typer.Option("--exit-when-healthy", "-e", help="Wait until all is well, and end then.")] = False,
    duration: Annotated[str | None, typer.Option("--for", metavar="TIME", help="Wait no longer than this; then exit status 6.")] = None,
) -> None:
    """Say whether every partition has a leader and all of its replicas; exit status 6 when something is wrong.

    ev cluster health --exit-when-healthy --for 5m

    JSON: healthy, reachable; and, when it is, controller, brokers, brokers_away, leaderless, under_min_in_sync,
    under_replicated, else problem.
    """


@declare(app, "quorum", "cluster:cluster_quorum", effect=READS, tabular=True, watched=True)
def cluster_quorum() -> None:
    """Show who votes on the cluster's metadata, who leads it, and who lags behind.

    JSON: leader, leader_epoch, high_watermark, nodes.

    ev cluster quorum
    """


@declare(app, "features", "cluster:cluster_features", effect=READS, tabular=True)
def cluster_features() -> None:
    """List the features of the cluster: the level in force, and what the brokers support.

    JSON: feature, level, supported_min, supported_max.

    ev cluster features
    """


@declare(app, "api-versions", "cluster:cluster_api_versions", effect=READS, tabular=True)
def cluster_api_versions(brokers: Brokers = None) -> None:
    """List the APIs that the brokers speak, and in which versions.

    JSON: broker, key, api, lowest, newest.

    ev cluster api-versions
    """


@declare(app, "logdirs", "cluster:cluster_log_directories", effect=READS, tabular=True, watched=True)
def cluster_log_directories(
    brokers: Brokers = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="WHAT", help="directory, topic or partition: what a row stands for (directory).")
    ] = None,
    topic: Annotated[list[str] | None, typer.Option("--topic", "-t", metavar="TOPIC", help="Only what this topic takes.")] = None,
) -> None:
    """Show what the brokers store where, in bytes.

    JSON: broker, bytes; with --by also topic, partition, partitions, directory; else directory, partitions, total_bytes,
    usable_bytes.

    ev cluster logdirs --by topic
    """


@declare(app, "elect-leaders", "cluster:elect_leaders", effect=WRITES, tabular=True)
def elect_leaders(
    partitions: Annotated[
        list[str] | None, typer.Argument(metavar="TOPIC[:PARTITION,…]…", help="Only these; all that are led by another, if none.")
    ] = None,
    unclean: Annotated[
        bool, typer.Option("--unclean", help="Let a replica lead that lacks records: they are lost. Only for partitions without a leader.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")] = False,
) -> None:
    """Have partitions led by their preferred replica again.

    ev cluster elect-leaders payments -y
    """
