"""Which sink a run has: stdout in one of the commit modes, a handler, or a file."""

from __future__ import annotations

from ev_cli.commit import DRAINED, FILE, NONE, POLICIES, PROVEN, commit_mode, kind_of_stdout
from ev_cli.failures import UsageFailure
from ev_cli.writing import Writing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev_cli.formats import Renderer
    from ev_cli.interrupts import Interrupts
    from ev_cli.merging import Finish
    from ev_cli.session import Session
    from ev_cli.sink import Sink

MAX_STALL_MS = 300_000
HANDLER_OPTIONS = ("each", "batch", "ack", "parallel", "retries", "backoff", "on_fail", "dlq", "exec_timeout", "buffer")
ORDERS_OF_HANDLERS = ("key", "partition")


def check(options: Any) -> None:
    """What contradicts itself is told before anybody is connected to. Where nobody looks at stdout, records are plain values."""
    if options.handler:
        from ev_cli.handler import check as check_handler

        check_handler(options)
    else:
        named = [name.replace("_", "-") for name in HANDLER_OPTIONS if getattr(options, name)]
        if named or options.order in ORDERS_OF_HANDLERS:
            raise UsageFailure(f"--{named[0] if named else f'order {options.order}'} is for a handler", "ev consume TOPIC -g GROUP -- CMD")
    if options.into:
        from ev_cli.into import check as check_file

        check_file(options)
    if not options.handler and not options.into:
        return
    if options.order == "time" or options.tail is not None:
        raise UsageFailure("--tail and --order time are for stdout", "a handler and --into take records as they come")
    if options.format is None and not (options.json_records or options.fields or options.embed_json):
        options.format = "value"


def max_stall_ms(options: Any) -> int:
    """How long a reader or handler may do nothing before we leave the group."""
    if options.max_stall is None:
        return MAX_STALL_MS
    from ev_cli.times import duration_ms

    return duration_ms(options.max_stall, "--max-stall")


def sink_of(
    options: Any,
    is_ordered: bool,
    renderer: Renderer,
    session: Session,
    interrupts: Interrupts,
    left: int | None,
    finish: Finish | None = None,
) -> Sink:
    """`is_ordered`: records of several partitions are put into the order of time, and `finish` may write them in another way."""
    if options.handler:
        from ev_cli.handler import handler_of

        return handler_of(options, renderer, session, left)
    if options.into:
        from ev_cli.into import IntoFile

        return IntoFile(options.into, renderer, left, session)
    if options.group is None:
        writing = Writing(renderer, POLICIES[NONE](False), interrupts, left)
        if not is_ordered:
            return writing
        from ev_cli.merging import MergedWriting

        return MergedWriting(writing, renderer, finish)
    stdout = kind_of_stdout()
    mode, remark = commit_mode(options.commit, stdout)
    if remark:
        session.talk(remark)
    if mode in (DRAINED, PROVEN):
        from ev_cli.drain import Drained

        return Drained(renderer, left, session, mode, max_stall_ms(options))
    return Writing(renderer, POLICIES[mode](stdout == FILE), interrupts, left)
