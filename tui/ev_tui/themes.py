"""Themes of a person's own: files themes/NAME.toml beside the configuration, read again when they change.

    primary = "#7aa2f7"         needed; a colour is #RRGGBB, or a name that Textual knows
    secondary, accent, foreground, background, surface, panel, boost, success, warning, error
                                left out, they are made from the others
    dark = true                 whether the background is

NAME has letters, digits, - and _. What is wrong in a file is a warning, and its theme stays what it was.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.color import Color, ColorParseError
from textual.theme import Theme

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = "themes"
_NAME = re.compile(r"[A-Za-z0-9_-]+")
FILE_BYTES_MAX = 64 << 10
COLOURS = ("primary", "secondary", "accent", "foreground", "background", "surface", "panel", "boost", "success", "warning", "error")


@dataclass(frozen=True, slots=True)
class Read:
    """What the folder had: themes by name, and what is wrong."""

    themes: Mapping[str, Theme]
    warnings: tuple[str, ...] = ()


class Folder:
    """The folder, and when its files were what they were."""

    def __init__(self, config_path: str | None) -> None:
        self.path = None if config_path is None else os.path.join(os.path.dirname(config_path), FOLDER)
        self._seen: dict[str, tuple[int, int]] = {}

    def changed(self) -> Read | None:
        """All themes, when a file is another one than at the last look; None when none is."""
        seen = self._look()
        if seen == self._seen:
            return None
        self._seen = seen
        themes, warnings = {}, []
        for path in sorted(seen):
            name = os.path.basename(path).removesuffix(".toml")
            try:
                themes[name] = theme_of(name, read(path))
            except (OSError, ValueError) as error:
                warnings.append(f"theme {name!r}: {error}")
        return Read(themes, tuple(warnings))

    def _look(self) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        if self.path is not None:
            try:
                with os.scandir(self.path) as entries:
                    for entry in entries:
                        if entry.name.endswith(".toml") and not entry.name.startswith("."):
                            status = entry.stat()
                            found[entry.path] = status.st_mtime_ns, status.st_size
            except OSError:
                pass
        return found


def read(path: str) -> dict[str, Any]:
    """A file's content. ValueError when it is no TOML, or far too long."""
    import tomllib

    with open(path, "rb") as file:
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise ValueError(f"it has more than {FILE_BYTES_MAX >> 10} KiB")
    return tomllib.loads(data.decode())


def theme_of(name: str, content: Mapping[str, Any]) -> Theme:
    """The theme that a file describes. ValueError says what is wrong there."""
    if not _NAME.fullmatch(name):
        raise ValueError("a name has letters, digits, - and _")
    unknown = sorted(content.keys() - {"dark", *COLOURS})
    if unknown:
        raise ValueError(f"{', '.join(map(repr, unknown))} means nothing; there are {', '.join(COLOURS)} and dark")
    if "primary" not in content:
        raise ValueError("it has no primary colour")
    colours: dict[str, Any] = {key: colour_of(key, content[key]) for key in COLOURS if key in content}
    dark = content.get("dark", True)
    if not isinstance(dark, bool):
        raise ValueError(f"dark is true or false, not {dark!r}")
    return Theme(name, dark=dark, **colours)


def colour_of(key: str, value: Any) -> str:
    try:
        if isinstance(value, str) and not value.startswith(("auto", "ansi")):  # those are no colours of their own
            return Color.parse(value).hex
    except ColorParseError:
        pass
    raise ValueError(f"{key} = {value!r} is no colour: write #RRGGBB")
