"""The interface in a test: run without a terminal, seen as text, with a model that says what the test wants said."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pathlib
import re
import time
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from textual.app import App
from textual.pilot import Pilot

from ev_cli.model.snapshot import BrokerRow, Connection, GroupRow, Snapshot, TopicRow
from ev_cli.running import Options
from ev_cli.session import Session
from ev_tui.app import EvApp
from ev_tui.pages import FIRST
from ev_tui.settings import Settings, settings_of
from ev_tui.start import model_of_session

UPDATE = os.environ.get("EV_UPDATE_SCREENS") == "1"
SCREENS = pathlib.Path(__file__).resolve().parents[1] / "tui" / "screens"


class SaidModel:
    """In the place of ev_cli.model.poller.ClusterModel: its snapshot is what the test puts there."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self.snapshot = snapshot or nothing_yet()
        self.paused = False
        self.wanted: dict[str, Any] = {}
        self.refreshed = 0
        self.crashed: BaseException | None = None

    def put(self, **parts: Any) -> None:
        self.snapshot = dataclasses.replace(self.snapshot, version=self.snapshot.version + 1, **parts)

    def start(self) -> None: ...

    def close(self) -> None: ...

    def refresh(self) -> None:
        self.refreshed += 1

    def want(self, **wanted: Any) -> None:
        self.wanted = wanted


def connected(**parts: Any) -> Snapshot:
    """A snapshot of a cluster that answers, at a fixed time."""
    connection = Connection("connected", int(time.time() * 1000))
    broker = BrokerRow(1, "127.0.0.1", 9092, None, True, None, True, 1, 1, None, None, None, None)
    known = {"is_complete": True, "knows_topics": True, "knows_groups": True}
    given = {"version": 1, "connection": connection, "brokers": (broker,), "cluster_id": "c", **known, **parts}
    return dataclasses.replace(nothing_yet(), **given)


def nothing_yet() -> Snapshot:
    """Before anybody has answered."""
    values: dict[str, Any] = {field.name: None for field in dataclasses.fields(Snapshot)}
    values |= {"version": 0, "at": 0.0, "time_ms": 0, "connection": Connection(), "is_complete": False}
    values |= {name: {} for name in ("topics", "partitions", "groups", "group_partitions", "members", "refused")}
    values |= dict.fromkeys(("brokers", "history_in", "history_out", "events", "alerts", "directories"), ())
    return Snapshot(**{**values, "knows_topics": False, "knows_groups": False})


def topic(name: str, **parts: Any) -> TopicRow:
    """A topic with one partition and nothing in it, unless said otherwise."""
    values: dict[str, Any] = {field.name: None for field in dataclasses.fields(TopicRow)}
    values |= {"name": name, "topic_id": bytes(16), "internal": False, "partitions": 1, "replication_factor": 1, "under_replicated": 0}
    values |= {"leaderless": 0, "records": 0, "size_bytes": 0, "history": (None,) * 60, "groups": (), **parts}
    return TopicRow(**values)


def group(name: str, **parts: Any) -> GroupRow:
    """A group without members and lag, unless said otherwise."""
    values: dict[str, Any] = {field.name: None for field in dataclasses.fields(GroupRow)}
    values |= {"group": name, "state": "Empty", "protocol_type": "consumer", "type": "classic", "members": 0, "topics": ()}
    values |= {"verdict_about": (), "history": (None,) * 60, "rebalances": 0, **parts}
    return GroupRow(**values)


def options(**given: Any) -> Options:
    """The options of `ev tui` with these given."""
    return Options({"command_name": "tui", "effect": "reads", "set": [], **given})


def app_of(session_options: Options | None = None, *, model: SaidModel | None = None, configuration: dict[str, Any] | None = None) -> EvApp:
    """The application; with a `model` it connects to nothing."""
    chosen = session_options or options(bootstrap="127.0.0.1:1")
    settings: Settings = settings_of(configuration or {})
    model_of: Callable[[Session, Any], Any] = model_of_session if model is None else (lambda _session, _alerts: model)
    return EvApp(Session(chosen), chosen, settings, model_of=model_of)


HEARD: weakref.WeakKeyDictionary[EvApp, list[str]] = weakref.WeakKeyDictionary()


def told(app: EvApp) -> str:
    """All that a person was told since the interface began, a remark a line, also what is no longer seen."""
    return "\n".join(HEARD[app])


def run_app(
    steps: Callable[[EvApp, Pilot[int]], Awaitable[None]],
    size: tuple[int, int] = (120, 40),
    *,
    model: SaidModel | None = None,
    given: Options | None = None,
    configuration: dict[str, Any] | None = None,
    first: str = "topics",
) -> None:
    """Run the application, and the steps in it once it has something to draw, on the screen `first`.

    Without a `model` it is that of the engine in `given`.
    """

    async def run() -> None:
        app = app_of(given, model=model, configuration=configuration)
        HEARD[app] = []
        tell = app.tell

        def heard(text: str, severity: str = "information") -> None:
            HEARD[app].append(text)
            tell(text, severity)

        app.tell = heard  # type: ignore[method-assign]
        async with app.run_test(size=size, notifications=True) as pilot:
            await until(pilot, lambda: app.snapshot is not None and (model is not None or app.snapshot.is_complete))
            if app.place is not None and app.place.name == FIRST:
                app.go(first)
            await pilot.pause()
            await steps(app, pilot)

    asyncio.run(run())


async def until(pilot: Pilot[int], condition: Callable[[], object], timeout_s: float = 15) -> None:
    """Let the application go on until the condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"it does not come:\n{text_of(pilot.app)}"
        await pilot.pause(0.05)


def text_of(app: App[Any]) -> str:
    """What is on the screen, line by line, without colours."""
    height = app.size.height
    strips = app.screen._compositor.render_strips()
    lines = [strip.text.rstrip() for strip in strips[:height]]
    return "\n".join(lines) + "\n"


def check_screen(app: EvApp, name: str, *, clock: bool = False, masks: tuple[tuple[str, str], ...] = ()) -> None:
    """Compare with tests/tui/screens/NAME.txt, or write it where EV_UPDATE_SCREENS=1.

    `masks` are (regular expression, what stands for it); `clock` masks times of day.
    """
    shown = text_of(app)
    for pattern, mask in (*masks, *([(r"\d\d:\d\d:\d\d", "HH:MM:SS")] if clock else [])):
        shown = re.sub(pattern, mask, shown)
    path = SCREENS / f"{name}.txt"
    if UPDATE:
        path.write_text(shown)
    assert path.exists(), f"there is no {path}: EV_UPDATE_SCREENS=1 writes it"
    assert shown == path.read_text(), f"{path} shows something else (EV_UPDATE_SCREENS=1 writes it anew):\n{shown}"
