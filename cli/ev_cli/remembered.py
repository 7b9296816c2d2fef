"""The names of topics and groups that a shell completes: what the last command that listed them saw, in files that the shell reads itself.

    CACHE/ev/complete/on=NAME/topics      one name a line; NAME is the context, the addresses after -b, or `local`
    CACHE/ev/complete/in=DIR/groups       those of the local engine in a directory that --data-dir or EV_DATA_DIR names; `/` is `%`

A file is replaced whole or not at all. Names that no shell could take as one word of text (line ends, control characters) are left out,
and a cache that cannot be written is nothing to talk about.
"""

from __future__ import annotations

import os

from ev.client.admin import Admin
from ev_cli import places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ev.client.cluster import Cluster
    from ev.client.results import CreatedTopic, GroupListing, NewTopic, Outcome, TopicDescription
    from ev_cli.session import Target

NAMES_MAX = 20_000


class Names:
    """The remembered names of one engine."""

    def __init__(self, target: Target) -> None:
        base = places.directory("cache")
        self.folder = None if base is None else os.path.join(base, "complete", _folder(target))

    def read(self, kind: str) -> list[str]:
        if self.folder is None:
            return []
        try:
            with open(os.path.join(self.folder, kind), "rb") as file:
                return file.read().decode("utf-8", "replace").split("\n")[:-1]
        except OSError:
            return []

    def remember(self, kind: str, names: Iterable[str]) -> None:
        """These are the names of that kind now."""
        kept = sorted({name for name in names if name and name.isprintable()})[:NAMES_MAX]
        if self.folder is None or kept == self.read(kind):
            return
        path = os.path.join(self.folder, kind)
        written = f"{path}.{os.getpid()}"
        try:
            os.makedirs(self.folder, 0o700, exist_ok=True)
            with open(written, "wb") as file:
                file.write("".join([f"{name}\n" for name in kept]).encode("utf-8", "replace"))
            os.replace(written, path)
        except OSError:
            return

    def change(self, kind: str, *, more: Iterable[str] = (), fewer: Iterable[str] = ()) -> None:
        """Some names have come or gone."""
        self.remember(kind, {*self.read(kind), *more} - set(fewer))


def _folder(target: Target) -> str:
    if target.bootstrap is None and target.data_dir:
        return "in=" + os.path.abspath(target.data_dir).replace("/", "%")
    return "on=" + target.name.replace("/", "%")


class RememberingAdmin(Admin):
    """The admin client of a command: what it is told about names goes to the shell's completion too."""

    def __init__(self, *arguments: Any, names: Names, while_waiting: Callable[[Cluster], None] | None = None, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._unreached.while_waiting = while_waiting
        self._names = names

    def topics(self, *arguments: Any, **settings: Any) -> list[TopicDescription]:
        found = super().topics(*arguments, **settings)
        self._names.remember("topics", [topic.name for topic in found if not topic.internal])
        return found

    def create_topics(self, topics: Iterable[NewTopic], **settings: Any) -> list[CreatedTopic]:
        outcomes = super().create_topics(topics, **settings)
        if not settings.get("validate_only"):
            self._names.change("topics", more=[outcome.name for outcome in outcomes if outcome.error is None])
        return outcomes

    def delete_topics(self, names: Iterable[str]) -> list[Outcome]:
        outcomes = super().delete_topics(names)
        self._names.change("topics", fewer=[outcome.name for outcome in outcomes if outcome.error is None])
        return outcomes

    def groups(self, **settings: Any) -> list[GroupListing]:
        found = super().groups(**settings)
        if not any(settings.values()):
            self._names.remember("groups", [listing.group for listing in found])
        return found

    def delete_groups(self, groups: Iterable[str]) -> list[Outcome]:
        outcomes = super().delete_groups(groups)
        self._names.change("groups", fewer=[outcome.name for outcome in outcomes if outcome.error is None])
        return outcomes
