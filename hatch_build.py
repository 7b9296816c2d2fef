"""Puts the manual pages and completion scripts into the wheel: under share/ for shells and man, and into the package for ev itself."""

from __future__ import annotations

import pathlib
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLACES = {"ev.bash": "bash-completion/completions/ev", "_ev": "zsh/site-functions/_ev", "ev.fish": "fish/vendor_completions.d/ev.fish"}


class SharedFiles(BuildHookInterface):  # type: ignore[type-arg,misc]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = pathlib.Path(self.root)
        for page in sorted((root / "man").iterdir()):
            build_data["shared_data"][str(page)] = f"share/man/man{page.suffix[1:]}/{page.name}"
            build_data["force_include"][str(page)] = f"ev_cli/share/man/{page.name}"
        for script in sorted((root / "completions").iterdir()):
            if script.name in PLACES:
                build_data["shared_data"][str(script)] = f"share/{PLACES[script.name]}"
            build_data["force_include"][str(script)] = f"ev_cli/share/completions/{script.name}"
