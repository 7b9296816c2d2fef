"""How a run ends when it does not end well: one line, the exit status, and for signals the death that a shell expects."""

from __future__ import annotations

import os

from ev_cli import output
from ev_cli.failures import USAGE, Failure, StdoutClosed, UsageFailure, as_failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

INTERRUPTED = 130
TERMINATED = 143
PIPE_CLOSED = 141


def end_of(error: BaseException, given: dict[str, Any]) -> int:
    """Report the error on stderr and return the exit status that it means."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, StdoutClosed | BrokenPipeError):
        return PIPE_CLOSED
    if os.environ.get("EV_TRACEBACK"):
        import traceback

        output.say("".join(traceback.format_exception(error)).rstrip())
    failure = as_failure(error, _where(given))
    for variable in given.get("variables", ()):
        if failure.code == USAGE and os.environ[variable] and os.environ[variable] in failure.message:
            failure = UsageFailure(failure.message, "; ".join([*filter(None, [failure.hint]), f"{variable} says so"]))
    complain(failure, wants_json=bool(given.get("json")) or given.get("output") in ("json", "jsonl"))
    return failure.code


def complain(failure: Failure, *, wants_json: bool, about: str = "") -> None:
    """One failure on stderr: a line for a person, or an object where JSON was asked for. `about` is the item that it happened to."""
    if wants_json:
        from ev_cli.tabulated import json_text

        item = {"item": about} if about else {}
        told = {"code": failure.code, "kind": failure.kind, "message": failure.message, "hint": failure.hint, **item}
        output.say(json_text(told).rstrip("\n"))
    else:
        output.say(f"ev: {output.safe(about)}{': ' if about else ''}{output.safe(failure.line())}")


def leave(status: int) -> NoReturn:
    """End the process at once. After a signal it dies of that signal, so that a shell's loop ends too."""
    deadly = {INTERRUPTED: "SIGINT", TERMINATED: "SIGTERM", PIPE_CLOSED: "SIGPIPE"}.get(status)
    if deadly is not None:
        import signal

        number = getattr(signal, deadly, None)
        if number is not None:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
    # Nothing is buffered here, and the interpreter's own tidying would cost as much as a small command.
    os._exit(status)


def _where(given: dict[str, Any]) -> str:
    return str(given.get("bootstrap") or given.get("context") or "")
