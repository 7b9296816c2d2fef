"""What may be asked about groups, of whichever protocol: which there are, who is in them, what each member has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ev.coordinators.classic import State
from ev.coordinators.consumer_changes import assignor_of
from ev.errors import ErrorCode
from ev.wire.messages.k15_describe_groups import DescribedGroup, DescribedGroupMember
from ev.wire.messages.k16_list_groups import ListedGroup
from ev.wire.messages.k69_consumer_group_describe import Assignment as DescribedAssignment
from ev.wire.messages.k69_consumer_group_describe import DescribedGroup as DescribedConsumerGroup
from ev.wire.messages.k69_consumer_group_describe import Member as DescribedConsumerMember
from ev.wire.messages.k69_consumer_group_describe import TopicPartitions as DescribedPartitions

if TYPE_CHECKING:
    from ev.coordinators.classic import ClassicGroup, Member
    from ev.coordinators.consumer_group import ConsumerGroup, ConsumerMember
    from ev.coordinators.offsets import Topics
    from ev.coordinators.server_assignors import Assignment
    from ev.settings import Settings
    from ev.wire.messages.k16_list_groups import ListGroupsRequest

CLASSIC_TYPE: Final = "classic"
CONSUMER_TYPE: Final = "consumer"
SPEAKS_CLASSIC: Final = 0
SPEAKS_CONSUMER: Final = 1


class GroupQuestions:
    def __init__(self, settings: Settings, classics: dict[str, ClassicGroup], consumers: dict[str, ConsumerGroup], topics: Topics) -> None:
        self._settings = settings
        self._classics = classics
        self._consumers = consumers
        self._topics = topics

    def described_classic(self, group_id: str, version: int) -> DescribedGroup:
        group = self._classics.get(group_id)
        if group is None:
            found = DescribedGroup(group_id=group_id, group_state=State.DEAD, members=[])
            if version >= 6:
                found.error_code = ErrorCode.GROUP_ID_NOT_FOUND
                is_other = group_id in self._consumers
                found.error_message = f"Group {group_id} is not a classic group." if is_other else f"Group {group_id} not found."
        else:
            stable = group.state is State.STABLE
            found = DescribedGroup(
                group_id=group_id,
                group_state=group.state,
                protocol_type=group.protocol_type or "",
                protocol_data=(group.protocol or "") if stable else "",
                members=[_described_member(group, member, stable) for member in group.members.values()],
            )
        return found

    def described_consumer(self, group_id: str) -> DescribedConsumerGroup:
        group = self._consumers.get(group_id)
        if group is None:
            text = f"Group {group_id} is not a consumer group." if group_id in self._classics else f"Group {group_id} not found."
            return DescribedConsumerGroup(
                group_id=group_id, error_code=ErrorCode.GROUP_ID_NOT_FOUND, error_message=text, members=[], group_state=""
            )
        return DescribedConsumerGroup(
            group_id=group.group_id,
            group_state=group.state_name,
            group_epoch=group.epoch,
            assignment_epoch=group.target_epoch,
            assignor_name=assignor_of(group.members, self._settings),
            members=[self._described_consumer_member(group, member) for member in group.members.values()],
        )

    def _described_consumer_member(self, group: ConsumerGroup, member: ConsumerMember) -> DescribedConsumerMember:
        return DescribedConsumerMember(
            member_id=member.member_id,
            instance_id=member.instance_id,
            rack_id=member.rack_id,
            member_epoch=group.current_of(member.member_id).epoch,
            client_id=member.client_id,
            client_host=member.client_host,
            subscribed_topic_names=list(member.subscribed),
            subscribed_topic_regex=member.regex or "",
            assignment=self._described_assignment(group.current_of(member.member_id).assigned),
            target_assignment=self._described_assignment(group.target.get(member.member_id, {})),
            member_type=SPEAKS_CONSUMER if member.classic is None else SPEAKS_CLASSIC,
        )

    def _described_assignment(self, assignment: Assignment) -> DescribedAssignment:
        return DescribedAssignment(
            [
                DescribedPartitions(topic_id, self._topics.topic_name(topic_id) or "", sorted(indexes))
                for topic_id, indexes in sorted(assignment.items())
            ]
        )

    def listed(self, request: ListGroupsRequest) -> list[ListedGroup]:
        """Those in one of the states and of one of the types that are asked for."""
        states = {state.lower() for state in request.states_filter}
        types = {kind.lower() for kind in request.types_filter}
        everything = [
            ListedGroup(group_id=group.group_id, protocol_type=group.protocol_type or "", group_state=group.state, group_type=CLASSIC_TYPE)
            for group in self._classics.values()
        ] + [
            ListedGroup(group_id=each.group_id, protocol_type=CONSUMER_TYPE, group_state=each.state_name, group_type=CONSUMER_TYPE)
            for each in self._consumers.values()
        ]
        return [
            group
            for group in everything
            if (not states or group.group_state.lower() in states) and (not types or group.group_type in types)
        ]


def _described_member(group: ClassicGroup, member: Member, stable: bool) -> DescribedGroupMember:
    return DescribedGroupMember(
        member_id=member.member_id,
        group_instance_id=member.group_instance_id,
        client_id=member.client_id,
        client_host=member.client_host,
        member_metadata=member.metadata(group.protocol) if stable else b"",
        member_assignment=member.assignment if stable else b"",
    )
