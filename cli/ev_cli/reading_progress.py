"""How far a reading is that has an end: a bar on stderr while its records go into a file or a pipe."""

from __future__ import annotations

from ev_cli.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class ReadingProgress:
    """Told how many records are left, it shows how many of all that is."""

    def __init__(self, options: Any) -> None:
        self._progress = Progress(options, "reading", unit="records", beside_data=True)

    def look(self, left: int) -> None:
        """So many records are left now. The first time says how many there are at all."""
        progress = self._progress
        if progress.total is None:
            progress.total = left
        progress.done = progress.total - left
        progress.show()

    def end(self) -> None:
        self._progress.end()
