"""ev get: how it is spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import READS

app = typer.Typer(add_completion=False)


@declare(app, "get", "get:get", effect=READS)
def get(
    record: Annotated[
        str, typer.Argument(metavar="[CONTEXT/]TOPIC/PARTITION/OFFSET", help="Which record; -1 is the newest of its partition.")
    ],
    format: Annotated[
        str | None,
        typer.Option("--format", "-f", metavar="FORMAT", help="As for ev consume; JSON, and on a terminal a line for each thing."),
    ] = None,
    json_records: Annotated[bool, typer.Option("--json-records", "-J", help="The same as -f json.")] = False,
    fields: Annotated[str | None, typer.Option("--fields", metavar="NAME,…", help="JSON of these fields only.")] = None,
    embed_json: Annotated[bool, typer.Option("--embed-json", help="A JSON value as JSON, not as text.")] = False,
    null: Annotated[str | None, typer.Option("--null", metavar="TEXT", help="What stands for null (nothing).")] = None,
    serde: Annotated[
        list[str] | None,
        typer.Option("--serde", "-s", metavar="[key|value=]SERDE,…", help="Show bytes as hex, base64, i32be, unpack:FMT …"),
    ] = None,
    schema: Annotated[str | None, typer.Option("--schema", metavar="FILE", help="The value is Avro by this schema, shown as JSON.")] = None,
    key_schema: Annotated[str | None, typer.Option("--key-schema", metavar="FILE", help="The same for the key.")] = None,
    proto: Annotated[
        str | None, typer.Option("--proto", metavar="FILE", help="The value is Protobuf by this .proto file, shown as JSON.")
    ] = None,
    message: Annotated[str | None, typer.Option("--message", metavar="NAME", help="Which message of --proto.")] = None,
    utc: Annotated[bool, typer.Option("--utc", help="Times are UTC, not local.")] = False,
    read_uncommitted: Annotated[bool, typer.Option("--read-uncommitted", help="Also when its transaction is open or was aborted.")] = False,
) -> None:
    """Write one record, all of it.

    Exit status 3 when there is none, with what there is. The form TOPIC/PARTITION@OFFSET that a terminal shows is read too.

    ev get payments/0/42

    ev get payments/0/-1 -f value
    """
