"""ev top: brokers, topics with their rates, groups with their lag, at a glance."""

from __future__ import annotations

from ev_cli import output
from ev_cli.failures import DONE, UsageFailure
from ev_cli.model.overview import Glance
from ev_cli.session import Session
from ev_cli.times import duration_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

INTERVAL = "1s"
PARTS = {
    "brokers": (("broker", "address", "controller", "leads", "records_per_s", "bytes"), ()),
    "topics": (("topic", "records_per_s", "records", "bytes", "partitions"), ()),
    "groups": (("group", "state", "members", "lag"), ()),
}


def top(options: Any) -> int:
    form = output.output_format(options)
    every_ms = duration_ms(options.interval or INTERVAL, "--interval")
    if options.count is not None and options.count < 0:
        raise UsageFailure("-n takes a number of rows")
    session = Session(options)
    with session.admin() as admin:
        glance = Glance(admin)
        session.verify(glance.cluster_id)
        found = glance.again(every_ms / 1000)
    for name in ("topics", "groups"):
        found[name] = found[name][: options.count]
    if form in ("json", "jsonl", "yaml"):
        table = output.Table(tuple(found))
        table.add(**found)
        output.show(table, options, one=True)
        return DONE
    if form in ("table", "wide"):
        count = len(found["brokers"])
        title = f"{session.where}: {count} broker{'' if count == 1 else 's'}, {found['records_per_s']:,.0f} records/s"
        output.write_text(f"{output.safe(title)}\n")
        for name in PARTS:
            if found[name]:
                output.write_text("\n" + output.aligned(_part(found, name), form == "wide", not options.no_headers))
        return DONE
    for name in PARTS:  # a line says first what it is about
        rows = output.Table(("kind", *PARTS[name][0]))
        for row in found[name]:
            rows.add(kind=name.removesuffix("s"), **row)
        output.show(rows, options)
    return DONE


def _part(found: dict[str, Any], name: str) -> output.Table:
    columns, wide = PARTS[name]
    table = output.Table(columns, wide)
    for row in found[name]:
        table.add(**row)
    return table
