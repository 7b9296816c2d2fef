"""Many clients in one process, which mean no good or say nothing at all.

    python -m support.crowd KIND ADDRESS COUNT SEED

KIND is one of KINDS. It connects COUNT times and prints `open COUNT SECONDS`. Then it goes on with what its kind does, counts the
connections that the other side ends, and does what it is told on stdin: `ask` asks one question on every twentieth connection and
prints `answered HOW_MANY OF`, `ended` prints `ended HOW_MANY`. The end of stdin ends it.

    crowd = Crowd("slow", engine.address, 1000, seed)
    crowd.ended()      how many of them the engine has ended by now
    crowd.leave()      close all, in order
    crowd.kill()       SIGKILL: the kernel closes them
"""

from __future__ import annotations

import contextlib
import resource
import select
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from random import Random

from ev.wire.codec import encode
from ev.wire.header import encode_request_header
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from support.engine import ROOT, SOURCES, environment
from support.quiet_client import fetch_request

BIG = "big"
"""The topic that those who do not read have read for them."""
BIG_BYTES = 12 << 20
PIPELINED = 12
TICK_S = 0.05
SLOW_SHARE = 0.2
"""So many of those who are slow send their next byte at each tick."""
LAST_SIZES = (100, 5000, 70_000, 1 << 20)
SAMPLE = 20


def main(arguments: list[str]) -> int:
    kind, address, count, seed = arguments
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    host, _, port = address.rpartition(":")
    People(kind, (host, int(port)), int(count), Random(seed)).live()
    return 0


class People:
    """The connections of one process."""

    def __init__(self, kind: str, address: tuple[str, int], count: int, random: Random) -> None:
        self.kind, self.address, self.random = kind, address, random
        self.poll = select.epoll()
        self.clients: dict[int, socket.socket] = {}
        self.ended = 0
        began = time.monotonic()
        begin = KINDS[kind]
        for _ in range(count):
            client = begin(self)
            client.setblocking(False)
            self.clients[client.fileno()] = client
            # Who does not read is told of the end only.
            self.poll.register(client.fileno(), 0 if kind == "unread" else select.EPOLLIN | select.EPOLLRDHUP)
        say(f"open {count} {time.monotonic() - began:.3f}")

    def connect(self) -> socket.socket:
        client = socket.socket()
        client.connect(self.address)
        return client

    def live(self) -> None:
        self.poll.register(0, select.EPOLLIN | select.EPOLLHUP)
        line = b""
        while True:
            for number, _ in self.poll.poll(TICK_S):
                if number == 0:
                    piece = sys.stdin.buffer.raw.read(64) if hasattr(sys.stdin.buffer, "raw") else b""
                    if not piece:
                        return
                    line += piece
                    while b"\n" in line:
                        command, _, line = line.partition(b"\n")
                        self.obey(command.decode())
                else:
                    self.hear(number)
            if self.kind == "slow":
                self.trickle()
            elif self.kind == "coming and going":
                self.come_and_go()

    def obey(self, command: str) -> None:
        if command == "ended":
            say(f"ended {self.ended}")
        elif command == "ask":
            sample = list(self.clients.values())[::SAMPLE]
            say(f"answered {sum(map(answered, sample))} {len(sample)}")

    def hear(self, number: int) -> None:
        """Something came, or the other side has ended it."""
        client = self.clients.get(number)
        if client is None:
            return
        try:
            goes_on = self.kind != "unread" and bool(client.recv(1 << 16))
        except (BlockingIOError, ssl.SSLWantReadError):
            goes_on = True
        except OSError:
            goes_on = False
        if not goes_on:
            self.ended += 1
            self.poll.unregister(number)
            del self.clients[number]
            client.close()

    def trickle(self) -> None:
        """A byte from some of them."""
        for client in list(self.clients.values()):
            if self.random.random() < SLOW_SHARE:
                with contextlib.suppress(OSError):
                    client.send(b"\0")

    def come_and_go(self) -> None:
        """Some come, say something or half of it, and are gone, with a reset or without."""
        for _ in range(10):
            with contextlib.suppress(OSError):
                client = self.connect()
                said = self.random.random()
                if said < 0.7:
                    client.send(QUESTION if said < 0.4 else QUESTION[: self.random.randrange(len(QUESTION))])
                if self.random.random() < 0.5:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()


def framed(key: int, version: int, body: bytes) -> bytes:
    request = encode_request_header(key, version, 1, "crowd") + body
    return len(request).to_bytes(4, "big") + request


QUESTION = framed(18, 0, encode(ApiVersionsRequest(), 0))


def answered(client: socket.socket) -> bool:
    """Whether a question is answered on this connection."""
    client.settimeout(10)
    try:
        client.sendall(QUESTION)
        data = client.recv(4)
        left = int.from_bytes(data, "big") if len(data) == 4 else 0
        while left > 0 and (piece := client.recv(left)):
            left -= len(piece)
        return bool(data) and left == 0
    except OSError:
        return False


def idle(people: People) -> socket.socket:
    """Says nothing."""
    return people.connect()


def half_open(people: People) -> socket.socket:
    """Has said something once, or half of it, and will never say more: as after a pulled cable."""
    client = people.connect()
    if people.random.random() < 0.5:
        client.sendall(QUESTION[: people.random.choice((2, 4, 10, len(QUESTION)))])
    return client


def slow(people: People) -> socket.socket:
    """Has begun a request of some size, whose bytes come one by one."""
    client = people.connect()
    client.sendall(people.random.choice(LAST_SIZES).to_bytes(4, "big") + b"\0")
    return client


def unread(people: People) -> socket.socket:
    """Asks for megabytes again and again and reads nothing."""
    client = people.connect()
    request = framed(1, 11, encode(fetch_request(BIG, 0, BIG_BYTES), 11))
    with contextlib.suppress(OSError):
        client.sendall(request * PIPELINED)
    return client


def stopped_handshake(people: People) -> socket.socket:
    """Has begun a TLS handshake, or only connected to where one is due."""
    client = people.connect()
    outgoing = ssl.MemoryBIO()
    hello = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    hello.check_hostname = False
    hello.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(ssl.SSLWantReadError):
        hello.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    said = outgoing.read()
    client.sendall(said[: people.random.choice((0, 1, 50, len(said) - 1, len(said)))])
    return client


def tls(people: People) -> socket.socket:
    """Has made its handshake, and says nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(people.connect())


KINDS: dict[str, Callable[[People], socket.socket]] = {
    "idle": idle,
    "half-open": half_open,
    "slow": slow,
    "unread": unread,
    "coming and going": idle,
    "stopped handshake": stopped_handshake,
    "tls": tls,
}


class Crowd:
    """The process, as a test sees it."""

    def __init__(self, kind: str, address: str, count: int, seed: object) -> None:
        self.kind, self.count = kind, count
        command = [sys.executable, "-P", "-m", "support.crowd", kind, address, str(count), str(seed)]
        variables = environment(PYTHONPATH=f"{SOURCES}:{ROOT / 'tests'}")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables)
        self.took_s = 0.0

    def wait_until_open(self) -> Crowd:
        """Until all have connected, as far as they know."""
        self.took_s = float(self._line("open")[1])
        return self

    def ended(self) -> int:
        """How many the other side has ended."""
        self._say("ended")
        return int(self._line("ended")[0])

    def ask(self) -> tuple[int, int]:
        """(answered, asked) of a sample."""
        self._say("ask")
        answers, asked = self._line("answered")
        return int(answers), int(asked)

    def leave(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._gone()

    def kill(self) -> None:
        self.process.kill()
        self._gone()

    def _gone(self) -> None:
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()

    def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _line(self, word: str) -> list[str]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().split()
        assert line[:1] == [word], f"the crowd that is {self.kind} said {line}"
        return line[1:]


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
