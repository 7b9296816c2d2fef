"""Themes of a person's own: from files beside the configuration, warned of when they are wrong, changed when their file changes."""

from __future__ import annotations

import os
import pathlib

import pytest
from textual.pilot import Pilot

from ev_tui.app import EvApp
from ev_tui.themes import Folder, theme_of
from support.terminal_ui import SaidModel, connected, options, run_app, text_of, told, topic, until

OWN = 'primary = "#ff0000"\nbackground = "#000001"\ndark = true\n'


def folder_of(place: pathlib.Path, **files: str) -> pathlib.Path:
    folder = place / "themes"
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("x", {}, "no primary"),
        ("x", {"primary": "red-ish"}, "no colour"),
        ("x", {"primary": "auto 50%"}, "no colour"),
        ("x", {"primary": 7}, "no colour"),
        ("x", {"primary": "red", "primry": "blue"}, "'primry' means nothing"),
        ("x", {"primary": "red", "dark": "yes"}, "true or false"),
        ("a b", {"primary": "red"}, "a name has"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(name: str, content: dict[str, object], problem: str) -> None:
    """And there is no half of a theme."""
    with pytest.raises(ValueError, match=problem):
        theme_of(name, content)


def test_files_are_read_when_they_change(tmp_path: pathlib.Path) -> None:
    """A folder that is not there has none; a file that is no TOML is a warning and hides no other."""
    watched = Folder(str(tmp_path / "config.toml"))
    assert watched.changed() is None
    folder = folder_of(tmp_path, mine=OWN, broken="primary = ", **{".hidden": OWN})
    found = watched.changed()
    assert found is not None
    assert (list(found.themes), len(found.warnings)) == (["mine"], 1)
    assert (found.themes["mine"].primary, found.themes["mine"].dark) == ("#FF0000", True)
    assert watched.changed() is None
    (folder / "mine.toml").write_text(OWN.replace("ff", "0f"))
    os.utime(folder / "mine.toml", ns=(1, 1))
    found = watched.changed()
    assert found is not None
    assert found.themes["mine"].primary == "#0F0000"
    (folder / "mine.toml").write_text("#" * 70_000)
    found = watched.changed()
    assert found is not None
    assert any("64 KiB" in warning for warning in found.warnings)
    assert Folder(None).changed() is None


def test_a_theme_of_ones_own_is_seen_and_changes_with_its_file(tmp_path: pathlib.Path) -> None:
    """[tui] names it, `:` lists it; the colours on the screen are those of the file, before and after; what is wrong in another is said."""

    async def steps(app: EvApp, pilot: Pilot[int]) -> None:
        assert app.theme == "mine"
        assert app.screen.background_colors[1].hex == "#000001"
        await until(pilot, lambda: "theme 'broken'" in told(app))
        await pilot.press("colon", *"thememine")
        await until(pilot, lambda: "theme mine" in text_of(app))
        await pilot.press("escape")
        (folder / "mine.toml").write_text(OWN.replace("#000001", "#020304"))
        os.utime(folder / "mine.toml", ns=(1, 1))
        await until(pilot, lambda: app.screen.background_colors[1].hex == "#020304")
        (folder / "mine.toml").write_text("primary = 3")
        await until(pilot, lambda: "theme 'mine'" in told(app))
        assert app.screen.background_colors[1].hex == "#020304"

    folder = folder_of(tmp_path, mine=OWN, broken="primary = 'no such'")
    model = SaidModel(connected(topics={"orders": topic("orders")}))
    given = options(bootstrap="127.0.0.1:1", config_file=str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text("")
    run_app(steps, (100, 30), model=model, given=given, configuration={"tui": {"theme": "mine"}})
