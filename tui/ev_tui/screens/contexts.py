"""Contexts: the clusters that the configuration names, and going from one to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ev_cli.failures import Failure
from ev_cli.session import config_path
from ev_tui.page import ListPage
from ev_tui.widgets.line_table import Column, LineTable, Row

if TYPE_CHECKING:
    from ev_cli.model.snapshot import Snapshot


class ContextsPage(ListPage):
    """Every context in a row."""

    NAME = "contexts"
    TITLE = "Contexts"

    def __init__(self, about: tuple[str, ...] = ()) -> None:
        super().__init__(about)
        self.known: list[Row] = []
        self.trouble = ""

    def table(self) -> LineTable:
        return LineTable(COLUMNS, sort=None, empty="there are no contexts")

    def hasten(self) -> None:
        self._read()

    def on_screen_resume(self) -> None:
        self._read()
        super().on_screen_resume()

    def _read(self) -> None:
        """The file is read when the screen comes up, and on demand."""
        from ev_cli.actions.context import Configuration

        try:
            self.known = rows_of(Configuration(self.ev.options), self.ev.session.target.name)
            self.trouble = ""
        except (Failure, ValueError) as error:  # the file is a person's own
            text = error.line() if isinstance(error, Failure) else str(error)
            self.trouble = text.replace(config_path(self.ev.options) or "", "the configuration")
        if self.ev.snapshot is not None:
            self.show(self.ev.snapshot)

    def rows(self, snapshot: Snapshot) -> list[Row]:
        return self.known

    def heading(self, snapshot: Snapshot) -> str:
        return f"CONTEXTS {len(self.known)}" + (f" · {self.trouble}" if self.trouble else " · enter goes there")

    def command(self) -> Sequence[str]:
        return ("context", "list", "-o", "wide")

    def open_row(self, key: Any) -> None:
        if str(key) == self.ev.session.target.name:
            self.ev.go("topics")
        else:
            self.ev.use_context(str(key))


def rows_of(configuration: Any, here: str) -> list[Row]:
    """The values of the columns, of each context of the configuration."""
    rows = []
    for name in configuration.names:
        table = configuration.table(name)
        bootstrap = table.get("bootstrap")
        rows.append(
            (
                name,
                "here" if name == here else "current" if name == configuration.current else "",
                ",".join(map(str, bootstrap)) if isinstance(bootstrap, list) else str(bootstrap or "the local engine"),
                _security(table),
                "read-only" if table.get("readonly") else "",
                "protected" if table.get("protected") else "",
            )
        )
    return rows


def _security(table: dict[str, Any]) -> str:
    usual = ("sasl_" if "sasl" in table else "") + ("ssl" if "tls" in table else "plaintext")
    return str(table.get("security", usual)).lower()


COLUMNS = (
    Column("NAME", 16, grow=True, keep=0),
    Column("", 7, keep=1, tone=lambda _: "good"),
    Column("BOOTSTRAP", 26, grow=True, keep=4),
    Column("SECURITY", 14, keep=5),
    Column("", 9, keep=2, tone=lambda _: "warn"),
    Column("", 9, keep=3, tone=lambda _: "bad"),
)
