"""A group moved in each way that the interface has: what is shown is what the command would do, what is done can be taken back."""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from ev.client.producer import Producer
from ev_tui.app import EvApp
from ev_tui.moving import KINDS
from ev_tui.screens.group import GroupPage
from ev_tui.screens.reset import ResetPage
from support.command_line import CommandLine
from support.terminal_ui import options, run_app, text_of, told, until

pytestmark = pytest.mark.slow

NOON_MS = 1_772_366_400_000
"""2026-03-01T12:00:00Z: the records are a second apart from then on."""
STOOD = {0: 6, 1: 4}


def committed(ev: CommandLine, group: str) -> dict[int, int]:
    return {row["partition"]: row["committed"] for row in ev("group", "describe", group, "--json").json["lag"]}


@pytest.fixture(scope="module")
def filled(one_engine: CommandLine) -> CommandLine:
    """Ten records a second apart in one partition, five in the other, and a group that has read some."""
    one_engine("topic", "create", "moves", "-p", "2", "-c", "retention.ms=-1", "-q")
    with Producer(one_engine.address) as producer:
        for index, count in ((0, 10), (1, 5)):
            for number in range(count):
                producer.produce("moves", b"v%d" % number, partition=index, timestamp_ms=NOON_MS + 1000 * number)
        producer.flush()
    for group, offsets in (("guide", {0: 2, 1: 5}), *[(f"by-{kind.name}", STOOD) for kind in KINDS]):
        for index, offset in offsets.items():
            one_engine("group", "seek", group, "--to", str(offset), "-t", f"moves:{index}", "--new-topics", "-y", "-q")
    return one_engine


@pytest.mark.parametrize(
    ("kind", "typed", "moved"),
    [
        ("time", "2026-03-01T12:00:03Z", {0: 3, 1: 3}),
        ("offset", "7", {0: 7, 1: 5}),
        ("shift", "-3", {0: 3, 1: 1}),
        ("shift", "+2", {0: 8, 1: 5}),
        ("group", "guide", {0: 2, 1: 5}),
        ("file", "offsets.txt", {0: 1, 1: 2}),
        ("start", "", {0: 0, 1: 0}),
        ("end", "", {0: 10, 1: 5}),
    ],
    ids=["time", "offset", "back", "on", "group", "file", "start", "end"],
)
def test_each_way_does_what_its_command_would(
    kind: str, typed: str, moved: dict[int, int], filled: CommandLine, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The preview, `--dry-run` of the command that is shown, and what is committed then are the same; `ev undo` brings back what was."""
    group = f"by-{kind}"

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("group", group)
        await until(pilot, lambda: isinstance(app.page, GroupPage) and "moves/1" in text_of(app))
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.page, ResetPage) and app.page.preview is not None)
        page = app.page
        assert isinstance(page, ResetPage)
        await pilot.press(*["right"] * [one.name for one in KINDS].index(kind))
        if typed:
            await pilot.press("tab")
            page.query_one("#value", Input).value = typed
        await until(pilot, lambda: page.preview is not None and offsets_of(page) == moved)
        assert app.command_text.count(" -y ") == 1
        dry = filled.shell(f"export EV_OUTPUT=json\n{app.command_text.replace(' -y ', ' --dry-run ')}")
        assert dry.status == 0, dry
        shown = {row[0]: (row[1], row[2], row[4]) for row in page.list.view}
        assert shown == {f"moves/{row['partition']}": (row["committed"], row["target"], row["lag"]) for row in json.loads(dry.out)}
        assert committed(filled, group) == STOOD
        page.set_focus(page.query_one("#name"))
        await pilot.press(*group, "enter")
        await until(pilot, lambda: isinstance(app.page, GroupPage))
        assert committed(filled, group) == moved
        undo = re.search(r"`ev undo (\d+)`", told(app))
        assert undo is not None
        filled("undo", undo[1], "-y")
        assert committed(filled, group) == STOOD

    def offsets_of(page: ResetPage) -> dict[int, int]:
        assert page.preview is not None
        return {index: offset for (_, index), offset in page.preview.move.wanted.items()}

    (tmp_path / "offsets.txt").write_text("moves 0 1\nmoves 1 2\n")
    monkeypatch.setenv("HOME", str(filled.directory))
    run_app(steps, (140, 40), given=options(data_dir=str(filled.data_dir)))


def test_a_time_from_now_stands_for_the_moment_that_it_was(filled: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command does later what the preview shows now."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("reset", "guide")
        await until(pilot, lambda: isinstance(app.page, ResetPage) and app.page.preview is not None)
        first = app.command_text
        assert re.search(r"--to @20\S+Z", first)
        dry = f"export EV_OUTPUT=json\n{first.replace(' -y ', ' --dry-run ')}"
        earlier: Any = json.loads(filled.shell(dry).out)
        await pilot.pause(0.1)
        assert json.loads(filled.shell(dry).out) == earlier

    monkeypatch.setenv("HOME", str(filled.directory))
    run_app(steps, (140, 40), given=options(data_dir=str(filled.data_dir)))
