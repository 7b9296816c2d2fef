"""Segments of a topic: where the engine is on this machine they are seen as they lie there, elsewhere it is said that they are not."""

from __future__ import annotations

import json
import os
import pathlib

import pytest
from textual.pilot import Pilot

from ev_cli.segment_files import SegmentFile, segments_in, segments_of
from ev_tui.app import EvApp
from ev_tui.screens.segments import SegmentsTab, batches_text, segment_rows
from ev_tui.tabs import TabPage
from ev_tui.widgets.dialog import Look
from support.command_line import CommandLine
from support.terminal_ui import options, run_app, text_of, until


@pytest.mark.slow
def test_what_is_seen_is_what_the_files_and_the_command_say(ev: CommandLine) -> None:
    """Each segment with its offsets and its size; enter shows its batches; the command shown for a row dumps that segment."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("topic", "cut")
        page = app.page
        assert isinstance(page, TabPage)
        await until(pilot, lambda: page.is_composed)
        await pilot.press("left")
        assert isinstance(page.tab, SegmentsTab)
        await until(pilot, lambda: len(page.list.view) >= 3 and page.list.view[-1][1] is not None)
        rows = page.list.view
        files = sorted(ev.data_dir.glob("cut-*/*.log"))
        assert [(row[0][2], row[2]) for row in rows] == [(str(path), path.stat().st_size) for path in files]
        assert [row[0][1] for row in rows] == [int(path.stem) for path in files]
        assert sum(row[1] for row in rows) == 12
        assert [row[6] for row in rows] == [*[""] * (len(rows) - 1), "active"]
        assert app.command_text == f"ev log dump {files[0]}"
        batches = json.loads(ev.shell(f"export EV_OUTPUT=json\n{app.command_text}").out)
        assert (batches[0]["base_offset"], batches[-1]["last_offset"] + 1) == (rows[0][0][1], rows[1][0][1])
        assert rows[0][4] in (None, max(batch["max_timestamp"] for batch in batches)), "not known before its index is saved"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Look))
        assert f"{batches[0]['base_offset']:,}-{batches[0]['last_offset']:,}" in text_of(app)
        assert "ev log dump" in text_of(app)

    ev("topic", "create", "cut", "-c", "segment.bytes=2000", "-q")
    for number in range(12):
        ev("produce", "cut", "-q", data=b"%d" % number * 700 + b"\n")
    run_app(steps, (200, 40), given=options(data_dir=str(ev.data_dir)))


def test_what_is_to_go_and_what_is_no_segment(tmp_path: pathlib.Path) -> None:
    """Files of what was deleted say so, and count for nothing; others are passed over; the last one takes records."""
    folder = tmp_path / "orders-3"
    folder.mkdir()
    entry = (1_700_000_000_000).to_bytes(8, "big") + bytes(4)
    for name, data in (
        ("00000000000000000000.log", b"x" * 10),
        ("00000000000000000000.index", b"y" * 8),
        ("00000000000000000000.timeindex", bytes(12) + entry),
        ("00000000000000000007.log", b"x"),
        ("00000000000000000007.timeindex", entry),
        ("00000000000000000000.log.deleted", b"z" * 3),
        ("00000000000000000042.snapshot", b"s"),
        ("partition.metadata", b"m"),
    ):
        (folder / name).write_bytes(data)
    (tmp_path / "orders-dlq-3").mkdir()
    (tmp_path / "orders-4").mkdir()
    found = segments_of(str(tmp_path), "orders")
    assert [(one.partition, one.base_offset, one.fate, one.size_bytes, one.index_bytes, one.newest_ms, one.is_last) for one in found] == [
        (3, 0, "", 10, 32, 1_700_000_000_000, False),
        (3, 0, "deleted", 3, 0, None, False),
        (3, 7, "", 1, 12, None, True),
    ]
    assert [os.path.basename(one.path) for one in found][1] == "00000000000000000000.log.deleted"
    assert segments_in(str(tmp_path / "gone-0"), 0) == []
    rows = segment_rows(found, {3: 9})
    assert [(row[1], row[6]) for row in rows] == [(7, ""), (None, "being deleted"), (2, "active")]
    assert segment_rows(found, {})[2][1] is None, "where it ends is not known"


def test_partitions_do_not_run_into_each_other() -> None:
    """The last segment of one does not end where the first of the next begins."""
    found = [SegmentFile(index, 0, f"/d/t-{index}/0.log", 1, 0, 0, None, "", True) for index in (0, 1)]
    assert [row[1] for row in segment_rows(found, {0: 5, 1: 6})] == [5, 6]


def test_batches_say_what_is_wrong_with_them() -> None:
    """Damage is seen, and so is that there are more."""
    batch = {"base_offset": 0, "last_offset": 1, "count": 2, "position": 0, "size": 99, "codec": "lz4", "max_timestamp": -1}
    marks = {"transactional": True, "control": False, "sound": False}
    line = batches_text([{**batch, **marks}]).splitlines()[1]
    assert line.split() == ["0-1", "2", "0", "99", "B", "lz4", "-", "transactional", "DAMAGED"]
    assert batches_text([{**batch, **marks}] * 501).splitlines()[-1] == "… the command shows all"
    assert batches_text([]) == "no batch is in the file yet"
