"""ev completion: how it is spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import ABOUT_ENGINES, declare
from ev_cli.protection import LOCAL

app = typer.Typer(add_completion=False)


@declare(app, "completion", "completion:complete", effect=LOCAL, without=ABOUT_ENGINES)
def completion(
    shell: Annotated[str, typer.Argument(metavar="SHELL|install", help="bash, zsh, fish or powershell; or install.")],
    shells: Annotated[
        list[str] | None,
        typer.Option("--shell", metavar="bash|zsh|fish|powershell", help="install: for this shell (the one of $SHELL)."),
    ] = None,
) -> None:
    """Write the script that completes command lines of ev in a shell, or install it.

    A script starts no Python when TAB is pressed. Names of topics and groups are those that the last command saw which listed them.

    ev completion bash

    ev completion install --shell fish
    """
