"""Commits offsets for a group: at once and waited for, or sent and not waited for. The order in which they were asked for is kept.

A commit carries the member's generation (or epoch), and a refusal is news about the membership. Without a membership (partitions assigned
by hand) it carries none, and the coordinator accepts it as long as the group has no members.
"""

from __future__ import annotations

from ev.client.offsets import COMMIT_VERSION_MAX, commit_codes, commit_request
from ev.client.routing import COORDINATOR_MOVED
from ev.errors import ErrorCode, KafkaError, TimedOutError, UnreachableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ev.client.cluster import Cluster
    from ev.client.connection import Ticket
    from ev.client.coordinator import Coordinator
    from ev.client.membership_settings import Session
    from ev.client.results import CommittedOffset
    from ev.errors import EvError

    TopicPartition = tuple[str, int]
    OnCommitted = Callable[["EvError | None"], None]

RETRIED = frozenset((
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NOT_COORDINATOR, ErrorCode.REQUEST_TIMED_OUT,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.STALE_MEMBER_EPOCH,
))  # fmt: skip
FENCED = frozenset((ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION, ErrorCode.FENCED_MEMBER_EPOCH))
FENCED_MESSAGE = "the member has lost its place in the group: its partitions may be read by others, nothing was committed"


class Commits:
    """`session` is None for partitions that were assigned by hand."""

    def __init__(self, cluster: Cluster, coordinator: Coordinator, instance_id: str | None) -> None:
        self.cluster = cluster
        self.coordinator = coordinator
        self.instance_id = instance_id
        self.session: Session | None = None
        self.unanswered: list[Ticket] = []

    def commit(self, offsets: Mapping[TopicPartition, CommittedOffset], timeout_ms: int) -> None:
        """Commit and wait. Tries again what passes; raises KafkaError where it does not, REBALANCE_IN_PROGRESS among them."""
        if not offsets:
            return
        deadline_ms = self.cluster.now_ms() + timeout_ms
        self.wait_for_unanswered(deadline_ms)

        def once() -> None:
            node = self.coordinator.find(max(1, deadline_ms - self.cluster.now_ms()))
            generation, member_id = self.identity()
            ticket = self.send(offsets, node, self.cluster.time_for_one(deadline_ms), generation, member_id)
            self.cluster.wait_for(ticket)
            error = self.outcome(ticket, generation)
            if error is not None:
                raise error

        attempt = 0
        while True:
            try:
                once()
                return
            except (KafkaError, TimedOutError, UnreachableError) as error:
                pause_ms = self.cluster.backoff.after(attempt)
                passing = error.code in RETRIED if isinstance(error, KafkaError) else True
                if not passing or self.cluster.now_ms() + pause_ms >= deadline_ms:
                    raise
                attempt += 1
                self.cluster.pause(pause_ms)

    def commit_later(self, offsets: Mapping[TopicPartition, CommittedOffset], then: OnCommitted | None = None) -> None:
        """Send and go on; `then` is told how it went, from inside a later poll. Nothing is tried again: a later commit says more."""
        self.unanswered = [ticket for ticket in self.unanswered if not ticket.done]
        if not offsets:
            return
        node = self.coordinator.find_or_wait(0)
        if node is None:
            if then is not None:
                then(UnreachableError(f"the coordinator of {self.coordinator.group} is not known at the moment"))
            return
        try:
            generation, member_id = self.identity()
        except KafkaError as error:
            if then is not None:
                then(error)
            return

        def answered(ticket: Ticket) -> None:
            error = self.outcome(ticket, generation)
            if then is not None:
                then(error)

        self.unanswered.append(self.send(offsets, node, None, generation, member_id, answered))

    def wait_for_unanswered(self, deadline_ms: int) -> None:
        """What was sent before must not arrive after what is committed now."""
        for ticket in self.unanswered:
            while not ticket.done and (left_ms := deadline_ms - self.cluster.now_ms()) > 0:
                self.cluster.poll(left_ms)
        self.unanswered = []

    def send(
        self,
        offsets: Mapping[TopicPartition, CommittedOffset],
        node: int,
        timeout_ms: int | None,
        generation: int,
        member_id: str,
        callback: Callable[[Ticket], None] | None = None,
    ) -> Ticket:
        instance_id = None if self.session is None else self.instance_id
        request = commit_request(self.coordinator.group, offsets, generation, member_id, instance_id)
        return self.cluster.send(request, node, timeout_ms=timeout_ms, version_max=COMMIT_VERSION_MAX, callback=callback)

    def identity(self) -> tuple[int, str]:
        """Generation and member id; none without a membership. Raises when the membership is over, or about to be renewed."""
        return (-1, "") if self.session is None else self.session.identity()

    def outcome(self, ticket: Ticket, generation: int) -> EvError | None:
        """The worst that the answer says, which the membership is told as well."""
        if ticket.error is not None:
            if isinstance(ticket.error, (UnreachableError, TimedOutError)):
                self.coordinator.forget()
            return ticket.error
        codes = commit_codes(ticket.response)
        refused = {partition: code for partition, code in codes.items() if code}
        if not refused:
            return None
        (topic, index), code = next(iter(refused.items()))
        if code in COORDINATOR_MOVED:
            self.coordinator.forget()
        if self.session is not None:
            self.session.commit_refused(code, generation)
        return KafkaError(code, FENCED_MESSAGE if code in FENCED else f"{KafkaError(code).message} ({topic}/{index})")
