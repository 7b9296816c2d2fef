"""The frame of every screen: what the bar says, where one is, the command below, help and palette; and the topics in it."""

from __future__ import annotations

import dataclasses
import time

import pytest
from textual import events
from textual.pilot import Pilot
from textual.strip import Strip

from ev_cli.model.rates import Rate
from ev_cli.model.snapshot import Alert, Connection
from ev_tui.app import EvApp
from ev_tui.frame import ContextBar, Standing, bar_pieces, colour_of
from ev_tui.pages import Place
from ev_tui.widgets.dialog import Confirm, Field, Form
from ev_tui.widgets.line_table import LineTable
from support.terminal_ui import SaidModel, check_screen, connected, nothing_yet, options, run_app, text_of, topic, until

STANDING = Standing("prod", readonly=True, protected=False, frozen_s=None, clock="10:42:07", title="Topics")


def some_topics() -> SaidModel:
    """Topics that differ in everything that is shown."""
    history = (*[None] * 50, *[float(number) for number in range(10)])
    topics = {
        "orders": topic(
            "orders",
            partitions=12,
            records=88_100_000,
            size_bytes=41_000_000_000,
            rate=Rate(9000, 10),
            history=history,
            max_lag=1_200_000,
            groups=("g",),
        ),
        "payments.dlq": topic(
            "payments.dlq", records=1204, size_bytes=2_100_000, rate=Rate(0.3, 10), history=(0.0,) * 60, max_lag=0, groups=("g",)
        ),
        "payments": topic("payments", partitions=24, replication_factor=3, under_replicated=1, records=12, rate=None),
        "new": topic("new", records=None, size_bytes=None, partitions=3),
        "漢字 and 🎉": topic("漢字 and 🎉", rate=Rate(250, 10)),
        "__consumer_offsets": topic("__consumer_offsets", internal=True),
    }
    moving = {"records_in": Rate(48_200, 10), "bytes_in": Rate(31e6, 10), "records_out": Rate(96_000, 10)}
    return SaidModel(connected(topics=topics, **moving))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50), (40, 10)], ids=["80x24", "120x40", "200x50", "40x10"])
def test_topics_as_they_are_seen(size: tuple[int, int]) -> None:
    """Columns give way where there is little room; nobody knows is not zero; what is under-replicated says by how much."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        check_screen(app, f"topics-{size[0]}x{size[1]}", clock=True)

    run_app(steps, size, model=some_topics())


def test_the_bar_is_drawn_when_it_says_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """New snapshots of a cluster in which nothing happens cost nothing there; a lost connection is seen at once."""
    drawn: list[int] = []
    render_line = ContextBar.render_line

    def counted(bar: ContextBar, y: int) -> Strip:
        drawn.append(y)
        return render_line(bar, y)

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        await pilot.pause(0.5)
        monkeypatch.setattr(ContextBar, "render_line", counted)
        for _ in range(8):
            model.put()
            await pilot.pause(0.25)
        assert drawn == []
        model.put(connection=Connection("lost", 0, "gone", time.monotonic() + 60, 1))
        await until(pilot, lambda: "LOST" in text_of(app), timeout_s=2)

    model = some_topics()
    run_app(steps, (80, 24), model=model)


def test_the_bar_says_how_the_cluster_is() -> None:
    """Connecting is not connected, lost says since when and when it is tried again, unknown rates are not there."""
    now = time.monotonic()
    told = [texts(bar_pieces(None, STANDING, now, 140)), texts(bar_pieces(nothing_yet(), STANDING, now, 140))]
    assert all("connecting" in text and "topic" not in text for text in told)
    lost = Connection("lost", int(time.time() * 1000) - 65_000, "nobody answers at h:1", now + 4, 3)
    text = texts(bar_pieces(dataclasses.replace(connected(), connection=lost), STANDING, now, 140))
    assert "LOST for 1m5s, again in 4s" in text
    assert "nobody answers at h:1" in text
    text = texts(bar_pieces(connected(topics={"a": topic("a", under_replicated=1)}), STANDING, now, 140))
    assert " RO " in text
    assert "1 topic under-replicated" in text
    assert "rec/s" not in text
    text = texts(bar_pieces(connected(records_in=Rate(0.0, 10)), STANDING, now, 140))
    assert "in 0 rec/s (10s)" in text
    quiet = Alert("b", "r", "g", "t", 0, True, None)
    text = texts(bar_pieces(connected(alerts=(dataclasses.replace(quiet, acknowledged=False), quiet)), STANDING, now, 80))
    assert "⚠1 Topics" in text


def texts(bar: tuple[list[tuple[str, str]], list[tuple[str, str]]]) -> str:
    return "".join(text for text, _ in [*bar[0], *bar[1]])


def test_contexts_differ_by_colour() -> None:
    """One's own machine is green, where a slip hurts is red, the others have theirs for good, and a person may choose."""
    assert colour_of("local", is_local=True, is_protected=False, chosen={}) == "success"
    assert colour_of("prod", is_local=False, is_protected=True, chosen={}) == "error"
    assert colour_of("prod", is_local=False, is_protected=True, chosen={"prod": "accent"}) == "accent"
    others = {colour_of(f"c{number}", is_local=False, is_protected=False, chosen={}) for number in range(30)}
    assert len(others) == 4
    assert not others & {"success", "error"}


def test_the_filter_is_in_the_command_and_esc_takes_it_away() -> None:
    """What is shown and what the command would show are the same."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        await pilot.press("slash", *"pay", "enter")
        await pilot.pause()
        assert "/pay 2 shown" in text_of(app)
        assert "ev topic list -o wide -r '(?is).*(?:pay).*' -b 127.0.0.1:1" in text_of(app)
        await pilot.press("escape")
        await pilot.pause()
        assert "shown" not in text_of(app)
        await pilot.press("H")
        await pilot.pause()
        assert "--internal" in text_of(app)
        assert "__consumer_offsets" in text_of(app)

    run_app(steps, (120, 30), model=some_topics())


def test_freeze_stands_still_and_goes_on() -> None:
    """Newer figures wait, the bar says so, the model is told."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        await pilot.press("z")
        model.put(topics={"later": topic("later")})
        await pilot.pause(1.5)
        assert model.paused
        assert "FROZEN" in text_of(app)
        assert "later" not in text_of(app)
        await pilot.press("z")
        await pilot.pause(1.5)
        assert not model.paused
        assert "later" in text_of(app)

    model = some_topics()
    run_app(steps, (120, 30), model=model)


def test_rows_on_screen_are_asked_for_first() -> None:
    """The model hears which they are when one scrolls."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        await pilot.pause(0.4)
        assert "topic-000" in model.wanted["topics"]
        assert len(model.wanted["topics"]) < 40
        await pilot.press("s", "G")
        await pilot.pause(0.4)
        assert "topic-999" in model.wanted["topics"]
        assert "topic-000" not in model.wanted["topics"]

    names = [f"topic-{number:03}" for number in range(1000)]
    model = SaidModel(connected(topics={name: topic(name) for name in names}))
    run_app(steps, (120, 40), model=model)


def test_help_has_the_keys_of_the_screen_and_the_palette_does_what_it_finds() -> None:
    """From the bindings; letters find screens, keys and themes."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        await pilot.press("question_mark")
        await pilot.pause()
        assert "THIS SCREEN" in text_of(app)
        assert "internal ones" in text_of(app)
        await pilot.press("escape")
        await pilot.press("colon", *"nternal", "enter")
        await pilot.pause(0.2)
        assert "__consumer_offsets" in text_of(app)
        await pilot.press("colon", *"theme nord", "enter")
        await pilot.pause(0.2)
        assert app.theme == "nord"

    run_app(steps, (120, 40), model=some_topics())


def test_the_command_is_copied_and_the_log_has_it() -> None:
    """Y tells the terminal, in a form that ends nothing."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        written: list[str] = []
        app._driver.write = written.append  # type: ignore[method-assign,union-attr]
        await pilot.press("Y")
        await pilot.pause()
        assert any(text.startswith("\x1b]52;c;") for text in written)
        assert "the command is copied" in text_of(app)
        await pilot.press("at")
        await pilot.pause()
        assert "nothing yet" in text_of(app)

    run_app(steps, (120, 40), model=some_topics())


def test_a_confirmation_wants_the_name() -> None:
    """Another word does nothing, esc leaves everything as it is, the name does it; markup in names is text."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        answers: list[bool | None] = []
        for keys, shown in (("wrong", True), ("[b]x", False)):
            app.push_screen(Confirm("Delete [b]x", "It is lost for good.", "[b]x", ["topic", "delete", "[b]x", "-y"]), answers.append)
            await pilot.pause()
            assert "Delete [b]x" in text_of(app)
            assert "$ ev topic delete '[b]x' -y -b 127.0.0.1:1" in text_of(app)
            await pilot.press(*keys, "enter")
            await pilot.pause()
            assert ("nothing was done" in text_of(app)) == shown
            await pilot.press("escape")
            await pilot.pause()
        assert answers == [None, True]

    run_app(steps, (120, 40), model=some_topics())


def test_a_form_shows_the_command_while_it_is_filled_in() -> None:
    """What is wrong is said at its field; enter in the last field gives the values."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        answers: list[dict[str, str] | None] = []
        fields = [Field("name", "Name"), Field("count", "Partitions", "1", check=lambda value: None if value.isdigit() else "a number")]
        app.push_screen(
            Form("New topic", fields, lambda values: ["topic", "create", values["name"], "-p", values["count"]]), answers.append
        )
        await pilot.pause()
        await pilot.press(*"new", "enter", "x", "enter")
        await pilot.pause()
        assert "Partitions: a number" in text_of(app)
        assert "$ ev topic create new -p x" in text_of(app)
        await pilot.press("backspace", "7", "enter")
        await pilot.pause()
        assert answers == [{"name": "new", "count": "7"}]

    run_app(steps, (120, 40), model=some_topics())


def test_what_is_only_for_looking_changes_nothing() -> None:
    """--readonly says no before anything is asked."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        assert not app.may("writes")
        await pilot.pause()
        assert "--readonly" in text_of(app)
        assert " RO " in text_of(app)
        assert app.may("reads")

    run_app(steps, (120, 40), model=some_topics(), given=options(bootstrap="127.0.0.1:1", readonly=True))


def test_screens_that_are_not_built_say_so() -> None:
    """Nothing is faked, and one stays where one is."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        await pilot.press("6")
        await pilot.pause()
        assert "Connect is not built yet" in text_of(app)
        assert app.screen.query_one(LineTable)

    run_app(steps, (120, 40), model=some_topics())


def test_what_nobody_has_asked_for_is_not_nothing() -> None:
    """While the engine is looked for, a list does not say that it is empty; when it is known to be, the keys to press are there."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        await pilot.pause(0.3)
        assert "no topics yet" not in text_of(app)
        assert "0" not in text_of(app).splitlines()[1]
        model.put(**{name: getattr(connected(), name) for name in ("connection", "knows_topics", "is_complete")})
        await until(pilot, lambda: "no topics yet" in text_of(app))

    model = SaidModel(nothing_yet())
    run_app(steps, (120, 40), model=model)


def test_what_is_typed_for_a_screen_that_only_comes_waits_for_it() -> None:
    """As one pastes it: each key does what it does there, in its order, and none is lost."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        for key in ("2", "slash", *"dlq", "enter"):
            app.post_message(events.Key(key, {"slash": "/", "enter": "\r"}.get(key, key)))
        await until(pilot, lambda: "dlq" in app.command_text)
        await pilot.pause(0.3)
        assert app.place == Place("topics")
        assert "payments.dlq" in text_of(app)
        assert "orders" not in text_of(app)

    run_app(steps, (120, 40), model=some_topics(), first="overview")
