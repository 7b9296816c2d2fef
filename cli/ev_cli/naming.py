"""Names that a person gave against names that are there: patterns, near misses, questions before something is lost."""

from __future__ import annotations

from ev_cli import output
from ev_cli.failures import DECLINED, Failure, UsageFailure, no_such

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ev.errors import UnknownTopicError
    from ev_cli.session import Session


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant."""
    import difflib

    found = difflib.get_close_matches(name, list(names), 1, 0.6)
    return found[0] if found else None


def with_nearest(error: UnknownTopicError, session: Session) -> Failure:
    """The failure of a topic that is not there, with the name that was probably meant."""
    with session.admin() as admin:
        error.nearest = error.nearest or nearest(error.topic, [topic.name for topic in admin.topics()])
    return no_such("topic", error.topic, error.nearest, session.where)


def matching(patterns: list[str], names: Iterable[str], *, regex: bool) -> list[str]:
    """The names that a glob (or a regular expression, for the whole name) matches; all without patterns."""
    listed = list(names)
    if not patterns:
        return listed
    if regex:
        return [name for name in listed if any(one.fullmatch(name) for one in _compiled(patterns))]
    from fnmatch import fnmatchcase

    return [name for name in listed if any(fnmatchcase(name, pattern) for pattern in patterns)]


def chosen(given: list[str], names: Iterable[str], noun: str, where: str, *, regex: bool) -> list[str]:
    """The things that a command shall look at or change. A name that is not there is a failure; so is an expression for none."""
    listed = list(names)
    if regex:
        found = matching(given, listed, regex=True)
        if not found:
            raise no_such(f"{noun} that matches", " ".join(given), None, where)
        return found
    for name in given:
        if name not in listed:
            raise no_such(noun, name, nearest(name, listed), where)
    return given


def _compiled(patterns: list[str]) -> list[Any]:
    import re

    try:
        return [re.compile(pattern) for pattern in patterns]
    except re.error as error:
        raise UsageFailure(f"-r: {error}") from None


def confirm(question: str, options: Any) -> None:
    """Ask before something is lost. Without a terminal to ask at, -y must have been given. A protected context wants its name."""
    if options.yes:
        return
    if not output.is_terminal(0) or not output.is_terminal(2):
        raise UsageFailure(f"{question}: that needs a yes, and there is no terminal to ask at", "add -y")
    import sys

    wanted = options.name_wanted
    how = "[y/N]" if wanted is None else f"The context {output.safe(wanted)} is protected, type its name:"
    output.say_unfinished(f"{question}? {how} ")
    answer = sys.stdin.readline().strip()
    if answer != wanted if wanted is not None else answer.lower() not in ("y", "yes"):
        raise Failure("declined", code=DECLINED)
