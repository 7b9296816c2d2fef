"""Export: the records that a screen has, into a file, one JSON object a line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ev_cli.failures import Failure
from ev_tui.records.forms import as_json
from ev_tui.widgets.dialog import Field, Form

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev_tui.app import EvApp
    from ev_tui.records.ring import Ring

PIECE = 1000


def export(app: EvApp, ring: Ring, topic: str, words: Sequence[str]) -> None:
    """Ask for a file, and write what is in the ring now. `words` are the command that shows these records."""

    def write(values: dict[str, str] | None) -> None:
        if values is not None:
            path = os.path.abspath(os.path.expanduser(values["path"]))
            app.run_in_thread(lambda: written(ring, path), lambda count: app.tell(f"{count:,} records are in {path}"))

    fields = (Field("path", "file", f"{topic}.jsonl", check=wrong_path),)
    text = f"{len(ring):,} records, as `ev consume -J` writes them; `ev produce -J` reads them"
    app.push_screen(Form("export", fields, lambda values: [*words, "--json-records", "--exit-at-end"], text=text), write)


def wrong_path(text: str) -> str | None:
    """Nothing that is there is written over."""
    path = os.path.abspath(os.path.expanduser(text))
    if not text.strip():
        return "a file has a name"
    if os.path.exists(path):
        return f"{path} is there already"
    return None if os.path.isdir(os.path.dirname(path)) else f"there is no directory {os.path.dirname(path)}"


def written(ring: Ring, path: str) -> int:
    """Write the records piece by piece; how many they were. Those that are pushed out meanwhile are not among them."""
    count, place, end = 0, ring.start, ring.end
    try:
        with open(path, "x", encoding="utf-8") as file:
            while place < end:
                rows = ring.rows(place, min(PIECE, end - place))
                file.writelines([f"{as_json(row)}\n" for row in rows if not row.origin.is_control])
                count += sum(not row.origin.is_control for row in rows)
                place = max(place + PIECE, ring.start)
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}") from None
    return count
