"""ev explain: how it is spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import ABOUT_ENGINES, declare
from ev_cli.protection import LOCAL

app = typer.Typer(add_completion=False)


@declare(app, "explain", "explain:explain", effect=LOCAL, tabular=True, without=ABOUT_ENGINES)
def explain(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORD…", help="An error, a setting or an exit status; everything in one line each if none."),
    ] = None,
) -> None:
    """Say what an error code of Kafka, a setting of engine, topic or group, or an exit status means, and what to do.

    ev explain NOT_ENOUGH_REPLICAS 36 retention.ms exit:6

    JSON: name, kind, code, meaning, remedy; of errors also retriable, exit_status; of settings default, default_from, values, unit.
    """
