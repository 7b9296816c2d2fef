"""One connection to one broker: requests leave in order, answers come back in order.

    WAITING ──> CONNECTING ──> NEGOTIATING ──> AUTHENTICATING ──> READY ──> CLOSED
    (back-off)   (each address    (ApiVersions,   (SASL, if asked              (every ticket that
                  of the host,     v3, else v0)    for; again while             is left gets
                  TLS)                             READY, when due)             the error)

A state machine over a transport that never blocks: `submit` takes a message and gives a Ticket, `work` is called when the transport can be
read or written, `expire` when time has passed; each is told what time it is. Requests are pipelined: any number may be on their way. A
ticket is finished by an answer or by an error, and then its callback, if it has one, is called once.

What an error says of a request: when `ticket.sent` is false nothing of it left this machine, when it is true the broker may have acted on
it. A request whose deadline passes takes the connection with it, as nothing behind it could be answered either. Who is refused gets an
AuthenticationError: another try would end in the same way.
"""

from __future__ import annotations

import sys

from ev import __version__
from ev.client.inbox import Inbox
from ev.client.transport import open_transport, resolve
from ev.errors import (
    AuthenticationError,
    ClientError,
    ErrorCode,
    EvError,
    KafkaError,
    MalformedError,
    SettingError,
    TimedOutError,
    UnreachableError,
    UnsupportedApiError,
)
from ev.wire.codec import decode, encode_parts
from ev.wire.header import decode_response_header, encode_request_header
from ev.wire.messages.k18_api_versions import ApiVersionsRequest, ApiVersionsResponse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ev.client.authentication import Authentication
    from ev.client.transport import Address, OpenTransport, Transport
    from ev.wire.codec import Message
    from ev.wire.primitives import Buffer

WAITING, CONNECTING, NEGOTIATING, AUTHENTICATING, READY, CLOSED = range(6)
STATES = ("waiting", "connecting", "negotiating", "authenticating", "ready", "closed")

REQUEST_TIMEOUT_MS = 30_000
CONNECT_TIMEOUT_MS = 10_000
SOFTWARE_NAME = "ev"
SOFTWARE_VERSION = __version__

_NEGOTIATION_VERSION = 3
_CORRELATION_ID_MAX = 0x7FFFFFFF

_apis: dict[type[Message], tuple[int, type[Message]]] = {}


def api_of(request_class: type[Message]) -> tuple[int, type[Message]]:
    """The key of a request's API and the class of its response. The module of the class is named after the key."""
    known = _apis.get(request_class)
    if known is None:
        module = sys.modules[request_class.__module__]
        key = int(module.__name__.rpartition(".k")[2].partition("_")[0])
        known = _apis[request_class] = key, module.RESPONSE
    return known


class Ticket:
    """A request on its way. When `done`, it has a response, or an error, or neither where no reply was expected."""

    __slots__ = (
        "api_key",
        "callback",
        "correlation_id",
        "deadline_ms",
        "done",
        "error",
        "expects_reply",
        "message",
        "response",
        "response_class",
        "sent",
        "version",
        "version_max",
    )

    def __init__(
        self,
        message: Message,
        deadline_ms: int,
        version_max: int | None = None,
        expects_reply: bool = True,
        callback: Callable[[Ticket], None] | None = None,
    ) -> None:
        self.message: Message | None = message
        self.api_key, self.response_class = api_of(type(message))
        self.deadline_ms = deadline_ms
        self.version_max = version_max
        self.expects_reply = expects_reply
        self.callback = callback
        self.correlation_id = -1
        self.version = -1
        self.sent = False
        self.done = False
        self.response: Any = None
        self.error: EvError | None = None

    def result(self) -> Any:
        """The response; raises the error when there is one."""
        if self.error is not None:
            raise self.error
        return self.response

    def finish(self, response: Any = None, error: EvError | None = None) -> None:
        """Called by the connection, once."""
        self.done = True
        self.message = None
        self.response = response
        self.error = error
        if self.callback is not None:
            self.callback(self)


class Connection:
    """Not safe for threads: one thread owns a connection and everything that uses it."""

    def __init__(
        self,
        host: str,
        port: int,
        now_ms: int,
        *,
        client_id: str = "ev",
        connect_at_ms: int | None = None,
        connect_timeout_ms: int = CONNECT_TIMEOUT_MS,
        request_timeout_ms: int = REQUEST_TIMEOUT_MS,
        open_transport: OpenTransport = open_transport,
        authenticate: Callable[[str], Authentication] | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.client_id = client_id
        self.request_timeout_ms = request_timeout_ms
        self.connect_timeout_ms = connect_timeout_ms
        self.state = WAITING
        self.error: EvError | None = None
        self.was_ready = False
        self.last_used_ms = now_ms
        self._connect_at_ms = now_ms if connect_at_ms is None else connect_at_ms
        self._open_transport = open_transport
        self._authentication = None if authenticate is None else authenticate(self.address)
        self._telling: Ticket | None = None  # the message of SASL that waits for its answer; meanwhile nothing else is sent
        self._addresses: list[Address] | None = None
        self._connect_deadline_ms: int | None = None
        """Set when `expire` is called for the first time after the attempt began, as looking up names and passwords takes time, too."""
        self._transport: Transport | None = None
        self._versions: dict[int, tuple[int, int]] = {}
        self.features: dict[str, int] = {}
        self.features_epoch = -1
        """The levels of the cluster's finalized features, and the epoch in which the broker knew them so."""
        self._inbox = Inbox()
        self._out: list[Buffer] = []
        self._out_total = 0
        self._sent_total = 0
        self._correlation_id = 0
        self._negotiation_version = _NEGOTIATION_VERSION
        self._quiet_until_ms = 0
        self._was_answered = False
        self._queue: list[Ticket] = []
        self._in_flight: list[Ticket] = []
        self._without_reply: list[tuple[int, Ticket]] = []

    def __repr__(self) -> str:
        return f"Connection({self.address}, {STATES[self.state]})"

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def in_flight(self) -> int:
        """Requests that are not finished, those that wait for the connection included."""
        return len(self._queue) + len(self._in_flight) + len(self._without_reply)

    def peer(self) -> tuple[str, int] | None:
        """The other side's numeric host and port, while connected."""
        return self._transport.peer() if self._transport is not None and NEGOTIATING <= self.state <= READY else None

    # What the owner calls

    def submit(
        self,
        message: Message,
        now_ms: int,
        *,
        timeout_ms: int | None = None,
        version_max: int | None = None,
        expects_reply: bool = True,
        callback: Callable[[Ticket], None] | None = None,
    ) -> Ticket:
        """Send a message as soon as may be. The ticket may be finished on return, with an error."""
        deadline_ms = now_ms + (self.request_timeout_ms if timeout_ms is None else timeout_ms)
        ticket = Ticket(message, deadline_ms, version_max, expects_reply, callback)
        self.last_used_ms = now_ms
        if self.state == CLOSED:
            why = None if self.was_ready else self.error  # it came to nothing, perhaps while it was being made
            ticket.finish(error=why or UnreachableError(f"the connection to {self.address} is closed"))
            return ticket
        self._queue.append(ticket)
        if self.state == READY:
            self._send_queue(now_ms)
        return ticket

    def api_version(self, request_class: type[Message], version_max: int | None = None) -> int:
        """The newest version that both sides speak. Only on a connection that is READY."""
        key, _ = api_of(request_class)
        low, high = request_class.VERSIONS
        theirs = self._versions.get(key)
        if version_max is not None:
            high = min(high, version_max)
        if theirs is None or theirs[0] > high or theirs[1] < low:
            name = request_class.__name__.removesuffix("Request")
            offer = "does not have it" if theirs is None else f"has versions {theirs[0]} to {theirs[1]}"
            raise UnsupportedApiError(f"{name} in versions {low} to {high} is needed, the broker at {self.address} {offer}")
        return min(high, theirs[1])

    def has_api(self, key: int) -> bool:
        """Whether the broker offers an API. Only on a connection that is READY."""
        return key in self._versions

    def fileno(self) -> int:
        """The socket, or -1 when there is none."""
        return -1 if self._transport is None else self._transport.fileno()

    @property
    def wants_write(self) -> bool:
        return bool(self._out) or (self._transport is not None and self._transport.wants_write)

    def work(self, now_ms: int, readable: bool, writable: bool) -> None:
        """The transport can be read or written. Finishes tickets; closes itself when the connection is gone."""
        try:
            if self.state == CONNECTING and (writable or readable):
                self._connected(now_ms)
            if readable and NEGOTIATING <= self.state <= READY:
                self._receive(now_ms)
            if NEGOTIATING <= self.state <= READY and self.wants_write:
                self._flush()
        except OSError as error:
            self._broke(now_ms, error.strerror or str(error))
        except MalformedError as error:
            self.close(UnreachableError(f"{self.address} sent what is no answer: {error}"))
        except UnreachableError as error:
            self._fail(now_ms, str(error))
        except (AuthenticationError, SettingError, UnsupportedApiError) as error:
            self.close(error)

    def expire(self, now_ms: int) -> None:
        """Time has passed: begin to connect, give up what is too late, send what was held back."""
        if self.state == WAITING and now_ms >= self._connect_at_ms:
            self._connect()
        elif CONNECTING <= self.state <= AUTHENTICATING:
            if self._connect_deadline_ms is None:
                self._connect_deadline_ms = now_ms + self.connect_timeout_ms
            elif now_ms >= self._connect_deadline_ms:
                self._fail(now_ms, f"no answer within {self.connect_timeout_ms} ms")
        if self.state == READY and self._queue and now_ms >= self._quiet_until_ms:
            self._send_queue(now_ms)
        if any(ticket.deadline_ms <= now_ms for ticket in self._in_flight) or any(
            ticket.deadline_ms <= now_ms for _, ticket in self._without_reply
        ):
            self._time_out(now_ms)
        late = [ticket for ticket in self._queue if ticket.deadline_ms <= now_ms]
        if late:
            self._queue = [ticket for ticket in self._queue if ticket.deadline_ms > now_ms]
            for ticket in late:
                ticket.finish(error=TimedOutError(self._held_back(now_ms)))

    def _held_back(self, now_ms: int) -> str:
        if self.state == READY and now_ms < self._quiet_until_ms:
            return f"{self.address} asked for a pause, because of a quota, that was longer than the time allowed"
        return f"no connection to {self.address} in the time allowed"

    def next_deadline_ms(self) -> int | None:
        """When `expire` has something to do if nothing else happens."""
        deadlines = [ticket.deadline_ms for ticket in self._queue]
        deadlines += [ticket.deadline_ms for ticket in self._in_flight]
        deadlines += [ticket.deadline_ms for _, ticket in self._without_reply]
        if self.state == WAITING and self._queue:
            deadlines.append(self._connect_at_ms)
        elif CONNECTING <= self.state <= AUTHENTICATING:
            if self._connect_deadline_ms is not None:
                deadlines.append(self._connect_deadline_ms)
        elif self._queue and self._telling is None:
            deadlines.append(self._quiet_until_ms)
        return min(deadlines, default=None)

    def close(self, error: EvError | None = None) -> None:
        """Close and finish every ticket with the error. What was sent is in doubt, whatever the reason: that is a lost connection."""
        if self.state == CLOSED:
            return
        self.state = CLOSED
        self.error = error or UnreachableError(f"the connection to {self.address} was closed")
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        self._out.clear()
        tickets = self._in_flight + [ticket for _, ticket in self._without_reply] + self._queue
        self._in_flight, self._without_reply, self._queue = [], [], []
        lost = self.error
        if isinstance(lost, AuthenticationError):
            lost = UnreachableError(f"lost the connection to {self.address}: {lost}")
        for ticket in tickets:
            ticket.finish(error=lost if ticket.sent else self.error)

    # Connecting

    def _connect(self) -> None:
        """Begin with the next address of the host; without one left, give up."""
        self.state = CONNECTING
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        problem = "it has no address"
        try:
            if self._addresses is None:
                self._addresses = resolve(self.host, self.port)
                self._prepare()
        except (ClientError, SettingError) as error:
            self.close(error)
            return
        self._connect_deadline_ms = None
        while self._addresses:
            try:
                self._transport = self._open_transport(self._addresses.pop(0), self.host)
                return
            except OSError as error:
                problem = error.strerror or str(error)
        self.close(UnreachableError(f"cannot connect to {self.address}: {problem}"))

    def _connected(self, now_ms: int) -> None:
        assert self._transport is not None
        if not self._transport.finish_connect():
            return
        self.state = NEGOTIATING
        self._negotiate()

    def _broke(self, now_ms: int, reason: str) -> None:
        """The other side ended it. One that does so before it has answered anything was probably waiting for something else."""
        if not self._was_answered and self._transport is not None and self.state in (NEGOTIATING, READY):
            if self.state == READY:
                reason += ": it may want SASL"
            elif self._transport.encrypted:
                reason += ": it may want a certificate of the client, or not trust the one it got"
            else:
                reason += ": it may want TLS"
        self._fail(now_ms, reason)

    def _fail(self, now_ms: int, reason: str) -> None:
        """The connection broke, or never came about: then the host's next address is tried."""
        if self.state == CONNECTING and self._addresses:
            self._connect()
        elif self.was_ready:
            self.close(UnreachableError(f"lost the connection to {self.address}: {reason}"))
        else:
            self.close(UnreachableError(f"cannot connect to {self.address}: {reason}"))

    def _negotiate(self) -> None:
        request = ApiVersionsRequest(SOFTWARE_NAME, SOFTWARE_VERSION)
        self._put(ApiVersionsRequest, request, self._negotiation_version)
        self._flush()

    def _negotiated(self, frame: Buffer, now_ms: int) -> None:
        """A broker that does not know our version answers in version 0 with an error code: then version 0 it is."""
        _, position = decode_response_header(frame, 18, self._negotiation_version)
        code = int.from_bytes(frame[position : position + 2], "big", signed=True)
        version = 0 if code == ErrorCode.UNSUPPORTED_VERSION else self._negotiation_version
        response, _ = decode(ApiVersionsResponse, version, frame, position)
        if code == ErrorCode.UNSUPPORTED_VERSION and self._negotiation_version:
            self._negotiation_version = 0
            self._negotiate()
            return
        if code:
            self.close(KafkaError(code))
            return
        self._versions = {row.api_key: (row.min_version, row.max_version) for row in response.api_keys}
        self.features = {row.name: row.max_version_level for row in response.finalized_features}
        self.features_epoch = response.finalized_features_epoch
        if self._authentication is None:
            self._ready(now_ms)
        else:
            self.state = AUTHENTICATING
            self._authenticate(self._authentication, now_ms)

    def _ready(self, now_ms: int) -> None:
        self.state = READY
        self.was_ready = True
        self._send_queue(now_ms)

    # Saying who we are

    def _prepare(self) -> None:
        """Get the password or token. A caller's own way may raise anything: that ends the connection, and goes on to the caller."""
        if self._authentication is None:
            return
        try:
            self._authentication.prepare()
        except EvError:
            raise
        except BaseException:
            self.close(AuthenticationError(f"the password or token for {self.address} could not be got"))
            raise

    def _authenticate(self, authentication: Authentication, now_ms: int) -> None:
        """Begin to say who we are. What was sent before is answered before."""
        assert self._transport is not None
        authentication.check_exposure(self._transport.encrypted, self._transport.peer()[0])
        self._tell(authentication.begin(now_ms), now_ms)

    def _tell(self, message: Message, now_ms: int) -> None:
        deadlines = [ticket.deadline_ms for ticket in self._in_flight]
        self._telling = ticket = Ticket(message, max(deadlines, default=now_ms) + self.request_timeout_ms)
        ticket.version = self.api_version(type(message))
        ticket.correlation_id = self._put(type(message), message, ticket.version)
        ticket.sent = True
        self._in_flight.append(ticket)
        self._flush()

    def _told(self, authentication: Authentication, response: Any, now_ms: int) -> None:
        """The broker answered what we told it: there is more to say, or it knows us now."""
        self._telling = None
        message = authentication.answered(response, now_ms)
        if message is not None:
            self._tell(message, now_ms)
        else:
            self._ready(now_ms)

    def _authenticate_again(self, authentication: Authentication, now_ms: int) -> None:
        """Before the session ends. Called while requests wait; they leave afterwards."""
        try:
            self._prepare()
            self._authenticate(authentication, now_ms)
        except OSError as error:
            self._broke(now_ms, error.strerror or str(error))
        except (ClientError, SettingError) as error:
            self.close(error)

    # Sending

    def _put(self, request_class: type[Message], message: Message, version: int) -> int:
        """Append a request to what is to be sent; returns its correlation id."""
        self._correlation_id = (self._correlation_id + 1) & _CORRELATION_ID_MAX
        key, _ = api_of(request_class)
        parts = encode_parts(message, version)
        header = encode_request_header(key, version, self._correlation_id, self.client_id)
        size = len(header) + sum(map(len, parts))
        self._out.append(size.to_bytes(4, "big") + header + parts[0])
        self._out += parts[1:]
        self._out_total += size + 4
        return self._correlation_id

    def _send_queue(self, now_ms: int) -> None:
        if now_ms < self._quiet_until_ms or self._telling is not None or not self._queue:
            return
        authentication = self._authentication
        if authentication is not None and authentication.due_ms is not None and now_ms >= authentication.due_ms:
            self._authenticate_again(authentication, now_ms)
            return
        queue, self._queue = self._queue, []
        for ticket in queue:
            assert ticket.message is not None
            try:
                ticket.version = self.api_version(type(ticket.message), ticket.version_max)
                ticket.correlation_id = self._put(type(ticket.message), ticket.message, ticket.version)
            except EvError as error:
                ticket.finish(error=error)
                continue
            ticket.sent = True
            if ticket.expects_reply:
                self._in_flight.append(ticket)
            else:
                self._without_reply.append((self._out_total, ticket))
        try:
            self._flush()
        except OSError as error:
            self._broke(now_ms, error.strerror or str(error))

    def _flush(self) -> None:
        assert self._transport is not None
        while self._out or self._transport.wants_write:
            sent = self._transport.send(self._out)
            if not sent:
                break
            self._sent_total += sent
            done = 0
            for buffer in self._out:
                if len(buffer) > sent:
                    break
                sent -= len(buffer)
                done += 1
            del self._out[:done]
            if sent:
                self._out[0] = memoryview(self._out[0])[sent:]
        while self._without_reply and self._without_reply[0][0] <= self._sent_total:
            self._without_reply.pop(0)[1].finish()

    # Receiving

    def _receive(self, now_ms: int) -> None:
        while self._transport is not None:
            frames = self._inbox.receive(self._transport)
            if frames is None:
                self._broke(now_ms, "the broker closed it")
                return
            for frame in frames:
                if self.state == NEGOTIATING:
                    self._negotiated(frame, now_ms)
                elif self.state in (AUTHENTICATING, READY):
                    self._answered(frame, now_ms)
            if self._transport is None or not self._transport.pending:
                return

    def _answered(self, frame: Buffer, now_ms: int) -> None:
        if not self._in_flight:
            raise MalformedError("an answer that nobody waits for")
        ticket = self._in_flight[0]
        correlation_id, position = decode_response_header(frame, ticket.api_key, ticket.version)
        if correlation_id != ticket.correlation_id:
            raise MalformedError(f"answer {correlation_id} came where answer {ticket.correlation_id} was due")
        response, _ = decode(ticket.response_class, ticket.version, frame, position)
        self._in_flight.pop(0)
        self._was_answered = True
        throttle_ms = getattr(response, "throttle_time_ms", 0)
        if throttle_ms > 0:
            self._quiet_until_ms = max(self._quiet_until_ms, now_ms + throttle_ms)
        if ticket is self._telling and self._authentication is not None:
            self._told(self._authentication, response, now_ms)
            return
        ticket.finish(response)

    def _time_out(self, now_ms: int) -> None:
        """Close; the requests that are late learn so, the others that the connection is gone."""
        kept: list[Ticket] = []
        late: list[Ticket] = []
        for ticket in self._in_flight + [ticket for _, ticket in self._without_reply]:
            (late if ticket.deadline_ms <= now_ms else kept).append(ticket)
        self._in_flight, self._without_reply = kept, []
        for ticket in late:
            ticket.finish(error=TimedOutError(f"{self.address} did not answer in the time allowed"))
        self.close(UnreachableError(f"the connection to {self.address} was closed because a request was not answered in time"))
