"""Topics of a real engine from the interface: made, looked at, altered, taken back, deleted; the commands shown say the same."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from ev_tui.app import EvApp
from ev_tui.screens.topic import TopicPage
from ev_tui.tabs import TabPage
from support.command_line import CommandLine
from support.terminal_ui import options, run_app, text_of, told, until

pytestmark = pytest.mark.slow

TOPIC = "from.the_screen-1"


async def type_text(pilot: Pilot[int], text: str) -> None:
    """In place of what stands in the field; of a long text only the end is typed key by key."""
    field = pilot.app.focused
    assert isinstance(field, Input)
    field.value = text[:-2]
    field.cursor_position = len(field.value)
    await pilot.press(*("space" if character == " " else character for character in text[-2:]))


async def fill(pilot: Pilot[int], *values: str) -> None:
    """Each field of a form, the last one with enter."""
    for value in values:
        await type_text(pilot, value)
        await pilot.press("enter")


async def shows(pilot: Pilot[int], text: str) -> None:
    await until(pilot, lambda: text in text_of(pilot.app))


def page_of(app: EvApp) -> TopicPage:
    assert isinstance(app.page, TopicPage)
    return app.page


def settings_in(one_engine: CommandLine) -> dict[str, str]:
    (described,) = [one_engine.json("topic", "describe", TOPIC)]
    found: dict[str, str] = described["config"]
    return found


def test_a_topic_from_its_making_to_its_end(one_engine: CommandLine, tmp_path: pathlib.Path) -> None:
    """Made with a form, a setting edited and taken back by `ev undo`, partitions added, deleted by typing its name: as the commands do."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("topics")
        await pilot.press("n")
        await fill(pilot, TOPIC, "2", "", "retention.ms=3600000 cleanup.policy=compact")
        await shows(pilot, TOPIC)
        assert one_engine.json("topic", "list", TOPIC)[0]["partitions"] == 2
        assert settings_in(one_engine) == {"cleanup.policy": "compact", "retention.ms": "3600000"}

        app.go("topic", TOPIC)
        await pilot.press("right")
        page = page_of(app)
        await shows(pilot, "3600000 (1h)")
        assert page.list.go_to("retention.ms")
        await pilot.press("e")
        await type_text(pilot, "7200000")
        await shows(pilot, "then   7200000 (2h)")
        assert f"ev config set topic/{TOPIC} retention.ms=7200000" in text_of(app)
        await pilot.press("enter")
        await shows(pilot, "7200000 (2h)")
        await until(pilot, lambda: "takes it back" in told(app))
        number = re.search(r"`ev undo (\d+)` takes it back", told(app))
        assert number is not None
        one_engine("undo", number[1], "-y", HOME=str(tmp_path))
        await pilot.press("r")
        await shows(pilot, "3600000 (1h)")

        assert page.list.go_to("cleanup.policy")
        await pilot.press("D")
        await fill(pilot, "something else")
        assert "nothing was done" in text_of(app)
        await fill(pilot, "cleanup.policy")
        await until(pilot, lambda: "cleanup.policy" not in settings_in(one_engine))

        await pilot.press("left", "e")
        await fill(pilot, "3", "max.message.bytes=2000000", "retention.ms")
        await shows(pilot, "3 parts")
        assert settings_in(one_engine) == {"max.message.bytes": "2000000"}

        await pilot.press("D")
        await fill(pilot, TOPIC)
        await shows(pilot, "there is no such topic")
        await pilot.press("2")
        await until(pilot, lambda: app.page is not None and app.page.NAME == "topics" and TOPIC not in text_of(app))
        shown = [entry.text for entry in app.log_of_commands.entries]
        assert [entry.failure for entry in app.log_of_commands.entries] == [None] * 5
        assert shown[0].startswith(f"ev topic create -p 2 -c retention.ms=3600000 -c cleanup.policy=compact {TOPIC} ")
        assert shown[-1].startswith(f"ev topic delete {TOPIC} ")
        for command in shown:  # the shell and the parser take each of them; the topic is gone by now
            ended = one_engine.shell(f"{command}{' --dry-run' if ' unset ' in command or ' create ' in command else ' -y'}")
            assert ended.status == (0 if "create" in command else 3), ended

    run_app(steps, given=options(data_dir=str(one_engine.data_dir)))


def test_what_the_engine_refuses_is_told_in_its_words(one_engine: CommandLine) -> None:
    """A topic that is there, a setting that means nothing: a line that says so, and nothing else happens."""
    one_engine("topic", "create", "refusing")

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("topics")
        await pilot.press("n")
        await fill(pilot, "refusing", "none")
        assert "a number from 1" not in text_of(app)
        await fill(pilot, "", "novalue")
        assert "partitions: a number from 1, or nothing" in text_of(app)
        await fill(pilot, "1", "")
        await fill(pilot, "novalue")
        assert "'novalue' sets nothing" in text_of(app)
        await fill(pilot, "retention.ms=soon")
        await until(pilot, lambda: "soon" in told(app) or "exists" in told(app))
        assert app.log_of_commands.entries[-1].failure is not None

    run_app(steps, (80, 24), given=options(data_dir=str(one_engine.data_dir)))


@pytest.mark.parametrize("readonly", ["flag", "context"])
def test_no_key_changes_anything_where_one_may_only_look(one_engine: CommandLine, tmp_path: pathlib.Path, readonly: str) -> None:
    """--readonly and a read-only context: every changing key says why it does nothing, and opens nothing."""
    one_engine("topic", "create", "looked-at", "--if-not-exists")
    if readonly == "context":
        (tmp_path / "config.toml").write_text(f'[contexts.prod]\nbootstrap = ["{one_engine.address}"]\nreadonly = true\n')
        given = options(context="prod")
    else:
        given = options(data_dir=str(one_engine.data_dir), readonly=True)

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        for name, about, tabs in (("topics", (), 1), ("topic", ("looked-at",), 5), ("security", (), 3)):
            app.go(name, *about)
            await pilot.pause()
            for _ in range(tabs):
                page = app.page
                if isinstance(page, TabPage) and page.tab.asked is not None:
                    asked = page.tab.asked
                    await until(pilot, lambda asked=asked: asked.answer is not None or asked.error is not None)  # type: ignore[misc]
                for key in ("n", "p", "e", "D"):
                    await pilot.press(key)
                    assert app.screen is page, f"{key} opens something on {name}"
                await pilot.press("right")
        reason = "this is only for looking" if readonly == "flag" else "context 'prod' is readonly"
        assert told(app).count(reason) > 5
        assert not app.log_of_commands.entries

    before = one_engine.json("topic", "list")
    run_app(steps, given=given)
    assert [row["name"] for row in one_engine.json("topic", "list")] == [row["name"] for row in before]


def test_a_protected_context_wants_its_name(one_engine: CommandLine, tmp_path: pathlib.Path) -> None:
    """Deleting there: the topic's name is not enough; the command that is shown names the context, too."""
    one_engine("topic", "create", "guarded-topic")
    (tmp_path / "config.toml").write_text(f'[contexts.prod]\nbootstrap = ["{one_engine.address}"]\nprotected = true\n')

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("topics")
        await shows(pilot, "guarded-topic")
        assert app.page is not None
        app.page.list.go_to("guarded-topic")  # type: ignore[attr-defined]
        await pilot.press("D")
        assert "ev topic delete guarded-topic -C prod" in text_of(app)
        await fill(pilot, "guarded-topic")
        assert "nothing was done" in text_of(app)
        await fill(pilot, "prod")
        await until(pilot, lambda: "deleted topic guarded-topic" in told(app))

    run_app(steps, given=options(context="prod"))
    assert one_engine.json("topic", "list", "guarded-topic") == []


def test_each_tab_shows_what_its_command_says(one_engine: CommandLine) -> None:
    """The figures on the screen are those that the command of the bottom line prints, through a real shell."""
    one_engine("topic", "create", "figures-of-tabs", "-p", "3", "-c", "segment.bytes=1048576")
    one_engine("produce", "figures-of-tabs", data=b"".join(b"record %d\n" % number for number in range(777)))
    one_engine("consume", "figures-of-tabs", "-g", 'reader\'s "own" $group', "-n", "7")

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("topic", "figures-of-tabs")
        page = page_of(app)
        await until(pilot, lambda: [row[5] is not None for row in page.list.rows] == [True] * 3)
        assert sum(row[5] for row in page.list.rows) == 777
        said = json.loads(one_engine.shell(f"{app.command_text} -o json").out)
        assert [(row[0], row[3], row[4]) for row in page.list.rows] == [
            (one["partition"], one["start"], one["end"]) for one in said["partitions"]
        ]
        await pilot.press("right")
        await until(pilot, lambda: page.list.rows)
        said = json.loads(one_engine.shell(f"{app.command_text} -o json").out)
        assert [(row[0], row[2]) for row in page.list.rows] == [(one["key"], one["source"]) for one in said]
        assert all(row[1].startswith(one["value"] or "") for row, one in zip(page.list.rows, said, strict=True))
        await pilot.press("right")
        await until(pilot, lambda: page.list.rows and page.list.rows[0][3] is not None)
        said = json.loads(one_engine.shell(f"{app.command_text} -o json").out)
        assert (page.list.rows[0][0], page.list.rows[0][3]) == (said["group"], said["total_lag"])
        await pilot.press("right")
        await until(pilot, lambda: page.list.rows)
        assert sum(row[2] for row in page.list.rows) == 777
        page.list.action_to(-1)
        await pilot.pause()
        said = json.loads(one_engine.shell(f"{app.command_text} -o json").out)
        assert [one["offset"] or 0 for one in said] == [0, 0, 0]  # where the oldest record is, all of it begins
        await pilot.press("right")
        await until(pilot, lambda: page.list.rows)
        said = json.loads(one_engine.shell(f"{app.command_text} -o json").out)
        assert sum(one["size"] for one in said) == page.list.current[2]  # type: ignore[index]

    async def elsewhere(app: EvApp, pilot: Pilot[int]) -> None:
        """Where only the brokers can be asked."""
        app.go("topic", "figures-of-tabs")
        page = page_of(app)
        await until(pilot, lambda: page.list.rows)
        await pilot.press("left")
        await until(pilot, lambda: page.list.rows and "log directories only" in text_of(app))
        said = json.loads(one_engine.shell(f"{app.command_text} -o json").out)
        assert {(row[0], row[2]) for row in page.list.rows} == {(f"p{one['partition']}@{one['broker']}", one["bytes"]) for one in said}

    run_app(steps, given=options(data_dir=str(one_engine.data_dir)))
    run_app(elsewhere, given=options(bootstrap=one_engine.address))


def test_an_engine_that_dies_and_comes_back_is_seen_again(ev: CommandLine) -> None:
    """Killed and started anew, at another address: the figures, and what is asked beside them, come back without a key."""
    ev("topic", "create", "lasting")
    ev("produce", "lasting", data=b"1\n2\n")

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("topic", "lasting")
        page = page_of(app)
        await until(pilot, lambda: page.list.rows and page.list.rows[0][5] == 2)
        os.kill(ev.pid, signal.SIGKILL)
        await shows(pilot, "LOST")
        await pilot.press("right")
        assert not page.list.rows
        ev("up", "-q")
        ev("produce", "lasting", data=b"3\n")
        await until(pilot, lambda: page.list.rows, timeout_s=20)
        assert "LOST" not in text_of(app)
        await pilot.press("left")
        await until(pilot, lambda: page.list.rows and page.list.rows[0][5] == 3)

    run_app(steps, given=options(data_dir=str(ev.data_dir)))
