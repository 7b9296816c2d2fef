"""One member of one classic consumer group: what it may ask next, and what each answer makes of it. No sockets, no threads, no clock.

    UNJOINED ──join_request──> JOINING ──joined──> JOINED ──sync_request──> SYNCING ──synced──> STABLE
       ^                          │                                            │                  │
       └──────────────────────────┴── an answer that says: again, or: lost ────┴──────────────────┘

The generation is the member's proof. Commits and heartbeats carry it, and the coordinator refuses both from a generation that has passed
(fencing). Three things can happen to a member that reads:

- *rejoin*: the group is rebalancing. The generation still holds, so what was processed can still be committed before joining again.
- *lost*: the coordinator has given the member up. Its partitions may be with others already and nothing can be committed for them.
- *coordinator lost*: nothing is known to have changed, but somebody else coordinates the group now. Look it up and go on.

The caller keeps the order: when `lost`, tell the application and call `partitions_lost_told`; before `join_request` in an eager group, let
go of all partitions. Whoever drives this from two threads (heartbeats have their own) puts one lock around it.
"""

from __future__ import annotations

from ev.client.assignors import ASSIGNORS, Subscription, decode_assignment, decode_subscription, encode_assignment, encode_subscription
from ev.client.cluster import Backoff
from ev.errors import ErrorCode, KafkaError, SettingError
from ev.wire.messages.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from ev.wire.messages.k12_heartbeat import HeartbeatRequest
from ev.wire.messages.k13_leave_group import LeaveGroupRequest, MemberIdentity
from ev.wire.messages.k14_sync_group import SyncGroupRequest, SyncGroupRequestAssignment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ev.errors import EvError
    from ev.wire.messages.k11_join_group import JoinGroupResponse
    from ev.wire.messages.k14_sync_group import SyncGroupResponse

    TopicPartition = tuple[str, int]

UNJOINED, JOINING, JOINED, SYNCING, STABLE = "unjoined", "joining", "joined", "syncing", "stable"
NO_GENERATION = -1
PROTOCOL_TYPE = "consumer"
FENCED_MESSAGE = "the member has lost its place in the group: its partitions may be read by others, nothing was committed"

COORDINATOR_MOVED = frozenset((ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NOT_COORDINATOR))
FENCED = frozenset((ErrorCode.ILLEGAL_GENERATION, ErrorCode.UNKNOWN_MEMBER_ID))
TRY_AGAIN = frozenset((ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.REQUEST_TIMED_OUT))


class Membership:
    """The state of the member. `poll_timeout_ms` is how long the application may stay away before the member gives its place up."""

    def __init__(
        self,
        group: str,
        *,
        instance_id: str | None = None,
        assignors: Iterable[str] = ("range",),
        session_timeout_ms: int = 45_000,
        heartbeat_interval_ms: int = 3_000,
        poll_timeout_ms: int = 300_000,
        backoff: Callable[[int], int] | None = None,
    ) -> None:
        self.group = group
        self.instance_id = instance_id
        self.assignors = tuple(assignors)
        unknown = [name for name in self.assignors if name not in ASSIGNORS]
        if unknown or not self.assignors:
            raise SettingError(f"assignors must be some of {', '.join(ASSIGNORS)}, not {', '.join(unknown) or 'none'}")
        self.session_timeout_ms = session_timeout_ms
        self.heartbeat_interval_ms = min(heartbeat_interval_ms, max(1, session_timeout_ms // 3))
        self.poll_timeout_ms = poll_timeout_ms
        self.backoff = backoff or Backoff().after

        self.state = UNJOINED
        self.member_id = ""
        self.generation = NO_GENERATION
        self.protocol = ""
        self.leader = False
        self.members: dict[str, Subscription] = {}
        """As leader: what every member said of itself."""
        self.rejoin_reason = "the member joins for the first time"
        self.lost = False
        self.coordinator_lost = False
        self.failure: EvError | None = None
        """A heartbeat's answer that ends the membership; raised where the application can see it."""
        self.join_not_before_ms = 0
        self.heartbeat_due_ms = 0
        self.heard_ms = 0
        self.polled_ms = 0
        self.skip_assignment = False
        self.failures = 0
        """In a row: of joining, or, once the member has its place, of heartbeats."""
        self.assigned: list[TopicPartition] = []
        self.assigned_in = NO_GENERATION
        """The last assignment and its generation: what a sticky assignor goes by, also after everything was let go of."""

    @property
    def cooperative(self) -> bool:
        """Whether members keep their partitions while the group rebalances: only when every assignor offered can live with it."""
        return all(ASSIGNORS[name].cooperative for name in self.assignors)

    # ---- joining ----

    def wants_to_join(self, now_ms: int) -> bool:
        return self.state in (UNJOINED, STABLE) and bool(self.rejoin_reason) and now_ms >= self.join_not_before_ms

    def rejoin(self, reason: str) -> None:
        """Join again at the next opportunity. The generation holds until then."""
        self.rejoin_reason = self.rejoin_reason or reason

    def join_request(self, topics: Iterable[str], owned: Iterable[TopicPartition]) -> JoinGroupRequest:
        subscription = Subscription(topics, owned=owned if self.cooperative else (), generation=self.generation)
        offers = []
        for name in self.assignors:
            subscription.user_data = ASSIGNORS[name].notes(self.assigned, self.assigned_in)
            offers.append(JoinGroupRequestProtocol(name=name, metadata=encode_subscription(subscription)))
        request = JoinGroupRequest(
            group_id=self.group,
            session_timeout_ms=self.session_timeout_ms,
            rebalance_timeout_ms=self.poll_timeout_ms,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            protocol_type=PROTOCOL_TYPE,
            protocols=offers,
            reason=self.rejoin_reason[:255],
        )
        self.state = JOINING
        self.rejoin_reason = ""
        return request

    def joined(self, response: JoinGroupResponse, now_ms: int) -> None:
        """The answer to `join_request`. Raises KafkaError when joining again cannot help."""
        assert self.state == JOINING
        code = response.error_code
        if code == ErrorCode.MEMBER_ID_REQUIRED:
            self.member_id = response.member_id
            self.back_to_unjoined("the member joins with the id it was given", now_ms)
        elif code != ErrorCode.NONE:
            self.join_failed(code, "JoinGroup", now_ms)
        elif response.protocol_type not in (None, PROTOCOL_TYPE) or response.protocol_name not in self.assignors:
            raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, f"the group chose {response.protocol_name!r}, which was not offered")
        else:
            self.state = JOINED
            self.generation = response.generation_id
            self.member_id = response.member_id
            self.protocol = response.protocol_name or ""
            self.leader = response.leader == response.member_id
            self.skip_assignment = response.skip_assignment
            self.members = {m.member_id: decode_subscription(m.metadata, m.group_instance_id) for m in response.members}
            ASSIGNORS[self.protocol].read_notes(self.members.values())
            self.heard_ms = now_ms

    def topics_of_group(self) -> set[str]:
        """As leader: all topics that some member wants; their partitions have to be known before `sync_request`."""
        return {topic for member in self.members.values() for topic in member.topics}

    def sync_request(self, counts: Mapping[str, int]) -> SyncGroupRequest:
        """As leader with everyone's assignment, computed over `counts` partitions by topic; as follower with none."""
        assert self.state == JOINED
        assignments = []
        if self.leader and not self.skip_assignment:
            result = ASSIGNORS[self.protocol].assign(counts, self.members)
            assignments = [SyncGroupRequestAssignment(member, encode_assignment(given)) for member, given in result.items()]
        self.state = SYNCING
        return SyncGroupRequest(
            group_id=self.group,
            generation_id=self.generation,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            protocol_type=PROTOCOL_TYPE,
            protocol_name=self.protocol,
            assignments=assignments,
        )

    def synced(self, response: SyncGroupResponse, now_ms: int) -> list[TopicPartition] | None:
        """The answer to `sync_request`: the member's partitions, or None when it has to join again."""
        assert self.state == SYNCING
        if response.error_code != ErrorCode.NONE:
            self.join_failed(response.error_code, "SyncGroup", now_ms)
            return None
        if (response.protocol_type or PROTOCOL_TYPE, response.protocol_name or self.protocol) != (PROTOCOL_TYPE, self.protocol):
            message = f"the group joined with {self.protocol!r} and synced with {response.protocol_name!r}"
            raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, message)
        self.state = STABLE
        self.lost = False
        self.heard_ms = now_ms
        self.heartbeat_due_ms = now_ms + self.heartbeat_interval_ms
        self.failures = 0
        self.assigned, self.assigned_in = decode_assignment(response.assignment), self.generation
        return self.assigned

    def join_failed(self, code: int, what: str, now_ms: int) -> None:
        if code in COORDINATOR_MOVED:
            self.coordinator_lost = True
        elif code in FENCED:
            self.forget_generation(code)
        elif code not in TRY_AGAIN:
            self.state = UNJOINED
            self.rejoin_reason = self.rejoin_reason or f"{what} failed"
            raise KafkaError(code)
        self.back_to_unjoined(f"{what} failed with code {code}", now_ms + (0 if code in FENCED else self.next_pause_ms()))

    def connection_broke(self, now_ms: int) -> None:
        """The coordinator went away. What was asked is asked again, of whoever coordinates then."""
        self.coordinator_lost = True
        if self.state in (JOINING, JOINED, SYNCING):
            self.back_to_unjoined("the connection to the coordinator broke", now_ms + self.next_pause_ms())

    def next_pause_ms(self) -> int:
        """How long to wait after one more failure."""
        self.failures += 1
        return self.backoff(self.failures - 1)

    def back_to_unjoined(self, reason: str, not_before_ms: int) -> None:
        self.state = UNJOINED
        self.rejoin(reason)
        self.join_not_before_ms = not_before_ms

    def forget_generation(self, code: int) -> None:
        """The coordinator has given this member up."""
        self.lost = self.lost or self.generation != NO_GENERATION
        self.generation = NO_GENERATION
        if code != ErrorCode.ILLEGAL_GENERATION:
            self.member_id = ""
        self.state = UNJOINED
        self.rejoin(f"the coordinator answered with code {code}")

    def partitions_lost_told(self) -> None:
        self.lost = False

    # ---- staying ----

    def polled(self, now_ms: int) -> None:
        """The application has asked for records: it is alive."""
        self.polled_ms = now_ms

    def poll_overdue(self, now_ms: int) -> bool:
        return self.state == STABLE and now_ms - self.polled_ms > self.poll_timeout_ms

    def session_overdue(self, now_ms: int) -> bool:
        """No answer for a whole session: the coordinator is as good as gone."""
        return self.state == STABLE and now_ms - self.heard_ms > self.session_timeout_ms

    def heartbeat_request(self, now_ms: int) -> HeartbeatRequest | None:
        """The next heartbeat when it is due."""
        if self.state != STABLE or now_ms < self.heartbeat_due_ms:
            return None
        self.heartbeat_due_ms = now_ms + self.heartbeat_interval_ms
        return HeartbeatRequest(
            group_id=self.group, generation_id=self.generation, member_id=self.member_id, group_instance_id=self.instance_id
        )

    def heartbeat_answered(self, code: int, generation: int, now_ms: int) -> None:
        """The answer to a heartbeat that was sent in `generation`; one from an earlier generation says nothing any more."""
        if generation != self.generation or self.state != STABLE:
            return
        if code == ErrorCode.NONE:
            self.heard_ms = now_ms
            self.failures = 0
        elif code == ErrorCode.REBALANCE_IN_PROGRESS:
            self.heard_ms = now_ms
            self.rejoin("the group is rebalancing")
        elif code in COORDINATOR_MOVED:
            self.coordinator_lost = True
            self.heartbeat_unanswered(now_ms)
        elif code in FENCED:
            self.forget_generation(code)
        elif code in TRY_AGAIN:
            self.heartbeat_unanswered(now_ms)
        else:
            self.fail(KafkaError(code))

    def heartbeat_unanswered(self, now_ms: int) -> None:
        """It reached nobody who could answer it: the next one need not wait for the interval."""
        self.heartbeat_due_ms = min(self.heartbeat_due_ms, now_ms + self.next_pause_ms())

    def fail(self, error: EvError) -> None:
        """Membership is over: another process has our instance id, or we may not be in the group."""
        self.failure = error
        self.lost = True
        self.state = UNJOINED
        self.generation = NO_GENERATION

    # ---- committing and leaving ----

    def commit_generation(self) -> int:
        """The generation to commit in. Raises when the place is lost, and while the member joins again: its generation may have passed."""
        if self.generation == NO_GENERATION:
            raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID, FENCED_MESSAGE)
        if self.state != STABLE:
            raise KafkaError(ErrorCode.REBALANCE_IN_PROGRESS)
        return self.generation

    def commit_refused(self, code: int, generation: int) -> None:
        """An offset commit that was sent in `generation` came back with an error; what it says of the membership."""
        if code in COORDINATOR_MOVED or code == ErrorCode.REQUEST_TIMED_OUT:
            self.coordinator_lost = True
        elif generation != self.generation or self.state != STABLE:
            return  # it was sent before the group moved on, which we know
        elif code == ErrorCode.REBALANCE_IN_PROGRESS:
            self.rejoin("the group is rebalancing")
        elif code in FENCED:
            self.forget_generation(code)
        elif code == ErrorCode.FENCED_INSTANCE_ID:
            self.fail(KafkaError(code))

    def leave_request(self, reason: str) -> LeaveGroupRequest | None:
        """Give the place up. None when there is none; a static member's is kept for its return until the session times out."""
        member_id, self.member_id = self.member_id, ""
        was_known, self.generation, self.state = bool(member_id), NO_GENERATION, UNJOINED
        self.rejoin(reason)
        if not was_known or self.instance_id is not None:
            return None
        return LeaveGroupRequest(group_id=self.group, members=[MemberIdentity(member_id, reason=reason[:255])])
