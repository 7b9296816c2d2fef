"""One topic: its partitions, its settings, who reads it, when it was written to, where it lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.binding import Binding, BindingType

from ev_tui.screens.segments import SegmentsTab
from ev_tui.screens.topic_changes import alter_topics, delete_topics, edit_setting, forget_setting
from ev_tui.screens.topic_tabs import ConfigTab, DirectoriesTab, GroupsTab, PartitionsTab, TimelineTab, TopicTab
from ev_tui.tabs import Tab, TabPage

if TYPE_CHECKING:
    from ev_cli.model.snapshot import Snapshot


class TopicPage(TabPage):
    """A topic, by its name."""

    NAME = "topic"
    TITLE = "Topic"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "tail", "tail", id="topic.tail"),
        Binding("p", "produce", "produce", id="topic.produce"),
        Binding("e", "edit", "edit", id="topic.edit"),
        Binding("D", "delete", "delete", id="topic.delete"),
        Binding("v", "heat", "rate, lag, size", id="topic.heat"),
    ]

    @property
    def topic(self) -> str:
        return self.about[0]

    def make_tabs(self) -> list[Tab]:
        where = SegmentsTab if self.ev.session.target.is_local else DirectoriesTab
        return [one(self) for one in (PartitionsTab, ConfigTab, GroupsTab, TimelineTab, where)]

    def headline(self, snapshot: Snapshot) -> str:
        row = snapshot.topics.get(self.topic)
        if row is None:
            return f"{self.topic} · {'there is no such topic' if snapshot.knows_topics else 'reading…'}"
        health = ""
        if row.leaderless:
            health = f" · {row.leaderless} without leader"
        elif row.under_replicated:
            health = f" · {row.under_replicated} under-replicated"
        return f"{self.topic} · {row.partitions} parts RF {row.replication_factor}{health}"

    def wants(self) -> dict[str, Any]:
        return cast("TopicTab", self.tab).wants()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return super().check_action(action, parameters) if action != "heat" else isinstance(self.tab, PartitionsTab)

    # -- keys ------------------------------------------------------------------------------------------------------------------------

    def action_heat(self) -> None:
        if isinstance(self.tab, PartitionsTab):
            self.tab.next_heat()
            self.ev.wants_changed()
            self.redraw()

    def action_tail(self) -> None:
        self.ev.go("tail", self.topic)

    def action_produce(self) -> None:
        from ev_tui.screens.produce import produce

        produce(self.ev, self.topic)

    def action_edit(self) -> None:
        """The setting under the cursor, else partitions and settings of the topic."""
        tab = self.tab
        if isinstance(tab, ConfigTab):
            entry = tab.current
            if entry is not None:
                edit_setting(self.ev, self.topic, entry, self.hasten)
        else:
            alter_topics(self.ev, [self.topic], then=self.hasten)

    def action_delete(self) -> None:
        """The topic; on a setting, that it is no longer set."""
        tab = self.tab
        if isinstance(tab, ConfigTab):
            entry = tab.current
            if entry is not None:
                forget_setting(self.ev, self.topic, entry, self.hasten)
        else:
            delete_topics(self.ev, [self.topic])
