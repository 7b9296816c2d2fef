"""Rights, users and quotas of a real engine from the interface: what is shown there is what the commands do, whatever the names are."""

from __future__ import annotations

import json
import pathlib
import re

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from conftest import StartEngine
from ev_tui.app import EvApp
from ev_tui.screens.security import SecurityPage
from support.command_line import CommandLine
from support.guarded import ANONYMOUS, SETTINGS
from support.terminal_ui import options, run_app, text_of, told, until

pytestmark = pytest.mark.slow

NAMES = ["alice", 'it\'s "me" $HOME', "-x --all", "tab\there \x1b[31m", "漢字 *"]


async def fill(app: EvApp, pilot: Pilot[int], *values: str) -> None:
    """The values of a form, set as a paste would, and then done."""
    for index, value in enumerate(values):
        app.screen.query_one(f"#field-{index}", Input).value = value
    await pilot.pause()
    await pilot.press("f10")


def shown_command(app: EvApp) -> str:
    return app.log_of_commands.entries[-1].text


def with_flag(command: str, flag: str) -> str:
    """The command with a flag behind its verb."""
    noun, verb = command.split()[1:3]
    return command.replace(f"ev {noun} {verb}", f"ev {noun} {verb} {flag}", 1)


def test_security_from_the_interface_and_from_the_shell(ev: CommandLine, start_engine: StartEngine, tmp_path: pathlib.Path) -> None:
    """ACLs, users and quotas with nasty names: added, shown, taken away, taken back; the command shown does the same in a real shell."""
    engine = start_engine(settings={**SETTINGS, "super.users": ANONYMOUS})
    home = f"export HOME={tmp_path}\n"

    def listed(noun: str) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = json.loads(ev("-b", engine.address, noun, "list", "--json").out)
        return rows

    async def done(app: EvApp, pilot: Pilot[int], count: int) -> None:
        await until(pilot, lambda: len(app.log_of_commands.entries) == count)
        assert app.log_of_commands.entries[-1].failure is None, app.log_of_commands.entries[-1]

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("security")
        page = app.page
        assert isinstance(page, SecurityPage)
        await until(pilot, lambda: "no ACLs" in text_of(app))
        count = 0
        for name in NAMES:
            await pilot.press("n")
            await fill(app, pilot, "deny", name, "describe-configs", "topic", f"{name}*", "*")
            count += 1
            await done(app, pilot, count)
            await until(pilot, lambda name=name: any(str(row[0].shown) == f"User:{name}" for row in page.list.rows))  # type: ignore[misc]
            there = listed("acl")
            number = re.search(r"`ev undo (\d+)`", told(app).splitlines()[-1])
            assert number is not None
            ev("-b", engine.address, "undo", number[1], "-y", HOME=str(tmp_path))
            assert len(listed("acl")) == len(there) - 1
            ended = ev.shell(home + shown_command(app))
            assert ended.status == 0, ended
            assert listed("acl") == there
        await pilot.press("slash", *"alice", "enter")
        assert len(page.list.view) == 1
        await pilot.press("D")
        await fill_name(app, pilot, "User:alice")
        count += 1
        await done(app, pilot, count)
        await until(pilot, lambda: not page.list.view)
        assert len(listed("acl")) == len(NAMES) - 1
        await pilot.press("escape")

        await pilot.press("right")
        for name in NAMES:
            await pilot.press("n")
            await fill(app, pilot, name, "scram-sha-256", "s3cret pass", "s3cret pass")
            count += 1
            await done(app, pilot, count)
            assert "s3cret" not in shown_command(app)
            await until(pilot, lambda name=name: name in [row[0] for row in page.list.rows])  # type: ignore[misc]
            ended = ev.shell(f"{home}echo other | {with_flag(shown_command(app), '--password-stdin')}")
            assert ended.status == 1, ended
            assert "has a password" in ended.err
        users = listed("user")
        assert sorted(str(row["user"]) for row in users) == sorted(NAMES)
        page.list.marks.update(NAMES[1:3])
        await pilot.press("D")
        await fill_name(app, pilot, "remove 2")
        count += 1
        await done(app, pilot, count)
        assert sorted(str(row["user"]) for row in listed("user")) == sorted([NAMES[0], *NAMES[3:]])
        assert ev.shell(home + with_flag(shown_command(app), "-y")).status == 3  # nobody of that name is left
        page.list.marks.clear()

        await pilot.press("right")
        for name in NAMES:
            await pilot.press("n")
            await fill(app, pilot, name, "(default)", "", "producer_byte_rate", "10MiB")
            count += 1
            await done(app, pilot, count)
            await until(pilot, lambda: any("10485760 (10.5 MB/s)" in row for row in page.list.rows))
            there = listed("quota")
            number = re.search(r"`ev undo (\d+)`", told(app).splitlines()[-1])
            assert number is not None
            ev("-b", engine.address, "undo", number[1], "-y", HOME=str(tmp_path))
            assert len(listed("quota")) == len(there) - 1
            assert ev.shell(home + shown_command(app)).status == 0
            assert listed("quota") == there

    run_app(steps, (120, 30), given=options(bootstrap=engine.address))


async def fill_name(app: EvApp, pilot: Pilot[int], name: str) -> None:
    """Type the name that a change wants, in place of nothing."""
    field = app.screen.query_one(Input)
    field.value = name
    await pilot.press("enter")


def test_a_password_is_seen_nowhere(ev: CommandLine, start_engine: StartEngine) -> None:
    """Not while it is typed, not in the command, not in the log; two that differ are none."""
    engine = start_engine()

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        app.go("security")
        await pilot.press("right", "n")
        assert app.focused is not None
        await pilot.press(*"eve", "enter", "enter", *"hunter2", "enter", *"hunter3")
        assert "ev user add eve" in text_of(app)
        assert "hunter" not in text_of(app)
        await pilot.press("enter")
        await until(pilot, lambda: "not the same" in told(app))
        assert not app.log_of_commands.entries
        await pilot.press("n")
        await fill(app, pilot, "eve", "", "hunter2", "hunter2")
        await until(pilot, lambda: "added user eve" in told(app))
        assert "hunter" not in "".join(entry.text for entry in app.log_of_commands.entries)

    run_app(steps, (80, 24), given=options(bootstrap=engine.address))
    (user,) = json.loads(ev("-b", engine.address, "user", "list", "--json").out)
    assert user["mechanisms"] == ["SCRAM-SHA-256", "SCRAM-SHA-512"]
