"""An alert is heard as the person wants it, and what it says commands no terminal."""

from __future__ import annotations

import dataclasses
import re

import pytest
from textual.pilot import Pilot

from ev_cli.model.snapshot import Alert
from ev_tui.app import EvApp
from ev_tui.notification import TEXT_MAX, sequence
from ev_tui.settings import settings_of
from support.hostile import HOSTILE
from support.terminal_ui import SaidModel, connected, run_app, told, until

WHOLE = re.compile(r"\x1b\]9;(ev: [^\x00-\x1f\x7f-\x9f]*)\x07")


@pytest.mark.parametrize("text", [HOSTILE, "4;1;50", "\x07\x1b\\", "\u202ebad\u2028", "x" * 5000, "\ud800", "two\nlines\ttab"])
def test_the_text_is_one_notification_and_nothing_else(text: str) -> None:
    """Whatever is in it; none begins with a number, which some terminals obey; the whole can be written to a terminal."""
    told_one = sequence(text, {})
    found = WHOLE.fullmatch(told_one)
    assert found is not None, told_one
    assert len(found[1]) <= TEXT_MAX
    told_one.encode()


def test_tmux_passes_it_on() -> None:
    """In the sequence that tmux hands to the terminal outside."""
    assert sequence("late", {"TMUX": "/tmp/tmux-0/default,1,0"}) == "\x1bPtmux;\x1b\x1b]9;ev: late\x07\x1b\\"


@pytest.mark.parametrize(("chosen", "bells", "notifications"), [(None, 1, 0), ("bell", 1, 0), ("terminal", 1, 1), ("off", 0, 0)], ids=str)
def test_an_alert_is_heard_as_one_wants(chosen: str | None, bells: int, notifications: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bell alone unless [tui] says otherwise; one that goes on is heard once."""
    heard: list[str] = []
    alert = Alert("lag:late:g", "late", HOSTILE, HOSTILE, 0, False, None)

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        driver = app._driver
        assert driver is not None
        monkeypatch.setattr(driver, "write", heard.append)
        monkeypatch.setattr(app, "bell", lambda: heard.append("\x07"))
        for _ in range(2):
            model.put(alerts=(alert,))
            await until(pilot, lambda: "EVIL" in told(app))
            await pilot.pause(0.3)
        model.put(alerts=(dataclasses.replace(alert, key="other", acknowledged=True),))
        await pilot.pause(0.3)
        written = "".join(heard)
        assert written.count("\x1b]9;") == notifications
        assert WHOLE.sub("", written).count("\x07") == bells

    monkeypatch.delenv("TMUX", raising=False)
    model = SaidModel(connected())
    run_app(steps, (100, 30), model=model, configuration={"tui": {} if chosen is None else {"alerts": chosen}})


def test_a_way_that_is_none_is_a_warning() -> None:
    """And the bell rings."""
    found = settings_of({"tui": {"alerts": "loud"}})
    assert (found.alerts, len(found.warnings)) == ("bell", 1)
