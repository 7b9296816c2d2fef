"""A consumer's place in a group of the new protocol (KIP-848): drives a ConsumerMembership over the network, from a thread of its own.

The thread sends every heartbeat and takes every answer in, over a Cluster of its own, so that they go on while the application works. The
consumer calls `step` whenever it polls. There, and nowhere else, partitions come and go and callbacks are called: what the coordinator
wants the member to have is compared with what it has, the rest is let go of (after a commit), the new ones are taken up, and the next
heartbeat, which leaves at once, says so.

The coordinator names topics by their ids. Those that the metadata does not know, as after a subscription by pattern, are asked for; until
the answer comes they are neither read nor said to be had.

Both sides share the membership, always under `lock`.
"""

from __future__ import annotations

import threading

from ev.client.consumer_membership import NOT_SERVED, ConsumerMembership
from ev.client.coordinator import Coordinator
from ev.client.results import GroupMetadata
from ev.errors import AuthenticationError, EvError, KafkaError, SettingError, TimedOutError, UnreachableError, UnsupportedApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ev.client.cluster import Cluster
    from ev.client.subscription import Subscription
    from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest

    TopicPartition = tuple[str, int]

LEAVE_TIMEOUT_MS = 5_000
FIND_TIMEOUT_MS = 2_000
THREAD_STEP_MS = 200
"""How long the thread may be deaf to the wish to stop."""
HEARTBEAT_TIMEOUT_MS = 15_000
"""A coordinator that is silent for so long may be another one by now; a session lasts for three times that, unless the broker was told
otherwise."""
IDLE_MS = 600_000
PATTERNS_FROM = 1
"""The version of ConsumerGroupHeartbeat from which on the coordinator evaluates patterns."""


class ConsumerGroupSession:
    """The membership with its thread. What it does for a consumer is what `ev.client.group.GroupSession` does in a classic group."""

    waits_for_answer = False
    """The thread hears what the coordinator says, so that the consumer has to look."""

    def __init__(
        self,
        cluster: Cluster,
        coordinator: Coordinator,
        membership: ConsumerMembership,
        rebalance: Subscription,
        heartbeat_cluster: Callable[[], Cluster],
    ) -> None:
        self.cluster = cluster
        self.coordinator = coordinator
        self.membership = membership
        self.rebalance = rebalance
        self.lock = threading.RLock()
        self.topic_ids: dict[str, bytes] = {}
        """Of the topics that the consumer reads: a topic that was made anew under its old name is another one."""
        self.reached: dict[bytes, list[int]] | None = None
        """The target that was last taken up as a whole."""
        self.heartbeats = ConsumerHeartbeats(self, heartbeat_cluster)

    # ---- the consumer's side ----

    def step(self) -> None:
        """Everything that can be done now; nothing is waited for. Raises the error that ended the membership, or a callback's."""
        membership = self.membership
        with self.lock:
            membership.polled(self.cluster.now_ms())
            if membership.subscribe(self.rebalance.wanted, self.rebalance.pattern):
                self.heartbeats.wake()
            failure = membership.failure  # it is raised at every poll from now on: this member will not come back
            problem, membership.problem = membership.problem, None
            coordinator_lost, membership.coordinator_lost = membership.coordinator_lost, False
            lost = membership.lost
        if coordinator_lost:
            self.coordinator.forget()
        if lost:
            self.tell_lost()
        if failure is not None:
            raise failure
        self.heartbeats.start()
        self.reconcile()
        if problem is not None:
            raise problem

    def tell_lost(self) -> None:
        """The partitions may be read by others already. Only when the application knows does the member join again."""
        try:
            self.rebalance.lost()
        finally:
            self.reached = None
            with self.lock:
                self.membership.partitions_lost_told()
            self.heartbeats.wake()

    def reconcile(self) -> None:
        """Let go of what the member is not to have any more, take up what it is to have, and see to it that the coordinator hears of it."""
        with self.lock:
            target = self.membership.target
        if target is None or target is self.reached:
            return
        owned = self.rebalance.owned()
        wanted, unnamed = self.named(target, {name for name, _ in owned})
        partitions = {(name, index): topic_id for name, topic_id in wanted.items() for index in target[topic_id]}
        kept = [partition for partition in owned if partitions.get(partition) == self.topic_ids.get(partition[0])]
        made_anew = any(partition in partitions for partition in set(owned).difference(kept))
        try:
            if made_anew:  # under their old names: they are given up before they are taken up
                self.rebalance.assigned(kept)
            if len(kept) != len(owned) or len(kept) != len(partitions):
                self.topic_ids |= wanted
                held = set(kept)
                self.rebalance.assigned([*kept, *(partition for partition in partitions if partition not in held)])
            if unnamed:
                self.cluster.request_names(unnamed)
            else:
                self.reached = target
        finally:
            self.say_owned()

    def named(self, target: dict[bytes, list[int]], owned: set[str]) -> tuple[dict[str, bytes], list[bytes]]:
        """The topics by name, and the ids of those whose names are not known: to the metadata, or because they are read already."""
        names = {topic_id: name for name, topic_id in self.topic_ids.items() if name in owned}
        names |= {info.topic_id: name for name, info in self.cluster.metadata.topics.items()}
        return {names[each]: each for each in target if each in names}, [each for each in target if each not in names]

    def say_owned(self) -> None:
        owned: dict[bytes, list[int]] = {}
        for name, index in self.rebalance.owned():
            owned.setdefault(self.topic_ids[name], []).append(index)
        with self.lock:
            if self.membership.owns({topic_id: sorted(indexes) for topic_id, indexes in sorted(owned.items())}):
                self.heartbeats.wake()

    def rejoin(self, reason: str) -> None:
        """Nothing to do: the next step sees that the subscription has changed, and says so."""

    def identity(self) -> tuple[int, str]:
        """Epoch and member id, as a commit has to carry them. Raises when the member is in no state to commit."""
        with self.lock:
            return self.membership.commit_epoch(), self.membership.member_id

    def metadata(self, instance_id: str | None) -> GroupMetadata:
        """Who this member is. Whether it still has its place is for the coordinator to say, who gets this with the offsets."""
        with self.lock:
            return GroupMetadata(self.membership.group, self.membership.epoch, self.membership.member_id, instance_id)

    @property
    def settled(self) -> bool:
        """Whether the member has its place."""
        with self.lock:
            return self.membership.may_commit

    def commit_refused(self, code: int, epoch: int) -> None:
        with self.lock:
            self.membership.commit_refused(code, epoch)
        self.heartbeats.wake()

    def close(self, leave: bool) -> None:
        """Stop the heartbeats; leave, so that the others need not wait for the session to time out. A static member always says that it is
        away: its place is kept, and whoever comes under its instance id gets it."""
        self.heartbeats.stop(leave=leave or self.membership.instance_id is not None)


class ConsumerHeartbeats:
    """The thread. It begins with the first step, as joining is a heartbeat, too."""

    def __init__(self, session: ConsumerGroupSession, make_cluster: Callable[[], Cluster]) -> None:
        self.session = session
        self.make_cluster = make_cluster
        self.woken = threading.Event()
        self.stopping = False
        self.leaving = False
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        if self.thread is None:
            name = f"heartbeats of {self.session.membership.group}"
            self.thread = threading.Thread(target=self.run, name=name, daemon=True)
            self.thread.start()

    def wake(self) -> None:
        """There is something to say."""
        self.woken.set()

    def stop(self, leave: bool) -> None:
        self.leaving = leave
        self.stopping = True
        self.woken.set()
        if self.thread is not None:
            self.thread.join((LEAVE_TIMEOUT_MS + FIND_TIMEOUT_MS) / 1000)

    def run(self) -> None:
        cluster = self.make_cluster()
        coordinator = Coordinator(cluster, self.session.membership.group, dedicated=False)
        try:
            while not self.stopping:
                self.turn(cluster, coordinator)
                if not self.stopping:
                    self.woken.wait(self.pause_ms(cluster.now_ms()) / 1000)
                    self.woken.clear()
            if self.leaving:
                self.leave(cluster, coordinator)
        finally:
            cluster.close()

    def pause_ms(self, now_ms: int) -> int:
        """Until the next heartbeat is due, or the application has been away for too long."""
        membership = self.session.membership
        with self.session.lock:
            if not membership.may_speak:
                return IDLE_MS
            due_ms = min(membership.due_ms(), membership.polled_ms + membership.poll_timeout_ms + 1)
        return max(1, min(due_ms - now_ms, IDLE_MS))

    def turn(self, cluster: Cluster, coordinator: Coordinator) -> None:
        """Send what is due and take the answer in."""
        membership = self.session.membership
        with self.session.lock:
            now_ms = cluster.now_ms()
            away = membership.poll_overdue(now_ms)
            request = membership.place_given_up() if away else membership.heartbeat_request(now_ms)
        if request is None:
            return
        try:
            self.ask(cluster, coordinator, request)
        except (UnreachableError, TimedOutError):
            coordinator.forget()
            with self.session.lock:
                membership.unanswered(cluster.now_ms())
        except KafkaError as error:  # nobody coordinates the group at the moment, or we may not know who does
            coordinator.forget()
            with self.session.lock:
                if error.retriable:
                    membership.unanswered(cluster.now_ms())
                else:
                    membership.fail(error)
        except UnsupportedApiError:
            with self.session.lock:
                membership.fail(UnsupportedApiError(NOT_SERVED))
        except (AuthenticationError, SettingError) as error:
            with self.session.lock:
                membership.fail(error)
        except EvError as error:
            with self.session.lock:
                membership.fail(KafkaError(-1, f"the heartbeats stopped: {error}"))

    def ask(self, cluster: Cluster, coordinator: Coordinator, request: ConsumerGroupHeartbeatRequest) -> None:
        """One heartbeat and its answer, unless the consumer is closed meanwhile."""
        membership = self.session.membership
        ticket = cluster.send(request, coordinator.find(FIND_TIMEOUT_MS), timeout_ms=min(cluster.request_timeout_ms, HEARTBEAT_TIMEOUT_MS))
        while not ticket.done and not self.stopping:
            cluster.poll(THREAD_STEP_MS)
        if not ticket.done:
            return
        response = ticket.result()
        if request.subscribed_topic_regex and ticket.version < PATTERNS_FROM:
            raise UnsupportedApiError(NOT_SERVED)
        with self.session.lock:
            membership.answered(response, cluster.now_ms())
            moved = membership.coordinator_lost
        if moved:
            coordinator.forget()

    def leave(self, cluster: Cluster, coordinator: Coordinator) -> None:
        """Say that we go, behind whatever was said before. Who cannot be told notices by itself, when the session times out."""
        with self.session.lock:
            request = self.session.membership.leave_request()
        if request is None:
            return
        try:
            cluster.wait_for(cluster.send(request, coordinator.find(FIND_TIMEOUT_MS), timeout_ms=LEAVE_TIMEOUT_MS))
        except EvError:
            return
