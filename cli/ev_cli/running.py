"""From parsed options to the action, whichever parser read them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Options:
    """The parsed command line as attributes; an option that a command does not have reads as None.

    `command_name` and `effect` are what the command's declaration says.
    """

    def __init__(self, given: dict[str, Any]) -> None:
        self.__dict__.update(given)

    def __getattr__(self, name: str) -> Any:
        return None


def run_action(action: str, given: dict[str, Any]) -> int:
    """Run `module:function` of ev_cli.actions, with --watch again and again; its result is the exit status."""
    text = given.get("watch")
    if text is None:
        return run_once(action, given)
    from ev_cli.ending import end_of
    from ev_cli.watching import interval_ms, watch

    try:
        return watch(lambda: run_once(action, given), text, interval_ms(text))
    except Exception as error:  # noqa: BLE001 - a person gets one line, never a traceback
        return end_of(error, given)


def run_once(action: str, given: dict[str, Any]) -> int:
    module_name, _, function_name = action.partition(":")
    module = __import__(f"ev_cli.actions.{module_name}", fromlist=[function_name])
    options = Options(given)
    try:
        if given.get("color"):
            from ev_cli import output

            output.set_colour(given["color"])
        if given.get("effect") in ("reads", "writes", "destroys"):
            from ev_cli.session import target_of

            target_of(options)  # the defaults of the context hold from here on
            given["target_decided"] = options.target_decided  # --watch asks for a password once
        status: int = getattr(module, function_name)(options)
    except Exception as error:  # noqa: BLE001 - a person gets one line, never a traceback
        from ev_cli.ending import end_of

        return end_of(error, given)
    return status
