"""The segments of a topic, where its engine is on this machine; elsewhere there are only log directories, which say how large a log is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ev_cli.failures import Failure
from ev_cli.segment_files import segments_of
from ev_tui import amounts
from ev_tui.asked import Asked
from ev_tui.changes import option
from ev_tui.screens.topic_tabs import TopicTab
from ev_tui.widgets.dialog import Look
from ev_tui.widgets.line import Piece
from ev_tui.widgets.line_table import Column, Row

if TYPE_CHECKING:
    from ev_cli.model.snapshot import Snapshot
    from ev_cli.segment_files import SegmentFile
    from ev_cli.session import Session
    from ev_tui.tabs import TabPage

OLD_S = 5.0
BATCHES_MAX = 500
"""So many batches of a segment are shown; `ev log dump` has them all."""
STATES = {"deleted": "being deleted", "cleaned": "being compacted", "swap": "being replaced"}


class SegmentsTab(TopicTab):
    """Every segment: the offsets that it holds, its files, how old it is. Enter shows what is in it."""

    TITLE = "Segments"
    EMPTY = "no segment has a file yet"

    def __init__(self, page: TabPage) -> None:
        super().__init__(page)
        self._asked: Asked[list[SegmentFile]] = Asked(self._look, old_s=OLD_S)

    def columns(self) -> Sequence[Column]:
        return (
            Column("SEGMENT", 24, lambda key: f"p{key[0]} {key[1]:,}", keep=0, order=lambda key: key[:2]),
            Column("OFFSETS", 11, amounts.full, right=True, keep=2, descending=True),
            Column("FILE", 8, amounts.size, right=True, keep=1, descending=True),
            Column("INDEXES", 8, amounts.size, right=True, keep=7, descending=True),
            Column("NEWEST RECORD", 19, moment, keep=4, descending=True),
            Column("WRITTEN", 19, moment, keep=5, descending=True),
            Column("", 15, keep=3, grow=True, tone=lambda state: "accent" if state == "active" else "warn"),
        )

    @property
    def asked(self) -> Asked[Any] | None:
        return self._asked

    def _look(self, session: Session) -> list[SegmentFile]:
        engine = session.engine
        engine.check_owner()
        try:
            return segments_of(engine.data_dir, self.topic)
        except OSError as error:
            raise Failure(f"the data directory cannot be read: {error.strerror}") from None

    def rows(self, snapshot: Snapshot) -> list[Row]:
        ends = {row.index: row.end for row in snapshot.partitions.get(self.topic, ())}
        return segment_rows(self._asked.answer or [], ends)

    def heading(self, snapshot: Snapshot) -> str:
        found = self._asked.answer or []
        return f"{len(found):,} segment{'' if len(found) == 1 else 's'}, {amounts.size(sum(one.size_bytes for one in found))} in files"

    def note(self, snapshot: Snapshot) -> tuple[Piece, ...]:
        return ((" files of this machine: the newest records may still be in the journal, and no file has them yet", "dim"),)

    def command(self) -> Sequence[str]:
        key = self.table.current_key
        return ("cluster", "logdirs", "--by", "partition", *option("--topic", self.topic)) if key is None else ("log", "dump", key[2])

    def open_row(self, key: Any) -> None:
        """Its batches, as the command shows them."""
        ev = self.page.ev
        path = str(key[2])
        words = ("log", "dump", path)

        def read() -> str:
            from ev_cli.actions.log import batches_of

            return batches_text(batches_of(path, BATCHES_MAX + 1))

        def show(text: str) -> None:
            ev.push_screen(Look(f"p{key[0]} from {key[1]:,}", f"$ {ev.command_of(words)}\n\n{text}"))

        ev.run_in_thread(read, show)


def segment_rows(found: Sequence[SegmentFile], ends: dict[int, int | None]) -> list[Row]:
    """The values of the columns; `ends` is where each partition ends, as far as that is known."""
    whole = [one for one in found if not one.fate]
    following = {(one.partition, one.base_offset): after.base_offset for one, after in pairwise(whole) if one.partition == after.partition}
    rows = []
    for one in found:
        end = None if one.fate else ends.get(one.partition) if one.is_last else following[one.partition, one.base_offset]
        rows.append(
            (
                (one.partition, one.base_offset, one.path),
                None if end is None else max(0, end - one.base_offset),
                one.size_bytes,
                one.index_bytes,
                one.newest_ms,
                one.written_ms,
                STATES[one.fate] if one.fate else "active" if one.is_last else "",
            )
        )
    return rows


def moment(time_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_ms / 1000))


def batches_text(batches: Sequence[dict[str, Any]]) -> str:
    """A line for each batch."""
    if not batches:
        return "no batch is in the file yet"
    lines = [f"{'OFFSETS':>25}  {'RECORDS':>7}  {'POSITION':>12}  {'SIZE':>9}  CODEC   NEWEST"]
    for batch in batches[:BATCHES_MAX]:
        offsets = f"{batch['base_offset']:,}-{batch['last_offset']:,}"
        newest = moment(batch["max_timestamp"]) if batch["max_timestamp"] >= 0 else amounts.UNKNOWN
        flags = [name for name in ("transactional", "control") if batch[name]] + ([] if batch["sound"] else ["DAMAGED"])
        where = f"{batch['position']:>12,}  {amounts.size(batch['size']):>9}"
        lines.append(f"{offsets:>25}  {batch['count']:>7,}  {where}  {batch['codec']:<6}  {newest}  {' '.join(flags)}".rstrip())
    return "\n".join([*lines, *(["… the command shows all"] if len(batches) > BATCHES_MAX else [])])
