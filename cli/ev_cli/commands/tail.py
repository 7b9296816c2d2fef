"""ev tail: how it is spelled: as ev consume."""

from __future__ import annotations

import inspect

import typer

from ev_cli.commands.consume import consume
from ev_cli.options import declare
from ev_cli.protection import READS

app = typer.Typer(add_completion=False)


def tail() -> None:
    """Write the newest records of topics, then whatever comes.

    The 10 newest over all partitions, or --tail N, in the order of time, for a person to read. It takes every option of ev
    consume; -e ends after them, -n N shows the N newest and ends, -J and -f choose another form.

    ev tail payments

    ev tail payments refunds --tail 100 -e --grep v:error
    """


tail.__signature__ = inspect.signature(consume, eval_str=True)  # type: ignore[attr-defined]
declare(app, "tail", "consume:tail", effect=READS)(tail)
