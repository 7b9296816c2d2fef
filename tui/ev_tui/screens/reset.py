"""Reset: where a group would go, partition by partition, and what it would read there, before anything is changed.

What is applied is what is shown: the offsets of the preview, not what the words would mean a minute later. A time that is given from now
(-15m) therefore stands in the command as the moment that it was when the preview was made.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input

from ev_cli.failures import Failure
from ev_cli.protection import DESTROYS, READS
from ev_tui import amounts
from ev_tui.frame import counted
from ev_tui.harmless import safe
from ev_tui.moving import KINDS, Kind, Preview, Target, first_records, go, preview, read_target, still_has_members, sums, word_of
from ev_tui.page import Page
from ev_tui.widgets.cells import width_of
from ev_tui.widgets.line import Line, Piece, Said
from ev_tui.widgets.line_table import Column, LineTable, Row

if TYPE_CHECKING:
    from ev_cli.model.snapshot import Snapshot
    from ev_tui.moving import FirstRecord, Partition

SETTLE_S = 0.25
"""Nothing is asked while somebody types."""
LOOK_S = 0.5
WITH_RECORDS = 112
"""So wide is the table with the column of the first records."""


class Choice(Line, can_focus=True):
    """The kinds of places to go to, one of which is chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "step(1)", "next kind", show=False, id="reset.next_kind"),
        Binding("left,h", "step(-1)", "kind before", show=False, id="reset.kind_before"),
        Binding("enter,down,j", "app.focus_next", "on", show=False, id="reset.on"),
    ]
    DEFAULT_CSS = """
    Choice:focus { background: $boost; }
    """

    class Changed(Message):
        """Another kind is chosen."""

    def __init__(self) -> None:
        super().__init__(id="kind")
        self.index = 0

    @property
    def kind(self) -> Kind:
        return KINDS[self.index]

    def pieces(self) -> list[Piece]:
        found: list[Piece] = [(" to ", "dim")]
        for index, kind in enumerate(KINDS):
            tone = "key" if index == self.index else "" if self.has_focus else "dim"
            found.append((f"{'(•)' if index == self.index else '( )'} {kind.name} ", tone))
        return found

    def choose(self, index: int) -> None:
        self.index = index % len(KINDS)
        self.refresh()
        self.post_message(self.Changed())

    def action_step(self, step: int) -> None:
        self.choose(self.index + step)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        used = 0
        for place, (text, _) in enumerate(self.pieces()):
            used += width_of(text)
            if event.x < used:
                if place:
                    self.choose(place - 1)
                return


class ResetPage(Page):
    """About a group, and about some of its partitions (TOPIC/INDEX) if they are named."""

    NAME = "reset"
    TITLE = "Reset"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "wait", "wait until empty", id="reset.wait"),
        Binding("n", "new_topics", "new topics, too", id="reset.new_topics"),
        Binding("p", "again", "preview again", show=False, id="reset.again"),
    ]
    DEFAULT_CSS = """
    ResetPage Input { border: none; height: 1; padding: 0 1; background: $panel; width: 1fr; }
    ResetPage Input:focus { border: none; background: $boost; }
    ResetPage #asked, ResetPage #typed { height: 1; }
    ResetPage #asked.-hidden { display: none; }
    ResetPage #asked Said { width: 10; }
    ResetPage #typed Said { width: 27; }
    """

    def __init__(self, about: tuple[str, ...]) -> None:
        super().__init__(about)
        self.group = about[0]
        self.places = about[1:]
        self.with_new_topics = False
        self.target: Target | None = None
        self.preview: Preview | None = None
        self.records: dict[Partition, FirstRecord] = {}
        self.problem = ""
        self.generation = 0
        self.asked: Timer | None = None
        self.waiting: Timer | None = None
        self.members: tuple[str, int] | None = None
        """(state, number of members), as it was last heard."""
        self.is_moving = False

    def body(self) -> ComposeResult:
        self.list = LineTable(COLUMNS, sort=None, empty="no partition to move")
        yield Said(id="heading")
        yield Choice()
        with Horizontal(id="asked"):
            yield Said(("     which", "dim"))
            yield Input(id="value", select_on_focus=False)
        yield self.list
        yield Said(id="first")
        yield Said(id="sums")
        yield Said(id="standing")
        with Horizontal(id="typed"):
            yield Said(id="what")
            yield Input(id="name", select_on_focus=False)

    def on_mount(self) -> None:
        self.set_focus(self.query_one(Choice))
        self._kind_chosen()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.query_one("#name", Input).value = ""
        if self.preview is not None or self.problem:
            self._ask(0)

    def on_screen_suspend(self) -> None:
        self._stop_waiting()

    # -- what was asked for ----------------------------------------------------------------------------------------------------------

    @property
    def kind(self) -> Kind:
        return self.query_one(Choice).kind

    def on_choice_changed(self) -> None:
        self._kind_chosen()

    def _kind_chosen(self) -> None:
        kind = self.kind
        value = self.query_one("#value", Input)
        value.placeholder = kind.hint
        with self.prevent(Input.Changed):
            value.value = kind.example
        self.query_one("#asked").set_class(not kind.hint, "-hidden")
        self._ask(SETTLE_S)

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "value":
            self._ask(SETTLE_S)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "value":
            self._ask(0)
            self.set_focus(self.query_one("#name"))
        elif event.input.id == "name":
            self._apply(event.value)

    def action_new_topics(self) -> None:
        """Whether topics for which the group has committed nothing are moved to, too."""
        self.with_new_topics = not self.with_new_topics
        self._ask(0)

    def action_again(self) -> None:
        self._ask(0)

    # -- the preview -----------------------------------------------------------------------------------------------------------------

    def _ask(self, after_s: float) -> None:
        """Make a preview when nothing has been typed for so long. An older one that is still being made counts no more."""
        self.generation += 1
        if self.asked is not None:
            self.asked.stop()
        self.asked = self.set_timer(max(after_s, 0.01), self._make_preview)

    def _make_preview(self) -> None:
        try:
            target = read_target(self.kind, self.query_one("#value", Input).value, self.places, self.with_new_topics, now_ms())
        except Failure as failure:
            self._fail(failure)
            return
        generation, session = self.generation, self.ev.session_for(READS)

        def done(found: Preview) -> None:
            if generation == self.generation:
                self._take(found, target)

        def failed(failure: Failure) -> None:
            if generation == self.generation:
                self._fail(failure)

        self.ev.run_in_thread(lambda: preview(session, self.group, target), done, failed)

    def _fail(self, failure: Failure) -> None:
        self.problem, self.preview, self.target = failure.line(), None, None
        self._draw()

    def _take(self, found: Preview, target: Target) -> None:
        if self.preview is None or self.preview.move.wanted != found.move.wanted:
            self.records = {}
        self.problem, self.preview, self.target, self.members = "", found, target, (found.state, found.members)
        self._draw()
        missing = {place: offset for place, offset in found.move.wanted.items() if place not in self.records}
        if missing:
            generation, session = self.generation, self.ev.session_for(READS)

            def read(records: dict[Partition, FirstRecord]) -> None:
                if generation == self.generation:
                    self.records = {**self.records, **records}
                    self._draw()

            self.ev.run_in_thread(lambda: first_records(session, found.move), read, lambda _failure: None)

    def show(self, snapshot: Snapshot) -> None:
        """The group may have gone on: then another preview is made."""
        row = snapshot.groups.get(self.group)
        if row is not None and row.members is not None and self.waiting is None:
            self.members = (row.state, row.members)
        found = self.preview
        if found is not None and not self.is_moving:
            now = {(each.topic, each.index): each.committed for each in snapshot.group_partitions.get(self.group, ())}
            moved = [place for place in found.move.wanted if now.get(place) is not None and now[place] != found.before(place)]
            if moved and snapshot.at > found.at:
                self._ask(0)
        self._draw()

    # -- drawing ---------------------------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        found = self.preview
        scope = f" · only {counted(len(self.places), 'partition')}" if self.places else ""
        scope += " · new topics, too" if self.with_new_topics else ""
        self.query_one("#heading", Said).say((f" RESET {safe(self.group)}{scope}", "accent"))
        self.list.is_loading = found is None and not self.problem
        self.list.empty = "" if self.problem else "no partition to move"
        ends = self._ends()
        self.list.put(() if found is None else [preview_row(found, place, self.records, ends.get(place)) for place in found.move.wanted])
        self._say_first()
        self.query_one("#sums", Said).say(*([(f" {self.problem}", "bad")] if found is None else sum_pieces(found)))
        self.query_one("#standing", Said).say(*self._standing())
        whose = "context's name" if self.ev.session.target.protected else "group's name"
        self.query_one("#what", Said).say((f" type the {whose}", "accent" if self.is_ready else "dim"))
        self.query_one("#name", Input).placeholder = safe(self.name_wanted)
        self.command_changed()

    def _ends(self) -> dict[Partition, int]:
        """Where the partitions end by now: records go on coming while somebody looks at the preview."""
        snapshot = self.ev.snapshot
        rows = () if snapshot is None else snapshot.group_partitions.get(self.group, ())
        return {(row.topic, row.index): row.end for row in rows if row.end is not None}

    def on_line_table_moved(self) -> None:
        self._say_first()

    def _say_first(self) -> None:
        """Where there is no room for the column: the first record of the partition under the cursor."""
        row = self.list.current
        line = self.query_one("#first", Said)
        line.display = self.size.width < WITH_RECORDS
        line.say(*([] if row is None or not row[-1] else [(f" {row[0]} begins with ", "dim"), (row[-1], "")]))

    @property
    def is_ready(self) -> bool:
        return self.preview is not None and self.members is not None and not self.members[1]

    @property
    def name_wanted(self) -> str:
        target = self.ev.session.target
        return target.name if target.protected else self.group

    def _standing(self) -> list[Piece]:
        if self.members is None:
            return [(" …", "dim")]
        state, count = self.members
        if not count:
            return [(" the group is empty: it can be moved", "good")]
        text = f" not empty: {state or 'in use'}, {counted(count, 'member')}"
        if self.waiting is not None:
            return [(f"{text}; waiting until they are gone (w stops that)", "warn")]
        return [(f"{text}, stop them", "warn"), ("  w ", "key"), ("waits until they are gone", "dim")]

    def wants(self) -> dict[str, Any]:
        return {"groups": [self.group], "group_details": [self.group]}

    def command(self) -> Sequence[str]:
        return word_of(self.group, self.target, self.places) if self.target is not None else ["group", "seek", "--help"]

    # -- until it is empty -----------------------------------------------------------------------------------------------------------

    def action_wait(self) -> None:
        """Look often whether the members are gone."""
        if self.waiting is not None:
            self._stop_waiting()
        elif self.members is not None and not self.members[1]:
            self.ev.tell("the group is empty already")
        else:
            self.waiting = self.set_timer(0.01, self._look)
        self._draw()

    def _stop_waiting(self) -> None:
        if self.waiting is not None:
            self.waiting.stop()
            self.waiting = None

    def _look(self) -> None:
        session = self.ev.session_for(READS)
        self.ev.run_in_thread(lambda: still_has_members(session, self.group), self._looked, self._look_failed)

    def _looked(self, found: tuple[str, int]) -> None:
        if self.waiting is None:
            return
        self.members = found
        if found[1]:
            self.waiting = self.set_timer(LOOK_S, self._look)
        else:
            self._stop_waiting()
            self.ev.bell()
            self.ev.tell(f"group {self.group} is empty now")
            self.set_focus(self.query_one("#name"))
            self._ask(0)
        self._draw()

    def _look_failed(self, _failure: Failure) -> None:
        """Whoever is away may come back."""
        if self.waiting is not None:
            self.waiting = self.set_timer(LOOK_S * 4, self._look)

    # -- doing it --------------------------------------------------------------------------------------------------------------------

    def _apply(self, typed: str) -> None:
        found, target = self.preview, self.target
        if typed not in (self.name_wanted, safe(self.name_wanted)):
            self.ev.tell(f"that is not {self.name_wanted}: nothing was done", "warning")
        elif found is None or target is None:
            self.ev.tell("there is no preview to apply: " + self.problem, "warning")
        elif self.members is not None and self.members[1]:
            self.ev.tell("the group still has members; esc, then w waits until they are gone", "warning")
        elif not self.is_moving and self.ev.may(DESTROYS):
            self.is_moving = True
            words = word_of(self.group, target, self.places)

            def do(session: Any) -> str:
                try:
                    return go(session, found)
                finally:
                    self.app.call_from_thread(self._moved)

            self.ev.change(words, DESTROYS, do, lambda: self.ev.go("group", self.group))

    def _moved(self) -> None:
        """It was tried: what stands there now is looked at again."""
        self.is_moving = False
        self.query_one("#name", Input).value = ""
        self._ask(0)

    def back(self) -> bool:
        """From a field to the kinds, where the keys are keys."""
        if isinstance(self.focused, Input):
            self.set_focus(self.query_one(Choice))
            return True
        return False


def now_ms() -> int:
    return int(time.time() * 1000)


def preview_row(found: Preview, place: Partition, records: dict[Partition, FirstRecord], end: int | None) -> Row:
    """The values of the columns, in their order; `end` is where the partition ends by now, if that is known."""
    before, after = found.before(place), found.move.wanted[place]
    lag = found.move.lag_after(place) if end is None else max(found.move.lag_after(place), end - after)
    record = records.get(place)
    delta = None if before is None else after - before
    return (f"{place[0]}/{place[1]}", before, after, delta, lag, "" if record is None else record.text)


def sum_pieces(found: Preview) -> list[Piece]:
    """What is read twice, and what never."""
    again, skipped, fresh = sums(found.move)
    pieces: list[Piece] = [(f" re-read {again:,} · skip {skipped:,}", "")]
    if skipped:
        pieces.append(("  ⚠ skipped records are never processed", "warn"))
    if fresh:
        pieces.append((f"  {counted(fresh, 'partition')} without a commit before", "dim"))
    if found.move.outside:
        pieces.append((f"  {counted(len(found.move.outside), 'partition')} not reaching that far: set to the nearest", "warn"))
    if not again and not skipped and not fresh:
        pieces.append(("  nothing would change", "dim"))
    return pieces


def change_text(change: int) -> str:
    return f"{change:+,}"


def change_tone(change: int | None) -> str | None:
    return "warn" if change is not None and change > 0 else None


COLUMNS = (
    Column("TOPIC/P", 20, grow=True, keep=0),
    Column("BEFORE", 11, amounts.full, right=True, keep=2),
    Column("AFTER", 11, amounts.full, right=True, keep=1),
    Column("DELTA", 11, change_text, right=True, keep=3, tone=change_tone),
    Column("LAG AFTER", 10, amounts.full, right=True, keep=4),
    Column("FIRST RECORD THERE", 32, keep=5, grow=True),
)
