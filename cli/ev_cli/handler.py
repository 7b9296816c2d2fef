"""`ev consume TOPIC -g GROUP -- CMD`: what the options of a handler mean, and which of the four kinds it is.

(nothing)   one process that reads all records from its stdin          handler_stream
--each      one process for each record                                handler_jobs
--batch N   one process for up to N records                            handler_jobs
--ack       one process that answers each record with a line           handler_answers
"""

from __future__ import annotations

import os

from ev_cli.failures import UsageFailure
from ev_cli.handler_rules import DLQ, FAILING, STOP, Retries
from ev_cli.sinks import ORDERS_OF_HANDLERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev_cli.dead_letters import DeadLetters
    from ev_cli.formats import Renderer
    from ev_cli.session import Session
    from ev_cli.sink import Sink

RETRIES = 5
BACKOFF = "1s..60s"
BUFFER = "8MiB"
SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ksh", "fish"))
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "K": 1 << 10, "M": 1 << 20}


class Handler:
    """The command of a handler and the rules by which it is run."""

    def __init__(self, options: Any) -> None:
        self.command: list[str] = options.handler
        self.each = bool(options.each)
        self.batch: int | None = options.batch
        self.ack = bool(options.ack)
        self.parallel: int = options.parallel or 1
        self.by_partition = options.order == "partition"
        self.retries = Retries(RETRIES if options.retries is None else options.retries, *_backoff(options.backoff or BACKOFF))
        self.on_fail: str = options.on_fail or (DLQ if options.dlq else STOP)
        self.exec_timeout_ms = _duration(options.exec_timeout, "--exec-timeout")
        self.buffer_bytes = size_of(options.buffer or BUFFER, "--buffer")
        self.group: str = options.group or ""
        self.verbose = options.verbose > 0

    @property
    def name(self) -> str:
        return os.path.basename(self.command[0])


def check(options: Any) -> None:
    """Options that contradict each other are told before anything is started."""
    kinds = [flag for flag, given in (("--each", options.each), ("--batch", options.batch is not None), ("--ack", options.ack)) if given]
    if len(kinds) > 1:
        raise UsageFailure(f"{kinds[0]} and {kinds[1]} contradict each other", "a handler is of one kind")
    if options.into:
        raise UsageFailure("--into and a handler are two places for the records", "give one of them")
    if options.commit not in (None, "none"):
        raise UsageFailure("--commit does not go with a handler", "what it has handled is committed; --commit none commits nothing")
    if options.order is not None and options.order not in ORDERS_OF_HANDLERS:
        raise UsageFailure(f"--order {options.order} does not go with a handler", f"{' or '.join(ORDERS_OF_HANDLERS)}")
    for name in ("batch", "parallel"):
        given = getattr(options, name)
        if given is not None and given < 1:
            raise UsageFailure(f"--{name} takes a number from 1 on")
    if options.retries is not None and options.retries < 0:
        raise UsageFailure("--retries takes a number from 0 on")
    many = options.each or options.batch is not None
    if not many and (options.parallel or options.order):
        raise UsageFailure("--parallel and --order are for many short processes", "add --each or --batch N")
    if not many and options.exec_timeout:
        raise UsageFailure("--exec-timeout is for processes that end", "add --each or --batch N")
    if options.on_fail is not None and options.on_fail not in FAILING:
        raise UsageFailure(f"--on-fail {options.on_fail} is unknown", f"one of {', '.join(FAILING)}")
    if options.on_fail == DLQ and options.dlq is None:
        raise UsageFailure("--on-fail dlq has no topic to put records into", "add --dlq TOPIC")
    if options.dlq is not None and options.on_fail not in (None, DLQ):
        raise UsageFailure(f"--dlq and --on-fail {options.on_fail} contradict each other", "give one of them")
    handler = Handler(options)
    if handler.on_fail != STOP and not (many or options.ack):
        raise UsageFailure(
            "of a handler that reads everything nobody knows which record it failed at", "add --each, --batch N or --ack, or --on-fail stop"
        )
    if handler.each:
        _check_templates(handler.command)
    if handler.on_fail == DLQ and options.dlq in [*(options.topics or ()), *(options.topic_option or ())]:
        raise UsageFailure(f"{options.dlq} is read and would be written to", "name another topic with --dlq")


def handler_of(options: Any, renderer: Renderer, session: Session, left: int | None) -> Sink:
    """The sink that runs the handler."""
    handler = Handler(options)
    dead_letters: DeadLetters | None = None
    if handler.on_fail == DLQ:
        from ev_cli.dead_letters import DeadLetters

        dead_letters = DeadLetters(session, options.dlq, handler.group)
    if handler.each or handler.batch is not None:
        from ev_cli.handler_jobs import Jobs

        plain = handler.each and options.format in (None, "value") and not options.json_records and options.delimiter is None
        return Jobs(handler, renderer, left, session, dead_letters, plain=plain)
    if handler.ack:
        from ev_cli.handler_answers import Answers

        return Answers(handler, renderer, left, session, dead_letters)
    from ev_cli.handler_stream import Stream

    return Stream(handler, renderer, left, session)


def size_of(text: str, flag: str) -> int:
    """`8MiB`, `64KB`, `1000` as bytes."""
    digits = text[: len(text) - len(text.lstrip("0123456789"))]
    unit = text[len(digits) :].strip().upper()
    if not digits or unit not in _UNITS or not int(digits):
        raise UsageFailure(f"{flag} {text!r} is no size", "write 8MiB, 64KiB or a number of bytes")
    return int(digits) * _UNITS[unit]


def _backoff(text: str) -> tuple[int, int]:
    from ev_cli.times import duration_ms

    first, dots, last = text.partition("..")
    low_ms = duration_ms(first, "--backoff")
    high_ms = duration_ms(last, "--backoff") if dots else low_ms
    if high_ms < low_ms:
        raise UsageFailure(f"--backoff {text} ends before it begins", "write 1s..60s")
    return low_ms, high_ms


def _duration(text: str | None, flag: str) -> int | None:
    if text is None:
        return None
    from ev_cli.times import duration_ms

    return duration_ms(text, flag)


def _check_templates(command: list[str]) -> None:
    """What a record holds must not become a part of a shell's program."""
    from ev_cli.handler_processes import TEMPLATES

    if os.path.basename(command[0]) not in SHELLS or "-c" not in command:
        return
    place = command.index("-c") + 1
    script = command[place] if place < len(command) else ""
    for template in TEMPLATES:
        if template in script:
            raise UsageFailure(
                f"{template} inside of {command[0]} -c would run what a record holds",
                'read it from stdin, or use "$EV_KEY", "$EV_TOPIC", "$EV_OFFSET"',
            )
