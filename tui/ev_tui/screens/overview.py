"""Overview: what moves, which groups are worst off, where the records go, what has happened."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nlargest
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from ev_cli.model import events
from ev_tui import amounts, group_cells
from ev_tui.page import Page
from ev_tui.widgets.bars import Bars, Track
from ev_tui.widgets.line_table import Column, LineTable, Row
from ev_tui.widgets.plain import Plain

if TYPE_CHECKING:
    from textual.widget import Widget

    from ev_cli.model.snapshot import Event, GroupRow, Snapshot, TopicRow

ROWS = 20
TIMES = "\N{MULTIPLICATION SIGN}"
SPARK = 10
NOTHING = """
 no topics yet:

 n   makes one
 p   sends a record
 :   finds everything else
"""


class OverviewPage(Page):
    """The whole at a glance."""

    NAME = "overview"
    TITLE = "Overview"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "next part", id="overview.next"),
        Binding("n", "new", "new topic", show=False, id="overview.new"),
        Binding("p", "produce", "produce", show=False, id="overview.produce"),
    ]
    DEFAULT_CSS = """
    OverviewPage #parts { height: 1fr; }
    OverviewPage .column { width: 1fr; height: 1fr; }
    OverviewPage .part { height: 1fr; border: round $panel-lighten-2; border-title-color: $text-muted; }
    OverviewPage .part:focus-within { border: round $primary; }
    OverviewPage #traffic { height: 7; }
    OverviewPage.-tall.-normal #traffic, OverviewPage.-tall.-wide #traffic { height: 11; }
    OverviewPage.-narrow #parts { layout: vertical; }
    OverviewPage.-narrow #left { height: 3fr; }
    OverviewPage.-narrow #right { height: 2fr; }
    OverviewPage.-narrow.-tall #traffic { height: 5; }
    OverviewPage.-narrow #events { display: none; }
    OverviewPage.-short #traffic { height: 3; }
    OverviewPage.-short .part, OverviewPage.-short .part:focus-within { border: none; }
    OverviewPage.-short.-narrow #traffic { height: 2; }
    OverviewPage.-short.-narrow #right { display: none; }
    OverviewPage #nothing { display: none; height: 1fr; }
    OverviewPage.-nothing #nothing { display: block; }
    OverviewPage.-nothing #parts { display: none; }
    """

    def __init__(self, about: tuple[str, ...] = ()) -> None:
        super().__init__(about)
        self.bars = Bars()
        self.groups = LineTable(GROUPS, sort=None, empty="no group is behind")
        self.topics = LineTable(TOPICS, sort=None, empty="no topics")
        self.happened = LineTable(EVENTS, sort=None, empty="nothing has happened since this was opened", has_header=False)
        self._wanted: dict[str, Any] = {}

    def body(self) -> ComposeResult:
        yield Plain(NOTHING, id="nothing")
        with Horizontal(id="parts"):
            with Vertical(id="left", classes="column"):
                yield from part("traffic", "traffic, 15 minutes", self.bars)
                yield from part("worst", "worst groups, by the time to catch up", self.groups)
            with Vertical(id="right", classes="column"):
                yield from part("hottest", "hottest topics", self.topics)
                yield from part("events", "events", self.happened)

    def on_mount(self) -> None:
        self.set_focus(self.groups)

    def show(self, snapshot: Snapshot) -> None:
        own = sum(not topic.internal for topic in snapshot.topics.values())
        self.set_class(snapshot.knows_topics and not own and not snapshot.groups, "-nothing")
        tracks = [Track("in", snapshot.history_in, snapshot.records_in), Track("out", snapshot.history_out, snapshot.records_out)]
        self.bars.put(tracks, foot(snapshot))
        hottest, worst = most_of(snapshot), snapshot.worst(ROWS)
        if hottest or snapshot.is_complete:
            self.topics.put([topic_row(topic) for topic in hottest])
        if worst or snapshot.is_complete or "groups" in snapshot.refused:
            self.groups.empty = refusal(snapshot) or "no group is behind"
            self.groups.put([group_row(group, snapshot.at) for group in worst])
        self.happened.put([event_row(event, number) for number, event in enumerate(snapshot.events)])
        if self.groups.has_focus and not self.groups.view and self.topics.view:
            self.set_focus(self.topics)
        wanted = {"topics": [topic.name for topic in hottest], "groups": [group.group for group in worst]}
        if wanted != self._wanted:
            self._wanted = wanted
            self.ev.wants_changed()

    def wants(self) -> dict[str, Any]:
        return self._wanted

    def command(self) -> Sequence[str]:
        return ["top"]

    def on_line_table_opened(self, event: LineTable.Opened) -> None:
        if event.table is self.groups:
            self.ev.go("group", str(event.key))
        elif event.table is self.topics:
            self.ev.go("topic", str(event.key))
        else:
            self._go_to(event.key[0])

    def _go_to(self, event: Event) -> None:
        """To what an event is about, if it is still there."""
        snapshot = self.ev.snapshot
        if snapshot is None:
            return
        name = event.about.rpartition("/")[0] if event.kind == events.LEADER else event.about
        if event.kind in (events.TOPIC, events.LEADER) and name in snapshot.topics:
            self.ev.go("topic", name)
        elif event.kind in (events.GROUP, events.REBALANCE) and name in snapshot.groups:
            self.ev.go("group", name)
        elif event.kind in (events.BROKER, events.LEADER):
            self.ev.go("brokers")

    def action_new(self) -> None:
        from ev_tui.screens.topic_changes import create_topic

        create_topic(self.ev)

    def action_produce(self) -> None:
        """To the topic under the cursor; where there is none yet, one has to be made first."""
        from ev_tui.screens.produce import produce

        if self.topics.current_key is None:
            self.action_new()
        else:
            produce(self.ev, str(self.topics.current_key))


def part(name: str, title: str, inside: Widget) -> ComposeResult:
    """A frame with a title that is ours."""
    with Vertical(id=name, classes="part") as frame:
        frame.border_title = title
        yield inside


def most_of(snapshot: Snapshot) -> list[TopicRow]:
    """The topics that get the most; where few get anything, those follow that have the most."""
    hottest = snapshot.hottest(ROWS)
    busy = {topic.name for topic in hottest}
    others = [topic for topic in snapshot.topics.values() if topic.name not in busy and not topic.internal]
    return hottest + nlargest(ROWS - len(hottest), others, key=lambda topic: topic.records or 0)


def foot(snapshot: Snapshot) -> str:
    """Over how long the figures are, and what they are of."""
    rate, out = snapshot.records_in, snapshot.records_out
    if rate is None:
        return "no rate yet: two looks are needed"
    committed = "" if out is None else f" · out: what groups commit, over {out.window_s:.0f}s"
    return f"in: records, over {rate.window_s:.0f}s{committed}"


def refusal(snapshot: Snapshot) -> str:
    told = snapshot.refused.get("groups") or snapshot.refused.get("commits")
    return "" if told is None else f"not told: {told}"


def group_row(group: GroupRow, now: float) -> Row:
    return (group.group, group_cells.verdict_of(group, now), group.lag, group.drain, group_cells.eta(group))


def topic_row(topic: TopicRow) -> Row:
    return (topic.name, topic.history, topic.rate, topic.bytes_rate, evenness(topic))


def evenness(topic: TopicRow) -> str:
    """Whether one partition gets much more than the others."""
    if topic.skew is None:
        return "" if topic.partitions < 2 else amounts.UNKNOWN
    return "even" if topic.skew < 1.5 else f"p{topic.hottest_partition} {TIMES}{topic.skew:.1f}"


def event_row(event: Event, number: int) -> Row:
    return ((event, number), event.about, event)


def event_text(event: Event) -> str:
    return f"{event.kind} {event.text}" if event.kind in (events.TOPIC, events.BROKER, events.CONNECTION) else event.text


def event_tone(event: Event) -> str | None:
    if event.kind == events.CONNECTION or event.text == "gone" or event.text.endswith("nobody"):
        return "bad"
    return "warn" if event.kind in (events.REBALANCE, events.LEADER) else None


GROUPS = (
    Column("GROUP", 10, grow=True, keep=0),
    Column("VERDICT", 15, group_cells.verdict_text, keep=2, tone=group_cells.verdict_tone),
    Column("LAG", 6, amounts.short, right=True, keep=1, tone=group_cells.lag_tone),
    Column("DRAIN/S", 7, group_cells.drain, right=True, keep=4, tone=group_cells.drain_tone),
    Column("ETA", 6, right=True, keep=3),
)
TOPICS = (
    Column("TOPIC", 10, grow=True, keep=0),
    Column("10 MIN", SPARK, lambda values: amounts.sparkline(values, SPARK), keep=3, tone=lambda _: "accent"),
    Column("REC/S", 7, amounts.per_second, right=True, keep=1),
    Column("BYTES/S", 9, amounts.bytes_per_second, right=True, keep=2),
    Column("SKEW", 8, keep=4, tone=lambda text: "warn" if text.startswith("p") else "dim"),
)
EVENTS = (
    Column("TIME", 8, lambda key: amounts.time_of_day(key[0].time_ms), keep=0),
    Column("ABOUT", 16, keep=0),
    Column("WHAT", 16, event_text, keep=0, grow=True, tone=event_tone),
)
