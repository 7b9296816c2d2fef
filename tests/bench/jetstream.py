"""NATS JetStream over a socket: as much of its protocol as it takes to publish, and to read a stream with a pull consumer.

    C: CONNECT {…}          S: INFO {…}             lines end with CR LF
    C: SUB inbox 1
    C: PUB subject inbox 5  S: MSG inbox 1 27       then so many bytes and CR LF
       hello                   {"stream":"B","seq":1}

An acknowledgement is a message with one JSON object, without objects in it: one `}` each. A record ends with MARK, which is nowhere else.
"""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections.abc import Mapping
from typing import Any

from bench.pipe import PATIENCE_S, ROOM, SameRequests

STREAM, SUBJECT = "BENCH", "bench"
MARK = b"\x1e"
AT_ONCE = 1000
"""How many records a pull request asks for; two of them are under way."""
numbers = itertools.count()


class JetStream:
    """One connection, and the stream that is measured."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.inbox = f"_INBOX.bench.{next(numbers)}"
        self.left = b""
        told = {"verbose": False, "pedantic": False, "lang": "python", "version": "0", "protocol": 1, "headers": True}
        self.socket.sendall(f"CONNECT {json.dumps(told)}\r\nSUB {self.inbox} 1\r\nPING\r\n".encode())
        while self.line() != b"PONG":
            pass

    def line(self) -> bytes:
        """The next line; RuntimeError when it is a complaint."""
        while b"\r\n" not in self.left:
            self.left += self.receive()
        line, _, self.left = self.left.partition(b"\r\n")
        if line.startswith(b"-ERR"):
            raise RuntimeError(f"nats-server says {line.decode()}")
        return line

    def receive(self) -> bytes:
        data = self.socket.recv(ROOM)
        if not data:
            raise ConnectionResetError("nats-server closed the connection")
        return data

    def ask(self, subject: str, question: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of the server's API; RuntimeError with its reason when it is an error."""
        self.socket.sendall(published(subject, self.inbox, json.dumps(question).encode()))
        while not (line := self.line()).startswith(b"MSG"):
            pass
        size = int(line.rsplit(b" ", 1)[1])
        while len(self.left) < size + 2:
            self.left += self.receive()
        body, self.left = self.left[:size], self.left[size + 2 :]
        answer: dict[str, Any] = json.loads(body)
        if "error" in answer:
            raise RuntimeError(f"{subject} is answered with {answer['error']}")
        return answer

    def create_stream(self) -> None:
        """One stream in a file, kept without a limit."""
        self.ask(
            f"$JS.API.STREAM.CREATE.{STREAM}",
            {"name": STREAM, "subjects": [SUBJECT], "storage": "file", "retention": "limits", "discard": "old", "num_replicas": 1},
        )

    def delete_stream(self) -> None:
        self.ask(f"$JS.API.STREAM.DELETE.{STREAM}", {})

    def stored(self) -> int:
        count: int = self.ask(f"$JS.API.STREAM.INFO.{STREAM}", {})["state"]["messages"]
        return count

    def read_all(self, count: int) -> float:
        """Seconds until `count` records were received, from the first on, by a pull consumer that acknowledges nothing."""
        began = time.perf_counter()
        config = {"deliver_policy": "all", "ack_policy": "none", "replay_policy": "instant", "inactive_threshold": 60_000_000_000}
        consumer = self.ask(f"$JS.API.CONSUMER.CREATE.{STREAM}", {"stream_name": STREAM, "config": config})["name"]
        found = asked = 0
        while found < count:
            while asked < count and asked - found <= AT_ONCE:
                size = min(AT_ONCE, count - asked)
                question = json.dumps({"batch": size, "expires": PATIENCE_S * 1_000_000_000}).encode()
                self.socket.sendall(published(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{consumer}", self.inbox, question))
                asked += size
            found += (self.left or self.receive()).count(MARK)
            self.left = b""
        return time.perf_counter() - began

    def close(self) -> None:
        self.socket.close()


class JetStreamPipe(JetStream):
    """Publishes the same value again and again."""

    def __init__(self, port: int, value: bytes) -> None:
        super().__init__(port)
        self.requests = SameRequests(published(SUBJECT, self.inbox, value))

    def answers(self, data: bytes) -> int:
        if b'"error"' in data or b"-ERR" in data:
            raise RuntimeError(f"nats-server says {data[:300].decode(errors='replace')}")
        return data.count(b"}")


def published(subject: str, inbox: str, value: bytes) -> bytes:
    return f"PUB {subject} {inbox} {len(value)}\r\n".encode() + value + b"\r\n"
