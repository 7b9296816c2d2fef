"""A client that sends exactly the bytes a test wants, one request at a time or many, and shows exactly what comes back.

with RawClient(engine.address) as client:
    answer = client.ask(3, 12, MetadataRequest(topics=None))
    client.send(b"\\x00\\x00")            bytes as they are
    client.closed()                      True when the broker closed the connection
"""

from __future__ import annotations

import socket
from importlib import import_module
from typing import Any, Self

from ev.wire.catalog import API
from ev.wire.codec import decode, encode
from ev.wire.header import decode_response_header, encode_request_header


def messages(key: int) -> Any:
    """The module with an API's messages."""
    return import_module(API[key].module)


class RawClient:
    """One connection."""

    def __init__(self, address: str, *, client_id: str | None = "raw", timeout_s: float = 20, source: str = "") -> None:
        host, _, port = address.rpartition(":")
        own = (source, 0) if source else None  # the address to ask from; all of 127.0.0.0/8 is this machine
        self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s, source_address=own)
        self.client_id = client_id
        self.correlation_id = 0

    def frame(self, key: int, version: int, request: Any) -> bytes:
        """The request as it travels, its size first."""
        self.correlation_id += 1
        body = encode_request_header(key, version, self.correlation_id, self.client_id) + encode(request, version)
        return len(body).to_bytes(4, "big") + body

    def ask(self, key: int, version: int, request: Any) -> Any:
        """Send one request and return its answer."""
        self.send(self.frame(key, version, request))
        return self.answer(key, version)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self, key: int, version: int) -> Any:
        """The next answer, which must be of this API and version."""
        frame = self.next_frame()
        correlation_id, position = decode_response_header(frame, key, version)
        assert correlation_id <= self.correlation_id
        response, end = decode(messages(key).RESPONSE, version, frame, position)
        assert end == len(frame), f"{len(frame) - end} bytes follow the answer"
        return response

    def next_frame(self) -> bytes:
        return self._receive(int.from_bytes(self._receive(4), "big", signed=True))

    def _receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise ConnectionResetError(f"closed after {len(data)} of {size} bytes")
            data += piece
        return data

    def closed(self) -> bool:
        """Whether the broker closes the connection without another byte; waits for it."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
