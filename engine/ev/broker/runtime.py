"""The runtime: turns rounds of appends into replies that may leave.

Handlers decide and append; they never wait. What has to wait is a reply, and it waits for exactly one thing: a commit
round. The runtime takes a round when something was appended, has its system calls run off the loop, and when they are done
moves the high watermarks and lets go, in this order: the next round (so that the disk has work while we talk), callbacks
that were waiting for the round, fetches that were waiting for bytes, and replies.

The runtime knows no sockets and no threads. It reaches the world through `World`: the daemon's is an asyncio loop with a
few threads, a test's is a list of callbacks that it runs by hand.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

from ev.wire.codec import encoder
from ev.wire.header import response_header

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Sequence

    from ev.broker.quick_produce import Answer
    from ev.broker.sasl import Sasl
    from ev.broker.throttling import Throttling
    from ev.clock import Clock
    from ev.disk import Disk
    from ev.log.commit import Committed, Committer, Flush, Round
    from ev.wire.header import RequestHeader
    from ev.wire.primitives import Buffer

EXPIRY_CHECK_MS = 500
ANONYMOUS = "User:ANONYMOUS"
"""The principal of a client that did not say who it is (KafkaPrincipal.java)."""
UNSENT = 0
READY = 1
SILENT = 2


class Handle(Protocol):
    """A callback that was asked for and may be taken back."""

    def cancel(self) -> None: ...


class Job(Protocol):
    """Work for another process: plain values, and what is to be done with them."""

    def run(self, disk: Disk) -> Any: ...


class World(Protocol):
    """What the runtime needs from outside: a loop, and somewhere to wait for the disk."""

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Run `callback` once, after what is running now and whatever has already arrived."""

    def call_at(self, monotonic_ms: int, callback: Callable[[], None]) -> Handle:
        """Run `callback` once at this time."""

    def commit(self, work: Callable[[], None], done: Callable[[], None]) -> None:
        """Run `work` off the loop, strictly in order, then `done` on it. An OSError from `work` ends the process."""

    def flush(self, work: Callable[[], None], done: Callable[[], None]) -> None:
        """The same for background work that may take long and must not hold up commits."""

    def read(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run a read that would wait for the disk; `done` gets its result, or the OSError that it raised."""

    def digest(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run a computation that takes milliseconds and leaves the interpreter to others meanwhile; `done` gets its result."""

    def compute(self, job: Job, disk: Disk, done: Callable[[Any], None]) -> None:
        """Run a job that takes long in a process of its own; `done` gets its result, or the exception that it raised.

        `disk` is for a world that has no other process; another process opens its own.
        """

    def fail(self, error: OSError) -> None:
        """The disk broke a promise: no further reply may leave and the process ends."""


class Replies(Protocol):
    """The connection's side of a call: its replies leave in order."""

    broker: Any
    client_host: str
    principal: str  # who the client is, as Kafka writes it: `User:NAME`
    sasl: Sasl | None  # how it says so, where it has to
    listener_name: str  # of Kafka's `listeners`
    local_address: tuple[str, int]
    dispatching: bool  # requests are being taken: draining follows when that is over
    blocked: bool  # the runtime will drain it after the next round
    calls: deque[Call | Answer]  # unanswered, in the order of arrival
    metadata_due_ms: int  # the next answer to Metadata does not leave before this time
    throttling: Throttling
    answer_bytes: int  # of answers that are ready and have not left
    idle_fetch: Any  # the last fetch, if it found nothing: the next one may ask the same; else it has to be told to `forget()`

    @property
    def answer_bytes_max(self) -> int:
        """What the next answer may have that may as well be smaller."""

    def drain(self) -> None:
        """Send every reply that may leave."""

    def hold(self, throttle_ms: int) -> None:
        """Take no further request for so long."""

    def close(self, reason: str) -> None:
        """Close the connection without an answer to anything still open."""


class Call:
    """One request and the place of its reply among the connection's replies."""

    __slots__ = (
        "after",
        "api_key",
        "connection",
        "expiry",
        "header",
        "now_ms",
        "on_closed",
        "parts",
        "reply_size",
        "request",
        "response_class",
        "size",
        "state",
        "version",
    )

    def __init__(self, connection: Replies, header: RequestHeader, request: Any, response_class: type, now_ms: int, size: int) -> None:
        self.connection = connection
        self.header = header
        self.api_key = header.api_key
        self.version = header.api_version
        self.request = request
        self.response_class = response_class
        self.now_ms = now_ms
        self.size = size  # bytes that the request holds in memory until it is answered
        self.state = UNSENT
        self.after = 0
        self.parts: Sequence[Buffer] = ()
        self.reply_size = 0
        self.expiry: tuple[int, Callable[[], Any]] | None = None
        self.on_closed: Callable[[], None] | None = None  # the connection went away before the reply

    @property
    def client_id(self) -> str:
        return self.header.client_id or ""

    @property
    def client_host(self) -> str:
        return self.connection.client_host

    @property
    def principal(self) -> str:
        return self.connection.principal

    @property
    def user(self) -> str:
        """The name of the principal."""
        return self.connection.principal.partition(":")[2]

    def reply(self, response: Any, after: int = 0, throttle_ms: int = 0) -> None:
        """Answer with this message. It leaves when commit round `after` is synced and every earlier reply has left.

        The client is told to be silent for `throttle_ms`, or longer if its request quota says so, and not listened to for so long.
        """
        assert self.state == UNSENT, "a call is answered once"
        error_code = getattr(response, "error_code", 0)
        if error_code:
            self.connection.broker.runtime.errors[self.header.api_key, error_code] += 1
        if self.connection.throttling.active:
            self._hold(response, max(throttle_ms, self.connection.throttling.answered(self)))
        self._reply(encoder(self.response_class, self.version)(response), after)

    def _hold(self, response: Any, throttle_ms: int) -> None:
        if throttle_ms:
            self.connection.hold(throttle_ms)
            if hasattr(response, "throttle_time_ms"):
                response.throttle_time_ms = throttle_ms

    def reply_encoded(self, body: list[Buffer], after: int = 0) -> None:
        """Answer with a body that is encoded already, to a client that no quota holds; otherwise as `reply`."""
        assert self.state == UNSENT, "a call is answered once"
        self._reply(body, after)

    def _reply(self, body: list[Buffer], after: int) -> None:
        header = self.header
        head = response_header(header.api_key, self.version, header.correlation_id)
        size = len(head) + (len(body[0]) if len(body) == 1 else sum(map(len, body)))
        self.parts = [size.to_bytes(4, "big") + head, *body]
        self.connection.answer_bytes += size + 4 - self.reply_size  # of one that had been answered otherwise
        self.reply_size = size + 4
        self.after = after
        self.state = READY
        self.request = None
        if not self.connection.dispatching:
            self.connection.drain()

    def silent(self, throttle_ms: int = 0) -> None:
        """This request gets no reply (Produce with acks=0)."""
        if throttle_ms:
            self.connection.hold(throttle_ms)
        self.state = SILENT
        self.request = None
        if not self.connection.dispatching:
            self.connection.drain()

    def close(self, reason: str) -> None:
        """Close the connection instead of answering."""
        self.connection.close(reason)

    def expire_at(self, monotonic_ms: int, response: Callable[[], Any]) -> None:
        """If the reply is still waiting for its round at this time, answer with `response()` instead."""
        self.expiry = (monotonic_ms, response)

    def check_expiry(self, now_ms: int) -> None:
        if self.expiry is not None and now_ms >= self.expiry[0]:
            response, self.expiry = self.expiry[1](), None
            self._reply(encoder(self.response_class, self.version)(response), 0)


class Amended:
    """A call whose answer is changed before it leaves: what the client may not see goes, what it was refused comes."""

    __slots__ = ("_amend", "_call")

    def __init__(self, call: Call, amend: Callable[[Any], None]) -> None:
        self._call = call
        self._amend = amend

    def reply(self, response: Any, after: int = 0) -> None:
        self._amend(response)
        self._call.reply(response, after)


class Runtime:
    """Runs commit rounds and releases what waits for them."""

    def __init__(self, committer: Committer, clock: Clock, world: World, knock: Callable[[], None]) -> None:
        self.committer = committer
        self.clock = clock
        self.world = world
        self.moved: Callable[[list[Committed]], None] | None = None  # told which partitions' high watermarks moved
        self.rounds = 0
        self.errors: Counter[tuple[int, int]] = Counter()  # answers that were an error as a whole, by API key and error code
        self._scheduled = False
        self._after: dict[int, list[Callable[[], None]]] = {}
        self._blocked: list[Replies] = []
        self._flush_timer: Handle | None = None
        self._knock = knock
        self._knocking = False
        self._expiry_timer: Handle | None = None
        committer.on_dirty = self.wake

    # Rounds.

    def wake(self) -> None:
        """Something was appended: commit it when everything that has already arrived is appended too."""
        if not self._scheduled and not self.committer.running:
            self._scheduled = True
            self.world.call_soon(self._commit)

    def _commit(self) -> None:
        self._scheduled = False
        taken = self.committer.take(self.clock.monotonic_ms())
        if taken is None:
            return
        if taken.calls:
            self.world.commit(taken.work, lambda: self._committed(taken))
        else:
            self._committed(taken)

    def _committed(self, finished: Round) -> None:
        moved = self.committer.done(finished)
        self.rounds += 1
        if self.committer.dirty:
            self._commit()
        if self._after:
            self._run_after(finished.number)
        if self.moved is not None:
            self.moved(moved)  # first: whoever waits for a record has waited longer than who has sent it
        if self._blocked:
            blocked, self._blocked = self._blocked, []
            for connection in blocked:
                connection.blocked = False
                connection.drain()
        if self.committer.flush_waiting:
            self._flush()
        else:
            self._arm_flush()

    def after_round(self, number: int, callback: Callable[[], None]) -> None:
        """Call back when everything appended up to this round is on disk; at once if it is already."""
        if self.committer.synced_round >= number:
            callback()
        else:
            self._after.setdefault(number, []).append(callback)

    def _run_after(self, synced: int) -> None:
        for number in sorted(number for number in self._after if number <= synced):
            for callback in self._after.pop(number):
                callback()

    # Replies.

    @property
    def synced_round(self) -> int:
        return self.committer.synced_round

    def block(self, connection: Replies) -> None:
        """The connection's next reply waits for a round: drain it after each one."""
        if connection.blocked:
            return
        connection.blocked = True
        self._blocked.append(connection)
        if self._expiry_timer is None:
            self._expiry_timer = self.world.call_at(self.clock.monotonic_ms() + EXPIRY_CHECK_MS, self._check_expiry)

    def _check_expiry(self) -> None:
        """Answer REQUEST_TIMED_OUT where a round takes longer than the request allowed. Armed only while replies wait."""
        self._expiry_timer = None
        if not self._blocked:
            return
        now_ms = self.clock.monotonic_ms()
        for connection in list(self._blocked):
            for call in list(connection.calls):
                call.check_expiry(now_ms)
        self._expiry_timer = self.world.call_at(self.clock.monotonic_ms() + EXPIRY_CHECK_MS, self._check_expiry)

    # Background.

    def call_at(self, monotonic_ms: int, callback: Callable[[], None]) -> Handle:
        return self.world.call_at(monotonic_ms, callback)

    def when_disk_moves(self, callback: Callable[[], None]) -> None:
        """Call back when the disk takes changes, at once on any disk that works.

        A frozen disk holds up whoever writes, into the page cache too. What the loop writes when nobody asks for it comes after this.
        """
        self.world.read(self._knock, lambda _: callback())

    def _arm_flush(self) -> None:
        due_ms = None if self._knocking or self._flush_timer is not None else self.committer.flush_due_ms()
        if due_ms is not None:
            self._flush_timer = self.world.call_at(due_ms, self._flush_is_due)

    def _flush_is_due(self) -> None:
        """What waits in memory is about to be written, by the loop, to the files that it belongs to."""
        self._flush_timer = None
        self._knocking = True
        self.when_disk_moves(self._flush)

    def _flush(self) -> None:
        self._knocking = False
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        taken = self.committer.take_flush(self.clock.monotonic_ms())
        if taken is not None:
            self.world.flush(taken.run, lambda: self._flushed(taken))

    def _flushed(self, finished: Flush) -> None:
        self.committer.flush_done(finished)
        self._arm_flush()
