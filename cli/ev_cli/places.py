"""Where ev keeps its files: data, configuration, state and cache, resolved in one function.

The rule is platformdirs'. On Linux it is repeated here, because importing platformdirs costs more than everything else that
`ev produce` does before its first byte; a test holds both equal. A home that does not exist is a usage error that names the
two variables which make it unnecessary.
"""

from __future__ import annotations

import os
import sys

from ev_cli.failures import UsageFailure

# kind -> (XDG variable, fallback below the home)
_LINUX = {
    "data": ("XDG_DATA_HOME", ".local/share"),
    "config": ("XDG_CONFIG_HOME", ".config"),
    "state": ("XDG_STATE_HOME", ".local/state"),
    "cache": ("XDG_CACHE_HOME", ".cache"),
}


def directory(kind: str) -> str | None:
    """The directory of one kind ("data", "config", "state", "cache"), absolute; None when there is no home."""
    if sys.platform == "linux":
        variable, below_home = _LINUX[kind]
        base = os.environ.get(variable, "")
        if base[:1] != "/":
            home = _home()
            if home is None:
                return None
            base = os.path.join(home, below_home)
        return os.path.join(base, "ev")
    import platformdirs

    try:
        return str(getattr(platformdirs, f"user_{kind}_dir")("ev", appauthor=False))
    except RuntimeError:
        return None


def data_directory() -> str:
    """The local engine's data directory when nobody names another."""
    base = directory("data")
    if base is None:
        raise UsageFailure(
            "there is no home directory for the local engine's data",
            "set EV_DATA_DIR to a directory of yours (and EV_CONFIG to a file, if you want one)",
        )
    return os.path.join(base, "local")


def config_file() -> str | None:
    """The configuration file: EV_CONFIG, else config.toml in the configuration directory; None when there is no home."""
    named = os.environ.get("EV_CONFIG")
    if named:
        return os.path.abspath(named)
    base = directory("config")
    return None if base is None else os.path.join(base, "config.toml")


def _home() -> str | None:
    home = os.environ.get("HOME", "")
    if home[:1] == "/":
        return home.rstrip("/") or "/"
    try:
        import pwd

        home = pwd.getpwuid(os.getuid()).pw_dir.rstrip("/")
    except (ImportError, KeyError):
        return None
    return home if home[:1] == "/" else None
