"""How a consumer is a member of its group: by which protocol, under which name, with which times. Makes the session that is spoken in."""

from __future__ import annotations

from os import urandom

from ev.errors import SettingError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeAlias

    from ev.client.cluster import Cluster
    from ev.client.consumer_group import ConsumerGroupSession
    from ev.client.coordinator import Coordinator
    from ev.client.group import GroupSession
    from ev.client.subscription import Subscription

    Session: TypeAlias = "GroupSession | ConsumerGroupSession"

CLASSIC, CONSUMER = "classic", "consumer"
ASSIGNORS = ("range", "cooperative-sticky")
SET_BY_THE_BROKER = {
    "assignors": "it assigns itself, as group_remote_assignor asks it to",
    "session_timeout_ms": "group.consumer.session.timeout.ms",
    "heartbeat_interval_ms": "group.consumer.heartbeat.interval.ms",
}
"""What the new protocol takes from the members, and where it is now."""


class MembershipSettings:
    """None stands for the default, where there is one. Raises SettingError for what does not go together."""

    def __init__(
        self,
        *,
        protocol: str,
        instance_id: str | None,
        assignors: Iterable[str] | None,
        remote_assignor: str | None,
        session_timeout_ms: int | None,
        heartbeat_interval_ms: int | None,
        poll_timeout_ms: int,
        rack: str,
    ) -> None:
        given = {"assignors": assignors, "session_timeout_ms": session_timeout_ms, "heartbeat_interval_ms": heartbeat_interval_ms}
        of_classic: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if protocol not in (CLASSIC, CONSUMER):
            raise SettingError(f"group_protocol is {CLASSIC} or {CONSUMER}, not {protocol!r}")
        if protocol == CONSUMER and of_classic:
            name = next(iter(of_classic))
            raise SettingError(f"with group_protocol={CONSUMER} the broker decides about {name}: {SET_BY_THE_BROKER[name]}")
        if protocol == CLASSIC and remote_assignor is not None:
            raise SettingError(f"group_remote_assignor needs group_protocol={CONSUMER}: in a classic group a member assigns, see assignors")
        if instance_id is not None and not instance_id.strip():
            raise SettingError("group_instance_id is a name, or None")
        self.protocol = protocol
        self.instance_id = instance_id
        self.remote_assignor = remote_assignor
        self.poll_timeout_ms = poll_timeout_ms
        self.rack = rack
        self._of_classic = {"assignors": ASSIGNORS, **of_classic}

    def session(
        self, group: str, cluster: Cluster, coordinator: Coordinator, subscription: Subscription, make_cluster: Callable[[], Cluster]
    ) -> Session:
        """Only members of a group pay for threads and for the messages that they send."""
        if self.protocol == CONSUMER:
            from ev.client.consumer_group import ConsumerGroupSession  # noqa: PLC0415
            from ev.client.consumer_membership import ConsumerMembership, new_member_id  # noqa: PLC0415

            told = ConsumerMembership(
                group,
                new_member_id(urandom(16)),
                instance_id=self.instance_id,
                remote_assignor=self.remote_assignor,
                rack=self.rack,
                poll_timeout_ms=self.poll_timeout_ms,
                backoff=cluster.backoff.after,
            )
            return ConsumerGroupSession(cluster, coordinator, told, subscription, make_cluster)
        from ev.client.group import GroupSession  # noqa: PLC0415
        from ev.client.membership import Membership  # noqa: PLC0415

        elected = Membership(
            group, instance_id=self.instance_id, poll_timeout_ms=self.poll_timeout_ms, backoff=cluster.backoff.after, **self._of_classic
        )
        return GroupSession(cluster, coordinator, elected, subscription, make_cluster)
