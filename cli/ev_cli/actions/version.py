"""ev version: what runs here."""

from __future__ import annotations

import ev
from ev_cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PARTS = ("typer", "rich", "crc32c", "cramjam", "uvloop")


def show_version(options: Any) -> int:
    if not options.json and not options.verbose:
        output.write_text(f"ev {ev.__version__}\n")
        return 0
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str | None] = {"ev": ev.__version__, "python": platform.python_version(), "system": platform.platform()}
    for name in PARTS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    if options.json:
        output.show_json(found)
    else:
        output.write_text("".join(f"{name} {value or 'missing'}\n" for name, value in found.items()))
    return 0
