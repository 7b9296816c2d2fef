"""From parsed options to the action, whichever parser read them."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NO_OPTIONS = frozenset((
    "EV_BOOTSTRAP", "EV_CONTEXT", "EV_DATA_DIR", "EV_LISTEN", "EV_CONFIG", "EV_INSECURE", "EV_AUTOSTART", "EV_TRACEBACK",
    "EV_TOPIC", "EV_PARTITION", "EV_OFFSET", "EV_TIMESTAMP", "EV_KEY", "EV_KEY_B64", "EV_NULL", "EV_HEADERS_JSON", "EV_ATTEMPT", "EV_COUNT",
    "EV_GROUP",
))  # fmt: skip
"""Variables that mean something else than an option: the second and third lines are what a handler is told of its record."""


class Options:
    """The parsed command line as attributes; an option that a command does not have reads as None.

    `command_name` and `effect` are what the command's declaration says, `said` the names of the options that were given.
    """

    def __init__(self, given: dict[str, Any]) -> None:
        self.__dict__.update(given)

    def __getattr__(self, name: str) -> Any:
        return None


def run_action(action: str, given: dict[str, Any]) -> int:
    """Run `module:function` of ev_cli.actions, with --watch again and again; its result is the exit status."""
    try:
        variables = [name for name in os.environ if name[:3] == "EV_" and name not in NO_OPTIONS]
        if variables:
            from ev_cli.variables import apply

            apply(given, variables)
        text = given.get("watch")
        if text is None:
            return run_once(action, given)
        from ev_cli.watching import interval_ms, watch

        return watch(lambda: run_once(action, given), text, interval_ms(text))
    except Exception as error:  # noqa: BLE001 - a person gets one line, never a traceback
        from ev_cli.ending import end_of

        return end_of(error, given)


def run_once(action: str, given: dict[str, Any]) -> int:
    module_name, _, function_name = action.partition(":")
    module = __import__(f"ev_cli.actions.{module_name}", fromlist=[function_name])
    options = Options(given)
    try:
        if given.get("color"):
            from ev_cli import output

            output.set_colour(given["color"])
        if given.get("output"):
            from ev_cli import output

            output.output_format(options)
        if "list" in (given.get("set") or given.get("settings") or ()):
            from ev_cli.properties import show

            return show(options)
        if given.get("effect") in ("reads", "writes", "destroys"):
            from ev_cli.session import target_of

            target_of(options)  # the defaults of the context hold from here on
            given["target_decided"] = options.target_decided  # --watch asks for a password once
        for name, value in given.items():
            if value.__class__ is int and value < 0:
                from ev_cli.variables import refuse_negative

                refuse_negative(name, value, given)
        status: int = getattr(module, function_name)(options)
    except Exception as error:  # noqa: BLE001 - a person gets one line, never a traceback
        from ev_cli.ending import end_of

        return end_of(error, given)
    return status
