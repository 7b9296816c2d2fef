"""ev man: how it is spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import ABOUT_ENGINES, declare
from ev_cli.protection import LOCAL

app = typer.Typer(add_completion=False)


@declare(app, "man", "man:show_page", effect=LOCAL, without=ABOUT_ENGINES)
def man(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND…", help="A command, or a page like pipelines or 5 config (ev(1)).")
    ] = None,
) -> None:
    """Show the manual page of a command.

    With man where that is installed, else as text. The pages formats, pipelines, 5 config and 5 log are about more than one command.

    ev man topic create

    ev man pipelines
    """
