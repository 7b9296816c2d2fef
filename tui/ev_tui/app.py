"""The application: where one is, what keys do everywhere, and the model that every screen draws.

First paint comes before everything else: the frame of the first screen stands while the engine is still looked for. The model asks the
cluster in a thread of its own; a timer here looks whether there is a newer snapshot and hands it to the screen that is seen.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.worker import Worker

from ev_cli.failures import Failure, as_failure
from ev_cli.naming import nearest
from ev_cli.protection import READS
from ev_cli.running import Options
from ev_cli.session import Session, config_path, configuration
from ev_tui import notification
from ev_tui.frame import NARROW, SHORT, Standing
from ev_tui.harmless import Harmless, safe
from ev_tui.opened import Opened
from ev_tui.page import Page
from ev_tui.pages import BY_NAME, FIRST, Place
from ev_tui.passwords import ask_outside
from ev_tui.spelling import command_line, engine_words
from ev_tui.themes import Folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.driver import Driver

    from ev_cli.model.alert_files import Alerts
    from ev_cli.model.poller import ClusterModel
    from ev_cli.model.snapshot import Snapshot
    from ev_tui.command_log import CommandLog
    from ev_tui.settings import Settings
    from ev_tui.terminal import Aside

TICK_S = 0.25
SWITCH_INTERVAL_S = 0.001
"""How long the thread that asks the cluster keeps the interpreter while a key waits. With Python's own 5 ms a key waits thrice as long."""


class EvApp(App[int]):
    """The interface on one terminal."""

    TITLE = "ev"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (NARROW, "-normal"), (160, "-wide")]  # noqa: RUF012 - as App declares it
    VERTICAL_BREAKPOINTS = [(0, "-short"), (SHORT, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(key, f"go('{name}')", entry.title, show=False, id=f"go.{name}")
            for name, entry in BY_NAME.items()
            for key in [entry.key]
            if key
        ),
        Binding("question_mark,f1", "help", "help", id="app.help"),
        Binding("colon,ctrl+p", "palette", "command", id="app.palette"),
        Binding("at", "command_log", "commands", show=False, id="app.command_log"),
        Binding("Y", "copy_command", "copy command", show=False, id="app.copy_command"),
        Binding("z", "freeze", "freeze", show=False, id="app.freeze"),
        Binding("r", "refresh_now", "ask again now", show=False, id="app.refresh"),
        Binding("left_square_bracket", "history(-1)", "back in history", show=False, id="app.history_back"),
        Binding("right_square_bracket", "history(1)", "forward in history", show=False, id="app.history_forward"),
        Binding("minus", "previous", "the screen before", show=False, id="app.previous"),
        Binding("escape", "up(False)", "back", show=False, id="app.escape"),
        Binding("q", "up(True)", "back, quit", show=False, id="app.back"),
        Binding("ctrl+z", "suspend_process", "to the shell", show=False, id="app.suspend"),
        Binding("ctrl+c", "leave", "quit", show=False, priority=True, id="app.quit"),
        Binding("ctrl+q", "leave", "quit", show=False, priority=True),
    ]
    CSS = """
    Screen { background: $background; }
    Toast { max-width: 100; }
    """

    def __init__(
        self,
        session: Session,
        options: Any,
        settings: Settings,
        *,
        aside: Aside | None = None,
        model_of: Callable[[Session, Alerts], ClusterModel],
        settled: Callable[[], object] | None = None,
    ) -> None:
        """`settled` is called once, when everything of the cluster was seen for the first time."""
        # With NO_COLOR, Textual makes greys of colours unless it is told to leave them to the terminal: then it sends none at all.
        super().__init__(ansi_color=True if os.environ.get("NO_COLOR") is not None else None)
        self._filters.insert(0, Harmless())
        self.session = session
        self.options = options
        self.settings = settings
        self.aside = aside
        self._model_of = model_of
        self.model: ClusterModel | None = None
        self.snapshot: Snapshot | None = None
        self.crash: BaseException | None = None
        self.frozen_at: float | None = None
        self.alerts: Alerts | None = None
        self._commands: CommandLog | None = None
        self.opened = Opened(self)
        self._themes = Folder(config_path(options))
        self._first: str | None = options.name
        self._shown_at = 0.0
        self._second = 0
        self._wanted: dict[str, Any] = {}
        self._wants_are_new = True
        self._settled = settled

    # -- start and end ---------------------------------------------------------------------------------------------------------------

    def get_driver_class(self) -> type[Driver]:
        from textual.drivers.linux_driver import LinuxDriver

        found = super().get_driver_class()
        if found is not LinuxDriver:
            return found
        from ev_tui.terminal import StdoutDriver

        return StdoutDriver

    def on_mount(self) -> None:
        self._read_themes()
        if self.theme_wanted in self.available_themes:
            self.theme = self.theme_wanted
        self.go(FIRST)
        self.call_after_refresh(self._after_first_paint)

    def _after_first_paint(self) -> None:
        for warning in self.settings.warnings:
            self.tell(warning, "warning")
        if self.theme_wanted not in self.available_themes:
            self.tell(f"there is no theme {self.theme_wanted!r}; `:theme` has those that there are", "warning")
        self._set_keys()
        if self.aside is not None:
            self.aside.heard = lambda line: self.call_from_thread(self._heard, line)
        self._connect()
        self.set_interval(TICK_S, self._tick)

    def _set_keys(self) -> None:
        settings = self.settings
        if settings.keymap == "default" and not settings.keys:
            return
        from ev_tui.keys import ids_of, keymap_of
        from ev_tui.pages import BUILT
        from ev_tui.widgets.line_table import LineTable
        from ev_tui.widgets.tail import Tail
        from ev_tui.widgets.text_lines import TextLines

        known = ids_of([EvApp, LineTable, Tail, TextLines, *(entry.load() for entry in BUILT)])
        keymap, warnings = keymap_of(settings.keymap, settings.keys, known)
        self.set_keymap(keymap)
        for warning in warnings:
            self.tell(warning, "warning")

    @property
    def theme_wanted(self) -> str:
        return self.options.theme or self.settings.theme

    def _read_themes(self) -> None:
        """Those of the person's own, where a file of them has changed; the one that is seen changes with its file."""
        found = self._themes.changed()
        if found is None:
            return
        for warning in found.warnings:
            self.call_after_refresh(self.tell, warning, "warning")
        for theme in found.themes.values():
            self.register_theme(theme)
        if self.theme in found.themes:
            self._watch_theme(self.theme)

    def _connect(self) -> None:
        from ev_cli.model.alert_files import Alerts, rules_path

        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self.alerts = Alerts(rules_path(config_path(self.options)))
        self.model = self._model_of(self.session, self.alerts)
        self.model.start()
        self._wants_are_new = True

    def _heard(self, line: str) -> None:
        """Somebody wrote to stderr."""
        text = line.strip()
        if text:
            self.log_of_commands.remark(text)
            self.tell(text.removeprefix("ev: "))

    async def on_event(self, event: events.Event) -> None:
        """Keys do what they are bound to at once and in their order.

        Textual would put each into the queue of the widget that has the focus, so that of `/pay`, typed quickly, the `p` could reach the
        table before the `/` has opened the filter. Where text is typed, all keys go through the one queue of that widget.
        """
        if isinstance(event, events.Key) and not event.is_forwarded:
            focused = self.focused
            if focused is None or not focused.check_consume_key("a", "a"):
                self.app_focus = True
                if await self._check_bindings(event.key, priority=True) or await self._check_bindings(event.key):
                    return
        await super().on_event(event)

    def leave_from_signal(self) -> None:
        """Called by a signal's handler, between two steps of whatever runs."""
        loop = self._loop
        if loop is not None and loop.is_running():
            loop.call_soon_threadsafe(self.exit, 143)

    def action_leave(self) -> None:
        self.exit(0)

    async def on_unmount(self) -> None:
        if self.model is not None:
            self.model.close()

    def _fatal_error(self) -> None:
        """What nobody caught ends the interface; `start` writes it into a file, the terminal gets one line."""
        self.crash = self._exception
        self._close_messages_no_wait()

    def _print_error_renderables(self) -> None:
        self._exit_renderables.clear()

    # -- the model -------------------------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        model = self.model
        if model is None or not self.screen_stack:  # the last is taken down when the interface ends
            return
        if model.crashed is not None:
            raise model.crashed
        page = self.standing_page
        if page is not None and not page.is_mounted:  # it has nothing to draw in yet
            page = None
        if self._wants_are_new and page is not None:
            self._wants_are_new = False
            wanted = page.wants()
            if wanted != self._wanted:
                self._wanted = wanted
                model.want(**wanted)
        now = time.monotonic()
        if self.frozen_at is None:
            newest = model.snapshot
            if self.snapshot is None or newest.version != self.snapshot.version:
                self._take(newest)
            if page is not None and self.screen is page and now - self._shown_at >= page.EVERY_S - TICK_S / 2:
                self._show(page, now)
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._look_at_bar()
            self._read_themes()

    def _take(self, newest: Snapshot) -> None:
        """There is a newer snapshot."""
        before = self.snapshot
        self._ring(newest)
        self.snapshot = newest
        if before is None or before.stage != newest.stage:
            self._shown_at = 0.0  # nobody waits a second for the first names
        if before is None or (before.stage, before.connection, before.alerts) != (newest.stage, newest.connection, newest.alerts):
            self._look_at_bar()
        if newest.is_complete and not (before is not None and before.is_complete):
            self._open_first(newest)
            settled, self._settled = self._settled, None
            if settled is not None:
                settled()

    def _ring(self, newest: Snapshot) -> None:
        """Alerts that were not there before are heard, whichever screen is seen."""
        if not newest.alerts:
            return
        known = () if self.snapshot is None else {alert.key for alert in self.snapshot.alerts}
        fresh = [alert for alert in newest.alerts if alert.is_loud and alert.key not in known]
        if not fresh:
            return
        more = f" and {len(fresh) - 1} more" if len(fresh) > 1 else ""
        text = f"{fresh[0].about}: {fresh[0].text}{more}"
        self.tell(f"⚠ {text} (0)", "warning")
        if self.settings.alerts != notification.OFF:
            self.bell()
        if self.settings.alerts == notification.TERMINAL and self._driver is not None:
            self._driver.write(notification.sequence(text, os.environ))

    def _open_first(self, snapshot: Snapshot) -> None:
        """What the command line named, once it is known what there is."""
        name, self._first = self._first, None
        if name is None:
            return
        if name in snapshot.topics:
            self.go("topic", name)
        elif name in snapshot.groups:
            self.go("group", name)
        else:
            near = nearest(name, [*snapshot.topics, *snapshot.groups])
            self.tell(f"no topic or group {name!r}" + (f": did you mean {near!r}?" if near else ""), "warning")

    def _show(self, page: Page, now: float) -> None:
        snapshot = self.snapshot
        if snapshot is not None and page.is_composed and snapshot.version != page.shown_version:
            page.shown_version = snapshot.version
            self._shown_at = now
            page.show(snapshot)

    def _look_at_bar(self) -> None:
        page = self.standing_page
        if page is not None and self.screen is page:
            page.bar.look()

    def page_came_up(self, page: Page) -> None:
        """A screen is seen (again): it draws what is known now."""
        self._wants_are_new = True
        page.shown_version = -1
        self._show(page, time.monotonic())

    def wants_changed(self) -> None:
        """Other rows are on screen now."""
        self._wants_are_new = True

    def action_refresh_now(self) -> None:
        if self.model is not None:
            self.model.refresh()
        if self.standing_page is not None:
            self.standing_page.hasten()

    def action_freeze(self) -> None:
        """The picture stands still, and nothing is asked for, until the same key again."""
        self.frozen_at = time.monotonic() if self.frozen_at is None else None
        if self.model is not None:
            self.model.paused = self.frozen_at is not None
        self._look_at_bar()

    def standing(self, title: str) -> Standing:
        target = self.session.target
        return Standing(
            name=target.name,
            readonly=self.is_readonly,
            protected=target.protected,
            frozen_s=None if self.frozen_at is None else time.monotonic() - self.frozen_at,
            clock=time.strftime("%H:%M:%S"),
            title=title,
        )

    # -- where one is ----------------------------------------------------------------------------------------------------------------

    @property
    def page(self) -> Page | None:
        """The screen below whatever dialog may be open."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, Page):
                return screen
        return None

    @property
    def standing_page(self) -> Page | None:
        """The same, once its widgets are there: before that it can be asked nothing."""
        page = self.page
        return page if page is not None and page.is_composed else None

    @property
    def place(self) -> Place | None:
        return self.opened.here

    def go(self, name: str, *about: str) -> None:
        """Go to a screen, about something: `go("topic", "orders")`."""
        entry = BY_NAME[name]
        if entry.place:
            self.opened.go(Place(name, about))
        else:
            self.tell(f"{entry.title} is not built yet")

    def action_go(self, name: str) -> None:
        self.go(name)

    def action_history(self, step: int) -> None:
        self.opened.step(step)

    def action_previous(self) -> None:
        self.opened.back()

    def action_up(self, may_leave: bool) -> None:
        page = self.standing_page
        if (page is None or not page.back()) and not self.opened.up() and may_leave:
            self.exit(0)

    # -- the command that does the same ----------------------------------------------------------------------------------------------

    @property
    def command_text(self) -> str:
        """The command of the screen, as one would type it."""
        page = self.standing_page
        words = () if page is None else page.command()
        return self.command_of(words) if words else self.command_of(["tui"])

    def command_of(self, words: Sequence[str]) -> str:
        """`ev` and the words, with the options that say which cluster. What stands behind `--` stays behind it."""
        listed = list(words)
        end = listed.index("--") if "--" in listed else len(listed)
        return command_line([*listed[:end], *engine_words(listed, self.options, self.session.target), *listed[end:]])

    @property
    def log_of_commands(self) -> CommandLog:
        if self._commands is None:
            from ev_tui.command_log import CommandLog

            self._commands = CommandLog()
        return self._commands

    def action_copy_command(self) -> None:
        self.copy(self.command_text, "the command")

    def copy(self, text: str, what: str) -> None:
        """To the clipboard; `what` is said to the person."""
        from ev_tui import clipboard

        command = clipboard.program(os.environ) if self.settings.clipboard != "osc52" else None
        if command is not None:
            self.run_in_thread(
                lambda: clipboard.copy_natively(text, command),
                lambda is_done: self.tell(f"{what} is copied" if is_done else f"{command[0]} did not take {what}"),
            )
            return
        if not clipboard.fits(text):
            self.tell(f"{what} is too long for the terminal's clipboard ({clipboard.OSC52_MAX:,} bytes)", "warning")
            return
        if self._driver is not None:
            self._driver.write(clipboard.sequence(text))
        self.tell(f"{what} is copied")

    # -- what may be done ------------------------------------------------------------------------------------------------------------

    @property
    def is_readonly(self) -> bool:
        return bool(self.options.readonly) or self.session.target.readonly

    def session_for(self, effect: str) -> Session:
        """A session in which the context lets one do this (protection.WRITES, protection.DESTROYS); a Failure says why not."""
        if effect != READS and self.options.readonly:
            raise Failure("this is only for looking (--readonly)", "start `ev tui` without it")
        target = self.session.target
        given = {**vars(self.options), "effect": effect, "yes": True}  # the dialogs have asked by then
        if target.protected:
            given["context"] = target.name  # for its name, too
        options = Options(given)
        asked = (options.bootstrap, options.context, options.data_dir, options.listen, options.config_file)
        options.target_decided = (asked, target)  # type: ignore[attr-defined]
        return Session(options)

    def may(self, effect: str) -> bool:
        """Whether a change is allowed here; when not, the person is told why. Ask before a dialog is opened."""
        try:
            self.session_for(effect)
        except Failure as failure:
            self.tell(failure.line(), "warning")
            return False
        return True

    def change(
        self, words: Sequence[str], effect: str, do: Callable[[Session], str | None], then: Callable[[], None] | None = None
    ) -> None:
        """Make a change in a thread: `do` gets a session that may; what it returns is told. `words` are the command that does the same."""
        text = self.command_of(words)

        def run() -> str | None:
            return do(self.session_for(effect))

        def done(said: str | None) -> None:
            self.log_of_commands.ran(text, None)
            self.tell(said or "done")
            if self.model is not None:
                self.model.refresh()
            if then is not None:
                then()

        def failed(failure: Failure) -> None:
            self.log_of_commands.ran(text, failure.line())
            self.tell(failure.line(), "error")

        self.run_in_thread(run, done, failed)

    def run_in_thread(
        self,
        work: Callable[[], Any],
        then: Callable[[Any], None] | None = None,
        failed: Callable[[Failure], None] | None = None,
    ) -> Worker[None]:
        """Whatever blocks. `then` is called here with the result, `failed` with what went wrong as a person can read it."""

        def run() -> None:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - a person gets one line
                failure = as_failure(error, self.session.where)
                self._from_thread(failed or (lambda told: self.tell(told.line(), "error")), failure)
            else:
                if then is not None:
                    self._from_thread(then, result)

        return self.run_worker(run, thread=True, exit_on_error=True)

    def _from_thread(self, call: Callable[..., Any], value: Any) -> None:
        if self._running:
            self.call_from_thread(call, value)

    # -- talk ------------------------------------------------------------------------------------------------------------------------

    def tell(self, text: str, severity: str = "information") -> None:
        """A remark in the corner. The text may be anybody's."""
        self.notify(safe(text), severity=severity, markup=False)  # type: ignore[arg-type]

    def toggle_mouse(self) -> None:
        """While the interface does not have it, the terminal's own selection works."""
        driver: Any = self._driver
        if not hasattr(driver, "_disable_mouse_support"):
            return
        is_on = bool(driver._mouse)
        if is_on:
            driver._disable_mouse_support()
        driver._mouse = not is_on
        if not is_on:
            driver._enable_mouse_support()
        self.tell("the mouse is the terminal's" if is_on else "the mouse is heard here")

    def action_help(self) -> None:
        from ev_tui.screens.help import Help

        page = self.screen
        if not isinstance(page, ModalScreen):
            self.push_screen(Help(page))

    def action_palette(self) -> None:
        from ev_tui.screens.palette import Palette

        if not isinstance(self.screen, ModalScreen):
            self.push_screen(Palette(self.standing_page))

    def action_command_log(self) -> None:
        from ev_tui.screens.command_log import CommandLogScreen

        if not isinstance(self.screen, ModalScreen):
            self.push_screen(CommandLogScreen(self.log_of_commands, self.command_text))

    @contextmanager
    def outside(self) -> Iterator[None]:
        """The terminal as it was before, for an editor or a pager; Ctrl-C is for that meanwhile."""
        from ev_tui.terminal import interrupts_elsewhere

        away = nullcontext() if self.aside is None else self.aside.away()
        with self.suspend(), away, interrupts_elsewhere():
            yield

    @property
    def context_names(self) -> list[str]:
        """Those of the configuration, and the local engine, which needs not stand there."""
        try:
            contexts = configuration(self.options).get("contexts", {})
        except Failure:
            return ["local"]
        return sorted({*(contexts if isinstance(contexts, dict) else ()), "local"})

    def use_context(self, name: str) -> None:
        """Another cluster, by its context: every screen begins anew."""
        elsewhere = dict.fromkeys(("bootstrap", "data_dir", "listen", "target_decided"))
        options = Options({**vars(self.options), **elsewhere, "context": name, "effect": READS})
        try:
            session = Session(options)
            ask_outside(self, session)
        except Failure as failure:
            self.tell(failure.line(), "error")
            return
        if self.model is not None:
            self.model.close()
        self.session, self.options, self.snapshot, self.frozen_at = session, options, None, None
        self._wanted = {}
        self._connect()
        while len(self.screen_stack) > 1 and not isinstance(self.screen, Page):
            self.pop_screen()
        self.opened.begin_anew(Place(FIRST))
