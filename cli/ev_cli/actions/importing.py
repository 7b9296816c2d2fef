"""ev server import: an Apache Kafka's data becomes this engine's. A process of its own does it, this one shows what it says."""

from __future__ import annotations

import os
import time

from ev_cli import output
from ev_cli.beside import lines_of
from ev_cli.failures import DONE, Failure
from ev_cli.progress import Progress
from ev_cli.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def import_server(options: Any) -> int:
    engine = Session(options, local=True).engine
    engine.check_owner()
    if engine.held_since_ns() is not None:
        raise Failure(f"an engine runs on {engine.data_dir}", "`ev server stop` stops it; an import is for one that does not run")
    arguments = [os.path.abspath(source) for source in options.sources]
    for topic in options.topics or ():
        arguments += ["--topic", topic]
    for name, value in engine.settings().items():
        arguments += ["--set", f"{name}={value}"]
    if options.dry_run:
        arguments.append("--dry-run")
    begun = time.monotonic()
    bar = Progress(options, "import", total=0, at_once=True)
    table = output.Table(("topic", "partitions", "offsets", "bytes"))
    remarks, imported = [], None
    try:
        for line in lines_of(engine, "import_kafka", arguments, broken="the import has failed; nothing was imported"):
            if "refused" in line:
                raise Failure(output.safe(line["refused"]))
            if "topic" in line:
                table.add(**dict(zip(table.columns, line["topic"], strict=True)))
            if "remark" in line:
                remarks.append(line["remark"])
            imported = line.get("imported", imported)
            bar.extend(line.get("total", 0))
            bar.advance(line.get("copied", 0))
    finally:
        bar.end()
    output.show(table, options)
    if not options.quiet:
        for remark in remarks:
            output.say(f"ev: {output.safe(remark)}")
        if imported is not None:
            topics, partitions, groups, ids = imported
            size = sum(row["bytes"] for row in table.rows) / 1e6
            what = f"{topics} topics with {partitions} partitions, {groups} groups and {ids} transactional ids"
            output.say(f"ev: {engine.data_dir} has {what} more ({size:.1f} MB in {time.monotonic() - begun:.1f} s)")
    return DONE
