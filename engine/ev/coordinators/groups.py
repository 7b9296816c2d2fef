"""All groups of this broker: who they are, what was committed for them, what comes due.

Every public method but the questions takes one request (or the time) and returns a `Decision`; see `ev.coordinators.decision`.
What the log knows changes in `replay()` only. What it does not know, the rebalances in flight, changes while deciding and is
given up by `refused()` when the log refuses a decision (see `ev.coordinators.classic`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ev.coordinators.classic import ClassicGroup, State
from ev.coordinators.classic_members import ClassicMembers
from ev.coordinators.classic_rebalance import Deadline, Rebalance
from ev.coordinators.classic_replies import left
from ev.coordinators.classic_requests import ClassicRequests, leaving
from ev.coordinators.consumer_changes import OF_MEMBERS, Changes
from ev.coordinators.consumer_group_records import ConsumerKey, is_consumer_key, read_consumer_key
from ev.coordinators.consumer_groups import ConsumerGroups, Refused
from ev.coordinators.deadlines import Deadlines
from ev.coordinators.decision import Caller, Decision, Now, Record
from ev.coordinators.expiry import EXPIRE, Expiry
from ev.coordinators.group_questions import GroupQuestions
from ev.coordinators.group_records import (
    GroupKey,
    OffsetKey,
    group_key,
    is_group_key,
    offset_key,
    offset_value,
    read_group_value,
    read_key,
    read_member,
    read_offset_value,
)
from ev.coordinators.migration import CannotMigrate, Migration
from ev.coordinators.offsets import Offsets, Topics, commit_error, transactional_commit_error
from ev.errors import ErrorCode
from ev.wire.messages.k15_describe_groups import DescribeGroupsResponse
from ev.wire.messages.k16_list_groups import ListGroupsResponse
from ev.wire.messages.k42_delete_groups import DeletableGroupResult, DeleteGroupsResponse
from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatResponse
from ev.wire.messages.k69_consumer_group_describe import ConsumerGroupDescribeResponse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ev.coordinators.consumer_group import ConsumerGroup
    from ev.coordinators.group_config import GroupConfigs
    from ev.randomness import Randomness
    from ev.settings import Settings
    from ev.wire.messages.k08_offset_commit import OffsetCommitRequest
    from ev.wire.messages.k09_offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup
    from ev.wire.messages.k11_join_group import JoinGroupRequest
    from ev.wire.messages.k12_heartbeat import HeartbeatRequest
    from ev.wire.messages.k13_leave_group import LeaveGroupRequest
    from ev.wire.messages.k14_sync_group import SyncGroupRequest
    from ev.wire.messages.k15_describe_groups import DescribeGroupsRequest
    from ev.wire.messages.k16_list_groups import ListGroupsRequest
    from ev.wire.messages.k28_txn_offset_commit import TxnOffsetCommitRequest
    from ev.wire.messages.k42_delete_groups import DeleteGroupsRequest
    from ev.wire.messages.k47_offset_delete import OffsetDeleteRequest
    from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
    from ev.wire.messages.k69_consumer_group_describe import ConsumerGroupDescribeRequest


class Groups:
    def __init__(self, settings: Settings, randomness: Randomness, topics: Topics, configs: GroupConfigs) -> None:
        self._settings = settings
        self._groups: dict[str, ClassicGroup] = {}
        self._offsets = Offsets(settings, topics)
        self._deadlines: Deadlines[Deadline] = Deadlines()
        self._expiry = Expiry(settings, self._offsets, self._deadlines)
        self._rebalance = Rebalance(settings, self._deadlines)
        self._requests = ClassicRequests(settings, randomness, self._rebalance)
        self._changes = Changes(settings, topics, configs, self._deadlines)
        self._migration = Migration(settings, topics, self._groups, self._rebalance, self._changes)
        self._consumers = ConsumerGroups(settings, randomness, configs, self._changes, self._migration, self._deadlines)
        self._classic_members = ClassicMembers(
            settings, randomness, topics, self._consumers, self._changes, self._migration, self._deadlines
        )
        self._questions = GroupQuestions(settings, self._groups, self._consumers.groups, topics)

    # ---- members

    def join(self, request: JoinGroupRequest, caller: Caller, now: Now) -> Decision:
        decision = Decision((request.group_id,))
        group = self._groups.get(request.group_id)
        low, high = self._settings.group_min_session_timeout_ms, self._settings.group_max_session_timeout_ms
        if not request.group_id:
            return decision.refuse(caller, ErrorCode.INVALID_GROUP_ID)
        if not low <= request.session_timeout_ms <= high:
            return decision.refuse(caller, ErrorCode.INVALID_SESSION_TIMEOUT)
        consumers = self._consumers.groups.get(request.group_id)
        if consumers is not None:
            if request.member_id and not consumers.members:
                return decision.refuse(caller, ErrorCode.UNKNOWN_MEMBER_ID)
            if consumers.members:
                self._classic_members.join(consumers, request, caller, now, decision)
                return decision
            self._changes.bury(consumers, decision)
        if group is None:
            if request.member_id:
                return decision.refuse(caller, ErrorCode.UNKNOWN_MEMBER_ID)
            group = self._groups[request.group_id] = ClassicGroup(request.group_id)
        self._requests.join(group, request, caller, now, decision)
        self._drop_if_unused(group, decision)
        return decision

    def sync(self, request: SyncGroupRequest, caller: Caller, now: Now) -> Decision:
        decision = Decision((request.group_id,))
        consumers = self._consumers.groups.get(request.group_id)
        if consumers is not None:
            self._classic_members.sync(consumers, request, caller, now, decision)
            return decision
        group = self._groups.get(request.group_id)
        if group is None or not request.group_id:
            return decision.refuse(caller, _missing(request.group_id))
        self._requests.sync(group, request, caller, now, decision)
        return decision

    def heartbeat(self, request: HeartbeatRequest, caller: Caller, now: Now) -> Decision:
        decision = Decision((request.group_id,))
        consumers = self._consumers.groups.get(request.group_id)
        if consumers is not None:
            self._classic_members.heartbeat(consumers, request, caller, now, decision)
            return decision
        group = self._groups.get(request.group_id)
        if group is None or not request.group_id:
            return decision.refuse(caller, _missing(request.group_id))
        self._requests.heartbeat(group, request, caller, now, decision)
        return decision

    def leave(self, request: LeaveGroupRequest, caller: Caller, now: Now) -> Decision:
        decision = Decision((request.group_id,))
        group = self._groups.get(request.group_id)
        if not request.group_id:
            return decision.refuse(caller, ErrorCode.INVALID_GROUP_ID)
        consumers = self._consumers.groups.get(request.group_id)
        if consumers is not None:
            self._classic_members.leave(consumers, request, caller, now, decision)
            return decision
        if group is None:
            outcomes = [(identity, ErrorCode.UNKNOWN_MEMBER_ID) for identity in leaving(request, caller.version)]
            decision.reply(caller, left(caller.version, outcomes))
            return decision
        self._requests.leave(group, request, caller, now, decision)
        self._drop_if_unused(group, decision)
        return decision

    # ---- members of the new protocol

    def consumer_heartbeat(self, request: ConsumerGroupHeartbeatRequest, caller: Caller, now: Now) -> Decision:
        decision = Decision((request.group_id,))
        try:
            self._consumers.check(request, caller.version)
            self._consumer_heartbeat(self._groups.get(request.group_id), request, caller, now, decision)
        except Refused as refused:
            decision.records.clear()  # a group that was to migrate stays what it is
            answer = ConsumerGroupHeartbeatResponse(error_code=refused.code, error_message=refused.message)
            decision.reply(caller, answer)
        return decision

    def _consumer_heartbeat(
        self, classic: ClassicGroup | None, request: ConsumerGroupHeartbeatRequest, caller: Caller, now: Now, decision: Decision
    ) -> None:
        """Whoever joins a classic group makes it one of the new protocol. Raises Refused."""
        if classic is None:
            self._consumers.heartbeat(self._consumers.groups.get(request.group_id), request, caller, now, decision)
        elif request.member_epoch != 0:
            raise Refused(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {request.group_id} is not a consumer group.")
        elif classic.state is State.EMPTY:
            if classic.persisted is not None or classic.pending_members:
                decision.write(classic.group_id, group_key(classic.group_id), None)
            self._consumers.heartbeat(None, request, caller, now, decision)
        else:
            try:
                group = self._migration.upgraded(classic, decision)
            except CannotMigrate as problem:
                raise Refused(ErrorCode.GROUP_ID_NOT_FOUND, str(problem)) from problem
            self._consumers.heartbeat(group, request, caller, now, decision)
            self._migration.call_back(classic, group, now, decision)

    # ---- offsets

    def commit_offsets(self, request: OffsetCommitRequest, caller: Caller, now: Now) -> Decision:
        decision = Decision((request.group_id,))
        group = self._groups.get(request.group_id)
        consumers = self._consumers.groups.get(request.group_id)
        if consumers is not None:
            epoch = request.generation_id_or_member_epoch
            error_code = self._consumers.commit_error(
                consumers, request.member_id, epoch, caller.version, partial(self._offsets.places_in, request.topics, caller.version)
            )
        else:
            error_code = commit_error(group, request, caller.version)
        if error_code:
            return decision.refuse(caller, error_code)
        member = group.members.get(request.member_id) if group is not None else None
        if group is not None and member is not None:
            self._requests.heard_of(group, member, now)
        decision.reply(caller, self._offsets.commit(request, caller.version, now, decision))
        return decision

    def commit_offsets_in_transaction(self, request: TxnOffsetCommitRequest, caller: Caller, now: Now) -> Decision:
        decision = Decision((request.group_id,), producer=(request.producer_id, request.producer_epoch))
        if not request.group_id:
            return decision.refuse(caller, ErrorCode.INVALID_GROUP_ID)
        consumers = self._consumers.groups.get(request.group_id)
        if consumers is not None:
            member_id, epoch = request.member_id, request.generation_id
            places = partial(self._offsets.places_in, request.topics)
            error_code = self._consumers.commit_error(consumers, member_id, epoch, caller.version, places, in_transaction=True)
        else:
            error_code = transactional_commit_error(self._groups.get(request.group_id), request)
        if error_code:
            return decision.refuse(caller, error_code)
        decision.reply(caller, self._offsets.commit_in_transaction(request, now, decision))
        return decision

    def fetch_offsets(self, request: OffsetFetchRequest, caller: Caller, now: Now) -> Decision:
        groups = tuple(group.group_id for group in request.groups) if caller.version >= 8 else (request.group_id,)
        decision = Decision(groups)
        errors = {group.group_id: self._fetch_error(group, caller.version) for group in request.groups} if caller.version >= 9 else {}
        decision.reply(caller, self._offsets.fetch(request, caller.version, errors))
        return decision

    def _fetch_error(self, group: OffsetFetchRequestGroup, version: int) -> int:
        """Why a member of a group of the new protocol is not told its offsets; NONE when it is, or when nobody in particular asks."""
        consumers = self._consumers.groups.get(group.group_id)
        if consumers is None or (group.member_id is None and group.member_epoch < 0):
            return ErrorCode.NONE
        return self._consumers.member_error(consumers, group.member_id or "", group.member_epoch)

    def delete_offsets(self, request: OffsetDeleteRequest, caller: Caller, now: Now) -> Decision:
        decision = Decision((request.group_id,))
        if not request.group_id:
            return decision.refuse(caller, ErrorCode.INVALID_GROUP_ID)
        consumers = self._consumers.groups.get(request.group_id)
        if consumers is not None:
            return decision.reply_with(caller, self._offsets.delete(consumers, request, decision))
        group = self._groups.get(request.group_id)
        if group is None:
            return decision.refuse(caller, ErrorCode.GROUP_ID_NOT_FOUND)
        if group.state is not State.EMPTY and not group.uses_consumer_protocol:
            return decision.refuse(caller, ErrorCode.NON_EMPTY_GROUP)
        decision.reply(caller, self._offsets.delete(group, request, decision))
        return decision

    def topic_deleted(self, topic: str, topic_id: bytes) -> Decision:
        """Forget what was committed on this topic. To be called when its deletion can no longer be lost."""
        decision = Decision()
        for group_id in self._offsets.group_ids():
            self._offsets.forget_topic(group_id, topic, topic_id, decision)
        return decision

    # ---- groups

    def describe_groups(self, request: DescribeGroupsRequest, caller: Caller, now: Now) -> Decision:
        described = [self._questions.described_classic(each, caller.version) for each in request.groups]
        return Decision(tuple(request.groups)).reply_with(caller, DescribeGroupsResponse(groups=described))

    def describe_consumer_groups(self, request: ConsumerGroupDescribeRequest, caller: Caller, now: Now) -> Decision:
        described = [self._questions.described_consumer(each) for each in request.group_ids]
        return Decision(tuple(request.group_ids)).reply_with(caller, ConsumerGroupDescribeResponse(groups=described))

    @property
    def count(self) -> int:
        return len(self._groups) + len(self._consumers.groups)

    def states(self) -> Iterator[str]:
        """The state of every group."""
        yield from (group.state for group in self._groups.values())
        yield from (group.state_name for group in self._consumers.groups.values())

    def list_groups(self, request: ListGroupsRequest, caller: Caller, now: Now) -> Decision:
        answer = ListGroupsResponse(error_code=ErrorCode.NONE, groups=self._questions.listed(request))
        return Decision(None).reply_with(caller, answer)

    def delete_groups(self, request: DeleteGroupsRequest, caller: Caller, now: Now) -> Decision:
        decision = Decision(tuple(request.groups_names))
        results = []
        for group_id in dict.fromkeys(request.groups_names):
            error_code = self._delete_error(group_id)
            results.append(DeletableGroupResult(group_id=group_id, error_code=error_code))
            if not error_code and group_id in self._consumers.groups:
                self._offsets.forget_group(group_id, decision)
                self._changes.bury(self._consumers.groups[group_id], decision)
            elif not error_code:
                self._bury(self._groups[group_id], decision)
        decision.reply(caller, DeleteGroupsResponse(results=results))
        return decision

    def _delete_error(self, group_id: str) -> int:
        consumers = self._consumers.groups.get(group_id)
        if consumers is not None:
            return ErrorCode.NON_EMPTY_GROUP if consumers.members else ErrorCode.NONE
        group = self._groups.get(group_id)
        if group is None:
            return ErrorCode.GROUP_ID_NOT_FOUND
        return ErrorCode.NONE if group.state is State.EMPTY else ErrorCode.NON_EMPTY_GROUP

    def _bury(self, group: ClassicGroup, decision: Decision) -> None:
        self._offsets.forget_group(group.group_id, decision)
        decision.write(group.group_id, group_key(group.group_id), None)

    # ---- time

    def next_deadline_ms(self) -> int | None:
        """The monotonic time at which to call `pass_time`; None when nothing can come due."""
        return self._deadlines.next_ms()

    def pass_time(self, now: Now) -> Decision | None:
        """What the next deadline that has come brings about; None when there is none left. Call until then."""
        due = self._deadlines.pop_due(now.monotonic_ms)
        if due is None:
            return None
        decision = Decision((due.group_id,))
        if due.kind in OF_MEMBERS:
            self._consumers.late(due, now, decision)
            return decision
        consumers = self._consumers.groups.get(due.group_id)
        if consumers is not None:
            if due.kind == EXPIRE:
                self._expiry.pass_over(consumers, now, decision)
            return decision
        group = self._groups.get(due.group_id)
        if group is None:
            return decision
        match due.kind:
            case "session":
                self._rebalance.lose(group, [group.members[due.member_id]], now, decision)
            case "pending":
                group.pending_members.discard(due.member_id)
                if group.state is State.PREPARING_REBALANCE:
                    self._rebalance.go_on(group, now, decision)
            case "join":
                self._rebalance.join_deadline_passed(group, now, decision)
            case "sync":
                late = [group.members[member_id] for member_id in group.members if member_id in group.pending_syncs]
                self._rebalance.lose(group, late, now, decision)
            case _:
                self._expiry.pass_over(group, now, decision)
        self._drop_if_unused(group, decision)
        return decision

    # ---- the log

    def replay(self, key: bytes, value: bytes | None, now: Now) -> None:
        """Take over one record of the log: at the start all of them, later each one as soon as it is appended.

        Raises MalformedError.
        """
        about = read_key(key)
        if isinstance(about, OffsetKey):
            self._replay_offset(about, value, now)
        elif isinstance(about, GroupKey):
            self._replay_group(about.group_id, value, now)
        elif (consumer_key := read_consumer_key(key)) is not None:
            self._replay_consumer(consumer_key, value, now)

    def _replay_consumer(self, about: ConsumerKey, value: bytes | None, now: Now) -> None:
        group_id = about.group_id
        self._consumers.replay(about, value)
        consumers = self._consumers.groups.get(group_id)
        if consumers is not None and value is not None:
            if self._groups.pop(group_id, None) is not None:  # it held offsets only
                self._expiry.expect(consumers, now)
        elif consumers is None and self._offsets.of_group(group_id) and group_id not in self._groups:
            self._expiry.expect(self._groups.setdefault(group_id, ClassicGroup(group_id)), now)

    def _group(self, group_id: str) -> ClassicGroup | ConsumerGroup:
        """The group of this name, of whichever protocol; one that holds offsets only if there was none."""
        known = self._consumers.groups.get(group_id) or self._groups.get(group_id)
        if known is None:
            known = self._groups[group_id] = ClassicGroup(group_id)
        return known

    def _replay_offset(self, about: OffsetKey, value: bytes | None, now: Now) -> None:
        if value is not None:
            committed = read_offset_value(value)
            group = self._group(about.group_id)
            self._offsets.put(about.group_id, about.topic, about.partition, committed)
            if not self._expiry.is_expected(about.group_id) and not group.is_subscribed(about.topic):
                self._expiry.expect(group, now)
            return
        self._offsets.remove(about.group_id, about.topic, about.partition)
        classic = self._groups.get(about.group_id)
        if classic is not None:
            self._remove_if_unused(classic)

    def _replay_group(self, group_id: str, value: bytes | None, now: Now) -> None:
        group = self._groups.get(group_id)
        if value is None:
            if group is not None:
                self._rebalance.forget(group)
                group.persisted = None
                group.reset()
                self._remove_if_unused(group)
            return
        read = read_group_value(value)
        if group is None:
            group = self._groups[group_id] = ClassicGroup(group_id)
        group.persisted = value
        group.install(
            [(read_member(member, read.protocol), bytes(member.assignment)) for member in read.members],
            generation=read.generation,
            protocol_type=read.protocol_type or None,
            protocol=read.protocol,
            leader=read.leader if read.leader is not None or not read.members else read.members[0].member_id,
            state_timestamp_ms=read.current_state_timestamp if read.current_state_timestamp >= 0 else None,
        )
        self._expiry.expect(group, now)
        if read.leader is None and read.members:  # nobody has assigned this generation: the group has just changed its protocol
            self._rebalance.prepare(group, now, Decision())

    def replay_pending(self, key: bytes, value: bytes | None, producer_id: int) -> None:
        """Take over one record that a transaction has written and that its end decides about. Raises MalformedError."""
        about = read_key(key)
        if isinstance(about, OffsetKey) and value is not None:
            committed = read_offset_value(value)
            self._group(about.group_id)
            self._offsets.put_pending(about.group_id, producer_id, about.topic, about.partition, committed)

    def pending_groups(self, producer_id: int) -> list[str]:
        """The groups for which the producer's open transaction has committed offsets."""
        return self._offsets.pending_groups(producer_id)

    def transaction_ended(self, producer_id: int, group_id: str, *, commits: bool, now: Now) -> None:
        """The marker of the producer's transaction is in the group's log: what it committed counts, or never did."""
        self._offsets.settle(group_id, producer_id, commits=commits)
        group = self._group(group_id)
        self._expiry.expect(group, now)
        if isinstance(group, ClassicGroup):
            self._remove_if_unused(group)

    def pending_records_of(self, group_id: str) -> dict[int, list[Record]]:
        """What the log must say of the group's pending offsets, by producer id."""
        return {
            producer_id: [Record(group_id, offset_key(group_id, *place), offset_value(committed)) for place, committed in offsets.items()]
            for producer_id, offsets in self._offsets.pending_of(group_id).items()
        }

    def group_ids(self) -> list[str]:
        return [*self._groups, *self._consumers.groups]

    def summary(self, group_id: str) -> str:
        """The group in a few words, for the log."""
        consumers = self._consumers.groups.get(group_id)
        if consumers is not None:
            return f"is {consumers.state_name} in epoch {consumers.epoch} with {len(consumers.members)} members"
        group = self._groups.get(group_id)
        if group is None:
            return "is forgotten"
        return f"is {group.state} in generation {group.generation} with {len(group.members)} members"

    def records_of(self, group_id: str) -> list[Record]:
        """Everything that the log must say of a group."""
        consumers = self._consumers.groups.get(group_id)
        if consumers is not None:
            return self._offsets.records_of(group_id) + self._changes.records_of(consumers)
        group = self._groups.get(group_id)
        if group is None:
            return []
        records = self._offsets.records_of(group_id)
        if group.persisted is not None:
            records.append(Record(group_id, group_key(group_id), group.persisted))
        return records

    def loaded(self, now: Now) -> Decision:
        """The log has been replayed: sessions begin anew, and what a crash kept from being forgotten is forgotten now."""
        decision = Decision()
        for group in self._groups.values():
            for member in group.members.values():
                self._rebalance.restart_session(group, member, now)
            self._expiry.expect(group, now)
            self._offsets.forget_stale(group.group_id, decision)
        for consumers in self._consumers.groups.values():
            self._expiry.expect(consumers, now)
            self._offsets.forget_stale(consumers.group_id, decision)
            self._changes.start_sessions(consumers, now)
        return decision

    def refused(self, decision: Decision, error_code: int, now: Now) -> Decision:
        """The log took none of the decision's records: everybody in it gets an error, and rebalances in it start over."""
        outcome = Decision(decision.groups)
        groups_hit = dict.fromkeys(record.group_id for record in decision.records if is_group_key(record.key))
        if error_code == ErrorCode.INVALID_PRODUCER_EPOCH:
            answer = error_code
        elif error_code not in (ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.RECORD_LIST_TOO_LARGE):
            answer = ErrorCode.COORDINATOR_NOT_AVAILABLE
        else:
            answer = ErrorCode.UNKNOWN_SERVER_ERROR if groups_hit else ErrorCode.INVALID_COMMIT_OFFSET_SIZE
        for reply in decision.replies:
            outcome.refuse(reply.caller, answer)
        self._consumers.refused()
        for group_id in dict.fromkeys(record.group_id for record in decision.records if is_consumer_key(record.key)):
            self._fail_over_consumers(group_id, now)
        for group_id in groups_hit:
            if group_id in self._groups:
                self._fail_over(self._groups[group_id], outcome, now)
        return outcome

    def _fail_over_consumers(self, group_id: str, now: Now) -> None:
        """The group is what the log says in any case; what was expected of its members is expected anew."""
        consumers = self._consumers.groups.get(group_id)
        if consumers is not None:
            self._changes.start_sessions(consumers, now)
            became = self._groups.pop(group_id, None)
            if became is not None:
                self._rebalance.forget(became)
                self._expiry.expect(consumers, now)

    def _fail_over(self, group: ClassicGroup, outcome: Decision, now: Now) -> None:
        """Go back to what the log says of the group. Who waits is told to look for the coordinator again."""
        for member in group.members.values():
            for parked in (member.joining, member.syncing):
                if parked is not None:
                    outcome.refuse(parked, ErrorCode.COORDINATOR_NOT_AVAILABLE)
        self._rebalance.forget(group)
        group.reset()
        if group.persisted is not None:
            self._replay_group(group.group_id, group.persisted, now)
        for member in group.members.values():
            self._rebalance.restart_session(group, member, now)
        self._expiry.try_again(group, now)
        self._remove_if_unused(group)

    def _drop_if_unused(self, group: ClassicGroup, decision: Decision) -> None:
        if not decision.records:
            self._remove_if_unused(group)

    def _remove_if_unused(self, group: ClassicGroup) -> None:
        """A group that nobody is in, that the log does not know and that has no offsets is not there."""
        offsets = self._offsets.of_group(group.group_id) or self._offsets.pending_of(group.group_id)
        if group.is_idle and group.state is State.EMPTY and group.persisted is None and not offsets:
            self._rebalance.forget(group)
            self._groups.pop(group.group_id, None)


def _missing(group_id: str) -> int:
    return ErrorCode.UNKNOWN_MEMBER_ID if group_id else ErrorCode.INVALID_GROUP_ID
