"""Which screens there are: name, key, title, and the class, which is imported when it is first opened.

A screen with a key is one of the places that one goes to; the others are opened about something: a topic, a group, a record.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ev_tui.page import Page


@dataclass(frozen=True, slots=True)
class Entry:
    """A screen. Without a `place` it is not built yet, and its key says so."""

    name: str
    title: str
    place: str = ""
    """module:class"""
    key: str = ""

    def load(self) -> type[Page]:
        module, _, name = self.place.partition(":")
        found: type[Page] = getattr(import_module(module), name)
        return found


@dataclass(frozen=True, slots=True)
class Place:
    """A screen about something: what the history remembers."""

    name: str
    about: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """One word for it, as Textual names installed screens."""
        return "\x1f".join((self.name, *self.about))


PAGES = (
    Entry("overview", "Overview", "ev_tui.screens.overview:OverviewPage", "1"),
    Entry("topics", "Topics", "ev_tui.screens.topics:TopicsPage", "2"),
    Entry("groups", "Groups", "ev_tui.screens.groups:GroupsPage", "3"),
    Entry("tail", "Tail", "ev_tui.screens.tail:TailPage", "4"),
    Entry("schemas", "Schemas", key="5"),
    Entry("connect", "Connect", key="6"),
    Entry("streams", "Streams", key="7"),
    Entry("security", "Security", "ev_tui.screens.security:SecurityPage", "8"),
    Entry("brokers", "Brokers", "ev_tui.screens.brokers:BrokersPage", "9"),
    Entry("alerts", "Alerts", "ev_tui.screens.alerts:AlertsPage", "0"),
    Entry("contexts", "Contexts", "ev_tui.screens.contexts:ContextsPage", "C"),
    Entry("topic", "Topic", "ev_tui.screens.topic:TopicPage"),
    Entry("group", "Group", "ev_tui.screens.group:GroupPage"),
    Entry("record", "Record", "ev_tui.screens.record:RecordPage"),
    Entry("search", "Search", "ev_tui.screens.search:SearchPage"),
    Entry("reset", "Reset", "ev_tui.screens.reset:ResetPage"),
)
BY_NAME = {entry.name: entry for entry in PAGES}
BUILT = tuple(entry for entry in PAGES if entry.place)
FIRST = next((entry.name for entry in PAGES if entry.place and entry.key), "topics")
"""Where the interface begins."""
