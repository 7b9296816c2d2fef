"""ev server backup, ev server restore: a process of its own does it, this one shows how far it is."""

from __future__ import annotations

import os
import time

from ev_cli import output
from ev_cli.beside import lines_of
from ev_cli.failures import DONE, NOT_FOUND, Failure
from ev_cli.progress import Progress
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev_cli.local_engine import LocalEngine


def backup_server(options: Any) -> int:
    engine = Session(options, local=True).engine
    engine.check_owner()
    if not os.path.isdir(engine.data_dir):
        raise Failure(f"there is no data directory {engine.data_dir}", "`--data-dir` names another one", code=NOT_FOUND)
    return _shown(engine, options, "backup", os.path.abspath(options.target), "saved", f"{engine.data_dir} is saved in {options.target}")


def restore_server(options: Any) -> int:
    engine = Session(options, local=True).engine
    source = os.path.abspath(options.source)
    if not os.path.exists(source):
        raise Failure(f"there is no backup {source}")
    return _shown(engine, options, "restore", source, "restored", f"{engine.data_dir} is what {options.source} had")


def _shown(engine: LocalEngine, options: Any, program: str, place: str, end: str, said: str) -> int:
    begun = time.monotonic()
    bar = Progress(options, program, total=0, at_once=True)
    ended = None
    try:
        for line in lines_of(engine, program, [place], broken=f"the {program} has failed"):
            if "refused" in line:
                raise Failure(output.safe(line["refused"]))
            ended = line.get(end, ended)
            bar.extend(line.get("total", 0))
            bar.advance(line.get("copied", 0))
    finally:
        bar.end()
    if ended is None:
        raise Failure(f"the {program} ended before it was complete")
    if not options.quiet:
        output.say(f"ev: {output.safe(said)} ({ended[0]} files, {ended[1] / 1e6:.1f} MB in {time.monotonic() - begun:.1f} s)")
    return DONE
