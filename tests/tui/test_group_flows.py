"""Groups of a real engine: the figures are those of the commands, a reset can be taken back, and an engine that comes back is seen."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import Any

import pytest
from textual.pilot import Pilot

from ev.client.consumer import Consumer
from ev_tui.app import EvApp
from ev_tui.screens.group import GroupPage
from ev_tui.widgets.dialog import Confirm
from support.command_line import CommandLine
from support.hostile import HOSTILE
from support.terminal_ui import options, run_app, text_of, until

pytestmark = pytest.mark.slow

NASTY = 'it\'s "a"\n$HOME `id` \\ \x1b[31m\u202e -x'
"""A group's name: quotes, spaces, line ends, control characters."""
ODD = "-it's odd"


def engine_with(ev: CommandLine, topic: str, records: int, partitions: int = 2, first: bytes = b"") -> None:
    ev("topic", "create", topic, "-p", str(partitions), "-q")
    if first:
        ev("produce", topic, "-p", "0", "-q", data=first + b"\n")
    for index in range(partitions):
        lines = b"".join(b"k%d\tv%d\n" % (number, number) for number in range(records))
        ev("produce", topic, "-p", str(index), "-K", "\t", "-q", data=lines)


def committed(ev: CommandLine, group: str) -> dict[int, int]:
    return {row["partition"]: row["committed"] for row in ev("group", "describe", "--json", "--", group).json["lag"]}


def answer_of(ev: CommandLine, command: str) -> Any:
    """What a command says that the interface shows, typed into a shell as it stands."""
    done = ev.shell(f"export EV_OUTPUT=json\n{command}")
    assert done.status == 0, (command, done)
    return json.loads(done.out)


@pytest.fixture
def places(one_engine: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The interface notes its changes where the command line does."""
    monkeypatch.setenv("HOME", str(one_engine.directory))
    return one_engine


def test_commands_that_are_shown_do_what_is_seen_whatever_the_names_are(places: CommandLine) -> None:
    """Each goes through a shell: what it says is what is on the screen, what it changes is what the keys would."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("groups")
        await until(pilot, lambda: "GROUPS" in text_of(app) and len(page_rows(app)) >= 2)
        await pilot.press("b", "slash", *"it's", "enter")
        await until(pilot, lambda: len(page_rows(app)) == 2 and all(row[4] for row in page_rows(app)))
        told = {row["group"]: row["lag"] for row in answer_of(places, app.command_text)}
        assert {row[0]: row[4] for row in page_rows(app)} == told == {NASTY: 13, ODD: 13}
        for name in (NASTY, ODD):
            app.go("group", name)
            await until(pilot, lambda name=name: app.page is not None and app.page.about == (name,) and len(page_rows(app)) == 2)  # type: ignore[misc]
            found = answer_of(places, app.command_text)
            assert found["group"] == name
            assert {(row[0], row[1], row[2], row[3]) for row in page_rows(app)} == {
                (f"{row['topic']}/{row['partition']}", row["committed"], row["end"], row["lag"]) for row in found["lag"]
            }
            assert "lag 13 " in text_of(app)
            assert "\x1b" not in text_of(app)
            await pilot.press("m")
            assert answer_of(places, app.command_text)["members"] == []
            await pilot.press("R", "right", "right")
            await until(pilot, lambda: "skip 13" in text_of(app))
            assert places.shell(app.command_text).status == 0
            assert committed(places, name) == {0: 8, 1: 8}
            await pilot.press("escape", "D")
            await until(pilot, lambda: isinstance(app.screen, Confirm))
            assert isinstance(app.screen, Confirm)
            assert places.shell(app.command_of(app.screen.words)).status == 0
            assert places("group", "describe", "--", name, status=3)
            await pilot.press("escape")

    engine_with(places, "figures", 8)
    for name in (NASTY, ODD):
        places("group", "seek", "--to", "1", "-t", "figures:0", "--new-topics", "-y", "-q", "--", name)
        places("group", "seek", "--to", "2", "-t", "figures:1", "--new-topics", "-y", "-q", "--", name)
    run_app(steps, (140, 40), given=options(data_dir=str(places.data_dir)))


def page_rows(app: EvApp) -> list[tuple[Any, ...]]:
    """The rows of the screen; none before it stands."""
    table = getattr(app.page, "list", None)
    return [] if table is None else table.view


def test_a_reset_waits_until_the_group_is_empty_does_what_was_shown_and_can_be_taken_back(places: CommandLine) -> None:
    """From the group's screen to the offsets and back again with `ev undo`; the records that are named first have hostile values."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("group", "mover")
        await until(pilot, lambda: "2 members" in text_of(app) or "1 member" in text_of(app))
        await pilot.press("R", "right")
        await until(pilot, lambda: "re-read 11 · skip 0" in text_of(app))
        await until(pilot, lambda: "EVIL\\x1b]0;title" in text_of(app))
        assert "\x1b" not in text_of(app)
        assert "not empty: Stable, 1 member" in text_of(app)
        await pilot.press("tab", "tab", *"mover", "enter")
        await pilot.pause(0.2)
        assert committed(places, "mover") == {0: 8, 1: 3}
        await pilot.press("escape", "w")
        member.close()
        await until(pilot, lambda: "is empty: it can be moved" in text_of(app))
        page = app.page
        assert page is not None
        page.query_one("#name").value = ""  # type: ignore[attr-defined]
        command = app.command_text
        await until(pilot, lambda: app.focused is page.query_one("#name"))
        await pilot.press(*"mover", "enter")
        await until(pilot, lambda: isinstance(app.page, GroupPage) and "lag 17 " in text_of(app))
        assert committed(places, "mover") == {0: 0, 1: 0}
        assert [entry.text for entry in app.log_of_commands.entries] == [command]
        (said,) = [one.message for one in app._notifications if "moved group" in one.message]
        undo = re.search(r"`ev undo (\d+)`", said)
        assert undo is not None
        places("undo", undo[1], "-y")
        assert committed(places, "mover") == {0: 8, 1: 3}
        await until(pilot, lambda: "lag 6 " in text_of(app))
        places.shell(command)  # the command that was shown does what the key did
        assert committed(places, "mover") == {0: 0, 1: 0}

    engine_with(places, "moved", 8, first=HOSTILE.replace("\n", "").encode("utf-8", "surrogatepass"))
    places("group", "seek", "mover", "--to", "8", "-t", "moved:0", "--new-topics", "-y", "-q")
    places("group", "seek", "mover", "--to", "3", "-t", "moved:1", "--new-topics", "-y", "-q")
    member = Consumer(places.address, group="mover")
    member.subscribe(["moved"])
    while len(member.assignment()) < 2:
        member.poll_batches(200)
    run_app(steps, (140, 40), given=options(data_dir=str(places.data_dir)))


def test_from_a_group_to_the_record_that_it_reads_next_and_to_the_tail(places: CommandLine) -> None:
    """Enter shows the record at the committed offset, t the partition that lags; esc comes back."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("group", "reads")
        await until(pilot, lambda: "read.me/0" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: "v5" in text_of(app))
        assert app.place is not None
        assert (app.place.name, app.place.about) == ("record", ("read.me", "0", "5"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.page, GroupPage))
        await pilot.press("t")
        await until(pilot, lambda: app.place is not None and app.place.name == "tail")
        assert app.place.about == ("read.me:0",)

    engine_with(places, "read.me", 8, partitions=1)
    places("group", "seek", "reads", "--to", "5", "-t", "read.me", "--new-topics", "-y", "-q")
    run_app(steps, (120, 30), given=options(data_dir=str(places.data_dir)))


def test_a_group_is_deleted_by_its_name_and_brought_back(places: CommandLine) -> None:
    """D asks, a wrong name does nothing, the right one deletes; `ev undo` brings the offsets back."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("group", "doomed")
        await until(pilot, lambda: "doomed/0" in text_of(app))
        await pilot.press("D", *"doome", "enter")
        await pilot.pause(0.1)
        assert committed(places, "doomed") == {0: 1}
        await pilot.press("d", "enter")
        await until(pilot, lambda: app.place is not None and app.place.name == "groups")
        assert places("group", "describe", "doomed", status=3)
        (said,) = [one.message for one in app._notifications if "deleted group" in one.message]
        undo = re.search(r"`ev undo (\d+)`", said)
        assert undo is not None
        places("undo", undo[1], "-y")
        assert committed(places, "doomed") == {0: 1}

    engine_with(places, "doomed", 4, partitions=1)
    places("group", "seek", "doomed", "--to", "1", "-t", "doomed", "--new-topics", "-y", "-q")
    run_app(steps, (120, 30), given=options(data_dir=str(places.data_dir)))


@pytest.mark.slow
def test_an_engine_that_was_killed_comes_back_under_every_screen(ev: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """LOST is said while it is away; the figures come back, and go on, without a key."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        for lag, place in ((40, ("groups",)), (41, ("group", "stays")), (52, ("reset", "stays"))):
            app.go(*place)
            await until(pilot, lambda lag=lag: f" {lag} " in text_of(app))  # type: ignore[misc]
            os.kill(ev.pid, signal.SIGKILL)
            await until(pilot, lambda: "LOST" in text_of(app))
            ev("up", "-q")
            ev("produce", "stays", "-p", "0", "-q", data=b"one more\n")
            await until(pilot, lambda lag=lag: "LOST" not in text_of(app) and f" {lag + 1} " in text_of(app))  # type: ignore[misc]

    monkeypatch.setenv("HOME", str(ev.directory))
    ev("up", "-q")
    engine_with(ev, "stays", 50)
    ev("group", "seek", "stays", "--to", "10", "-t", "stays:0", "--new-topics", "-y", "-q")
    run_app(steps, (140, 30), given=options(data_dir=str(ev.data_dir)))
