"""The engine's settings as a person gives them to a command that starts it: in the environment, and in tables of the configuration."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def settings_from_environment() -> dict[str, str]:
    """EV_LOG_SEGMENT_BYTES is log.segment.bytes, EV_DURABILITY is ev.durability: only names that are settings count."""
    given = {name: value for name, value in os.environ.items() if name.startswith("EV_")}
    if not given:
        return {}
    from ev.coarser_settings import COARSER
    from ev.settings import rows

    known = [*[row.name for row in rows()], *COARSER]
    names = {f"EV_{name.removeprefix('ev.').replace('.', '_').upper()}": name for name in known}
    return {names[variable]: value for variable, value in given.items() if variable in names}


def argument_of(name: str, value: str) -> tuple[str, str]:
    """What the daemon's command line says of a setting; of a secret one, which everybody could read there, only where to find it."""
    variable = _secret_variable(name)
    return ("--secret", f"{name}={variable}") if variable else ("--set", f"{name}={value}")


def secret_variables(settings: dict[str, str]) -> dict[str, str]:
    """The settings that are secret, as the daemon finds them in its environment."""
    return {variable: value for name, value in settings.items() if (variable := _secret_variable(name))}


def _secret_variable(name: str) -> str:
    from ev.settings import is_secret

    return f"EV_SECRET_{name.replace('.', '_').upper()}" if is_secret(name) else ""


def setting_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
