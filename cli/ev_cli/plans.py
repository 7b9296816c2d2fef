"""What a command is about to change, one row per change: shown before it happens, or instead of it."""

from __future__ import annotations

from ev_cli import output
from ev_cli.naming import confirm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ev_cli.session import Session


class Plan:
    """The changes. With --dry-run they are the output, in the form of -o; else whoever is asked for a yes sees them first."""

    def __init__(self, session: Session, options: Any, columns: Sequence[str], wide: Sequence[str] = ()) -> None:
        self.table = output.Table(columns, wide)
        self._session = session
        self._options = options

    def __len__(self) -> int:
        return len(self.table.rows)

    def add(self, **row: Any) -> None:
        self.table.add(**row)

    def only_shown(self) -> bool:
        """Whether this is a dry run; then the plan has gone to stdout, and nothing is to be done."""
        if self._options.dry_run:
            output.show(self.table, self._options)
            self._session.talk(f"a dry run: nothing was changed on {self._session.where}")
        return bool(self._options.dry_run)

    def agree(self, question: str) -> None:
        """Go on, or raise what ends the command: declined, or nobody there to ask."""
        if not self._options.yes and output.is_terminal(0) and output.is_terminal(2):
            output.say(output.aligned(self.table, wide=False).rstrip("\n"))
        confirm(question, self._options)
