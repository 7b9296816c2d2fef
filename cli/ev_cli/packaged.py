"""The files that come with ev: manual pages and completion scripts.

An installed ev has them in ev_cli/share (hatch_build.py puts them there); in a checkout they lie where they are written.
"""

from __future__ import annotations

from importlib.resources import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

MANUAL, COMPLETIONS = "man", "completions"


def packaged(kind: str) -> dict[str, Traversable]:
    """The files of one kind by their names."""
    package = files("ev_cli")
    for folder in (package.joinpath("share", kind), package.joinpath("..", "..", kind)):
        if folder.is_dir():
            return {file.name: file for file in folder.iterdir() if file.is_file()}
    return {}
