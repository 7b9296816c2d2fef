"""ev version: how it is spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import ABOUT_ENGINES, declare
from ev_cli.protection import LOCAL

app = typer.Typer(add_completion=False)


@declare(
    app,
    "version",
    "version:show_version",
    effect=LOCAL,
    without=ABOUT_ENGINES,
)
def version(
    json: Annotated[bool, typer.Option("--json", help="The versions of what it stands on too, as one object.")] = False,
) -> None:
    """The version of ev; with -v or --json those of what it stands on too.

    JSON: ev, python, system, typer, rich, crc32c, cramjam, uvloop.

    ev version -v
    """
