"""Topics: what comes in, what is kept, who is behind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType

from ev_tui import amounts
from ev_tui.page import ListPage
from ev_tui.screens.topic_changes import alter_topics, create_topic, delete_topics
from ev_tui.widgets.line_table import Column, LineTable, Row

if TYPE_CHECKING:
    from ev_cli.model.snapshot import Snapshot, TopicRow

SPARK = 10


class TopicsPage(ListPage):
    """Every topic in a row."""

    NAME = "topics"
    TITLE = "Topics"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "tail", "tail", id="topics.tail"),
        Binding("p", "produce", "produce", id="topics.produce"),
        Binding("n", "create", "new", id="topics.create"),
        Binding("e", "alter", "alter", id="topics.alter"),
        Binding("D", "delete", "delete", id="topics.delete"),
        Binding("H", "internal", "internal ones", show=False, id="topics.internal"),
    ]

    def __init__(self, about: tuple[str, ...] = ()) -> None:
        super().__init__(about)
        self.with_internal = False

    def table(self) -> LineTable:
        return LineTable(COLUMNS, sort=RATE, empty="no topics yet: `n` makes one, `p` sends a record, `:` finds everything else")

    def rows(self, snapshot: Snapshot) -> list[Row]:
        return [row_of(topic) for topic in snapshot.topics.values() if self.with_internal or not topic.internal]

    def knows(self, snapshot: Snapshot) -> bool:
        return snapshot.knows_topics

    def heading(self, snapshot: Snapshot) -> str:
        hidden = 0 if self.with_internal else sum(topic.internal for topic in snapshot.topics.values())
        return f"TOPICS {len(self.list.rows):,}" + (f" · {hidden} internal hidden (H)" if hidden else "")

    def wants(self) -> dict[str, Any]:
        return {"topics": self.list.visible_keys}

    def command(self) -> Sequence[str]:
        words = ["topic", "list", "-o", "wide"]
        if self.with_internal:
            words.append("--internal")
        column = self.list.sort_column
        if column in SORTS:
            words += ["--sort", SORTS[column]]
        return [*words, *filter_words(self.list.filter_text)]

    def action_internal(self) -> None:
        self.with_internal = not self.with_internal
        if self.ev.snapshot is not None:
            self.show(self.ev.snapshot)

    def action_tail(self) -> None:
        """The marked topics, or the one under the cursor."""
        if self.list.chosen_keys:
            self.ev.go("tail", *map(str, self.list.chosen_keys))

    def action_produce(self) -> None:
        """A record into the topic under the cursor."""
        from ev_tui.screens.produce import produce

        if self.list.current_key is None:
            self.ev.tell("there is no topic to send a record to: `n` makes one")
        else:
            produce(self.ev, str(self.list.current_key))

    def action_create(self) -> None:
        create_topic(self.ev)

    def action_alter(self) -> None:
        """Partitions and settings of the marked topics, or of the one under the cursor."""
        alter_topics(self.ev, [str(key) for key in self.list.chosen_keys])

    def action_delete(self) -> None:
        delete_topics(self.ev, [str(key) for key in self.list.chosen_keys], self.list.action_unmark)

    def open_row(self, key: Any) -> None:
        self.ev.go("topic", str(key))


def filter_words(text: str) -> list[str]:
    """The filter of a list for `ev … list`, whose expressions are about the whole name, in which there may be line ends."""
    is_negative = text.startswith("!")
    wanted = text[1:] if is_negative else text
    if not wanted:
        return []
    try:
        re.compile(wanted)
    except re.error:
        wanted = re.escape(wanted)
    flags = "s" if any(character.isupper() for character in wanted) else "is"
    return ["-r", f"(?{flags})(?!.*(?:{wanted})).*" if is_negative else f"(?{flags}).*(?:{wanted}).*"]


def row_of(topic: TopicRow) -> Row:
    """The values of the columns, in their order."""
    return (
        topic.name,
        topic.partitions,
        topic.replication_factor,
        -1 if topic.leaderless else topic.under_replicated,
        topic.records,
        topic.size_bytes,
        None if topic.rate is None else topic.rate.per_s,  # the time that it was measured over would make every row another one
        topic.history,
        len(topic.groups),
        topic.max_lag,
    )


def _health(value: int) -> str:
    return "ok" if value == 0 else "none" if value < 0 else f"-{value}"


COLUMNS = (
    Column("NAME", 22, grow=True, keep=0),
    Column("PARTS", 5, amounts.full, right=True, keep=6),
    Column("RF", 3, amounts.full, right=True, keep=9),
    Column("ISR", 4, _health, keep=7, tone=lambda value: "good" if value == 0 else "bad"),
    Column("RECORDS", 8, amounts.short, right=True, keep=3, descending=True),
    Column("SIZE", 8, amounts.size, right=True, keep=4, descending=True),
    Column("REC/S", 7, amounts.so_many_per_second, right=True, keep=1, descending=True),
    Column(
        "10 MIN", SPARK, lambda values: amounts.sparkline(values, SPARK), keep=5, tone=lambda _: "accent", order=lambda values: values[-1]
    ),
    Column("GROUPS", 6, amounts.full, right=True, keep=8, descending=True),
    Column("MAX LAG", 8, amounts.short, right=True, keep=2, descending=True, tone=lambda lag: "warn" if lag else None),
)
RATE = 6
SORTS = {4: "records", 5: "size"}
"""Columns that `ev topic list` sorts by, too."""
