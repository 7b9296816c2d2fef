"""The file of a project, .ev.toml: it may name a context of the user's own configuration, and how output looks.

It is looked for from the working directory up to the root of the git repository, and never in or beyond a directory that belongs to
somebody else or that everybody may write to: whoever could put it there would choose the cluster that others write to.
"""

from __future__ import annotations

import os

from ev_cli import output
from ev_cli.failures import UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAME = ".ev.toml"
KNOWN = ("context", "defaults")


class Project:
    """A project's file and what it says."""

    def __init__(self, path: str, content: dict[str, Any]) -> None:
        self.path = path
        for key in content:
            if key not in KNOWN:
                raise UsageFailure(
                    f"{path} has {key!r}, and the file of a project says nothing but context and [defaults] of output",
                    "move it to your own configuration, and name the context here",
                )
        context = content.get("context")
        if context is not None and (not isinstance(context, str) or not context):
            raise UsageFailure(f"context in {path} is {context!r}", 'write context = "NAME"')
        self.context: str | None = context
        defaults = content.get("defaults", {})
        if not isinstance(defaults, dict):
            raise UsageFailure(f"defaults in {path} is no table", "write [defaults]")
        self.defaults: dict[str, Any] = defaults


def find_project() -> Project | None:
    """The nearest one, read and checked; None where there is none."""
    path = _path()
    if path is None:
        return None
    from ev_cli.session import read_toml

    return Project(path, read_toml(path))


def _path() -> str | None:
    try:
        folder = os.getcwd()
    except OSError:
        return None
    while _is_ours(folder):
        path = os.path.join(folder, NAME)
        if os.path.exists(path):
            if _is_ours(path):
                return path
            output.say(f"ev: {path} is not read: it belongs to somebody else, or everybody may write to it")
            return None
        above = os.path.dirname(folder)
        if above == folder or os.path.exists(os.path.join(folder, ".git")):
            return None
        folder = above
    return None


def _is_ours(path: str) -> bool:
    """Whether it belongs to us, and not everybody may write to it."""
    try:
        found = os.stat(path)
    except OSError:
        return False
    if not hasattr(os, "geteuid"):
        return True
    return found.st_uid == os.geteuid() and not found.st_mode & 0o002
