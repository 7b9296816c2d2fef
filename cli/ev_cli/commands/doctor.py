"""ev doctor: how it is spelled."""

from __future__ import annotations

import typer

from ev_cli.options import declare
from ev_cli.protection import LOCAL

app = typer.Typer(add_completion=False)


@declare(app, "doctor", "doctor:diagnose", effect=LOCAL, tabular=True)
def doctor() -> None:
    """Look for what is wrong with the engine, its machine, or the way to a cluster; exit status 6 when there is something.

    It looks at the data directory (owner, permissions, room, file system), the clock, the limit of open files, the port, the versions, the
    addresses that brokers tell their clients, certificates, passwords, and installed completions. It starts no engine and changes nothing.

    ev doctor

    JSON: check, state, message, remedy.
    """
