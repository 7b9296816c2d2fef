"""Replies of the classic protocol's four requests, as each version wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode
from ev.wire.messages.k11_join_group import JoinGroupResponse, JoinGroupResponseMember
from ev.wire.messages.k13_leave_group import LeaveGroupResponse, MemberResponse
from ev.wire.messages.k14_sync_group import SyncGroupResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev.coordinators.classic import ClassicGroup, Member
    from ev.wire.messages.k13_leave_group import MemberIdentity

NO_GENERATION = -1


def join_refused(version: int, error_code: int, member_id: str) -> JoinGroupResponse:
    return JoinGroupResponse(
        error_code=error_code,
        generation_id=NO_GENERATION,
        protocol_type=None,
        protocol_name=None if version >= 7 else "",
        leader="",
        member_id=member_id,
        members=[],
    )


def joined(group: ClassicGroup, member: Member, *, leader: str | None = None, skip_assignment: bool = False) -> JoinGroupResponse:
    """The current generation, with the list of members for the one who leads it."""
    leader = (group.leader or "") if leader is None else leader
    return JoinGroupResponse(
        error_code=ErrorCode.NONE,
        generation_id=group.generation,
        protocol_type=group.protocol_type,
        protocol_name=group.protocol or "",
        leader=leader,
        skip_assignment=skip_assignment,
        member_id=member.member_id,
        members=_everybody(group) if leader == member.member_id else [],
    )


def _everybody(group: ClassicGroup) -> list[JoinGroupResponseMember]:
    return [
        JoinGroupResponseMember(
            member_id=member.member_id, group_instance_id=member.group_instance_id, metadata=member.metadata(group.protocol)
        )
        for member in group.members.values()
    ]


def synced(group: ClassicGroup, assignment: bytes) -> SyncGroupResponse:
    return SyncGroupResponse(
        error_code=ErrorCode.NONE, protocol_type=group.protocol_type, protocol_name=group.protocol, assignment=assignment
    )


def sync_refused(error_code: int) -> SyncGroupResponse:
    return SyncGroupResponse(error_code=error_code, assignment=b"")


def left(version: int, outcomes: Sequence[tuple[MemberIdentity, int]]) -> LeaveGroupResponse:
    """Before version 3 one member leaves, and its error is the whole answer."""
    if version < 3:
        return LeaveGroupResponse(error_code=outcomes[0][1] if outcomes else ErrorCode.NONE)
    members = [
        MemberResponse(member_id=member.member_id, group_instance_id=member.group_instance_id, error_code=error_code)
        for member, error_code in outcomes
    ]
    return LeaveGroupResponse(error_code=ErrorCode.NONE, members=members)
