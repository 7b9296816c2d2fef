"""Keys of the configuration: presets, own keys, and warnings in the place of failures."""

from __future__ import annotations

import asyncio

import pytest

from ev_tui.app import EvApp
from ev_tui.keys import PRESETS, ids_of, is_key, keymap_of
from ev_tui.pages import BUILT
from ev_tui.settings import Settings, settings_of
from ev_tui.widgets.line_table import LineTable
from support.terminal_ui import SaidModel, app_of, connected, text_of, topic


def test_every_key_of_the_presets_is_a_key_of_a_binding_that_is_there() -> None:
    """No preset names what nobody has."""
    known = ids_of([EvApp, LineTable, *(entry.load() for entry in BUILT)])
    for name, keys in PRESETS.items():
        assert keymap_of(name, keys, known)[1] == [], name


def test_the_ids_of_bindings_say_one_thing_each() -> None:
    """Whoever gives an id other keys changes one thing."""
    seen: dict[str, str] = {}
    classes: list[type] = [EvApp, LineTable, *(entry.load() for entry in BUILT)]
    for one in classes:
        for name, binding in ids_of([one]).items():
            assert seen.setdefault(name, binding.action) == binding.action, name


def test_unknown_names_are_warnings() -> None:
    """Bindings, keys, presets, and what stands in [tui]."""
    keymap, warnings = keymap_of("emacs", {"no.such": "x", "a": "nokey", "b": 3, "c": "ctrl+x,F"}, ["a", "b", "c"])
    assert keymap == {"c": "ctrl+x,F"}
    assert len(warnings) == 4
    found = settings_of(
        {"tui": {"theme": "nord", "mouse": 1, "colour": "red", "colors": {"prod": "error", "x": "#fff"}, "clipboard": "no"}}
    )
    assert (found.theme, found.mouse, found.colors) == ("nord", True, {"prod": "error"})
    assert len(found.warnings) == 4
    assert settings_of({}) == Settings()
    assert settings_of({"tui": 1}).warnings


@pytest.mark.parametrize("key", ["j", "ctrl+f", "shift+f5", "question_mark", "é", "alt+x"])
def test_keys_are_known_by_their_names(key: str) -> None:
    """As Textual calls them."""
    assert is_key(key)


@pytest.mark.parametrize("key", ["", "jj", "control+f", "f99", "ctrl+"])
def test_what_is_no_key_is_seen(key: str) -> None:
    """Before it is asked for in vain."""
    assert not is_key(key)


def test_the_configuration_moves_a_key() -> None:
    """The new one works, the old one does not, and help shows it; a warning is seen on the screen."""

    async def run() -> None:
        topics = {name: topic(name) for name in ("a", "b")}
        app = app_of(model=SaidModel(connected(topics=topics)), configuration={"tui": {"keys": {"table.down": "w", "x.y": "z"}}})
        async with app.run_test(size=(100, 30), notifications=True) as pilot:
            await pilot.pause(0.5)
            assert "x.y" in text_of(app)
            app.go("topics")
            await pilot.pause(0.2)
            table = app.screen.query_one(LineTable)
            await pilot.press("j")
            assert table.cursor == 0
            await pilot.press("w")
            assert table.cursor == 1
            await pilot.press("question_mark")
            await pilot.pause()
            assert "w  " in text_of(app)

    asyncio.run(run())
