"""One client's exchange of messages with a SASL mechanism: what a step of it comes to.

A step takes what the client said and comes to one of three things: a challenge, which the client has to answer; that the client is
who it says; or work that takes too long for the loop, and what the step comes to when that is done. A client that is not who it says
is a `KafkaError`. Its message is what the client is told; GENERIC is for what must not tell which part of the credentials was wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ev.errors import ErrorCode, KafkaError

GENERIC = ""
OTHER_AUTHORIZATION_ID = "Authentication failed: Client requested an authorization id that is different from username"


@dataclass(frozen=True, slots=True)
class Challenge:
    """The client has to answer this."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The client is who it says, until `expires_ms` (wall clock) if that is known."""

    name: str
    data: bytes = b""
    expires_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """Something to compute in a thread, and what its result means."""

    run: Callable[[], Any]
    then: Callable[[Any], Challenge | Authenticated]


Step = Challenge | Authenticated | Work


class Exchange(Protocol):
    """The server's side of one mechanism with one client."""

    def step(self, message: bytes, now_ms: int) -> Step:
        """What the client's next message comes to at this time (wall clock). Raises KafkaError."""


class RefusedError(KafkaError):
    """The client is not who it says."""

    def __init__(self, message: str = GENERIC) -> None:
        super().__init__(ErrorCode.SASL_AUTHENTICATION_FAILED, message)
        self.told = message
