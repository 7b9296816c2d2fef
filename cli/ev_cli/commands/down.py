"""ev down: the short spelling of server stop."""

from __future__ import annotations

import typer

from ev_cli.commands.server import NOT_HERE
from ev_cli.options import declare
from ev_cli.protection import LOCAL

app = typer.Typer(add_completion=False)


@declare(app, "down", "server:stop_server", effect=LOCAL, without=NOT_HERE)
def down() -> None:
    """Stop the local engine if it runs, and wait until it has ended.

    ev down
    """
