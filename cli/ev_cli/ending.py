"""How a run ends when it does not end well: one line, the exit status, and for signals the death that a shell expects."""

from __future__ import annotations

import os

from ev_cli import output
from ev_cli.failures import StdoutClosed, as_failure

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
    if given.get("json") or given.get("output") == "json":
        import json

        output.say(json.dumps({"code": failure.code, "kind": failure.kind, "message": failure.message, "hint": failure.hint}))
    else:
        output.say(f"ev: {output.safe(failure.line())}")
    return failure.code


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
