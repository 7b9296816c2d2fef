"""How one connection authenticates with SASL: the states, as in Kafka's SaslServerAuthenticator.

    STRANGER --ApiVersions--> VERSIONS_KNOWN --SaslHandshake--> EXCHANGE --token, token, ...--> AUTHENTICATED
        '------------------SaslHandshake----------------------> EXCHANGE                             |
                                                                   ^--------SaslHandshake------------'
                                                                      (only where the session has an end)

    any state --anything else, or a token that is refused--> REFUSED: the connection is closed after a delay

The delay (`connection.failed.authentication.delay.ms`) is counted from the arrival of what was refused, so that nobody can see how
long it took to refuse it. Who has a session that ends may authenticate again on the same connection, as the same principal and with
the same mechanism; when the session has ended, nothing else is served (KIP-368).
"""

from __future__ import annotations

import logging
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, Protocol

from ev.errors import ErrorCode
from ev.security.exchange import Authenticated, Challenge, RefusedError, Step, Work
from ev.wire.messages.k17_sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ev.broker.runtime import Call, Handle, Runtime
    from ev.clock import Clock
    from ev.security.exchange import Exchange

log = logging.getLogger("ev.sasl")

AGAIN_AFTER_MS: Final = 1_000
"""A client may not begin to authenticate again sooner (KafkaChannel.maybeBeginServerReauthentication)."""


class State(Enum):
    STRANGER = auto()
    VERSIONS_KNOWN = auto()
    EXCHANGE = auto()
    AUTHENTICATED = auto()
    REFUSED = auto()


class Answer(Protocol):
    """Where the answer to a token goes."""

    def message(self, data: bytes, session_lifetime_ms: int) -> None: ...

    def refusal(self, message: str) -> None: ...


class Peer(Protocol):
    """The connection that authenticates."""

    client_host: str
    principal: str

    def stop_reading(self) -> None:
        """Take no further request."""

    def finish(self) -> None:
        """Close when what was answered has been sent."""

    def admit(self) -> None:
        """The client is who it says: serve it."""

    def not_who_it_says(self) -> None:
        """Count a client that was refused."""

    def session_ended(self) -> None:
        """Serve nothing but another authentication."""


class SaslRules:
    """What counts for all connections of one listener."""

    def __init__(
        self,
        runtime: Runtime,
        clock: Clock,
        mechanisms: Mapping[str, Callable[[], Exchange]],
        failure_delay_ms: int,
        reauthentication_max_ms: int,
        token_size_max: int,
    ) -> None:
        self.runtime = runtime
        self.clock = clock
        self.mechanisms = mechanisms
        self.failure_delay_ms = failure_delay_ms
        self.reauthentication_max_ms = reauthentication_max_ms  # 0: a session has no end
        self.token_size_max = token_size_max


class Sasl:
    """The state of one connection."""

    def __init__(self, rules: SaslRules, peer: Peer) -> None:
        self.state = State.STRANGER
        self.tokens_are_raw = False  # the client sends its tokens without SaslAuthenticate around them
        self.busy = False  # what came last is not answered yet
        self.on_moved: Callable[[], None] = lambda: None  # called when it is, if that took its time
        self._rules = rules
        self._peer = peer
        self._mechanism = ""
        self._exchange: Exchange | None = None
        self._wanted = ""  # the mechanism of the last SaslHandshake
        self._began_again_ms = -AGAIN_AFTER_MS
        self._session_timer: Handle | None = None
        self._session_ends = False
        self._closed = False

    @property
    def in_exchange(self) -> bool:
        return self._exchange is not None and self.state is not State.REFUSED

    # The handshake.

    def versions_told(self) -> None:
        """The client has asked for the versions of APIs, which it may do once."""
        if self.state is State.STRANGER:
            self.state = State.VERSIONS_KNOWN

    def may_begin(self, version: int) -> bool:
        """Whether a SaslHandshake of this version fits the state."""
        if self.state in (State.STRANGER, State.VERSIONS_KNOWN):
            return True
        soon = self._rules.clock.monotonic_ms() - self._began_again_ms < AGAIN_AFTER_MS
        return self.state is State.AUTHENTICATED and self._session_ends and version > 0 and not soon and not self.busy

    def begin(self, call: Call) -> None:
        """Take a SaslHandshake."""
        request: SaslHandshakeRequest = call.request
        arrived_ms = self._rules.clock.monotonic_ms()
        names = list(self._rules.mechanisms)
        make = self._rules.mechanisms.get(request.mechanism)
        if make is None:
            answer = SaslHandshakeResponse(ErrorCode.UNSUPPORTED_SASL_MECHANISM, names)
            self._refuse(arrived_ms, f"it asked for the mechanism {request.mechanism!r}", lambda: call.reply(answer))
            return
        if self.state is State.AUTHENTICATED:
            self._began_again_ms = arrived_ms
        else:
            self.state = State.EXCHANGE
            self._mechanism = request.mechanism
            self.tokens_are_raw = call.version == 0
        self._wanted = request.mechanism
        self._exchange = make()
        call.reply(SaslHandshakeResponse(mechanisms=names))

    # The exchange.

    def take(self, token: bytes, answer: Answer) -> None:
        """Take a token of the client."""
        arrived_ms = self._rules.clock.monotonic_ms()
        exchange = self._exchange
        assert exchange is not None
        if self.busy:
            self._refuse(arrived_ms, "it did not wait for the answer to its last token", None)
            return
        self._go(lambda: exchange.step(token, self._rules.clock.wall_ms()), answer, arrived_ms)

    def _go(self, step: Callable[[], Step], answer: Answer, arrived_ms: int) -> None:
        """Take a step of the exchange, and carry out what it comes to."""
        try:
            if self._wanted != self._mechanism:
                unchanged = f"is not supported for re-authentication of mechanism '{self._mechanism}'"
                raise RefusedError(f"SASL mechanism '{self._wanted}' requested by client {unchanged}")
            match step():
                case Challenge(data):
                    answer.message(data, 0)
                case Authenticated() as found:
                    self._succeed(found, answer)
                case Work(run, then):
                    self._wait_for(run, lambda result: self._go(lambda: then(result), answer, arrived_ms))
        except RefusedError as error:
            told = error.told or f"Authentication failed during {self._what} due to invalid credentials with SASL mechanism {self._wanted}"
            self._refuse(arrived_ms, told, lambda: answer.refusal(told))

    def _wait_for(self, run: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self.busy = True

        def ended(result: Any) -> None:
            if self._closed or self.state is State.REFUSED:
                return
            self.busy = False
            done(result)
            if not self.busy:
                self.on_moved()

        self._rules.runtime.world.digest(lambda: None if self._closed else run(), ended)

    @property
    def _what(self) -> str:
        return "re-authentication" if self.state is State.AUTHENTICATED else "authentication"

    def _succeed(self, found: Authenticated, answer: Answer) -> None:
        principal = f"User:{found.name}"
        if self.state is State.AUTHENTICATED and principal != self._peer.principal:
            raise RefusedError(
                f"Cannot change principals during re-authentication from {_dotted(self._peer.principal)}: {_dotted(principal)}"
            )
        lifetime_ms = self._lifetime_ms(found.expires_ms)
        self._exchange = None
        first = self.state is not State.AUTHENTICATED
        self.state = State.AUTHENTICATED
        self._peer.principal = principal
        answer.message(found.data, lifetime_ms or 0)
        self._arm_session(lifetime_ms)
        if first:
            log.debug("%r authenticated from %s with %s", principal, self._peer.client_host, self._mechanism)
        self._peer.admit()

    def _lifetime_ms(self, expires_ms: int | None) -> int | None:
        """How long the session lasts: as long as the credentials, and as long as sessions may; None for ever."""
        bounds = [self._rules.reauthentication_max_ms] if self._rules.reauthentication_max_ms > 0 else []
        if expires_ms is not None:
            bounds.append(max(0, expires_ms - self._rules.clock.wall_ms()))
        return min(bounds, default=None)

    def _arm_session(self, lifetime_ms: int | None) -> None:
        self._cancel_session()
        self._session_ends = lifetime_ms is not None
        if lifetime_ms is not None:
            due_ms = self._rules.clock.monotonic_ms() + lifetime_ms
            self._session_timer = self._rules.runtime.call_at(due_ms, self._peer.session_ended)

    def _cancel_session(self) -> None:
        if self._session_timer is not None:
            self._session_timer.cancel()
            self._session_timer = None

    # The end.

    def refuse(self, reason: str) -> None:
        """Close the connection for something that fits no state, after the delay and without an answer."""
        self._refuse(self._rules.clock.monotonic_ms(), reason, None)

    def _refuse(self, arrived_ms: int, reason: str, reply: Callable[[], None] | None) -> None:
        log.info("%s from %s failed: %.200s", self._what, self._peer.client_host, reason)
        self.state = State.REFUSED
        self.busy = True
        self._peer.not_who_it_says()
        self._peer.stop_reading()

        def end() -> None:
            if not self._closed:
                if reply is not None:
                    reply()
                self._peer.finish()

        self._rules.runtime.call_at(arrived_ms + self._rules.failure_delay_ms, end)

    def closed(self) -> None:
        """The connection is gone."""
        self._closed = True
        self._exchange = None
        self._cancel_session()


def _dotted(principal: str) -> str:
    return principal.replace(":", ".", 1)
