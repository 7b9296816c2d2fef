"""Free loopback ports for peers that cannot be told to take port 0."""

from __future__ import annotations

import socket


def free_ports(count: int) -> list[int]:
    """`count` different ports that nobody listened on a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def free_port() -> int:
    """One port that nobody listened on a moment ago."""
    return free_ports(1)[0]
