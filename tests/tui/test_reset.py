"""Reset: what is chosen and typed becomes words and a preview, and looking changes nothing. The cluster's answers are said here."""

from __future__ import annotations

import pathlib
import time
from typing import Any

import pytest
from textual.pilot import Pilot

from ev.client.results import CommittedOffset
from ev_cli.failures import Failure
from ev_cli.group_moves import Move
from ev_tui import moving
from ev_tui.app import EvApp
from ev_tui.moving import AT_THE_END, KINDS, FirstRecord, Preview, read_target, sums, word_of, words_of
from ev_tui.screens import reset
from support.terminal_ui import SaidModel, check_screen, connected, group, options, run_app, text_of, until

NOW_MS = 1_772_366_400_000
PLACES = [("payments", 3), ("payments", 0), ("payments", 4), ("payments", 5)]
CLOCK = ((r"\d\d:\d\d:\d\d(?=\n)", "HH:MM:SS"), (r"@\d\d\d\d-.*?Z", "@TIME"))


def a_move() -> Move:
    committed = {PLACES[0]: CommittedOffset(18_701_783), PLACES[1]: CommittedOffset(7_340_100), PLACES[2]: CommittedOffset(2)}
    wanted = dict(zip(PLACES, (19_641_200, 7_331_870, 12, 40), strict=True))
    starts = dict.fromkeys(PLACES, 12)
    ends: dict[tuple[str, int], int | None] = dict(zip(PLACES, (19_882_004, 7_340_112, 500, 40), strict=True))
    return Move("payments-sync", committed, wanted, starts, ends, [])


def test_what_is_read_twice_and_what_never() -> None:
    """What is gone from the log is neither; a partition without a commit is counted for itself."""
    assert sums(a_move()) == (8_230, 939_417, 1)


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("start", "", ["--to", "start"]),
        ("end", "ignored", ["--to", "end"]),
        ("offset", "1200", ["--to", "1200"]),
        ("shift", "100", ["--to", "+100"]),
        ("shift", "-100", ["--to=-100"]),
        ("group", "it's", ["--to-group", "it's"]),
        ("group", "-odd", ["--to-group=-odd"]),
        ("time", "-15m", ["--to", "@2026-03-01T11:45:00.000Z"]),
        ("time", "@1772366400123", ["--to", "@2026-03-01T12:00:00.123Z"]),
    ],
)
def test_what_is_typed_becomes_words_that_mean_the_same_later(kind: str, text: str, words: list[str]) -> None:
    """A time from now stands as the moment that it is."""
    assert words_of(kind, text, NOW_MS) == words


def test_a_file_is_named_from_the_root_and_is_never_stdin(tmp_path: pathlib.Path) -> None:
    """The command can be run elsewhere; `-` is a file of that name, because stdin is the keyboard."""
    file = tmp_path / "my offsets"
    file.write_text("payments 0 7\n")
    target = read_target(KINDS[-1], "my offsets", ["payments/0", "payments/3"], True, NOW_MS)
    assert word_of("-g", target, ["payments/0", "payments/3"]) == [
        *("group", "seek", "--to-file", str(file), "--new-topics", "-t", "payments:0,3", "-y", "--", "-g")
    ]
    assert target.seek.file == str(file)
    assert (target.seek.topics, target.seek.new_topics) == (["payments:0,3"], True)
    assert words_of("file", "-", NOW_MS) == ["--to-file", str(tmp_path / "-")]


@pytest.mark.parametrize(
    ("kind", "text"), [("offset", "x"), ("offset", ""), ("shift", "+"), ("time", "yesteryear"), ("time", "1:2"), ("group", " ")]
)
def test_what_is_no_place_says_so(kind: str, text: str) -> None:
    """In one line."""
    with pytest.raises(Failure):
        read_target(next(one for one in KINDS if one.name == kind), text, (), False, NOW_MS)


class SaidCluster:
    """In the place of what asks the cluster: the preview, the records, the members, the move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, members: int) -> None:
        self.members = members
        self.targets: list[Any] = []
        self.moved: list[Preview] = []
        monkeypatch.setattr(reset, "preview", self.preview)
        monkeypatch.setattr(reset, "first_records", self.records)
        monkeypatch.setattr(reset, "still_has_members", lambda *_: self.state)
        monkeypatch.setattr(reset, "go", self.go)

    @property
    def state(self) -> tuple[str, int]:
        return ("Stable" if self.members else "Empty", self.members)

    def preview(self, _session: Any, _group: str, target: moving.Target) -> Preview:
        self.targets.append(target)
        return Preview(a_move(), *self.state, time.monotonic())

    def records(self, _session: Any, plan: Move) -> dict[tuple[str, int], FirstRecord]:
        texts = ('10:27:07.120 k-991 {"id":8821,"status":"PAID"}', '10:27:07.004 k-12 {"id":8102}')
        return {place: FirstRecord(0, texts[index]) if index < 2 else AT_THE_END for index, place in enumerate(plan.wanted)}

    def go(self, _session: Any, found: Preview) -> str:
        self.moved.append(found)
        return "moved"


def a_group(members: int) -> SaidModel:
    return SaidModel(connected(groups={"payments-sync": group("payments-sync", state="Stable" if members else "Empty", members=members)}))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_the_preview_as_it_is_seen(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after, what is read first, what that costs, and what is in the way."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("reset", "payments-sync")
        await until(pilot, lambda: "19,641,200" in text_of(app))
        await pilot.pause(0.1)
        check_screen(app, f"reset-{size[0]}x{size[1]}", masks=CLOCK)

    SaidCluster(monkeypatch, 6)
    run_app(steps, size, model=a_group(6))


def test_nothing_is_done_before_the_group_is_empty_and_its_name_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """w waits; what is typed wrongly does nothing; what is typed rightly does what was shown, and goes to the group."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("reset", "payments-sync")
        await until(pilot, lambda: "not empty" in text_of(app))
        page = app.page
        assert page is not None
        await pilot.press("right", "tab", "tab", *"payments-sync", "enter")
        assert "--to start" in app.command_text
        assert not cluster.moved
        await pilot.press("escape", "w")
        await until(pilot, lambda: "waiting until they are gone" in text_of(app))
        cluster.members = 0
        await until(pilot, lambda: "is empty: it can be moved" in text_of(app))
        await until(pilot, lambda: app.focused is page.query_one("#name"))
        page.query_one("#name").value = ""  # type: ignore[attr-defined]
        await pilot.press(*"payments", "enter")
        await pilot.pause(0.1)
        assert not cluster.moved
        await pilot.press(*"-sync", "enter")
        await until(pilot, lambda: app.place is not None and app.place.name == "group")
        assert len(cluster.moved) == 1
        assert [entry.text for entry in app.log_of_commands.entries] == ["ev group seek --to start -y payments-sync -b 127.0.0.1:1"]

    cluster = SaidCluster(monkeypatch, 6)
    run_app(steps, (120, 30), model=a_group(6))


def test_the_command_follows_the_choice_and_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kind, the partitions that were marked, topics that are new; Y copies what stands there."""
    copied: list[str] = []

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        monkeypatch.setattr(app, "copy", lambda text, _what: copied.append(text))
        app.go("reset", "payments-sync", "payments/3", "payments/0")
        await until(pilot, lambda: "ev group seek --to @" in app.command_text)
        await pilot.press("left")
        await until(pilot, lambda: "type a file" in text_of(app))
        await pilot.press("left", "tab", *"other", "escape", "n")
        await until(pilot, lambda: "--to-group other" in app.command_text)
        await pilot.press("Y")
        assert copied == ["ev group seek --to-group other --new-topics -t payments:3,0 -y payments-sync -b 127.0.0.1:1"]

    SaidCluster(monkeypatch, 0)
    run_app(steps, (120, 30), model=a_group(0))


def test_a_session_for_looking_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where somebody got to the preview."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("reset", "payments-sync")
        await until(pilot, lambda: "can be moved" in text_of(app))
        await pilot.press("right", "tab", "tab", *"payments-sync", "enter")
        await until(pilot, lambda: any("only for looking" in one.message for one in app._notifications))
        assert not cluster.moved

    cluster = SaidCluster(monkeypatch, 0)
    run_app(steps, (120, 30), model=a_group(0), given=options(bootstrap="127.0.0.1:1", readonly=True))
