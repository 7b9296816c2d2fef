"""A consumer's place in its group: drives a Membership over the network, with the heartbeats on a thread of their own.

The consumer calls `step` whenever it polls; a rebalance goes on over many calls, and nothing waits for it. Requests to the coordinator
have a connection of their own beside the one for fetching, on which they would stand behind a long poll.

The thread has a Cluster of its own and shares two things with the consumer: the Membership, always under `lock`, and the wish to stop.
It sends heartbeats while the membership is stable, and gives the place up when the application has not polled for too long. What it
learns it writes into the membership; the consumer acts on it at its next step.
"""

from __future__ import annotations

import threading

from ev.client.coordinator import Coordinator
from ev.client.membership import JOINED, JOINING, STABLE, SYNCING
from ev.client.results import GroupMetadata
from ev.errors import AuthenticationError, EvError, KafkaError, TimedOutError, UnreachableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Protocol

    from ev.client.cluster import Cluster
    from ev.client.connection import Ticket
    from ev.client.membership import Membership

    TopicPartition = tuple[str, int]

    class Rebalance(Protocol):
        """What a rebalance does to the consumer's partitions."""

        def give_up_before_joining(self, cooperative: bool) -> None:
            """Let go of what has to be let go of before the member joins again."""

        def lost(self) -> None:
            """Everything is gone already."""

        def topics(self) -> Iterable[str]:
            """What is subscribed to."""

        def owned(self) -> Iterable[TopicPartition]:
            """What the consumer has at the moment."""

        def assigned(self, partitions: list[TopicPartition]) -> bool:
            """Take these and no others; True when some had to be let go of that another member waits for."""


LEAVE_TIMEOUT_MS = 5_000
STEP_MS = 500
THREAD_STEP_MS = 200
"""How long the thread may be deaf to the wish to stop."""


class GroupSession:
    """The membership with its connections and its thread."""

    def __init__(
        self,
        cluster: Cluster,
        coordinator: Coordinator,
        membership: Membership,
        rebalance: Rebalance,
        heartbeat_cluster: Callable[[], Cluster],
    ) -> None:
        self.cluster = cluster
        self.coordinator = coordinator
        self.membership = membership
        self.rebalance = rebalance
        self.lock = threading.RLock()
        self.ticket: Ticket | None = None
        self.counts: dict[str, int] = {}
        self.metadata_version = -1
        self.heartbeats = Heartbeats(self, heartbeat_cluster)

    # ---- the consumer's side ----

    def step(self) -> None:
        """Everything that can be done now; only a leader may have to wait, for the partitions of a topic.

        Raises the error that ended the membership, or a callback's.
        """
        membership = self.membership
        with self.lock:
            now_ms = self.cluster.now_ms()
            membership.polled(now_ms)
            failure = membership.failure  # it is raised at every poll from now on: this member will not come back
            lost = membership.lost
            membership.partitions_lost_told()
            coordinator_lost, membership.coordinator_lost = membership.coordinator_lost, False
            if membership.session_overdue(now_ms):
                coordinator_lost, membership.heard_ms = True, now_ms
        if lost:
            self.rebalance.lost()
        if failure is not None:
            raise failure
        if coordinator_lost:
            self.coordinator.forget()
        if self.ticket is not None and self.ticket.done:
            self.answered()
        self.watch_partition_counts()
        if self.ticket is None and membership.wants_to_join(self.cluster.now_ms()):
            self.join()

    def join(self) -> None:
        """Let go of what must be let go of, and ask to join; the answer comes when all members have."""
        membership = self.membership
        node = self.coordinator.find_or_wait(0)
        if node is None:
            return  # the answer is looked for at the next step: whoever has partitions reads on
        self.rebalance.give_up_before_joining(membership.cooperative)
        with self.lock:
            if not membership.wants_to_join(self.cluster.now_ms()):
                return  # a commit in the application's callback showed that the place is gone
            request = membership.join_request(self.rebalance.topics(), self.rebalance.owned())
        self.ticket = self.cluster.send(request, node, timeout_ms=membership.poll_timeout_ms + 5_000)

    def answered(self) -> None:
        """The coordinator has answered a JoinGroup or SyncGroup."""
        ticket, self.ticket = self.ticket, None
        assert ticket is not None
        membership = self.membership
        if isinstance(ticket.error, (UnreachableError, TimedOutError, AuthenticationError)):
            self.coordinator.forget()
            with self.lock:
                membership.connection_broke(self.cluster.now_ms())
                membership.coordinator_lost = False
            if isinstance(ticket.error, AuthenticationError):
                raise ticket.error
            return
        response = ticket.result()
        if membership.state == JOINING:
            with self.lock:
                membership.joined(response, self.cluster.now_ms())
            if membership.state == JOINED:
                self.sync()
        elif membership.state == SYNCING:
            with self.lock:
                partitions = membership.synced(response, self.cluster.now_ms())
            if partitions is not None:
                self.heartbeats.start()
                if self.rebalance.assigned(partitions):
                    with self.lock:
                        membership.rejoin("partitions were given up for others")

    def sync(self) -> None:
        """As leader with everyone's partitions, as follower to get ours."""
        membership = self.membership
        if membership.leader:
            topics = membership.topics_of_group()
            self.cluster.watch(topics)
            missing = [topic for topic in topics if topic not in self.cluster.metadata.topics]
            if missing:
                try:
                    self.cluster.retry(lambda: self.cluster.refresh(missing), membership.session_timeout_ms // 2)
                except (KafkaError, UnreachableError, TimedOutError):
                    with self.lock:
                        membership.back_to_unjoined("the partitions of a topic could not be found out", self.cluster.now_ms() + STEP_MS)
                    return
            self.counts = self.partition_counts(topics)
            self.metadata_version = self.cluster.metadata.version
        with self.lock:
            request = membership.sync_request(self.counts)
        self.ticket = self.cluster.send(request, self.coordinator.find(LEAVE_TIMEOUT_MS), timeout_ms=membership.poll_timeout_ms + 5_000)

    def watch_partition_counts(self) -> None:
        """The leader answers for the assignment: topics that come, go or grow make the group rebalance."""
        membership, metadata = self.membership, self.cluster.metadata
        if membership.state != STABLE or not membership.leader or metadata.version == self.metadata_version:
            return
        self.metadata_version = metadata.version
        if self.partition_counts(membership.topics_of_group()) != self.counts:
            with self.lock:
                membership.rejoin("the partitions of a topic have changed")

    def partition_counts(self, topics: Iterable[str]) -> dict[str, int]:
        """How many partitions each topic has; topics that do not exist (yet) are left out."""
        known = self.cluster.metadata.topics
        return {topic: len(known[topic].partitions) for topic in topics if topic in known}

    def rejoin(self, reason: str) -> None:
        with self.lock:
            self.membership.rejoin(reason)

    def identity(self) -> tuple[int, str]:
        """Generation and member id, as a commit has to carry them. Raises when the member is in no state to commit."""
        with self.lock:
            return self.membership.commit_generation(), self.membership.member_id

    def metadata(self, instance_id: str | None) -> GroupMetadata:
        """Who this member is. Whether it still has its place is for the coordinator to say, who gets this with the offsets."""
        with self.lock:
            return GroupMetadata(self.membership.group, self.membership.generation, self.membership.member_id, instance_id)

    @property
    def waits_for_answer(self) -> bool:
        """Whether the coordinator has been asked to let the member join; what it says will come by itself."""
        return self.ticket is not None

    @property
    def settled(self) -> bool:
        """Whether the member has its place, and nothing is about to change."""
        return self.membership.state == STABLE

    def commit_refused(self, code: int, generation: int) -> None:
        with self.lock:
            self.membership.commit_refused(code, generation)

    def close(self, leave: bool) -> None:
        """Stop the heartbeats; leave, so that the others need not wait for the session to time out."""
        self.heartbeats.stop()
        with self.lock:
            request = self.membership.leave_request("the consumer was closed") if leave else None
        if request is None:
            return
        if self.ticket is not None and not self.ticket.done:
            self.coordinator.forget()  # the broker would look at what comes behind a JoinGroup only when it has answered that
        node = self.coordinator.find_or_wait(LEAVE_TIMEOUT_MS)
        if node is not None:
            self.cluster.wait_for(self.cluster.send(request, node, timeout_ms=LEAVE_TIMEOUT_MS))


class Heartbeats:
    """The thread. It begins with the first assignment, so that a consumer that never gets one has none."""

    def __init__(self, session: GroupSession, make_cluster: Callable[[], Cluster]) -> None:
        self.session = session
        self.make_cluster = make_cluster
        self.stopping = threading.Event()
        self.thread: threading.Thread | None = None
        self.answered_by: int | None = None

    def start(self) -> None:
        if self.thread is None:
            self.thread = threading.Thread(target=self.run, name=f"heartbeats of {self.session.membership.group}", daemon=True)
            self.thread.start()

    def stop(self) -> None:
        self.stopping.set()
        if self.thread is not None:
            self.thread.join(10 * THREAD_STEP_MS / 1000)

    def run(self) -> None:
        cluster = self.make_cluster()
        coordinator = Coordinator(cluster, self.session.membership.group)
        try:
            while not self.stopping.wait(self.pause_ms(cluster.now_ms()) / 1000):
                self.turn(cluster, coordinator)
        finally:
            cluster.close()

    def pause_ms(self, now_ms: int) -> int:
        """Until the next heartbeat is due, or the application has been away for too long."""
        membership = self.session.membership
        with self.session.lock:
            if membership.state != STABLE:
                return THREAD_STEP_MS
            due_ms = min(membership.heartbeat_due_ms, membership.polled_ms + membership.poll_timeout_ms + 1)
        return max(1, min(due_ms - now_ms, membership.heartbeat_interval_ms))

    def turn(self, cluster: Cluster, coordinator: Coordinator) -> None:
        """Send what is due and take the answer in."""
        membership = self.session.membership
        with self.session.lock:
            now_ms = cluster.now_ms()
            if membership.poll_overdue(now_ms):
                membership.lost = True
                leave = membership.leave_request(f"the application did not poll for {membership.poll_timeout_ms} ms")
                heartbeat = None
            else:
                leave = None
                heartbeat = membership.heartbeat_request(now_ms)
            generation = membership.generation
        request = leave or heartbeat
        if request is None:
            return
        try:
            node = coordinator.find(membership.heartbeat_interval_ms)
            ticket = cluster.send(request, node, timeout_ms=min(cluster.request_timeout_ms, membership.session_timeout_ms // 3))
            while not ticket.done and not self.stopping.is_set():
                cluster.poll(THREAD_STEP_MS)
            if not ticket.done:
                return
            response = ticket.result()
        except (KafkaError, UnreachableError, TimedOutError):
            coordinator.forget()  # heartbeats go on; without an answer for a whole session the consumer looks for the coordinator, too
            with self.session.lock:
                membership.heartbeat_unanswered(cluster.now_ms())
            return
        except AuthenticationError as error:
            with self.session.lock:
                membership.fail(error)
            return
        except EvError as error:
            with self.session.lock:
                membership.fail(KafkaError(-1, f"the heartbeats stopped: {error}"))
            return
        if leave is None:
            with self.session.lock:
                membership.heartbeat_answered(response.error_code, generation, cluster.now_ms())
                if membership.coordinator_lost:
                    coordinator.forget()
                # The consumer asks elsewhere, too: a broker that hung and wakes up would answer with what was committed before.
                membership.coordinator_lost |= self.answered_by not in (None, node)
                self.answered_by = node
