"""Waits for a condition in another process or thread, with a deadline in place of a fixed sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(condition: Callable[[], T], what: str, timeout_s: float = 20, pause_s: float = 0.01) -> T:
    """The first true value of `condition`; AssertionError that names `what` when the time is over."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain for {what}"
        time.sleep(pause_s)
