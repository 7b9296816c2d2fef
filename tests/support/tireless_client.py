"""A raw client that finds an engine again that was killed or stopped: what was not answered is asked again.

What asks so has to be something that may be done twice: a read, a heartbeat, a batch of an idempotent producer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ev.wire.codec import Message
from support.raw_client import RawClient
from support.raw_transactions import KEYS

PATIENCE_S = 60.0
AGAIN_S = 0.05


class TirelessClient:
    """One connection, and the next one."""

    def __init__(self, address: Callable[[], str], *, timeout_s: float = PATIENCE_S, client_id: str = "tireless") -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._client_id = client_id
        self._client: RawClient | None = None
        self.asking = False  # a request is on its way
        self.connections = 0

    def ask(self, request: Message, version: int) -> Any:
        """The answer, whatever comes between; TimeoutError when the engine is away for too long."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            self.asking = True
            try:
                return self._connected().ask(KEYS[type(request)], version, request)
            except OSError:
                self.close()
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{type(request).__name__} was not answered in {self._timeout_s} s") from None
                time.sleep(AGAIN_S)
            finally:
                self.asking = False

    def _connected(self) -> RawClient:
        if self._client is None:
            self._client = RawClient(self._address(), client_id=self._client_id, timeout_s=self._timeout_s)
            self.connections += 1
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
