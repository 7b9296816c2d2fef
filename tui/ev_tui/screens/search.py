"""Search: every record of topics, all partitions at once, for those that a condition is true of; with progress, and a way to stop."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from ev_cli.failures import UsageFailure
from ev_cli.positions import TIME, Position
from ev_cli.protection import READS
from ev_cli.times import timestamp_ms
from ev_cli.where import places_where
from ev_tui.amounts import BARS, short, span
from ev_tui.page import Page
from ev_tui.records import handed, room
from ev_tui.records.forms import topic_words
from ev_tui.records.ring import Ring
from ev_tui.records.sayings import rate_text
from ev_tui.records.search import DONE, STOPPED, Search
from ev_tui.widgets.line import Piece, Said
from ev_tui.widgets.tail import Tail

if TYPE_CHECKING:
    from ev_cli.model.snapshot import Snapshot
    from ev_tui.records.search import Progress

SAY_S = 0.25
WHERE, SINCE = "where", "since"
HINTS = {WHERE: "value.order_id == 128812 or key ~ '^eu-'", SINCE: "-24h, today, 2026-01-31T12:00; empty is the beginning"}


class SearchPage(Page):
    """About topics."""

    NAME = "search"
    TITLE = "Search"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", f"ask('{WHERE}')", "condition", id="search.where"),
        Binding("T", f"ask('{SINCE}')", "since", id="search.since"),
        Binding("S", "stop", "stop, go on", id="search.stop"),
        Binding("y", "copy", "copy", id="search.copy"),
        Binding("x", "export", "export", id="search.export"),
        Binding("t", "tail", "tail", show=False, id="search.tail"),
    ]
    DEFAULT_CSS = """
    SearchPage #what, SearchPage #progress { background: $surface; }
    SearchPage #question { display: none; height: 1; border: none; padding: 0 1; background: $surface; }
    SearchPage #question.-open { display: block; }
    SearchPage #question:focus { border: none; }
    """

    def __init__(self, about: tuple[str, ...] = ()) -> None:
        super().__init__(about)
        self.ring = Ring()
        self.tail = Tail(self.ring, has_topic=len(about) > 1, empty="/ says what to look for")
        self.job: Search | None = None
        self.where = ""
        self.since = ""
        self._asks = ""
        self._trouble = ""

    def body(self) -> ComposeResult:
        yield Said(id="what")
        yield Said(id="progress")
        yield self.tail
        yield Said(id="trouble")
        yield Input(id="question", select_on_focus=False)

    def command(self) -> Sequence[str]:
        words = ["consume", *topic_words(self.about), "--exit-at-end", "--read-uncommitted"]
        if self.since:
            words += ["--since", self.since]
        if self.where:
            words += ["--where", self.where]
        return words

    def show(self, snapshot: Snapshot) -> None:
        self.say()

    def back(self) -> bool:
        if self.query_one("#question", Input).has_class("-open"):
            self._close_question()
            return True
        return False

    def on_mount(self) -> None:
        self.set_interval(SAY_S, self.say)
        self.say()
        self.action_ask(WHERE)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        room.take(self)

    def give_up(self) -> None:
        """Another screen has many records now."""
        if self.job is not None:
            self.job.ask_to_stop()
        self.ring.clear()
        self._trouble = "the hits were let go, because another screen needed the memory: / looks again"

    def on_unmount(self) -> None:
        if self.job is not None:
            self.job.stop(1.0)

    # -- what is said --------------------------------------------------------------------------------------------------------------

    def say(self) -> None:
        if not self.is_current:
            return
        what: list[Piece] = [(f" SEARCH {', '.join(self.about)}", "accent")]
        what += [("  where ", "key"), (self.where, "")] if self.where else []
        what.append((f"   {self.since or 'all of it'} → now", "dim"))
        self.query_one("#what", Said).say(*what)
        problem = self._trouble
        if self.job is not None:
            progress = self.job.progress()
            figures = self.job.figures(time.monotonic())
            if figures.waits and not self.job.is_held:
                problem = problem or "no room for more hits: G lets the oldest ones go and reads on"
            problem = problem or ("" if progress.state == DONE else figures.problem)
            self.query_one("#progress", Said).say(*progress_pieces(progress, figures.matched, figures.forgotten, self.size.width))
            empty = "nothing was found" if progress.state == DONE else "nothing was found yet"
            if self.tail.empty != empty:
                self.tail.empty = empty
                self.tail.refresh()
        self.query_one("#trouble", Said).say((f" {problem}", "bad"))

    # -- what is looked for ------------------------------------------------------------------------------------------------------------

    def action_ask(self, what: str) -> None:
        question = self.query_one("#question", Input)
        self._asks = what
        question.value = self.where if what == WHERE else self.since
        question.placeholder = f"{what}: {HINTS[what]}"
        question.add_class("-open")
        self.set_focus(question)

    def _close_question(self) -> None:
        self.query_one("#question", Input).remove_class("-open")
        self._asks = self._trouble = ""
        self.set_focus(self.tail)
        self.say()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._trouble = ""
        try:
            self._check(event.value)
        except UsageFailure as failure:
            self._trouble = failure.message
        self.say()

    def _check(self, text: str) -> None:
        if text and self._asks == WHERE:
            places_where(text, 0)
        elif text and self._asks == SINCE:
            timestamp_ms(text, int(time.time() * 1000))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        try:
            self._check(text)
        except UsageFailure as failure:
            self._trouble = failure.line()
            self.say()
            return
        if self._asks == WHERE:
            self.where = text
        else:
            self.since = text
        self._close_question()
        if self.where:
            self.begin()

    def begin(self) -> None:
        """Look for it from the beginning."""
        if self.job is not None:
            self.job.ask_to_stop()
        self.ring = self.tail.ring = Ring()
        self.tail.following = False
        self.set_focus(self.tail)
        since = Position(TIME, timestamp_ms(self.since, int(time.time() * 1000))) if self.since else None
        self.job = Search(self.ev.session_for(READS), self.about, self.ring, self.where, begin=since)
        self.job.start()
        self.command_changed()
        self.say()

    def action_stop(self) -> None:
        if self.job is not None:
            self.job.is_held = not self.job.is_held
            self.say()

    # -- hits ------------------------------------------------------------------------------------------------------------------------

    def on_tail_opened(self, event: Tail.Opened) -> None:
        row = event.row
        handed.keep(row)
        self.ev.go("record", row.origin.topic, str(row.origin.partition), str(row.offset))

    def action_copy(self) -> None:
        row = self.tail.current
        if row is not None:
            from ev_tui.screens.copying import CopyMenu

            self.app.push_screen(CopyMenu(row))

    def action_export(self) -> None:
        from ev_tui.screens.exporting import export

        export(self.ev, self.ring, self.about[0], [word for word in self.command() if word != "--exit-at-end"])

    def action_tail(self) -> None:
        self.ev.go("tail", *self.about)


def progress_pieces(progress: Progress, hits: int, forgotten: int, width: int) -> list[Piece]:
    """A bar, how much of how much, how fast, how long still, hits, and a small bar for each partition."""
    if progress.total is None:
        return [(" looking for the partitions…", "dim")]
    part = progress.done / progress.total if progress.total else 1.0
    cells = max(6, min(24, width // 5))
    full = int(part * cells)
    pieces: list[Piece] = [(f" {'█' * full}{'░' * (cells - full)} {part:4.0%}", "accent")]
    pieces.append((f"  {short(progress.done)} of {short(progress.total)}", ""))
    if progress.state == DONE:
        pieces.append(("  done", "good"))
    elif progress.state == STOPPED:
        pieces.append(("  stopped (S goes on)", "warn"))
    else:
        pieces.append((f"  {rate_text(progress.rate)} (5s)", "dim"))
        pieces.append((f"  eta {span(progress.eta_s)}", "dim"))
    pieces.append((f"  hits {hits:,}", "good" if hits else ""))
    if forgotten:
        pieces.append((f" ({forgotten:,} older ones let go)", "warn"))
    if width >= 100:
        bars = "".join([BARS[min(len(BARS) - 1, int(share * len(BARS)))] for _, _, share in progress.parts[:40]])
        pieces.append((f"  P {bars}", "dim"))
    return pieces
