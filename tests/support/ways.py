"""Ways to an engine that can be disturbed one by one: each is a listener of the engine with a proxy before it.

first, second = ways_to(engine, 2)      before the engine is started
first.address                           for clients, which are told nothing else by the engine
first.stall()                           and so on: a way is a proxy (`support.proxy`)
"""

from __future__ import annotations

from support.engine import Engine
from support.ports import free_ports
from support.proxy import Proxy


def ways_to(engine: Engine, count: int) -> list[Proxy]:
    """Let the engine, which does not run yet, listen for each way, and tell whoever comes there the proxy's address."""
    listeners = [("127.0.0.1", port) for port in free_ports(count)]
    ways = [Proxy(listener) for listener in listeners]
    names = [f"WAY{number}" for number in range(count)]
    protocols = [f"{name}:PLAINTEXT" for name in names]
    engine.settings["listener.security.protocol.map"] = ",".join(["PLAINTEXT:PLAINTEXT", *protocols])
    engine.settings["advertised.listeners"] = ",".join(f"{name}://{way.address}" for name, way in zip(names, ways, strict=True))
    for name, (host, port) in zip(names, listeners, strict=True):
        engine.arguments += ("--listen", f"{name}://{host}:{port}")
    return ways
