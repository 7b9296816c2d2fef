"""Holds a conversation with a broker and writes down the bytes of both sides."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from differential.conversation import Conversation, Heard, Step, found_at, resolved
from ev.wire.catalog import API
from ev.wire.codec import Message, decode, encode
from ev.wire.header import decode_response_header, encode_request_header

KEYS = {api.request: api.key for api in API.values()}
PATIENCE_S = 10
ANSWER_WITHIN_S = 10
PAUSE_S = 0.02


@dataclass(frozen=True)
class Exchange:
    """A request and its answer, without their sizes. No request: the answer to an earlier one. No answer: none came."""

    key: int
    version: int
    request: bytes | None
    answer: bytes | None
    closed: bool = False


def decoded(exchange: Exchange) -> Any:
    """The message of an answer, which must end where its bytes do."""
    assert exchange.answer is not None
    _, position = decode_response_header(exchange.answer, exchange.key, exchange.version)
    message, end = decode(API[exchange.key].response, exchange.version, exchange.answer, position)
    assert end == len(exchange.answer), f"{len(exchange.answer) - end} bytes follow the answer"
    return message


def error_codes(value: Any) -> Iterator[int]:
    """Every error code in an answer."""
    if isinstance(value, list):
        for each in value:
            yield from error_codes(each)
    for name in getattr(type(value), "__slots__", ()):
        inner = getattr(value, name)
        if name.endswith("error_code"):
            yield inner
        elif not isinstance(inner, (int, str, bytes)):
            yield from error_codes(inner)


class Talk:
    """One conversation with the broker at `address`; `captures` holds what was kept of its answers."""

    def __init__(self, address: str, conversation: Conversation) -> None:
        host, _, port = address.rpartition(":")
        self.host, self.port = host, int(port)
        self.conversation = conversation
        self.captures: dict[str, Any] = {}
        self.sockets: dict[str, socket.socket] = {}
        self.pending: dict[str, tuple[int, int]] = {}  # what was asked on a connection and not answered yet

    def hold(self) -> list[Exchange]:
        """Every exchange of it, in order."""
        try:
            return [self.named(number, step) for number, step in enumerate(self.conversation.steps(), 1)]
        finally:
            self.close()

    def named(self, number: int, step: Step | Heard) -> Exchange:
        try:
            return self.take(number, step)
        except (AssertionError, OSError, LookupError, AttributeError) as problem:
            raise AssertionError(f"step {number}: {problem!r}") from problem

    def close(self) -> None:
        for connection in self.sockets.values():
            connection.close()

    def take(self, number: int, step: Step | Heard) -> Exchange:
        """One step. Raises OSError when no answer comes, LookupError when it lacks what is to be kept."""
        if isinstance(step, Heard):
            return self.kept(step, Exchange(*self.pending.pop(step.on), None, self.receive(step.on)))
        key, content = self.content(number, step, self.captures)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.send(step.on, content)
            exchange = self.answered(step, key, content)
            if exchange.answer is None or isinstance(step.request, bytes):
                return exchange
            message = decoded(exchange)
            if step.again.isdisjoint(error_codes(message)) and (step.until is None or step.until(message)):
                return self.kept(step, exchange)
            assert time.monotonic() < deadline, f"{self.conversation.name}, step {number}: still {message}"
            time.sleep(PAUSE_S)

    def content(self, number: int, step: Step, captures: dict[str, Any]) -> tuple[int, bytes]:
        """The key and the bytes of a request; its correlation id is the number of the step, however often it is sent."""
        if isinstance(step.request, bytes):
            return int.from_bytes(step.request[:2], "big"), step.request
        key = KEYS[type(step.request)]
        request: Message = resolved(step.request, captures)
        return key, encode_request_header(key, step.version, number, step.client_id) + encode(request, step.version)

    def answered(self, step: Step, key: int, content: bytes) -> Exchange:
        version = step.version if step.version >= 0 else int.from_bytes(content[2:4], "big")
        match step.answer:
            case "now":
                return Exchange(key, version, content, self.receive(step.on))
            case "later":
                self.pending[step.on] = (key, version)
            case "closed":
                closed = self.sockets.pop(step.on)
                assert ends(closed), f"an answer to {content!r} came where the connection was to be closed"
                closed.close()
                return Exchange(key, version, content, None, closed=True)
        return Exchange(key, version, content, None)

    def kept(self, step: Step | Heard, exchange: Exchange) -> Exchange:
        if step.keep:
            message = decoded(exchange)
            self.captures |= {name: found_at(message, path) for name, path in step.keep.items()}
        return exchange

    def send(self, on: str, content: bytes) -> None:
        if on not in self.sockets:
            self.sockets[on] = socket.create_connection((self.host, self.port), timeout=ANSWER_WITHIN_S)
        self.sockets[on].sendall(len(content).to_bytes(4, "big") + content)

    def receive(self, on: str) -> bytes:
        size = int.from_bytes(read(self.sockets[on], 4), "big")
        return read(self.sockets[on], size)


def read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionResetError(f"the broker closed the connection after {len(data)} of {size} bytes")
        data += piece
    return data


def ends(connection: socket.socket) -> bool:
    """Whether the broker closes the connection without another byte; waits for it."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
