"""ev tui: how it is spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import READS

app = typer.Typer(add_completion=False)


@declare(app, "tui", "tui:tui", effect=READS)
def tui(
    name: Annotated[str | None, typer.Argument(metavar="TOPIC|GROUP", help="What to open first: a topic, or else a group.")] = None,
    readonly: Annotated[bool, typer.Option("--readonly", help="Only look: nothing is changed, whatever key is pressed.")] = False,
    theme: Annotated[str | None, typer.Option("--theme", metavar="NAME", help="Colours, by the name of a theme.")] = None,
    no_mouse: Annotated[bool, typer.Option("--no-mouse", help="Leave the mouse to the terminal.")] = False,
) -> None:
    """Watch an engine and work with it on the whole terminal, all day long.

    Topics, groups, records and brokers, with what moves; ? shows the keys of every screen. The line at the bottom is the
    command that shows, or would do, the same: Y copies it. It needs a terminal; scripts have `ev top`.

    ev tui

    ev tui orders

    ev -C prod tui --readonly
    """
