"""What a coordinator is told, and what it returns: records to write, replies to send.

A coordinator never does anything itself. Each of its methods takes one event and the time, and returns a `Decision`. The
runtime then appends the decision's records to the coordinator's log, hands them back through `replay()` at once and in append
order, and sends the replies when everything they depend on is on disk. Deadlines stay inside the coordinator: the runtime asks
when the next one is, and wakes it.

If the log refuses the records, nothing of the decision happens: every caller in it gets its own error reply, and the
coordinator goes back to what its log says (`refused`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Now(NamedTuple):
    """The time of an event, on both clocks: the wall clock is for what is written down, the monotonic one for waiting."""

    wall_ms: int
    monotonic_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class Caller:
    """One request that waits for its reply, and whoever sent it."""

    #: What the runtime sends the reply to; a coordinator only keeps it and gives it back.
    token: Any
    version: int
    client_id: str
    client_host: str
    #: Builds the reply that refuses this whole request with an error code.
    error: Callable[[int], Any]
    #: (principal, host) of whoever sent it, for questions about what may be seen.
    identity: tuple[str, str] = ("", "")


class Record(NamedTuple):
    """One record for the log of the group; a value of None is a tombstone."""

    group_id: str
    key: bytes
    value: bytes | None


class Reply(NamedTuple):
    caller: Caller
    message: Any


@dataclass(slots=True)
class Decision:
    """The outcome of one event, filled in while it is decided."""

    #: The groups whose state was looked at, so that the replies wait for their logs; None means all groups.
    groups: tuple[str, ...] | None = ()
    records: list[Record] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    #: (producer id, epoch) of the transaction that the records belong to.
    producer: tuple[int, int] | None = None

    def write(self, group_id: str, key: bytes, value: bytes | None) -> None:
        self.records.append(Record(group_id, key, value))

    def reply(self, caller: Caller, message: Any) -> None:
        self.replies.append(Reply(caller, message))

    def reply_with(self, caller: Caller, message: Any) -> Decision:
        self.replies.append(Reply(caller, message))
        return self

    def refuse(self, caller: Caller, error_code: int) -> Decision:
        self.replies.append(Reply(caller, caller.error(error_code)))
        return self
