"""From parsed options to the action, whichever parser read them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Options:
    """The parsed command line as attributes; an option that a command does not have reads as None."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.__dict__.update(given)

    def __getattr__(self, name: str) -> Any:
        return None


def run_action(action: str, given: dict[str, Any]) -> int:
    """Run `module:function` of ev_cli.actions; its result is the exit status."""
    module_name, _, function_name = action.partition(":")
    module = __import__(f"ev_cli.actions.{module_name}", fromlist=[function_name])
    try:
        if given.get("color"):
            from ev_cli import output

            output.set_colour(given["color"])
        status: int = getattr(module, function_name)(Options(given))
    except Exception as error:  # noqa: BLE001 - a person gets one line, never a traceback
        from ev_cli.ending import end_of

        return end_of(error, given)
    return status
