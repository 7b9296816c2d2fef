"""How a data directory goes from one format to the next. `ev.state` says which one it has.

An engine reads every format up to its own, and refuses a newer one before it touches anything. A directory has the lowest format that
says everything that is in it, so that an engine of before can still be put in place of this one for as long as nothing forbids it:

* where only something *new* may be written (a kind of record, a field), the format rises when it is first written, and before that: the
  step has nothing to do (`Store.require_format`);
* where what is there has to *change*, the step changes it at the start, under the lock and before anything else, and then the format is
  noted. A crash in between does the step again, so a step finds out by itself what is still to be done.

There is no way back but a backup (`ev server backup`): a step says in the log what it does.

    format  since                     what an engine of the format before would not understand
    1       0.1                       (the first)
    2       settings at run time      records of the metadata log that are neither topics nor producer ids: settings of groups and brokers,
                                      ACLs, whatever is kept there besides
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from ev.log.checkpoint import STATE, State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ev.disk import Disk

logger = logging.getLogger(__name__)


class Step(NamedTuple):
    """From the format before to `target`."""

    target: int
    what: str
    run: Callable[[Disk, str], None] | None  # changes what is there; None: nothing has to change


STEPS: Final[tuple[Step, ...]] = (Step(2, "the metadata log may hold more than topics and producer ids", None),)


def upgrade(disk: Disk, directory: str, state: State, steps: Sequence[Step] = STEPS) -> State:
    """Take the steps that have something to do, in order; returns the state as it is noted then. Raises OSError, DiskError."""
    for step in steps:
        if step.target > state.format and step.run is not None:
            logger.info("%s goes from format %d to %d: %s", directory, state.format, step.target, step.what)
            step.run(disk, directory)
            state = State(step.target, state.epoch)
            disk.replace(f"{directory}/{STATE}", state.encode())
    return state
