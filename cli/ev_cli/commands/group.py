"""ev group: how its verbs are spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import DESTROYS, READS, WRITES

app = typer.Typer(help="Consumer groups: their lag, their members, their offsets.", no_args_is_help=True, add_completion=False)

Group = Annotated[str, typer.Argument(metavar="GROUP", help="The group.")]
Groups = Annotated[list[str], typer.Argument(metavar="GROUP…", help="Groups.")]
Regex = Annotated[bool, typer.Option("--regex", "-r", help="Names are regular expressions for whole names.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


@declare(app, "list", "group:list_groups", effect=READS, tabular=True)
def list_groups(
    patterns: Annotated[list[str] | None, typer.Argument(metavar="GLOB…", help="Only these names.")] = None,
    regex: Regex = False,
    state: Annotated[str | None, typer.Option("--state", metavar="STATE", help="Only groups in this state: stable, empty …")] = None,
    type: Annotated[str | None, typer.Option("--type", metavar="TYPE", help="Only groups of this type: classic, consumer …")] = None,
    lagging: Annotated[bool, typer.Option("--lagging", help="Only groups that are behind.")] = False,
) -> None:
    """List groups with their state and lag.

    ev group list --lagging

    JSON: group, state, type, members, lag.
    """


@declare(app, "describe", "group:describe_groups", effect=READS, tabular=True)
def describe_groups(
    groups: Groups,
    regex: Regex = False,
    section: Annotated[str | None, typer.Option("--section", metavar="LIST", help="summary, lag, members: which of them.")] = None,
    topic: Annotated[list[str] | None, typer.Option("--topic", "-t", metavar="TOPIC", help="Only the lag on this topic.")] = None,
    all_lag: Annotated[bool, typer.Option("--all-lag", help="Partitions for which nothing is committed, too.")] = False,
) -> None:
    """Show the lag per partition and the members of groups.

    ev group describe billing --all-lag

    JSON: group, state, protocol, coordinator, total_lag, lag, members.
    """


@declare(app, "lag", "group_lag:show_lag", effect=READS, tabular=True, watched=True)
def lag(
    groups: Annotated[list[str] | None, typer.Argument(metavar="GROUP…", help="Groups; all without one.")] = None,
    regex: Regex = False,
    by: Annotated[str | None, typer.Option("--by", metavar="WHAT", help="group (default), topic, member or partition.")] = None,
    all_lag: Annotated[bool, typer.Option("--all-lag", help="Partitions for which nothing is committed, too.")] = False,
    maximum: Annotated[int | None, typer.Option("--max", metavar="N", help="Exit status 6 when a row is above this lag.")] = None,
) -> None:
    """Show how far groups are behind, those that are furthest first.

    ev group lag --max 10000

    JSON: group, lag; as --by says also state, partitions, topic, member, host, partition, committed, start, end.
    """


@declare(app, "seek", "group_changes:seek", effect=DESTROYS, tabular=True)
def seek(
    group: Group,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="PLACE", help="start, end, N, @TIME; +N or -N from what is committed; stored."),
    ] = None,
    to_group: Annotated[str | None, typer.Option("--to-group", metavar="GROUP", help="Where another group is.")] = None,
    to_file: Annotated[str | None, typer.Option("--to-file", metavar="FILE", help="What a file says, as --export writes it.")] = None,
    topic: Annotated[
        list[str] | None, typer.Option("--topic", "-t", metavar="TOPIC[:P,…]", help="Only this topic, or these partitions of it.")
    ] = None,
    new_topics: Annotated[
        bool, typer.Option("--new-topics", help="Topics for which the group has committed nothing, too; makes the group.")
    ] = False,
    export: Annotated[bool, typer.Option("--export", help="Print the offsets as a file for --to-file, and change nothing.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Move the committed offsets of a group that has no members.

    The plan is shown, and carried out after a yes. Without a terminal it is only shown, unless -y was given. ev undo takes it back.

    ev group seek billing --to -100

    ev group seek billing --to @2026-01-31T12:00:00Z -t payments -y

    JSON: topic, partition, committed, target, lag, start, end.
    """


@declare(app, "forget", "group_changes:forget", effect=DESTROYS, tabular=True)
def forget(
    group: Group,
    topic: Annotated[
        list[str] | None, typer.Option("--topic", "-t", metavar="TOPIC[:P,…]", help="The topic, or these partitions of it.")
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Delete what a group has committed for topics that it does not read now. ev undo takes it back.

    ev group forget billing -t payments --dry-run

    JSON: topic, partition, committed (with --dry-run).
    """


@declare(app, "clone", "group_changes:clone", effect=WRITES, tabular=True)
def clone(
    source: Annotated[str, typer.Argument(metavar="SRC", help="The group whose offsets are taken.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="A group that has committed nothing.")],
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Make a group that stands where another one stands.

    ev group clone billing billing-test

    JSON: topic, partition, target (with --dry-run).
    """


@declare(app, "delete", "group_changes:delete_groups", effect=DESTROYS, tabular=True)
def delete_groups(
    groups: Groups,
    regex: Regex = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Delete groups with their committed offsets. ev undo brings the offsets back.

    ev group delete billing-test --dry-run

    JSON: group, state, members, offsets (with --dry-run).
    """


@declare(app, "remove-member", "group_changes:remove_member", effect=DESTROYS, tabular=True)
def remove_member(
    group: Group,
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="Its member id, instance id or client id.")],
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Take a member out of a group. One that still runs joins again.

    ev group remove-member billing worker-3 --dry-run

    JSON: member_id, client_id, instance_id, host, partitions (with --dry-run).
    """


@declare(app, "wait", "group_lag:wait_for_group", effect=READS)
def wait(
    group: Group,
    lag: Annotated[int | None, typer.Option("--lag", metavar="N", help="Until the group is no more than this behind.")] = None,
    state: Annotated[str | None, typer.Option("--state", metavar="STATE", help="Until the group is stable, empty …")] = None,
    duration: Annotated[str | None, typer.Option("--for", metavar="TIME", help="No longer than this; then exit status 6.")] = None,
) -> None:
    """Wait until a group has read what there is, or is in a state.

    ev group wait billing --lag 0 --for 5m
    """
