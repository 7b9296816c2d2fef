"""The brokers behind one bootstrap address: connections, metadata, coordinators, and patience with all of them.

A Cluster owns one connection per broker and drives them all in `poll`: nothing moves between calls, there are no threads. `send` gives a
Ticket; `call` sends and waits; `retry` repeats what fails for a reason that may pass, with exponential back-off and jitter.

Addresses are asked in order until one answers; then the brokers that the metadata names are used, and the bootstrap addresses again when
none of those can be reached. A broker that cannot be reached is left alone for a while that doubles each time. The connection over which
the metadata came is kept as that of the broker behind it, so a one-shot client opens one connection.
"""

from __future__ import annotations

from os import urandom
from time import monotonic

from ev.client.connection import CLOSED, CONNECT_TIMEOUT_MS, READY, REQUEST_TIMEOUT_MS, Connection, Ticket
from ev.client.metadata import Metadata
from ev.client.transport import Poller, open_transport
from ev.errors import AuthenticationError, ErrorCode, KafkaError, SettingError, TimedOutError, UnknownTopicError, UnreachableError
from ev.wire.messages.k03_metadata import MetadataRequest, MetadataRequestTopic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from typing import Any, TypeVar

    from ev.client.authentication import Authentication
    from ev.client.metadata import TopicInfo
    from ev.client.reach import OutOfReach
    from ev.client.security import Security
    from ev.client.transport import OpenTransport
    from ev.errors import EvError
    from ev.wire.codec import Message
    from ev.wire.messages.k03_metadata import MetadataResponse
    from ev.wire.messages.k10_find_coordinator import FindCoordinatorResponse

    T = TypeVar("T")

GROUP = 0
TRANSACTION = 1
"""Kinds of coordinators."""

FIND_COORDINATOR_VERSION_MAX = 3
"""It asks for one key; from version 4 on for many."""

DEFAULT_PORT = 9092
METADATA_MAX_AGE_MS = 300_000
_IDLE_MS = 1_000
_SECOND_OPINIONS = 2
_FOREVER_MS = 3_600_000
_WHILE_WAITING_MS = 500
_DEDICATED = 1 << 32
"""Added to the id of a broker, which has 32 bits, to name the second connection to it."""


def parse_bootstrap(bootstrap: str) -> list[tuple[str, int]]:
    """`host:port,host,[::1]:9092` as pairs; the port is 9092 when it is missing."""
    pairs: list[tuple[str, int]] = []
    for item in bootstrap.split(","):
        text = item.strip()
        if not text:
            continue
        host, colon, port = text.rpartition(":")
        if not colon or text.endswith("]"):
            host, port = text, str(DEFAULT_PORT)
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise SettingError(f"{text!r} is no address: HOST:PORT is expected, several with commas between them")
        pairs.append((host.removeprefix("[").removesuffix("]"), int(port)))
    if not pairs:
        raise SettingError("no bootstrap address: HOST:PORT is expected, several with commas between them")
    return pairs


class Backoff:
    """How long to wait before another try: doubling, bounded, 20 % either way by chance so that many clients do not come back at once."""

    __slots__ = ("initial_ms", "max_ms")

    def __init__(self, initial_ms: int = 100, max_ms: int = 1_000) -> None:
        self.initial_ms = initial_ms
        self.max_ms = max_ms

    def after(self, attempt: int) -> int:
        """Milliseconds after so many failures, counted from 0."""
        pause_ms = min(self.max_ms, self.initial_ms << min(attempt, 20))
        return max(1, pause_ms * (80 + urandom(1)[0] * 40 // 255) // 100)


class Cluster:
    """Not safe for threads: a thread that needs its own connections makes its own Cluster."""

    def __init__(
        self,
        bootstrap: str,
        *,
        client_id: str = "ev",
        request_timeout_ms: int = REQUEST_TIMEOUT_MS,
        connect_timeout_ms: int = CONNECT_TIMEOUT_MS,
        retry_backoff_ms: int = 100,
        retry_backoff_max_ms: int = 1_000,
        reconnect_backoff_ms: int = 50,
        reconnect_backoff_max_ms: int = 1_000,
        metadata_max_age_ms: int = METADATA_MAX_AGE_MS,
        security: Security | None = None,
        open_transport: OpenTransport = open_transport,
    ) -> None:
        self.bootstrap = bootstrap
        self.client_id = client_id
        self.request_timeout_ms = request_timeout_ms
        self.connect_timeout_ms = connect_timeout_ms
        self.backoff = Backoff(retry_backoff_ms, retry_backoff_max_ms)
        self.metadata = Metadata()
        self._reconnect_backoff = Backoff(reconnect_backoff_ms, reconnect_backoff_max_ms)
        self._metadata_max_age_ms = metadata_max_age_ms
        self._open_transport = open_transport
        self._authenticate: Callable[[str], Authentication] | None = None
        if security is not None:
            self._secure(security)
        self._refusal: EvError | None = None
        # Bootstrap addresses have the ids -1, -2, …, as long as nobody knows which brokers they are.
        self._addresses = {-1 - index: pair for index, pair in enumerate(parse_bootstrap(bootstrap))}
        self._bootstrap_ids = list(self._addresses)
        self._connections: dict[int, Connection] = {}
        self._failures: dict[int, tuple[int, int]] = {}
        self._problems: dict[int, EvError] = {}
        """Why the last attempt to connect came to nothing, by node."""
        self.while_waiting: Callable[[Cluster], None] | None = None
        """Called about twice a second while somebody waits, whoever that is: for who tells a person what takes so long."""
        self._while_waiting_at_ms = self.now_ms() + _WHILE_WAITING_MS
        self._poller = Poller()
        self._descriptors: dict[int, Connection] = {}
        self._polling = False
        self._coordinators: dict[tuple[int, str], int] = {}
        self._watched: set[str] | None = set()
        self._create_watched = False
        self._update_at_ms: int | None = None
        self._update_attempts = 0
        self._updated_ms = -METADATA_MAX_AGE_MS
        self._update_ticket: Ticket | None = None
        self._names_ticket: Ticket | None = None
        self._names_at_ms = 0
        self._names_attempts = 0

    def __repr__(self) -> str:
        return f"Cluster({self.bootstrap!r})"

    def _secure(self, security: Security) -> None:
        """Load what the settings need, and nothing else: `ssl` costs 15 ms."""
        if security.tls is not None:
            from ev.client.tls import tls_opener  # noqa: PLC0415

            self._open_transport = tls_opener(security.tls)
        if security.sasl is not None:
            from functools import partial  # noqa: PLC0415

            from ev.client.authentication import Authentication  # noqa: PLC0415

            self._authenticate = partial(Authentication, security.sasl)

    @staticmethod
    def now_ms() -> int:
        """The clock of all deadlines."""
        return int(monotonic() * 1000)

    # Requests

    def time_for_one(self, deadline_ms: int) -> int:
        """How long one try may take of something that has a deadline: who says nothing for so long may be hung, and another be asked."""
        return max(1, min(self.request_timeout_ms, deadline_ms - self.now_ms()))

    def send(
        self,
        message: Message,
        node_id: int | None = None,
        *,
        timeout_ms: int | None = None,
        version_max: int | None = None,
        expects_reply: bool = True,
        callback: Callable[[Ticket], None] | None = None,
    ) -> Ticket:
        """Send to a broker, or to whichever is at hand. Errors come with the ticket; it moves on in `poll`."""
        now_ms = self.now_ms()
        connection = self._connection(self.any_node() if node_id is None else node_id, now_ms)
        if connection is None:
            ticket = Ticket(message, now_ms, version_max, expects_reply, callback)
            ticket.finish(error=UnreachableError(f"no broker with the id {node_id} is known"))
            return ticket
        ticket = connection.submit(
            message,
            now_ms if connection.state == READY else self.now_ms(),  # a new one may have taken its time to begin
            timeout_ms=self.request_timeout_ms if timeout_ms is None else timeout_ms,
            version_max=version_max,
            expects_reply=expects_reply,
            callback=callback,
        )
        self._watch_transport(connection)
        return ticket

    def call(self, message: Message, node_id: int | None = None, *, timeout_ms: int | None = None, version_max: int | None = None) -> Any:
        """Send and wait for the response. Without a node, every address is tried once. Raises ClientError."""
        deadline_ms = self.now_ms() + (self.request_timeout_ms if timeout_ms is None else timeout_ms)
        tries = 1 if node_id is not None else len(self._addresses) + 1
        tried: set[int] = set()
        while True:
            node = self.any_node(tried) if node_id is None else node_id
            tried.add(node)
            ticket = self.send(message, node, timeout_ms=max(1, deadline_ms - self.now_ms()), version_max=version_max)
            self.wait_for(ticket)
            tries -= 1
            if not isinstance(ticket.error, UnreachableError) or tries <= 0 or self.now_ms() >= deadline_ms:
                return ticket.result()
            if tried.issuperset(self._addresses):
                raise ticket.error

    def wait_for(self, *tickets: Ticket) -> None:
        """Poll until all of these are done."""
        for ticket in tickets:
            while not ticket.done:
                self.poll(_FOREVER_MS)

    def retry(self, action: Callable[[], T], timeout_ms: int, *, unreachable_too: bool = True) -> T:
        """The result of action, repeated while it raises what may pass: retriable codes, time-outs and, if wanted, lost connections."""
        deadline_ms = self.now_ms() + timeout_ms
        attempt = 0
        while True:
            try:
                return action()
            except (KafkaError, TimedOutError, UnreachableError) as error:
                passing = error.retriable if isinstance(error, KafkaError) else unreachable_too or isinstance(error, TimedOutError)
                pause_ms = self.backoff.after(attempt)
                if not passing or self.now_ms() + pause_ms >= deadline_ms:
                    raise
                attempt += 1
                self.pause(pause_ms)

    def pause(self, duration_ms: int) -> None:
        """Let time pass while everything that is under way goes on."""
        until_ms = self.now_ms() + duration_ms
        while (left_ms := until_ms - self.now_ms()) > 0:
            self.poll(left_ms)

    def poll(self, timeout_ms: int) -> None:
        """Send, receive and call callbacks; returns after the first thing that happened, or when the time is over."""
        now_ms = self.now_ms()
        self._polling = True
        if self.while_waiting is not None:
            timeout_ms = min(timeout_ms, _WHILE_WAITING_MS)
        try:
            deadline_ms = self._maintain(now_ms, now_ms + timeout_ms)
            ready = self._poller.wait(max(0, deadline_ms - now_ms))
            now_ms = self.now_ms()
            for descriptor, readable, writable in ready:
                connection = self._descriptors.get(descriptor)
                if connection is not None:
                    connection.work(now_ms, readable, writable)
            self._maintain(now_ms, now_ms)
        finally:
            self._polling = False
        if self.while_waiting is not None and now_ms >= self._while_waiting_at_ms:
            self._while_waiting_at_ms = now_ms + _WHILE_WAITING_MS
            self.while_waiting(self)

    def close(self) -> None:
        """Close every connection; what was not answered gets an error."""
        for connection in list(self._connections.values()):
            connection.close()
        self._connections.clear()
        for descriptor in list(self._descriptors):
            self._poller.forget(descriptor)
        self._descriptors.clear()

    # Connections

    def any_node(self, avoid: Collection[int] = ()) -> int:
        """The broker that is the best to ask: connected and with the least to do, else not lately unreachable, else a bootstrap address."""
        now_ms = self.now_ms()
        candidates = list(self.metadata.brokers) + [node for node in self._bootstrap_ids if node in self._addresses]
        candidates = [node for node in candidates if node not in avoid] or candidates

        def rank(node: int) -> tuple[int, int]:
            connection = self._connections.get(node)
            if connection is not None and connection.state == READY:
                return 0, connection.in_flight
            if connection is not None and connection.state != CLOSED:
                return 1, connection.in_flight
            failures, not_before_ms = self._failures.get(node, (0, 0))
            return (2, 0) if not_before_ms <= now_ms else (3, failures)

        return min(candidates, key=rank)

    def connection_is_ready(self, node_id: int) -> bool:
        """Whether a request to this broker would leave at once."""
        connection = self._connections.get(node_id)
        return connection is not None and connection.state == READY

    @property
    def answers(self) -> bool:
        """Whether anybody is connected at the moment, be it at a bootstrap address."""
        return any(connection.state == READY for connection in self._connections.values())

    @property
    def tries(self) -> bool:
        """Whether somebody is to be asked something and nobody is connected."""
        pending = any(connection.state != CLOSED for connection in self._connections.values())
        return not self.answers and (pending or bool(self._problems))

    def out_of_reach(self) -> list[OutOfReach]:
        """The brokers that are to be asked something and are not connected, each with the reason."""
        from ev.client.reach import out_of_reach  # noqa: PLC0415 - only when something takes long

        known = self.metadata.brokers  # else those that were named as coordinators
        named = [(node, where) for node, where in self._addresses.items() if (node in known if known else 0 <= node < _DEDICATED)]
        return out_of_reach(named, self._connections, self._problems, _DEDICATED)

    def why_silent(self) -> str:
        """What there is to say behind "nobody said in time": the brokers that could not be reached, or nothing."""
        missing = self.out_of_reach()
        more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        return f"; {missing[0]}{more}" if missing else ""

    def api_version(self, node_id: int, request_class: type[Message]) -> int | None:
        """The version in which a request would be sent to a broker; None while there is no connection to it."""
        connection = self._connections.get(node_id)
        return connection.api_version(request_class) if connection is not None and connection.state == READY else None

    def feature(self, name: str) -> tuple[int, int]:
        """The newest that a broker has said of a finalized feature: the epoch in which it knew it, and the level, 0 where there is none."""
        known = ((connection.features_epoch, connection.features.get(name, 0)) for connection in self._connections.values())
        return max(known, default=(-1, 0))

    def dedicated(self, node_id: int) -> int:
        """The id of a second connection to a broker, for requests that must not wait behind a long poll."""
        alias = _DEDICATED + node_id
        if self._addresses.get(alias) != self._addresses[node_id]:
            self.disconnect(alias)
            self._addresses[alias] = self._addresses[node_id]
        return alias

    def disconnect(self, node_id: int) -> None:
        """Close the connection to a broker; the next request opens another one."""
        connection = self._connections.pop(node_id, None)
        if connection is not None:
            connection.close()
            self._forget_transports()

    def _connection(self, node_id: int, now_ms: int) -> Connection | None:
        connection = self._connections.get(node_id)
        if connection is not None and connection.state == READY and not self._polling and now_ms - connection.last_used_ms > _IDLE_MS:
            self.poll(0)  # a connection that was idle may have been closed by the broker meanwhile
            connection = self._connections.get(node_id)
        if connection is not None and connection.state != CLOSED:
            return connection
        if connection is not None:
            self._count_failure(node_id, connection, now_ms)
        address = self._addresses.get(node_id)
        if address is None:
            return None
        connection = Connection(
            *address,
            now_ms,
            client_id=self.client_id,
            connect_at_ms=max(now_ms, self._failures.get(node_id, (0, 0))[1]),
            connect_timeout_ms=self.connect_timeout_ms,
            request_timeout_ms=self.request_timeout_ms,
            open_transport=self._open_transport,
            authenticate=self._authenticate,
        )
        self._connections[node_id] = connection
        connection.expire(now_ms)
        return connection

    def _count_failure(self, node_id: int, connection: Connection, now_ms: int) -> None:
        """A connection is gone: the next one is opened after a while, a longer one when this one never worked."""
        del self._connections[node_id]
        failures = 0 if connection.was_ready else self._failures.get(node_id, (0, 0))[0]
        if connection.was_ready or connection.error is None:
            self._problems.pop(node_id, None)
        else:
            self._problems[node_id] = connection.error
        self._failures[node_id] = failures + 1, now_ms + self._reconnect_backoff.after(failures)

    def _maintain(self, now_ms: int, until_ms: int) -> int:
        """What time makes due; returns when to look again, at the latest at `until_ms`."""
        self._update_when_due(now_ms)
        if self._update_at_ms is not None and self._update_ticket is None:
            until_ms = min(until_ms, self._update_at_ms)
        for node_id, connection in list(self._connections.items()):
            connection.expire(now_ms)
            if connection.state == CLOSED:
                if self._connections.get(node_id) is connection:
                    self._count_failure(node_id, connection, now_ms)
                continue
            self._watch_transport(connection)
            deadline_ms = connection.next_deadline_ms()
            if deadline_ms is not None:
                until_ms = min(until_ms, deadline_ms)
        self._forget_transports()
        return until_ms

    def _watch_transport(self, connection: Connection) -> None:
        descriptor = connection.fileno()
        if descriptor >= 0:
            self._descriptors[descriptor] = connection
            self._poller.set(descriptor, writing=connection.wants_write)

    def _forget_transports(self) -> None:
        for descriptor, connection in list(self._descriptors.items()):
            if connection.fileno() != descriptor:
                del self._descriptors[descriptor]
                self._poller.forget(descriptor)

    # Metadata

    def watch(self, topics: Iterable[str] | None, *, create: bool = False) -> None:
        """Keep the metadata of these topics up to date, besides those watched already; None: of all topics."""
        if topics is None:
            self._watched = None
        elif self._watched is not None:
            self._watched.update(topics)
        self._create_watched = self._create_watched or create

    def request_update(self) -> None:
        """Something looks out of date: ask again soon, without waiting, but not without a pause when the last answer is fresh."""
        if self._update_ticket is None:
            since_ms = self.now_ms() if self._update_attempts else self._updated_ms
            due_ms = max(self.now_ms(), since_ms + self.backoff.after(max(0, self._update_attempts - 1)))
            self._update_at_ms = due_ms if self._update_at_ms is None else min(self._update_at_ms, due_ms)

    def take_refusal(self) -> EvError | None:
        """Why the metadata could not be brought up to date when another try would have ended in the same way. It is told once."""
        refusal, self._refusal = self._refusal, None
        return refusal

    def refresh(
        self, topics: Iterable[str] | None = (), *, node_id: int | None = None, timeout_ms: int | None = None, create: bool = False
    ) -> Metadata:
        """Ask now, that broker or any, and wait for the answer: about these topics, about none (brokers only), or, with None, about all."""
        asked = None if topics is None else list(topics)
        request = MetadataRequest(
            topics=None if asked is None else [MetadataRequestTopic(name=name) for name in asked],
            allow_auto_topic_creation=create,
        )
        self._apply(self.call(request, node_id, timeout_ms=timeout_ms), everything=asked is None)
        return self.metadata

    def learn(self, response: MetadataResponse) -> None:
        """Take in what somebody else has asked about all topics."""
        self._apply(response, everything=True)

    def ask_others(self, name: str, *, create: bool = False) -> None:
        """Who has not heard of a topic may only be late to hear of its creation: some other brokers are asked, too."""
        if self.metadata.topic_errors.get(name) != ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
            return
        asked = self.any_node()
        for node_id in [node_id for node_id in self.metadata.brokers if node_id != asked][:_SECOND_OPINIONS]:
            try:
                self.refresh((name,), node_id=node_id, create=create)
            except (KafkaError, TimedOutError, UnreachableError):
                continue
            if name in self.metadata.topics:
                return

    def request_names(self, topic_ids: Iterable[bytes]) -> None:
        """Ask about topics of which only the ids are known, without waiting; those that there are, are watched from then on."""
        if self._names_ticket is not None or self.now_ms() < self._names_at_ms:
            return
        request = MetadataRequest(
            topics=[MetadataRequestTopic(topic_id=topic_id, name=None) for topic_id in topic_ids], allow_auto_topic_creation=False
        )

        def answered(ticket: Ticket) -> None:
            self._names_ticket = None
            found = [] if ticket.error is not None else [row for row in ticket.response.topics if row.name and not row.error_code]
            if ticket.error is None and not ticket.response.error_code:
                ticket.response.topics = found
                self._apply(ticket.response, everything=False)
                self.watch(row.name for row in found)
            self._names_attempts = 0 if found else self._names_attempts + 1
            self._names_at_ms = self.now_ms() + self.backoff.after(self._names_attempts)

        ticket = self.send(request, callback=answered)
        self._names_ticket = None if ticket.done else ticket

    def topic(self, name: str, *, timeout_ms: int, create: bool = False) -> TopicInfo:
        """A topic with at least one partition that has a leader, waited for. UnknownTopicError when it does not turn up in time.

        A cluster that answered before is waited for; one that never did is reported at once.
        """
        self.watch((name,), create=create)

        def look() -> TopicInfo:
            if name not in self.metadata.topics:
                self.refresh((name,), create=create)
                self.ask_others(name, create=create)
            info = self.metadata.topics.get(name)
            if info is None or not any(self.metadata.leader(name, index) is not None for index in info.partitions):
                self.metadata.topics.pop(name, None)
                raise KafkaError(self.metadata.topic_errors.get(name, ErrorCode.LEADER_NOT_AVAILABLE))
            return info

        try:
            return self.retry(look, timeout_ms, unreachable_too=self.metadata.version > 0)
        except KafkaError as error:
            if error.code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                raise UnknownTopicError(name) from error
            raise

    def _update_when_due(self, now_ms: int) -> None:
        if self._update_at_ms is None or now_ms < self._update_at_ms or self._update_ticket is not None:
            return
        watched = self._watched
        request = MetadataRequest(
            topics=None if watched is None else [MetadataRequestTopic(name=name) for name in sorted(watched)],
            allow_auto_topic_creation=self._create_watched,
        )
        self._update_at_ms = None

        def updated(ticket: Ticket) -> None:
            self._update_ticket = None
            if isinstance(ticket.error, (AuthenticationError, SettingError)):
                self._refusal = ticket.error
                self._update_attempts += 1
                self._update_at_ms = self.now_ms() + self._metadata_max_age_ms
                return  # whoever needs the metadata takes the refusal, and may ask again before
            failed = ticket.error is not None or ticket.response.error_code != 0
            if not failed:
                self._apply(ticket.response, everything=watched is None)
            if failed or any(name in self.metadata.topic_errors for name in watched or ()):
                self._update_attempts += 1
                self.request_update()
            else:
                self._update_attempts = 0

        ticket = self.send(request, callback=updated)
        self._update_ticket = None if ticket.done else ticket

    def _apply(self, response: Any, *, everything: bool) -> None:
        if response.error_code:
            self.metadata.brokers.clear()  # what the broker says is: begin again from the bootstrap addresses
            raise KafkaError(response.error_code)
        self._refusal = None
        for bootstrap_id in self._bootstrap_ids:
            self._problems.pop(bootstrap_id, None)  # somebody answers, which is all that is asked of these
        self.metadata.apply(response, everything=everything)
        self._updated_ms = self.now_ms()
        for broker in self.metadata.brokers.values():
            address = broker.host, broker.port
            if self._addresses.get(broker.node_id) != address:
                self.disconnect(broker.node_id)
                self._addresses[broker.node_id] = address
            if broker.node_id not in self._connections:
                self._adopt(broker.node_id, address)
        if self._update_ticket is None:
            self._update_at_ms = self.now_ms() + self._metadata_max_age_ms

    def _adopt(self, node_id: int, address: tuple[str, int]) -> None:
        """The bootstrap connection that leads to the same place becomes the connection to the broker."""
        for bootstrap_id in self._bootstrap_ids:
            connection = self._connections.get(bootstrap_id)
            if connection is not None and connection.state == READY and address in ((connection.host, connection.port), connection.peer()):
                self._connections[node_id] = self._connections.pop(bootstrap_id)
                return

    # Coordinators

    def coordinator(self, key: str, kind: int = GROUP, *, timeout_ms: int = 60_000) -> int:
        """The broker that coordinates a group or a transactional id; found once, until `forget_coordinator`."""
        known = self._coordinators.get((kind, key))
        if known is not None:
            return known
        return self.retry(lambda: self._find_coordinator(key, kind), timeout_ms)

    def forget_coordinator(self, key: str, kind: int = GROUP) -> None:
        """It said that it is the coordinator no more, or it cannot be reached."""
        self._coordinators.pop((kind, key), None)

    def _find_coordinator(self, key: str, kind: int) -> int:
        from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest  # noqa: PLC0415 - only groups and transactions need it

        response = self.call(FindCoordinatorRequest(key=key, key_type=kind), version_max=FIND_COORDINATOR_VERSION_MAX)
        return self.learn_coordinator(key, kind, response)

    def known_coordinator(self, key: str, kind: int) -> int | None:
        """The broker that is known to coordinate, without asking."""
        return self._coordinators.get((kind, key))

    def learn_coordinator(self, key: str, kind: int, response: FindCoordinatorResponse) -> int:
        """Take in an answer to FindCoordinator. Raises KafkaError when it holds none."""
        if response.error_code:
            raise KafkaError(response.error_code, response.error_message)
        node_id: int = response.node_id
        address = response.host, response.port
        if self._addresses.get(node_id) != address:
            self.disconnect(node_id)
            self._addresses[node_id] = address
        if node_id not in self._connections:
            self._adopt(node_id, address)
        self._coordinators[kind, key] = node_id
        return node_id
