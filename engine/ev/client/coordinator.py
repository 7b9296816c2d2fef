"""The broker that coordinates a group, reached over a connection of its own: on that for fetching it would wait behind long polls.

It is looked up once, and again when it said that it coordinates no more or could not be reached; with a back-off, as while brokers come and
go nobody may coordinate for seconds.
"""

from __future__ import annotations

from ev.client.cluster import FIND_COORDINATOR_VERSION_MAX, GROUP
from ev.errors import KafkaError, TimedOutError, UnreachableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev.client.cluster import Cluster
    from ev.client.connection import Ticket

REQUEST_TIMEOUT_MS = 10_000
"""A broker that leaves such a small question unanswered for so long is hung: another one is asked."""


class Coordinator:
    """`node` is None while nobody knows who coordinates. Who has no long polls can do without a `dedicated` connection."""

    __slots__ = ("asked", "cluster", "dedicated", "failures", "group", "node", "not_before_ms")

    def __init__(self, cluster: Cluster, group: str, *, dedicated: bool = True) -> None:
        self.cluster = cluster
        self.group = group
        self.dedicated = dedicated
        self.node: int | None = None
        self.asked: Ticket | None = None
        self.failures = 0
        self.not_before_ms = 0

    def find(self, timeout_ms: int) -> int:
        """The node to send to. Looks it up when it is not known; raises what kept it from being found in that time."""
        deadline_ms = self.cluster.now_ms() + timeout_ms
        problem: KafkaError | UnreachableError | TimedOutError | None = None
        while True:
            try:
                node = self.look(max(0, deadline_ms - self.cluster.now_ms()))
            except (KafkaError, UnreachableError, TimedOutError) as error:
                if isinstance(error, KafkaError) and not error.retriable:
                    raise
                problem, node = error, None
            if node is not None:
                return node
            left_ms = deadline_ms - self.cluster.now_ms()
            if left_ms <= max(0, self.not_before_ms - self.cluster.now_ms()):
                raise problem or TimedOutError(f"nobody said in time who coordinates group {self.group!r}{self.cluster.why_silent()}")

    def find_or_wait(self, timeout_ms: int) -> int | None:
        """The same, or None when it is not known in that time, for who comes again anyway. KafkaError when that would not help."""
        try:
            return self.find(timeout_ms)
        except (UnreachableError, TimedOutError):
            return None
        except KafkaError as error:
            if not error.retriable:
                raise
            return None

    def look(self, timeout_ms: int) -> int | None:
        """One question, or what is left of one that was asked before; None when the time is over. Raises what came of it instead."""
        cluster = self.cluster
        deadline_ms = cluster.now_ms() + timeout_ms
        while self.node is None:
            known = cluster.known_coordinator(self.group, GROUP)
            if known is not None:
                self.node = cluster.dedicated(known) if self.dedicated else known
                self.failures = self.not_before_ms = 0
                break
            if self.asked is None and cluster.now_ms() >= self.not_before_ms:
                self.asked = self.ask()
            if self.asked is not None and self.asked.done:
                self.learn()
                continue
            now_ms = cluster.now_ms()
            if now_ms >= deadline_ms:
                break
            cluster.poll(min(deadline_ms, max(self.not_before_ms, now_ms + 1) if self.asked is None else deadline_ms) - now_ms)
        return self.node

    def ask(self) -> Ticket:
        from ev.wire.messages.k10_find_coordinator import FindCoordinatorRequest  # noqa: PLC0415 - only groups need it

        return self.cluster.send(
            FindCoordinatorRequest(key=self.group, key_type=GROUP),
            timeout_ms=min(REQUEST_TIMEOUT_MS, self.cluster.request_timeout_ms),
            version_max=FIND_COORDINATOR_VERSION_MAX,
        )

    def learn(self) -> None:
        """Take in what came of the question. Raises it when that is no coordinator."""
        ticket, self.asked = self.asked, None
        assert ticket is not None
        try:
            self.cluster.learn_coordinator(self.group, GROUP, ticket.result())
        except (KafkaError, UnreachableError, TimedOutError):
            self.not_before_ms = self.cluster.now_ms() + self.cluster.backoff.after(self.failures)
            self.failures += 1
            raise

    def forget(self) -> None:
        """It cannot be reached, or said that it coordinates the group no more."""
        if self.node is not None:
            self.cluster.disconnect(self.node)
            self.node = None
        self.cluster.forget_coordinator(self.group, GROUP)
