"""ev config: how its verbs are spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import DESTROYS, READS, WRITES

app = typer.Typer(
    help="Look at, set and unset the settings of topics, brokers, groups and client metrics.", no_args_is_help=True, add_completion=False
)

Entity = Annotated[
    str,
    typer.Argument(metavar="ENTITY", help="topic/NAME, broker/ID, broker/* (all), group/NAME, client-metrics/NAME or broker-logger/ID."),
]
Pairs = Annotated[list[str] | None, typer.Option("--config", "-c", metavar="KEY=VALUE", help="The same as the argument.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Have the cluster check the change, show it, and do nothing.")]


@declare(app, "get", "config:get_config", effect=READS, tabular=True)
def get_config(
    entity: Entity,
    keys: Annotated[list[str] | None, typer.Argument(metavar="KEY…", help="Only these; all that are set, if none.")] = None,
    all_configs: Annotated[bool, typer.Option("--all", "-a", help="All settings, defaults too.")] = False,
    docs: Annotated[bool, typer.Option("--docs", help="With what each setting is for.")] = False,
) -> None:
    """Show settings, and where each value comes from.

    ev config get topic/payments retention.ms -o wide

    JSON: key, value, source, type, read_only, sensitive, synonyms; with --docs also docs.
    """


@declare(app, "set", "config:set_config", effect=WRITES, tabular=True)
def set_config(
    entity: Entity,
    values: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE…", help="What to set.")] = None,
    configs: Pairs = None,
    append: Annotated[list[str] | None, typer.Option("--append", metavar="KEY=VALUE", help="Add to a list.")] = None,
    subtract: Annotated[list[str] | None, typer.Option("--subtract", metavar="KEY=VALUE", help="Take from a list.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Set settings, and leave the others as they are.

    ev config set broker/* log.retention.ms=86400000
    """


@declare(app, "unset", "config:unset_config", effect=DESTROYS, tabular=True)
def unset_config(
    entity: Entity,
    keys: Annotated[list[str], typer.Argument(metavar="KEY…", help="What goes back to its default.")],
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Let settings have their default again.

    ev config unset topic/payments retention.ms -y
    """
