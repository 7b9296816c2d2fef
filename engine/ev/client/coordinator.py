"""The broker that coordinates a group, reached over a connection of its own: on that for fetching it would wait behind long polls."""

from __future__ import annotations

from ev.client.cluster import GROUP
from ev.errors import KafkaError, TimedOutError, UnreachableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev.client.cluster import Cluster


class Coordinator:
    """`node` is None while nobody knows who coordinates. Who has no long polls can do without a `dedicated` connection."""

    __slots__ = ("cluster", "dedicated", "group", "node")

    def __init__(self, cluster: Cluster, group: str, *, dedicated: bool = True) -> None:
        self.cluster = cluster
        self.group = group
        self.dedicated = dedicated
        self.node: int | None = None

    def find(self, timeout_ms: int) -> int:
        """The node to send to. Looks it up when it is not known, and raises what kept it from being found."""
        if self.node is None:
            node = self.cluster.coordinator(self.group, timeout_ms=timeout_ms)
            self.node = self.cluster.dedicated(node) if self.dedicated else node
        return self.node

    def find_or_wait(self, timeout_ms: int) -> int | None:
        """The same, or None when it cannot be found at the moment, for who comes again anyway."""
        try:
            return self.find(timeout_ms)
        except (UnreachableError, TimedOutError):
            return None
        except KafkaError as error:
            if not error.retriable:
                raise
            return None

    def forget(self) -> None:
        """It cannot be reached, or said that it coordinates the group no more."""
        if self.node is not None:
            self.cluster.disconnect(self.node)
            self.node = None
        self.cluster.forget_coordinator(self.group, GROUP)
