"""Alerts: which rules hold at the moment, for what and since when; and the rules themselves."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from ev_cli.failures import UsageFailure
from ev_cli.times import duration_ms
from ev_cli.units import duration_text
from ev_tui import amounts, group_cells
from ev_tui.page import FilterLine, ListPage
from ev_tui.widgets.dialog import Field, Form
from ev_tui.widgets.line import Said
from ev_tui.widgets.line_table import Column, LineTable, Row

if TYPE_CHECKING:
    from ev_cli.model.alert_files import Alerts
    from ev_cli.model.alerts import Rule
    from ev_cli.model.snapshot import Alert, Snapshot

OF_GROUPS = ("lag", "time-lag")
OF_TOPICS = ("received", "under-replicated")
TEMPLATE = """\
# Rules of `ev tui`. kind: lag, time-lag, received, under-replicated, broker-gone or disk.
# As long as there is no rule here, these hold:

[[rule]]
kind = "under-replicated"
for = "1m"

[[rule]]
kind = "broker-gone"

[[rule]]
kind = "disk"
above = "90%"

# [[rule]]
# kind = "lag"
# of = "payments-*"        a pattern of groups (lag, time-lag) or topics (received, under-replicated)
# above = 1000000          records; time-lag: "10m"
# for = "5m"               it has to last so long; received: so many within this time
# name = "payments late"
"""


class AlertsPage(ListPage):
    """Every alert in a row, the newest first; the rules below."""

    NAME = "alerts"
    TITLE = "Alerts"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "acknowledge", "acknowledge", id="alerts.acknowledge"),
        Binding("u", "mute", "mute", id="alerts.mute"),
        Binding("U", "unmute", "let it be heard", show=False, id="alerts.unmute"),
        Binding("e", "edit", "edit rules", id="alerts.edit"),
    ]
    DEFAULT_CSS = """
    AlertsPage #about { background: $surface; }
    AlertsPage #rules { height: auto; max-height: 50%; }
    AlertsPage.-short #rules { max-height: 4; }
    """

    def __init__(self, about: tuple[str, ...] = ()) -> None:
        super().__init__(about)
        self.about_line = Said(id="about")
        self.rules = LineTable(RULES, sort=None, empty="there are no rules: `e` writes some", id="rules")

    def body(self) -> ComposeResult:
        self.list = self.table()
        yield Said((f" {self.title}", "accent"), id="heading")
        yield self.list
        yield self.about_line
        yield self.rules
        yield FilterLine()

    def table(self) -> LineTable:
        return LineTable(COLUMNS, sort=None, empty="no alerts: no rule holds at the moment")

    @property
    def alerts(self) -> Alerts | None:
        return self.ev.alerts

    def rows(self, snapshot: Snapshot) -> list[Row]:
        return [row_of(alert, snapshot.time_ms) for alert in snapshot.alerts]

    def heading(self, snapshot: Snapshot) -> str:
        loud = sum(alert.is_loud for alert in snapshot.alerts)
        return f"ALERTS {loud}" + (f" · {len(snapshot.alerts) - loud} acknowledged or muted" if loud < len(snapshot.alerts) else "")

    def show(self, snapshot: Snapshot) -> None:
        super().show(snapshot)
        alerts = self.alerts
        if alerts is None:
            return
        self.rules.put([rule_row(rule, number) for number, rule in enumerate(alerts.rules)])
        where = alerts.rules_file or "nowhere: there is no configuration directory"
        problems = [(f" · {problem}", "bad") for problem in alerts.problems]
        self.about_line.say((f" rules of {where}", "accent"), *problems)

    def command(self) -> Sequence[str]:
        alert = self.current
        if alert is None:
            return ["cluster", "health"]
        kind = alert.key.partition(":")[0]
        if kind in OF_GROUPS:
            return ["group", "describe", *group_cells.named(alert.about)]
        if kind in OF_TOPICS:
            return ["topic", "describe", *group_cells.named(alert.about)]
        return ["cluster", "brokers", "-o", "wide"]

    @property
    def current(self) -> Alert | None:
        return self._by_key(self.list.current_key)

    def _by_key(self, key: Any) -> Alert | None:
        snapshot = self.ev.snapshot
        return None if snapshot is None else next((alert for alert in snapshot.alerts if alert.key == key), None)

    def action_acknowledge(self) -> None:
        """The marked alerts, or the one under the cursor: quiet until they have ended."""
        self._say_of(lambda alerts, key: alerts.acknowledge(key), "acknowledged")

    def action_unmute(self) -> None:
        self._say_of(lambda alerts, key: alerts.unmute(key), "heard again")

    def action_mute(self) -> None:
        """Quiet for some time, whatever happens."""
        keys = list(self.list.chosen_keys)
        if not keys:
            return
        fields = [Field("for", "For how long", "1h", check=wrong_duration)]
        title = f"Mute {len(keys)} alert{'' if len(keys) == 1 else 's'}"

        def mute(values: dict[str, str] | None) -> None:
            if values is not None:
                for_s = duration_ms(values["for"]) / 1000
                self._say_of(lambda alerts, key: alerts.mute(key, for_s), f"muted for {values['for']}", keys)

        self.ev.push_screen(Form(title, fields, lambda values: self.command()), mute)

    def _say_of(self, say: Callable[[Alerts, str], None], done: str, chosen: Sequence[Any] | None = None) -> None:
        alerts = self.alerts
        keys = [str(key) for key in (self.list.chosen_keys if chosen is None else chosen)]
        if alerts is None or not keys:
            return

        def work() -> None:
            for key in keys:
                say(alerts, key)

        def told(_: object) -> None:
            self.ev.tell(done)
            self.list.action_unmark()
            if self.ev.model is not None:
                self.ev.model.refresh()

        self.ev.run_in_thread(work, told)

    def action_edit(self) -> None:
        """The rules in an editor; they hold as soon as it is left."""
        alerts = self.alerts
        if alerts is None or alerts.rules_file is None:
            self.ev.tell("there is no configuration directory for alerts.toml", "warning")
            return
        try:
            if not os.path.exists(alerts.rules_file):
                os.makedirs(os.path.dirname(alerts.rules_file), exist_ok=True)
                with open(alerts.rules_file, "x", encoding="utf-8") as file:
                    file.write(TEMPLATE)
            editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
            with self.ev.outside():
                subprocess.run([*editor, alerts.rules_file], check=False)
        except (OSError, ValueError) as error:
            self.ev.tell(f"the rules cannot be edited: {error}", "error")

    def open_row(self, key: Any) -> None:
        """To what the alert is about."""
        alert = self._by_key(key)
        if alert is None:
            return
        kind = alert.key.partition(":")[0]
        if kind in OF_GROUPS:
            self.ev.go("group", alert.about)
        elif kind in OF_TOPICS:
            self.ev.go("topic", alert.about)
        else:
            self.ev.go("brokers")

    def on_line_table_opened(self, event: LineTable.Opened) -> None:
        if event.table is self.list:
            self.open_row(event.key)


def wrong_duration(text: str) -> str | None:
    try:
        return None if duration_ms(text) > 0 else "more than nothing"
    except UsageFailure as failure:
        return failure.hint or failure.message


def row_of(alert: Alert, now_ms: int) -> Row:
    """The values of the columns, in their order."""
    state = "loud"
    if alert.muted_until_ms is not None:
        state = f"muted until {amounts.time_of_day(alert.muted_until_ms)[:5]}"
    elif alert.acknowledged:
        state = "acknowledged"
    return (alert.key, state, alert.rule, alert.about, alert.text, amounts.span(max(0.0, (now_ms - alert.since_ms) / 1000)))


def rule_row(rule: Rule, number: int) -> Row:
    return (number, rule.title, rule.kind, rule.of, limit_text(rule), duration_text(int(rule.for_s * 1000)) if rule.for_s else "at once")


def limit_text(rule: Rule) -> str:
    if rule.kind == "time-lag":
        return f"> {duration_text(int(rule.above))}"
    if rule.kind == "disk":
        return f"> {rule.above:.0f} %"
    return "" if rule.kind in ("under-replicated", "broker-gone") else f"> {rule.above:,.0f}"


def state_tone(state: str) -> str:
    return "bad" if state == "loud" else "dim"


COLUMNS = (
    Column("", 1, lambda _: "⚠", keep=9, tone=lambda _: "warn"),
    Column("STATE", 17, keep=4, tone=state_tone),
    Column("RULE", 16, keep=3),
    Column("ABOUT", 14, keep=0, grow=True),
    Column("WHAT", 24, keep=0, grow=True),
    Column("SINCE", 7, right=True, keep=2),
)
RULES = (
    Column("", 2, lambda number: str(number + 1), right=True, keep=0, tone=lambda _: "dim"),
    Column("RULE", 16, keep=0, grow=True),
    Column("KIND", 16, keep=2),
    Column("OF", 12, keep=3),
    Column("ABOVE", 12, right=True, keep=1),
    Column("FOR", 7, right=True, keep=4),
)
