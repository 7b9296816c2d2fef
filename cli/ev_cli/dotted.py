"""Names with dots in TOML: `log.segment.bytes = 1` without quotes is read as a table within a table, and becomes one name again."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def flat(table: dict[str, Any], above: str = "") -> dict[str, Any]:
    """The values of all tables by their whole names."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            found.update(flat(value, f"{above}{name}."))
        else:
            found[f"{above}{name}"] = value
    return found
