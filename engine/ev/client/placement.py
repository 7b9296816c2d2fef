"""Finds out where reading begins: what the group has committed, or which offset the reset policy means. Never waits; `step` sends and goes.

A new leader is asked whether it has what was read from the old one. Where it has less, reading goes on at the point where the two logs
part, or, without a policy, an error says so.

A partition that wants its committed offset asks the coordinator; where nothing is committed, or where an offset is out of range, the
policy (earliest, latest or none) makes it ask its leader for the offset of an end, or raises.
"""

from __future__ import annotations

from ev.client.offsets import (
    FETCH_VERSION_MAX,
    FETCH_VERSION_OF_MANY_GROUPS,
    epoch_ends,
    epoch_request,
    fetch_request,
    fetched_offsets,
    list_request,
    listed_offsets,
)
from ev.client.positions import RESET_TIMESTAMPS, SETTLED, UNKNOWN, WANTS_COMMITTED, WANTS_RESET
from ev.client.routing import COORDINATOR_MOVED, leader_and_epoch
from ev.errors import ErrorCode, EvError, KafkaError, TimedOutError, UnreachableError, UnsupportedApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev.client.cluster import Cluster
    from ev.client.connection import Ticket
    from ev.client.coordinator import Coordinator
    from ev.client.positions import Position, Positions
    from ev.client.results import CommittedOffset, FoundOffset

    TopicPartition = tuple[str, int]
    Seeks = dict[TopicPartition, int]

LEADERLESS_STEP_MS = 100
"""How often it is looked whether the metadata names a leader by now. Nothing is sent for that."""


class Placement:
    """Gives offsets to positions that have none."""

    def __init__(
        self,
        cluster: Cluster,
        positions: Positions,
        coordinator: Coordinator | None,
        offset_reset: str,
        isolation: int,
        request_timeout_ms: int,
    ) -> None:
        self.cluster = cluster
        self.positions = positions
        self.coordinator = coordinator
        self.offset_reset = offset_reset
        self.isolation = isolation
        self.request_timeout_ms = request_timeout_ms
        self.asking = False
        self.looking_up: set[TopicPartition] = set()
        self.problems: list[EvError] = []

    def place(self, position: Position) -> None:
        """A new partition: begin where the group has committed, if there is a group."""
        if self.coordinator is None:
            position.want_reset(None)
        else:
            position.want_committed()

    def out_of_range(self, position: Position) -> None:
        """The broker does not have the offset (any more)."""
        if self.offset_reset in RESET_TIMESTAMPS:
            position.want_reset(None)
            return
        self.put_off(position)
        message = f"offset {position.fetch_offset} of {position.topic}/{position.index} is out of range, and offset_reset is none"
        self.problems.append(KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, message))

    def leaderless(self, position: Position) -> None:
        """Nobody is known to lead it: ask again, unless the answer was that it is none of our business."""
        position.not_before_ms = self.cluster.now_ms() + LEADERLESS_STEP_MS
        refusal = self.cluster.take_refusal()
        if refusal is not None:
            self.problems.append(refusal)
        self.cluster.request_update()
        code = self.cluster.metadata.topic_errors.get(position.topic)
        if code in (ErrorCode.TOPIC_AUTHORIZATION_FAILED, ErrorCode.INVALID_TOPIC_EXCEPTION):
            self.problems.append(KafkaError(code, f"{KafkaError(code).message}: {position.topic!r}"))

    def step(self, now_ms: int) -> None:
        """Ask for what is wanted and not asked for yet. Nothing is waited for: other partitions may be read meanwhile."""
        wanting = self.positions.wanting(WANTS_COMMITTED, now_ms)
        if wanting and not self.asking:
            self.ask_committed(wanting)
        wanting = [p for p in self.positions.wanting(WANTS_RESET, now_ms) if (p.topic, p.index) not in self.looking_up]
        if wanting:
            self.look_up(wanting, now_ms)

    # ---- committed offsets ----

    def ask_committed(self, wanting: list[Position]) -> None:
        assert self.coordinator is not None
        node = self.coordinator.find_or_wait(0)
        if node is None:
            return
        seeks = {(p.topic, p.index): p.seeks for p in wanting}
        require_stable = self.isolation == 1
        # Every broker that ev works with has version 8; what it offers is known only once the connection stands.
        request = fetch_request(self.coordinator.group, seeks, FETCH_VERSION_OF_MANY_GROUPS, require_stable=require_stable)
        self.asking = True
        self.cluster.send(request, node, version_max=FETCH_VERSION_MAX, callback=lambda ticket: self.committed(ticket, seeks))

    def committed(self, ticket: Ticket, seeks: Seeks) -> None:
        assert self.coordinator is not None
        self.asking = False
        if ticket.error is not None:
            self.put_all_off(seeks)
            self.coordinator.forget()
            if not isinstance(ticket.error, (UnreachableError, TimedOutError)):
                self.problems.append(ticket.error)
            return
        code, found = fetched_offsets(ticket.response)
        if code in COORDINATOR_MOVED:
            self.coordinator.forget()
        if code:
            self.put_all_off(seeks)
            if not KafkaError(code).retriable:
                self.problems.append(KafkaError(code))
            return
        for position in self.still_wanting(seeks, WANTS_COMMITTED):
            self.begin_at_committed(position, found.get((position.topic, position.index)))

    def begin_at_committed(self, position: Position, committed: CommittedOffset | None) -> None:
        if committed is not None and committed.error is not None:
            self.put_off(position)
            if not committed.error.retriable:
                self.problems.append(committed.error)
        elif committed is not None and committed.offset >= 0:
            position.seek(committed.offset, committed.leader_epoch)
        else:
            position.want_reset(None)

    # ---- the ends ----

    def look_up(self, wanting: list[Position], now_ms: int) -> None:
        by_leader: dict[int, dict[TopicPartition, tuple[int, int]]] = {}
        for position in wanting:
            timestamp = position.reset_timestamp
            if timestamp is None:
                timestamp = RESET_TIMESTAMPS.get(self.offset_reset)
            if timestamp is None:
                self.put_off(position)
                message = f"nothing is committed for {position.topic}/{position.index}, and offset_reset is none"
                self.problems.append(KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, message))
                continue
            where = leader_and_epoch(self.cluster, position.topic, position.index)
            if where is None:
                self.leaderless(position)
            else:
                by_leader.setdefault(where[0], {})[position.topic, position.index] = (timestamp, where[1])
        for node, wanted in by_leader.items():
            seeks = {partition: self.positions[partition].seeks for partition in wanted}
            self.looking_up.update(seeks)
            request = list_request(wanted, self.isolation, self.request_timeout_ms)
            self.cluster.send(request, node, callback=lambda ticket, seeks=seeks: self.found(ticket, seeks))  # type: ignore[misc]

    def found(self, ticket: Ticket, seeks: Seeks) -> None:
        self.looking_up.difference_update(seeks)
        if ticket.error is not None:
            self.put_all_off(seeks)
            self.cluster.request_update()
            if not isinstance(ticket.error, (UnreachableError, TimedOutError)):
                self.problems.append(ticket.error)
            return
        answers = listed_offsets(ticket.response)
        for position in self.still_wanting(seeks, WANTS_RESET):
            self.begin_at_end(position, answers.get((position.topic, position.index)))

    def begin_at_end(self, position: Position, answer: FoundOffset | None) -> None:
        if answer is not None and answer.error is None and answer.offset >= 0:
            position.seek(answer.offset, answer.leader_epoch)
            return
        self.put_off(position)
        self.cluster.request_update()
        if answer is not None and answer.error is not None and not answer.error.retriable:
            self.problems.append(answer.error)

    # ---- new leaders ----

    def check(self, positions: list[Position], node: int, leader_epoch: dict[TopicPartition, int]) -> None:
        """Ask the leader of these where the epochs ended in which they were read."""
        asked = {
            (p.topic, p.index): (leader_epoch[p.topic, p.index], p.epoch) for p in positions if (p.topic, p.index) not in self.looking_up
        }
        if not asked:
            return
        seeks = {partition: self.positions[partition].seeks for partition in asked}
        self.looking_up.update(asked)
        epochs = {partition: current for partition, (current, _) in asked.items()}
        request = epoch_request(asked)
        self.cluster.send(request, node, callback=lambda ticket: self.checked(ticket, seeks, epochs))

    def checked(self, ticket: Ticket, seeks: Seeks, epochs: dict[TopicPartition, int]) -> None:
        self.looking_up.difference_update(seeks)
        if isinstance(ticket.error, UnsupportedApiError):
            answers = dict.fromkeys(seeks, (ErrorCode.NONE, UNKNOWN, UNKNOWN))
        elif ticket.error is not None:
            self.put_all_off(seeks)
            self.cluster.request_update()
            if not isinstance(ticket.error, (UnreachableError, TimedOutError)):
                self.problems.append(ticket.error)
            return
        else:
            answers = epoch_ends(ticket.response)
        for position in self.still_wanting(seeks, SETTLED):
            partition = position.topic, position.index
            self.judge(position, epochs[partition], *answers.get(partition, (ErrorCode.UNKNOWN_SERVER_ERROR, UNKNOWN, UNKNOWN)))

    def judge(self, position: Position, leader_epoch: int, code: int, epoch: int, end_offset: int) -> None:
        """The leader's word: `epoch`, the newest it has that is not above ours, ends at `end_offset`; -1 when it has no word to say."""
        if code:
            self.put_off(position)
            self.cluster.request_update()
            if not KafkaError(code).retriable and code != ErrorCode.UNKNOWN_SERVER_ERROR:
                self.problems.append(KafkaError(code))
        elif end_offset < 0 or end_offset >= position.offset:
            position.checked_epoch = leader_epoch
        elif self.offset_reset in RESET_TIMESTAMPS:
            position.seek(end_offset, epoch)
            position.checked_epoch = leader_epoch
        else:
            self.put_off(position)
            message = (
                f"{position.topic}/{position.index} was cut back to offset {end_offset}, after it had been read up to {position.offset}"
            )
            self.problems.append(KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, message))

    # ---- all ----

    def put_off(self, position: Position) -> None:
        position.put_off(self.cluster.now_ms(), self.cluster.backoff.after)

    def put_all_off(self, seeks: Seeks) -> None:
        for partition in seeks:
            position = self.positions.get(partition)
            if position is not None:
                self.put_off(position)

    def still_wanting(self, seeks: Seeks, state: str) -> list[Position]:
        """The positions that were asked for and have neither been sought elsewhere nor been taken away meanwhile."""
        found = [(self.positions.get(partition), count) for partition, count in seeks.items()]
        return [position for position, count in found if position is not None and position.seeks == count and position.state == state]
