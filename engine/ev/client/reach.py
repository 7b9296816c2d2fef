"""Which brokers of a cluster are wanted and cannot be reached, and why: a bootstrap address may answer and name others that do not."""

from __future__ import annotations

from ev.client.connection import CLOSED, READY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ev.client.connection import Connection
    from ev.errors import EvError


class OutOfReach:
    """A broker that is to be asked something and is not connected. `error` is what came of the last attempt, None while it is the first."""

    __slots__ = ("address", "error", "node_id")

    def __init__(self, node_id: int, address: str, error: EvError | None) -> None:
        self.node_id = node_id
        self.address = address
        self.error = error

    def __str__(self) -> str:
        if self.error is not None:
            return f"broker {self.node_id}: {self.error}"
        return f"broker {self.node_id}: no answer from {self.address} yet"


def out_of_reach(
    brokers: Iterable[tuple[int, tuple[str, int]]], connections: Mapping[int, Connection], problems: Mapping[int, EvError], dedicated: int
) -> list[OutOfReach]:
    """Of these brokers and their addresses, by id. `problems` has why the last attempt came to nothing, by node; `dedicated` makes the id
    of a broker's second connection."""
    found: list[OutOfReach] = []
    for node_id, (host, port) in sorted(brokers):
        nodes = (node_id, node_id + dedicated)
        states = [connections[node].state for node in nodes if node in connections]
        errors = [problems[node] for node in nodes if node in problems]
        if READY in states or not (errors or any(state != CLOSED for state in states)):
            continue
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        found.append(OutOfReach(node_id, address, errors[0] if errors else None))
    return found
