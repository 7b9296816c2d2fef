"""Redis Streams over a socket: as much of its protocol (RESP) as it takes to add entries and to read a stream.

    C: *5 $4 XADD $6 stream $1 * $1 v $100 …      each word with its size before it, lines end with CR LF
    S: $15 1526919030474-55                       the identifier of the entry: one `$` an answer

A value ends with MARK, which is nowhere else, and holds no `-`, so that the last `-` of what is read is in the last identifier.
"""

from __future__ import annotations

import socket
import time

from bench.jetstream import MARK
from bench.pipe import PATIENCE_S, ROOM, SameRequests

KEY = b"stream"
AT_ONCE = 1000
"""How many entries one XREAD asks for."""


def command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


class RedisStream:
    """One connection, and the stream that is measured."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self) -> bytes:
        data = self.socket.recv(ROOM)
        if not data:
            raise ConnectionResetError("redis-server closed the connection")
        return data

    def ask(self, *words: bytes) -> bytes:
        """The answer of a command that is answered with one line, without its first byte."""
        self.socket.sendall(command(*words))
        data = self.receive()
        while not data.endswith(b"\r\n"):
            data += self.receive()
        if data.startswith(b"-"):
            raise RuntimeError(f"redis-server answers {words[0].decode()} with {data.decode().strip()}")
        return data[1:-2]

    def stored(self) -> int:
        return int(self.ask(b"XLEN", KEY))

    def read_all(self, count: int) -> float:
        """Seconds until `count` entries were received, from the first on, a thousand at a time."""
        began = time.perf_counter()
        last, found = b"0", 0
        while found < count:
            self.socket.sendall(command(b"XREAD", b"COUNT", b"%d" % AT_ONCE, b"STREAMS", KEY, last))
            wanted, data = found + min(AT_ONCE, count - found), bytearray()
            while found < wanted or not data.endswith(b"\r\n"):
                piece = self.receive()
                found += piece.count(MARK)
                data += piece
            dash = data.rindex(b"-")
            last = bytes(data[data.rindex(b"\n", 0, dash) + 1 : data.index(b"\r", dash)])
        return time.perf_counter() - began

    def close(self) -> None:
        self.socket.close()


class RedisPipe(RedisStream):
    """Adds the same value again and again."""

    def __init__(self, port: int, value: bytes) -> None:
        super().__init__(port)
        self.requests = SameRequests(command(b"XADD", KEY, b"*", b"v", value))

    def answers(self, data: bytes) -> int:
        if data.startswith(b"-"):
            raise RuntimeError(f"redis-server says {data[:300].decode(errors='replace')}")
        return data.count(b"$")
