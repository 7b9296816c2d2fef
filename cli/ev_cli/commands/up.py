"""ev up: the short spelling of server start."""

from __future__ import annotations

import typer

from ev_cli.commands.server import NOT_HERE, Advertise, EngineSettings, Seeds
from ev_cli.options import declare
from ev_cli.protection import LOCAL

app = typer.Typer(add_completion=False)


@declare(app, "up", "server:start_server", effect=LOCAL, without=NOT_HERE)
def up(advertise: Advertise = None, settings: EngineSettings = None, seeds: Seeds = None) -> None:
    """Start the local engine unless it runs, and wait until it answers.

    ev up
    """
