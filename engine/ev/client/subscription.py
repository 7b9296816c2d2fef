"""The topics a consumer shares with its group, and what a rebalance does to its partitions: callbacks are told, positions come and go."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ev.client.placement import Placement
    from ev.client.positions import Positions

    TopicPartition = tuple[str, int]
    OnPartitions = Callable[[list[TopicPartition]], None]


class Subscription:
    """`wanted` are topics by name; the broker adds those whose names match `pattern`. `before_giving_up` commits what was processed, if the
    consumer does that by itself; `forget` drops what was fetched and not taken."""

    def __init__(
        self,
        topics: Iterable[str],
        positions: Positions,
        placement: Placement,
        *,
        pattern: str | None = None,
        on_assigned: OnPartitions | None,
        on_revoked: OnPartitions | None,
        on_lost: OnPartitions | None,
        before_giving_up: Callable[[], None],
        forget: Callable[[TopicPartition], None],
    ) -> None:
        self.wanted = tuple(dict.fromkeys(topics))
        self.pattern = pattern
        self.positions = positions
        self.placement = placement
        self.on_assigned = on_assigned
        self.on_revoked = on_revoked
        self.on_lost = on_lost or on_revoked
        self.before_giving_up = before_giving_up
        self.forget = forget

    def topics(self) -> Iterable[str]:
        return self.wanted

    def owned(self) -> list[TopicPartition]:
        return list(self.positions.by_partition)

    def give_up_before_joining(self, cooperative: bool) -> None:
        """Everything in an eager group; in a cooperative one only what is not subscribed to any more."""
        given_up = [partition for partition in self.owned() if not cooperative or partition[0] not in self.wanted]
        self.before_giving_up()
        self.give_up(given_up, self.on_revoked)

    def lost(self) -> None:
        self.give_up(self.owned(), self.on_lost)

    def assigned(self, partitions: list[TopicPartition]) -> bool:
        """Take these and no others; True when some had to be let go of that another member waits for."""
        given_up = [partition for partition in self.owned() if partition not in partitions]
        if given_up:
            self.before_giving_up()
            self.give_up(given_up, self.on_revoked)
        added = self.positions.assign(partitions)
        for position in added:
            self.placement.place(position)
        if self.on_assigned is not None:
            self.on_assigned([(position.topic, position.index) for position in added])
        return bool(given_up)

    def give_up(self, partitions: list[TopicPartition], tell: OnPartitions | None) -> None:
        """The callback comes first: positions can still be asked for in it, and offsets committed."""
        if not partitions:
            return
        try:
            if tell is not None:
                tell(partitions)
        finally:
            for partition in partitions:
                self.forget(partition)
            self.positions.assign([partition for partition in self.owned() if partition not in partitions])
