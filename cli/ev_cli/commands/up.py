"""ev up: the short spelling of server start."""

from __future__ import annotations

import typer

from ev_cli.commands.server import NOT_HERE, Advertise, EngineSettings
from ev_cli.options import declare

app = typer.Typer(add_completion=False)


@declare(app, "up", "server:start_server", without=NOT_HERE)
def up(advertise: Advertise = None, settings: EngineSettings = None) -> None:
    """Start the local engine unless it runs, and wait until it answers.

    ev up
    """
