"""One member of one group of the new protocol (KIP-848): what its next heartbeat says, and what each answer makes of it.

    OUT ──── partitions_lost_told ────> JOINING ──── answered ────> STABLE
     ^                                     │                          │
     └── given up: by the coordinator, or because the application ────┘
         stayed away for too long

No sockets, no threads, no clock. Heartbeats are all there is: the member says what is new with it (what it subscribes to, what it has),
and is told its epoch and, when that has changed, the partitions it is to have (`target`). The coordinator decides who reads what, and
tells nobody of a partition before its last owner has said that it let go.

- *News* leaves at once, everything else by the interval that the coordinator asks for. A heartbeat that was not answered may have been
  taken or not: the next one says everything again, so that the coordinator can tell.
- The *epoch* is the member's proof, as the generation is in a classic group; commits carry it. It grows whenever the member has taken a
  step. Who commits with one that has passed (STALE_MEMBER_EPOCH) hears the new one with the next heartbeat, and commits again.
- A member that is *fenced* (FENCED_MEMBER_EPOCH, UNKNOWN_MEMBER_ID) has nothing any more: its partitions may be with others. It is OUT
  until the application has been told, and joins then under the same id, with epoch 0.
- A *static* member leaves with epoch -2, which keeps its place for its return. While the coordinator waits for one that died without a
  word, its successor is told UNRELEASED_INSTANCE_ID and asks again, for as long as a session lasts.

Whoever drives this from two threads (heartbeats have their own) puts one lock around it.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode

from ev.client.cluster import Backoff
from ev.errors import ErrorCode, KafkaError, error_name
from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, TopicPartitions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ev.errors import EvError
    from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatResponse

    Partitions = dict[bytes, list[int]]
    """By topic id."""

JOINING, STABLE, OUT, FAILED = "joining", "stable", "out", "failed"
JOIN_EPOCH, LEAVE_EPOCH, STATIC_LEAVE_EPOCH = 0, -1, -2
INTERVAL_MS = 5_000
"""Between heartbeats, until the coordinator has said what it wants."""
UNRELEASED_MS_MAX = 70_000
"""How long the coordinator may wait for a static member that died: Kafka's longest session is 60 s unless it was told otherwise."""

COORDINATOR_MOVED = frozenset((ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NOT_COORDINATOR))
FENCED = frozenset((ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION))
TRY_AGAIN = frozenset((ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.REQUEST_TIMED_OUT, ErrorCode.NETWORK_EXCEPTION))
FENCED_MESSAGE = "the member has lost its place in the group: its partitions may be read by others, nothing was committed"
NOT_SERVED = (
    "groups of the new protocol (KIP-848) are not served here: they need ev, or an Apache Kafka of release 4.0 or later whose "
    "group.coordinator.rebalance.protocols has consumer; the classic protocol works everywhere"
)


def new_member_id(random_bytes: bytes) -> str:
    """An id as Kafka's clients make them (KIP-1082): 16 bytes by chance, in letters and digits."""
    return urlsafe_b64encode(random_bytes).decode().rstrip("=")


class ConsumerMembership:
    """The state of the member. `poll_timeout_ms` is how long the application may stay away before the member gives its place up, and how
    long the coordinator waits for it to let go of partitions."""

    def __init__(
        self,
        group: str,
        member_id: str,
        *,
        instance_id: str | None = None,
        remote_assignor: str | None = None,
        rack: str = "",
        poll_timeout_ms: int = 300_000,
        backoff: Callable[[int], int] | None = None,
    ) -> None:
        self.group = group
        self.member_id = member_id
        self.instance_id = instance_id
        self.remote_assignor = remote_assignor
        self.rack = rack
        self.poll_timeout_ms = poll_timeout_ms
        self.backoff = backoff or Backoff().after

        self.state = JOINING
        self.epoch = JOIN_EPOCH
        self.target: Partitions | None = None
        """What the member is to have; None before it was told. Each answer that says it anew makes a new object."""
        self.lost = False
        self.coordinator_lost = False
        self.failure: EvError | None = None
        """What ended the membership; raised where the application can see it."""
        self.problem: EvError | None = None
        """What does not end it, and is raised once."""
        self.interval_ms = INTERVAL_MS
        self.heartbeat_due_ms = 0
        self.not_before_ms = 0
        self.polled_ms = 0
        self.heard_ms = 0
        self.topics: list[str] = []
        self.pattern: str | None = None
        self.owned: Partitions = {}
        self._had_pattern = False
        self._said: dict[str, Any] = {}
        """What the coordinator is known to know; nothing after a heartbeat that was not answered."""
        self._asked: dict[str, Any] | None = None
        """What the heartbeat says that is on its way."""
        self._failures = 0
        self._refused_since_ms: int | None = None
        self._may_be_member = False

    # ---- what the member says ----

    def subscribe(self, topics: Iterable[str], pattern: str | None) -> bool:
        """What it wants to read: these topics, and those whose whole name the pattern matches (RE2, by the coordinator). Whether that
        is something new."""
        before = self.topics, self.pattern
        self.topics = sorted(topics)
        self.pattern = pattern
        self._had_pattern = self._had_pattern or pattern is not None
        return before != (self.topics, pattern)

    def owns(self, partitions: Partitions) -> bool:
        """What the consumer has, once it has taken up what it was told to have and let go of the rest. Whether that is something new."""
        if self.state != STABLE or self.owned == partitions:
            return False
        self.owned = partitions
        return True

    def _facts(self) -> dict[str, Any]:
        return {
            "rack_id": self.rack or None,
            "rebalance_timeout_ms": self.poll_timeout_ms,
            "subscribed_topic_names": self.topics,
            "subscribed_topic_regex": self.pattern or ("" if self._had_pattern else None),
            "server_assignor": self.remote_assignor,
            "topic_partitions": self.owned,
        }

    def _news(self) -> dict[str, Any]:
        return {name: value for name, value in self._facts().items() if name not in self._said or self._said[name] != value}

    @property
    def may_speak(self) -> bool:
        """Whether there are heartbeats at all: not while the application has to be told that its partitions are lost, nor at the end."""
        return self.state in (JOINING, STABLE)

    def due_ms(self) -> int:
        """When the next heartbeat is due: news at once. What failed lately is not tried again before its back-off is over."""
        return max(self.not_before_ms, 0 if self.state == JOINING or self._news() else self.heartbeat_due_ms)

    def heartbeat_request(self, now_ms: int) -> ConsumerGroupHeartbeatRequest | None:
        """The next heartbeat when it is due. One is on its way at a time."""
        if not self.may_speak or self._asked is not None or now_ms < self.due_ms():
            return None
        self._asked = self._facts() if self.state == JOINING else self._news()
        self._may_be_member = True
        self.heartbeat_due_ms = now_ms + self.interval_ms
        said = dict(self._asked)
        if "topic_partitions" in said:
            said["topic_partitions"] = [TopicPartitions(topic_id, indexes) for topic_id, indexes in said["topic_partitions"].items()]
        return ConsumerGroupHeartbeatRequest(
            group_id=self.group, member_id=self.member_id, member_epoch=self.epoch, instance_id=self.instance_id, **said
        )

    # ---- what it is told ----

    def answered(self, response: ConsumerGroupHeartbeatResponse, now_ms: int) -> None:
        """The answer to the heartbeat that is on its way. When the place was lost meanwhile, it says nothing any more."""
        asked, self._asked = self._asked, None
        if not self.may_speak or asked is None:
            return
        code = response.error_code
        if code == ErrorCode.NONE:
            self._accepted(response, asked, now_ms)
        elif code in COORDINATOR_MOVED:
            self.coordinator_lost = True
            self._try_again(now_ms)
        elif code in TRY_AGAIN:
            self._try_again(now_ms)
        elif code in FENCED or (code == ErrorCode.GROUP_ID_NOT_FOUND and self.state == STABLE):
            self._try_again(now_ms)
            self._out()
        elif code == ErrorCode.TOPIC_AUTHORIZATION_FAILED:
            self.problem = KafkaError(code, response.error_message)
            self._try_again(now_ms)
        elif code == ErrorCode.UNRELEASED_INSTANCE_ID and self._may_wait(now_ms):
            self._try_again(now_ms)
        else:
            self.fail(KafkaError(code, self._explained(code, response.error_message)))

    def _accepted(self, response: ConsumerGroupHeartbeatResponse, asked: dict[str, Any], now_ms: int) -> None:
        self._failures = 0
        self._refused_since_ms = None
        self._said |= asked
        self.state = STABLE
        self.member_id = response.member_id or self.member_id
        self.epoch = response.member_epoch
        self.heard_ms = now_ms
        self.heartbeat_due_ms += response.heartbeat_interval_ms - self.interval_ms
        self.interval_ms = response.heartbeat_interval_ms
        if response.assignment is not None:
            self.target = {bytes(item.topic_id): sorted(item.partitions) for item in response.assignment.topic_partitions}

    def unanswered(self, now_ms: int) -> None:
        """The connection broke, or time was over: nobody knows whether the coordinator has taken it in."""
        self._asked = None
        self._try_again(now_ms)

    def _try_again(self, now_ms: int) -> None:
        self._said = {}
        self.not_before_ms = now_ms + self.backoff(self._failures)
        self._failures += 1

    def _may_wait(self, now_ms: int) -> bool:
        if self._refused_since_ms is None:
            self._refused_since_ms = now_ms
        return now_ms - self._refused_since_ms < UNRELEASED_MS_MAX

    def _explained(self, code: int, message: str | None) -> str | None:
        if code == ErrorCode.GROUP_ID_NOT_FOUND:
            return f"group {self.group!r} is in use by members of another protocol, which cannot be joined: {message or error_name(code)}"
        if code == ErrorCode.UNSUPPORTED_VERSION:
            return NOT_SERVED
        if code == ErrorCode.UNRELEASED_INSTANCE_ID:
            return f"another member of group {self.group!r} is alive under the instance id {self.instance_id!r}"
        return message

    def _out(self) -> None:
        self.state = OUT
        self.lost = True
        self.epoch = JOIN_EPOCH
        self.target = None
        self._said = {}
        self._asked = None  # an answer that is still to come says nothing any more

    def partitions_lost_told(self) -> None:
        """The application has let go of everything: the member may join again."""
        self.lost = False
        self.owned = {}
        if self.state == OUT:
            self.state = JOINING

    def fail(self, error: EvError) -> None:
        """Membership is over: another process has our instance id, or we may not be in the group."""
        self._out()
        self.failure = error
        self.state = FAILED

    # ---- the application ----

    def polled(self, now_ms: int) -> None:
        """The application has asked for records: it is alive."""
        self.polled_ms = now_ms

    def poll_overdue(self, now_ms: int) -> bool:
        return self.state == STABLE and now_ms - self.polled_ms > self.poll_timeout_ms

    def place_given_up(self) -> ConsumerGroupHeartbeatRequest | None:
        """The application stays away: what the member had goes to others, until it comes back."""
        request = self.leave_request()
        self._out()
        return request

    # ---- committing and leaving ----

    @property
    def may_commit(self) -> bool:
        """Whether the member has its place."""
        return self.state == STABLE

    def commit_epoch(self) -> int:
        """The epoch to commit in. Raises when the place is lost, or not taken yet."""
        if self.state != STABLE:
            raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID, FENCED_MESSAGE)
        return self.epoch

    def commit_refused(self, code: int, epoch: int) -> None:
        """An offset commit that was sent in `epoch` came back with an error; what it says of the membership."""
        if code in COORDINATOR_MOVED or code == ErrorCode.REQUEST_TIMED_OUT:
            self.coordinator_lost = True
        elif epoch != self.epoch or self.state != STABLE:
            return  # the member has gone on since, which we know
        elif code == ErrorCode.STALE_MEMBER_EPOCH:
            self._said = {}  # the answer that had the new one is on its way or lost: ask, and say everything
        elif code in FENCED:
            self._out()
        elif code == ErrorCode.FENCED_INSTANCE_ID:
            self.fail(KafkaError(code))

    def leave_request(self) -> ConsumerGroupHeartbeatRequest | None:
        """Give the place up, or, as a static member, leave it for a while. None when there is none."""
        if not self._may_be_member:
            return None
        self._may_be_member = False
        epoch = LEAVE_EPOCH if self.instance_id is None else STATIC_LEAVE_EPOCH
        return ConsumerGroupHeartbeatRequest(
            group_id=self.group, member_id=self.member_id, member_epoch=epoch, instance_id=self.instance_id
        )
