"""Tail: records of topics as they come, filtered, from any time or offset on."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from ev_cli.failures import UsageFailure
from ev_cli.positions import TIME, Position, parse_range
from ev_cli.protection import READS
from ev_cli.times import timestamp_ms
from ev_cli.where import places_where
from ev_tui import amounts
from ev_tui.frame import NARROW, SHORT
from ev_tui.page import Page
from ev_tui.records import handed, room, saved_filters
from ev_tui.records.forms import topic_words
from ev_tui.records.reader import COMMITTED, UNCOMMITTED, Reader
from ev_tui.records.ring import Ring
from ev_tui.records.sayings import figure_pieces, state_pieces
from ev_tui.records.volume import Soundings
from ev_tui.widgets.line import Piece, Said
from ev_tui.widgets.line_table import Column, LineTable
from ev_tui.widgets.slider import Slider
from ev_tui.widgets.tail import Tail

if TYPE_CHECKING:
    from ev_cli.failures import Failure
    from ev_cli.model.rates import Rate
    from ev_cli.model.snapshot import Snapshot
    from ev_tui.records.volume import Volume

SAY_S = 0.5
SOUND_S = 10.0
AWAY_S = 10.0
"""After so long away, a tail that followed begins anew at the end, and says so."""
FILTER, SINCE, OFFSET = "filter", "time", "offset"
HINTS = {
    FILTER: "value.amount > 250 and key ~ '^eu-' and headers.retry is null",
    SINCE: "11:41:30, -15m, 2026-01-31T12:00, today",
    OFFSET: "128812, start, end, -100, +10, @-1h",
}


class TailPage(Page):
    """Records of the topics, or of one partition (`orders:3`), that it is about; about nothing it asks which topic."""

    NAME = "tail"
    TITLE = "Tail"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "ask('filter')", "filter", id="records.filter"),
        Binding("ampersand", "saved", "saved filters", show=False, id="records.saved"),
        Binding("T", "ask('time')", "time", id="records.time"),
        Binding("O", "ask('offset')", "offset", id="records.offset"),
        Binding("u", "isolation", "committed only, or all", show=False, id="records.isolation"),
        Binding("d", "diff", "diff", id="records.diff"),
        Binding("comma", "earlier(1)", "a bar back in time", show=False, id="records.earlier"),
        Binding("full_stop", "earlier(-1)", "a bar on in time", show=False, id="records.later"),
        Binding("less_than_sign", "earlier(10)", "ten bars back", show=False, id="records.much_earlier"),
        Binding("greater_than_sign", "earlier(-10)", "ten bars on", show=False, id="records.much_later"),
        Binding("y", "copy", "copy", id="records.copy"),
        Binding("x", "export", "export", show=False, id="records.export"),
        Binding("p", "produce", "produce", id="records.produce"),
        Binding("s", "search", "search", id="records.search"),
    ]
    DEFAULT_CSS = """
    TailPage #figures, TailPage #where { background: $surface; }
    TailPage.-short Slider, TailPage.-narrow Slider { display: none; }
    TailPage #question { display: none; height: 1; border: none; padding: 0 1; background: $surface; }
    TailPage #question.-open { display: block; }
    TailPage #question:focus { border: none; }
    """

    def __init__(self, about: tuple[str, ...] = ()) -> None:
        super().__init__(about)
        self.topics, self.partitions = chosen(about)
        self.ring = Ring()
        self.reader: Reader | None = None
        self.tail = Tail(self.ring, has_topic=len(self.topics) > 1)
        self.slider = Slider()
        self.where = ""
        self.begin_words: list[str] = []
        """The options of `ev tail` that say where it begins."""
        self.isolation = UNCOMMITTED
        self._asks = ""
        self._trouble = ""
        self._note = ""
        self._left_at: float | None = None
        self._begin: Position | None = None
        self._gave_up = False
        self._soundings: Soundings | None = None
        self._is_sounding = False

    # -- the frame's ---------------------------------------------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        yield Said((f" TAIL {', '.join(self.topics)}", "accent"), id="figures")
        yield Said(id="where")
        if self.about:
            yield self.slider
            yield self.tail
        else:
            yield LineTable(TOPIC_COLUMNS, empty="no topics yet", sort=1)
        yield Said(id="state")
        yield Input(id="question", select_on_focus=False)

    def command(self) -> Sequence[str]:
        if not self.about:
            return ["topic", "list"]
        words = ["tail", *topic_words(self.topics), *self.begin_words]
        if self.partitions is not None:
            words += ["-p", ",".join(map(str, self.partitions))]
        if self.where:
            words += ["--where", self.where]
        return [*words, "--read-uncommitted"] if self.isolation == UNCOMMITTED else words

    def wants(self) -> dict[str, Any]:
        return {"topics": list(self.topics)} if self.about else {}

    def show(self, snapshot: Snapshot) -> None:
        if self.about:
            self.say()
            return
        self.query_one("#where", Said).say((" which topic? enter opens one, m marks several", "dim"))
        self.query_one(LineTable).put([(row.name, row.rate, row.records) for row in snapshot.topics.values() if not row.internal])

    def back(self) -> bool:
        question = self.query_one("#question", Input)
        if question.has_class("-open"):
            self._close_question()
            return True
        if self.where:
            self._set_where("")
            return True
        return False

    def on_mount(self) -> None:
        if not self.about:
            self.query_one(LineTable).focus()
            return
        self.set_focus(self.tail)
        self.reader = Reader(
            self.ev.session_for(READS), self.topics, self.ring, partitions=self.partitions, isolation=self.isolation, where=self.where
        )
        self.reader.start()
        self._soundings = Soundings(self.ev.session_for(READS), self.topics, self.partitions)
        self.set_interval(SAY_S, self.say)
        self.set_interval(SOUND_S, self._sound)
        self.call_after_refresh(self._sound)
        self.say()

    def on_unmount(self) -> None:
        if self.reader is not None:
            self.reader.stop(1.0)
        if self._soundings is not None:
            threading.Thread(target=self._soundings.close, daemon=True).start()

    def on_screen_suspend(self) -> None:
        """Nobody looks: nothing is read."""
        self._left_at = time.monotonic()
        if self.reader is not None:
            self.reader.is_held = True

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self.about:
            room.take(self)
        reader, left_at = self.reader, self._left_at
        self._left_at = None
        if reader is None or left_at is None:
            return
        reader.is_held = False
        if self._gave_up:
            self._gave_up = False
            reader.seek(self._begin)
            self._note = "begun anew: another screen had the memory"
            return
        away_s = time.monotonic() - left_at
        if away_s > AWAY_S and self.tail.following and not self.begin_words:
            reader.seek(None)
            self._note = f"begun anew at the end: nobody looked for {amounts.span(away_s)}"

    def give_up(self) -> None:
        """Another screen has many records now."""
        self._gave_up = True
        self.ring.clear()

    # -- over time -------------------------------------------------------------------------------------------------------------------

    def _sound(self) -> None:
        """Ask how many records there are over time, where there is room to show it."""
        soundings = self._soundings
        if soundings is None or self._is_sounding or not self.is_current or self.size.width < NARROW or self.size.height < SHORT:
            return
        self._is_sounding = True

        def done(volume: Volume | None) -> None:
            self._is_sounding = False
            self.slider.say(volume, self._cursor_ms)

        def failed(failure: Failure) -> None:
            self._is_sounding = False  # who reads says what is wrong

        self.ev.run_in_thread(lambda: soundings.take(int(time.time() * 1000)), done, failed)

    @property
    def _cursor_ms(self) -> int | None:
        row = self.tail.current
        return None if row is None else row.timestamp

    def action_earlier(self, bars: int) -> None:
        """Read on from the beginning of another bar."""
        volume = self.slider.volume
        if volume is None:
            self.ev.tell("it is not known yet how many records there are over time: T goes to a time", "warning")
            return
        self.tail.flush()
        here = volume.end_ms if self.tail.following or self._cursor_ms is None else self._cursor_ms
        moment = volume.moved(here, -bars)
        if moment >= volume.end_ms:
            self.go_to(None)
            return
        self.go_to(Position(TIME, moment), ["--since", time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(moment / 1000))])

    # -- which topic -----------------------------------------------------------------------------------------------------------------

    def on_line_table_opened(self, event: LineTable.Opened) -> None:
        self.ev.go("tail", *map(str, event.table.chosen_keys))

    # -- what is said --------------------------------------------------------------------------------------------------------------

    def say(self) -> None:
        """The lines around the records."""
        reader, tail = self.reader, self.tail
        if reader is None or not self.is_current:
            return
        figures = reader.figures(time.monotonic())
        left, right = figure_pieces(self.topics, figures, self.ring.records_max, self.isolation, self.size.width, following=tail.following)
        self.query_one("#figures", Said).say(*left, right=tuple(right))
        self._say_where()
        self.slider.say(self.slider.volume, self._cursor_ms)
        new_below = None if tail.following else tail.new_below
        state = state_pieces(figures, new_below=new_below, byte_rows=tail.byte_rows, trouble=self._trouble, note=self._note)
        self.query_one("#state", Said).say(*state)
        if figures.problem:
            empty = figures.problem
        elif figures.read:
            empty = "no record matches"
        else:
            empty = "no records here yet: p sends one, T goes back in time"
        if empty != tail.empty:
            tail.empty = empty
            tail.refresh()

    def _say_where(self) -> None:
        pieces: list[Piece] = [(" where ", "key"), (self.where, "")] if self.where else [(" all records", "dim")]
        if self.begin_words:
            pieces.append((f"   from {self.begin_words[1]}", "dim"))
        marks = len(self.tail.marks)
        right: Piece = (f"{marks} marked (d diff) ", "good") if marks else ("/ filter  & saved ", "dim")
        self.query_one("#where", Said).say(*pieces, right=(right,))

    def on_tail_looked(self) -> None:
        self._note = ""
        self.say()

    # -- questions ---------------------------------------------------------------------------------------------------------------------

    def action_ask(self, what: str) -> None:
        if not self.about:
            return
        question = self.query_one("#question", Input)
        self._asks = what
        self._trouble = ""
        question.value = self.where if what == FILTER else ""
        question.placeholder = f"{what}: {HINTS[what]}"
        question.add_class("-open")
        self.set_focus(question)

    def _close_question(self) -> None:
        self.query_one("#question", Input).remove_class("-open")
        self._asks = self._trouble = ""
        self.set_focus(self.tail)
        self.say()

    def on_input_changed(self, event: Input.Changed) -> None:
        """What is wrong is seen while one types; nothing is done before enter."""
        self._trouble = ""
        if event.value and self._asks:
            try:
                self._meaning_of(event.value)
            except UsageFailure as failure:
                self._trouble = failure.message
        self.say()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        text, asks = event.value.strip(), self._asks
        try:
            position = self._meaning_of(text) if text else None
        except UsageFailure as failure:
            self._trouble = failure.line()
            self.say()
            return
        self._close_question()
        if asks == FILTER:
            self._set_where(text)
        elif position is not None:
            self.go_to(position, ["--since" if asks == SINCE else "-o", text])

    def _meaning_of(self, text: str) -> Position | None:
        """Where the answer leads; UsageFailure when it means nothing."""
        now_ms = int(time.time() * 1000)
        if self._asks == FILTER:
            places_where(text, now_ms)
            return None
        if self._asks == SINCE:
            return Position(TIME, timestamp_ms(text, now_ms))
        begin, _ = parse_range(text, now_ms)
        if begin is None:
            raise UsageFailure(f"{text!r} says where to end", "write where to begin")
        return begin

    def go_to(self, position: Position | None, words: Sequence[str] = ()) -> None:
        """Read from there on, and stand at the first record of it; None is the end again."""
        self.begin_words, self._begin = list(words), position
        self.tail.following = position is None
        if self.reader is not None:
            self.reader.seek(position)
        self.command_changed()
        self.say()

    def _set_where(self, where: str) -> None:
        self.where = where
        if self.reader is not None:
            self.reader.set_filter(where)
        self.command_changed()
        self.say()

    def action_saved(self) -> None:
        from ev_tui.screens.saved_filters import SavedFilters

        def chosen(where: str | None) -> None:
            if where is not None:
                self._set_where(where)

        if self.about:
            self.app.push_screen(SavedFilters(self.where, saved_filters.path()), chosen)

    def action_isolation(self) -> None:
        self.isolation = COMMITTED if self.isolation == UNCOMMITTED else UNCOMMITTED
        if self.reader is not None:
            self.reader.set_isolation(self.isolation)
        self.command_changed()
        self.say()

    # -- records ---------------------------------------------------------------------------------------------------------------------

    def on_tail_opened(self, event: Tail.Opened) -> None:
        row = event.row
        if row.origin.is_control:
            self.ev.tell("a marker ends a transaction and is nobody's record", "information")
            return
        handed.keep(row)
        self.ev.go("record", row.origin.topic, str(row.origin.partition), str(row.offset))

    def action_diff(self) -> None:
        marked = list(self.tail.marks.values())
        current = self.tail.current
        if len(marked) == 1 and current is not None and current.place not in self.tail.marks:
            marked.append(current)
        if len(marked) < 2:
            self.ev.tell("mark two records with m, then d compares them", "warning")
            return
        from ev_tui.screens.diff import Diff

        self.app.push_screen(Diff(marked[-2], marked[-1]))

    def action_copy(self) -> None:
        row = self.tail.current
        if row is None:
            return
        from ev_tui.screens.copying import CopyMenu

        self.app.push_screen(CopyMenu(row))

    def action_export(self) -> None:
        """What is in the ring, into a file."""
        from ev_tui.screens.exporting import export

        if self.about:
            export(self.ev, self.ring, self.topics[0], self.command())

    def action_produce(self) -> None:
        from ev_tui.screens.produce import produce

        if self.about:
            produce(self.ev, self.topics[0], None if self.tail.following else self.tail.current)

    def action_search(self) -> None:
        if self.about:
            self.ev.go("search", *self.topics)


def chosen(about: Sequence[str]) -> tuple[list[str], list[int] | None]:
    """(topics, partitions) of names like `orders` and `orders:3`; None is all partitions."""
    parts = [name.rpartition(":") if name.rpartition(":")[2].isdecimal() else (name, "", "") for name in about]
    topics = list(dict.fromkeys(topic for topic, _, _ in parts))
    partitions = sorted({int(index) for _, _, index in parts if index})
    return topics, partitions or None


def _by_rate(rate: Rate) -> float:
    return rate.per_s


TOPIC_COLUMNS = (
    Column("TOPIC", 22, grow=True, keep=0),
    Column("REC/S", 7, amounts.per_second, right=True, keep=1, order=_by_rate, descending=True),
    Column("RECORDS", 10, amounts.short, right=True, keep=2, descending=True),
)
