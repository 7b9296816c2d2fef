"""A network between clients and a broker: it forwards connections, and delays, stalls, cuts or refuses them when it is told to.

proxy = Proxy(("127.0.0.1", 9092))
proxy.address            '127.0.0.1:40123', for the clients; the broker has to advertise it to them
proxy.delay(0.05)        each piece that comes, either way, is held for so long
proxy.stall()            nothing is forwarded any more, and no connection is closed: a partition
proxy.cut()              every connection is reset; new ones are served
proxy.refuse()           every connection is reset, new ones too
proxy.heal()             all of this ends; what was stalled is forwarded
proxy.close()
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

PIECE_BYTES = 1 << 16


class Proxy:
    """Runs in a thread of its own; every method may be called from any other."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.address = ""
        self.forwarded = 0  # bytes, both ways
        self._delay_s = 0.0
        self._refuses = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._done = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()
        assert self._listening.wait(10), "the proxy does not listen"

    @property
    def connections(self) -> int:
        """How many are forwarded at the moment."""
        return len(self._writers) // 2

    def delay(self, seconds: float) -> None:
        self._do(lambda: self._treat(delay_s=seconds))

    def stall(self) -> None:
        self._do(self._open.clear)

    def cut(self) -> None:
        self._do(self._reset)

    def refuse(self) -> None:
        self._do(lambda: self._treat(refuses=True))

    def heal(self) -> None:
        self._do(self._treat)

    def close(self) -> None:
        if self._thread.is_alive():
            self._do(self._done.set)
            self._thread.join(10)

    def _do(self, what: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(what)

    def _treat(self, *, delay_s: float = 0.0, refuses: bool = False) -> None:
        self._delay_s, self._refuses = delay_s, refuses
        self._open.set()
        if refuses:
            self._reset()

    def _reset(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._open.set()
        server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        self.address = f"{host}:{port}"
        self._listening.set()
        await self._done.wait()
        server.close()
        self._open.set()
        self._reset()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, both ways."""
        ends = [writer]
        try:
            if not self._refuses:
                there_reader, there_writer = await asyncio.open_connection(*self.target)
                ends.append(there_writer)
                self._writers.update(ends)
                await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))
        except OSError:
            return  # nobody listens there at the moment
        finally:
            self._writers.difference_update(ends)
            for end in ends:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction; when it ends, in whichever way, the other one does too."""
        try:
            while piece := await reader.read(PIECE_BYTES):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                await self._open.wait()
                writer.write(piece)
                await writer.drain()
                self.forwarded += len(piece)
        except OSError:
            return
        finally:
            writer.transport.abort()
