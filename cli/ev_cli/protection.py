"""What a command may do where: contexts that are readonly refuse writes, protected ones want their name before something is lost.

Every command says what it does when it is declared (`declare(…, effect=…)`), the session of a command asks here before anybody is
connected to, and `naming.confirm` asks the person. A command that says nothing is taken for one that destroys.
"""

from __future__ import annotations

from ev_cli import output
from ev_cli.failures import UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev_cli.session import Target

READS = "reads"
"""Looks, and leaves the cluster as it is."""
WRITES = "writes"
"""Adds or changes something; nothing that was there is lost for good."""
DESTROYS = "destroys"
"""Something is lost for good: it calls `naming.confirm` before that, and has --yes."""
LOCAL = "local"
"""Changes no cluster, and needs none that was chosen before: files, the process of the local engine, ev itself."""

EFFECTS = (READS, WRITES, DESTROYS, LOCAL)


def admit(target: Target, options: Any, effect: str | None) -> None:
    """Raise UsageFailure when the context does not let the command do what it does. Says which one a project's file has chosen."""
    if effect in (READS, LOCAL) or options.dry_run or options.export:
        return
    if target.readonly:
        raise UsageFailure(f"context {target.name!r} is readonly", f"nothing is written there while {target.place} says so")
    if target.chosen_by is not None:
        if target.protected:
            raise UsageFailure(
                f"{target.chosen_by} has chosen the context {target.name!r}, which is protected", f"say that you mean it: -C {target.name}"
            )
        if not target.is_announced:
            target.is_announced = True
            output.say(f"ev: the context {target.name!r} is meant, because {target.chosen_by} says so")
    if target.protected and effect != WRITES:
        _want_name(target, options)


def _want_name(target: Target, options: Any) -> None:
    """Before something is lost in a protected context: both flags, or a terminal at which the name can be typed."""
    options.name_wanted = target.name
    if options.yes:
        if options.context != target.name:
            raise UsageFailure(f"context {target.name!r} is protected, and -y alone is not enough", f"add -C {target.name}")
    elif not (output.is_terminal(0) and output.is_terminal(2)):
        raise UsageFailure(f"context {target.name!r} is protected, and there is no terminal to ask at", f"say so with -y -C {target.name}")
