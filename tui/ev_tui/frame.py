"""The frame of every screen: the bar that says where one is, the command that does the same, the keys.

What the bar says is decided in `bar_pieces`, from a snapshot and the width.
"""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.segment import Segment
from textual import events
from textual.strip import Strip

from ev_tui.amounts import bytes_per_second, per_second, span
from ev_tui.harmless import safe
from ev_tui.widgets.cells import width_of
from ev_tui.widgets.line import Line, Piece

if TYPE_CHECKING:
    from ev_cli.model.snapshot import Snapshot
    from ev_tui.app import EvApp

NARROW = 100
"""Fewer columns than this, and only what matters most is shown."""
SHORT = 24
"""Fewer lines than this, and the command is left to `@`."""
COLOURS = ("success", "error", "primary", "secondary", "accent", "warning")


@dataclass(frozen=True, slots=True)
class Standing:
    """What the bar needs to know beside the snapshot."""

    name: str
    readonly: bool
    protected: bool
    frozen_s: float | None
    clock: str
    title: str


def colour_of(name: str, *, is_local: bool, is_protected: bool, chosen: dict[str, str]) -> str:
    """The colour of a context: one that was chosen; green is one's own machine, red is where a slip hurts, the rest differ by name."""
    if name in chosen:
        return chosen[name]
    if is_protected:
        return "error"
    if is_local:
        return "success"
    others = COLOURS[2:]
    return others[zlib.crc32(name.encode("utf-8", "surrogateescape")) % len(others)]


def bar_pieces(snapshot: Snapshot | None, standing: Standing, now: float, width: int) -> tuple[list[Piece], list[Piece]]:
    """(left, right) of the bar."""
    left: list[Piece] = []
    if standing.readonly:
        left.append((" RO ", "warn"))
    if standing.frozen_s is not None:
        left.append((f" FROZEN {span(standing.frozen_s)} ", "warn"))
    left += health_pieces(snapshot, now)
    right: list[Piece] = []
    alerts = 0 if snapshot is None else sum(alert.is_loud for alert in snapshot.alerts)
    if alerts:
        right.append((f"⚠{alerts} " if width < NARROW else f"⚠{counted(alerts, 'alert')}  ", "warn"))
    right.append((f"{standing.title} " if width < NARROW else f"{standing.clock} ", "dim"))
    room = width - sum(width_of(text) for text, _ in [*left, *right])
    for piece in amount_pieces(snapshot):
        room -= width_of(piece[0])
        if room < 0:
            break
        left.append(piece)
    return left, right


def amount_pieces(snapshot: Snapshot | None) -> list[Piece]:
    """How much there is and what moves, what matters most first."""
    if snapshot is None or snapshot.connection.state == "connecting":
        return []
    pieces: list[Piece] = []
    if snapshot.records_in is not None:
        out = "" if snapshot.records_out is None else f"  out {per_second(snapshot.records_out)}"
        stored = "" if snapshot.bytes_in is None else f" {bytes_per_second(snapshot.bytes_in)}"
        pieces.append((f"  in {per_second(snapshot.records_in)}{out} rec/s{stored} ({snapshot.records_in.window_s:.0f}s)", ""))
    if snapshot.knows_topics:
        pieces.append((f"  {counted(len(snapshot.topics), 'topic')}", "dim"))
    if snapshot.knows_groups:
        pieces.append((f"  {counted(len(snapshot.groups), 'group')}", "dim"))
    return pieces


def health_pieces(snapshot: Snapshot | None, now: float) -> list[Piece]:
    """Is anybody there? A lost connection says since when, and when the next attempt is."""
    if snapshot is None or snapshot.connection.state == "connecting":
        error = None if snapshot is None else snapshot.connection.error
        return [("  connecting…", "dim"), *([(f" {error}", "bad")] if error else [])]
    connection = snapshot.connection
    if connection.state == "lost":
        again = "" if connection.next_attempt_at is None else f", again in {max(0.0, connection.next_attempt_at - now):.0f}s"
        return [
            (f"  ● LOST for {span(max(0.0, time.time() - connection.since_ms / 1000))}{again}", "bad"),
            (f" {connection.error or ''}", "bad"),
        ]
    gone = sum(broker.gone_since_ms is not None for broker in snapshot.brokers)
    sick = sum(bool(topic.under_replicated or topic.leaderless) for topic in snapshot.topics.values())
    tone = "bad" if gone else "warn" if sick else "good"
    pieces: list[Piece] = [(f"  {counted(len(snapshot.brokers), 'broker')} ", ""), ("●", tone)]
    if gone:
        pieces.append((f" {gone} gone", "bad"))
    if sick:
        pieces.append((f" {counted(sick, 'topic')} under-replicated", "warn"))
    return pieces


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def name_in(standing: Standing, width: int) -> str:
    """The name of the context, which leaves room for the rest of the bar."""
    room = max(8, width // 3)
    name = safe(standing.name)
    return f" {name if width_of(name) <= room else f'{name[: room - 1]}…'} "


class ContextBar(Line):
    """The first line: which cluster, how it is, what moves."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"context-bar--{colour}" for colour in COLOURS}
    DEFAULT_CSS = """
    ContextBar { background: $panel; color: $foreground; }
    """ + "".join(
        f"ContextBar > .context-bar--{colour} {{ background: ${colour}; color: $text; text-style: bold; }}\n" for colour in COLOURS
    )

    shown: object = None

    def look(self) -> None:
        """Draw it again if it says something else now. It says nothing any more when the screen is taken down."""
        if self.is_attached:
            standing, pieces = self._said(self.size.width)
            if self.shown != (standing.name, pieces):
                self.refresh()

    def _said(self, width: int) -> tuple[Standing, tuple[list[Piece], list[Piece]]]:
        """Where one is, and what it says of that in so many cells beside the name of the context."""
        app = cast("EvApp", self.app)
        standing = app.standing(self.screen.title or "")
        return standing, bar_pieces(app.snapshot, standing, time.monotonic(), width - width_of(name_in(standing, width)))

    def render_line(self, y: int) -> Strip:
        app = cast("EvApp", self.app)
        width = self.size.width
        looks = self.looks()
        standing, (left, right) = self._said(width)
        self.shown = standing.name, (left, right)
        is_local, chosen = app.session.target.is_local, app.settings.colors
        colour = colour_of(standing.name, is_local=is_local, is_protected=standing.protected, chosen=chosen)
        style = self.get_component_rich_style(f"context-bar--{colour}")
        head = Segment(name_in(standing, width), looks[""] + style)
        rest = width - width_of(head.text)
        segments = [Segment(safe(text), looks[tone]) for text, tone in left]
        ends = [Segment(safe(text), looks[tone]) for text, tone in right]
        wanted = sum(width_of(segment.text) for segment in ends)
        strip = Strip(segments).adjust_cell_length(max(0, rest - wanted), looks[""])
        return Strip.join([Strip([head]), strip, Strip(ends)]).adjust_cell_length(width, looks[""])


class CommandLine(Line):
    """The last line but one: the command that shows, or would do, the same. A click copies it."""

    DEFAULT_CSS = """
    CommandLine { background: $surface; color: $text-muted; }
    """

    shown = ""

    def look(self) -> None:
        """Draw it again if it is another."""
        if self.shown != cast("EvApp", self.app).command_text:
            self.refresh()

    def pieces(self) -> list[Piece]:
        self.shown = cast("EvApp", self.app).command_text
        return [(" $ ", "key"), (self.shown, "")]

    def on_click(self) -> None:
        cast("EvApp", self.app).action_copy_command()


class Keys(Line):
    """The last line: the keys that do something here. A click presses them."""

    DEFAULT_CSS = """
    Keys { background: $panel; color: $text-muted; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._places: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _screen: self.refresh())

    def pieces(self) -> list[Piece]:
        pieces: list[Piece] = []
        self._places = []
        used = 0
        for key, description, action in shown_keys(self.screen):
            text = f" {key}"
            length = width_of(text) + 1 + width_of(description) + 1
            if used + length > self.size.width:
                break
            pieces += [(text, "key"), (f" {description} ", "")]
            self._places.append((used, used + length, action))
            used += length
        return pieces

    async def on_click(self, event: events.Click) -> None:
        for left, right, action in self._places:
            if left <= event.x < right:
                await self.app.run_action(action, default_namespace=self.screen)


def shown_keys(screen: Any) -> list[tuple[str, str, str]]:
    """(key, what it does, action) of the bindings that are shown, the screen's own first, each action once."""
    found: list[tuple[str, str, str]] = []
    seen: set[str] = set()
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.show and active.enabled and binding.description and binding.action not in seen:
            seen.add(binding.action)
            found.append((screen.app.get_key_display(binding), binding.description, binding.action))
    return found
