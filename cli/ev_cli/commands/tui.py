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

    Topics, groups, records and brokers, with what moves. It speaks to the local engine, and starts it, or to a cluster of
    the contexts (-C, -b); one that is lost is found again by itself. It needs a terminal; scripts have `ev top`.

    The digits go to the screens, enter opens what the cursor is on, esc goes back, q leaves. / filters, s sorts, m marks,
    : finds everything by a few letters, ? shows the keys of the screen. z lets the figures stand still. The line above the
    keys is the command that shows, or would do, the same: Y copies it, @ shows those that were run from here.

    Nothing is changed by looking. What destroys something has a capital letter, says what will be lost, and wants the name
    typed; `ev undo` takes back what it can. Contexts that are readonly or protected are so here, too, and with --readonly
    every one is. Colours, keys, the mouse and the clipboard are set under [tui], see ev-config(5).

    ev tui

    ev tui orders

    ev -C prod tui --readonly
    """
