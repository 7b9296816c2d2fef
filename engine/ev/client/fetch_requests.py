"""Sends what the fetcher asks for to the brokers that have it, one request to each at a time, and takes the answers in."""

from __future__ import annotations

from ev.client.fetch_session import FetchSession
from ev.client.fetcher import Target
from ev.client.positions import UNKNOWN
from ev.client.routing import leader_and_epoch
from ev.errors import TimedOutError, UnreachableError, UnsupportedApiError
from ev.wire.messages.k01_fetch import FetchRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev.client.cluster import Cluster
    from ev.client.connection import Ticket
    from ev.client.fetcher import Asked, Fetcher
    from ev.client.placement import Placement
    from ev.client.positions import Position, Positions

    TopicPartition = tuple[str, int]


class FetchRequests:
    """`asked` are the brokers from which an answer is to come."""

    def __init__(self, cluster: Cluster, positions: Positions, placement: Placement, fetcher: Fetcher) -> None:
        self.cluster = cluster
        self.positions = positions
        self.placement = placement
        self.fetcher = fetcher
        self.asked: set[int] = set()
        self.sessions: dict[int, FetchSession] = {}

    def send(self, now_ms: int) -> None:
        """One request to each broker that has something readable for us, none on its way, and of which nothing is left to hand out.

        The last condition is for the partitions that are: a request without them could be a long poll, which they would have to wait for.
        """
        targets: dict[int, list[Target]] = {}
        unchecked: dict[int, list[Position]] = {}
        epochs: dict[TopicPartition, int] = {}
        busy = set(self.asked)
        for position in self.positions:
            if not (position.buffered or position.readable(now_ms)):
                continue
            where = leader_and_epoch(self.cluster, position.topic, position.index)
            leader = None if where is None else where[0]
            source = leader if position.replica == UNKNOWN else self.source(position, leader, now_ms)
            if position.buffered:
                busy.update(() if source is None else (source,))
            elif where is None or source is None:
                self.placement.leaderless(position)
            elif position.needs_check(where[1]):
                position.replica = UNKNOWN
                unchecked.setdefault(where[0], []).append(position)
                epochs[position.topic, position.index] = where[1]
            elif source not in busy:
                topic_id = self.cluster.metadata.topics[position.topic].topic_id
                targets.setdefault(source, []).append(Target(position, where[1], topic_id))
        for node, positions in unchecked.items():
            self.placement.check(positions, node, epochs)
        for node, wanted in targets.items():
            if node not in busy:
                self.ask(node, wanted)

    def source(self, position: Position, leader: int | None, now_ms: int) -> int | None:
        """The broker to read a partition from: the replica that the leader has named, else the leader."""
        has_it = self.cluster.metadata.has_replica(position.topic, position.index, position.replica)
        if has_it and now_ms < position.replica_until_ms:
            return position.replica
        position.replica = UNKNOWN
        return leader

    def ask(self, node: int, wanted: list[Target]) -> None:
        request, asked = self.fetcher.request(wanted)
        session = self.sessions.get(node)
        if session is None:
            session = self.sessions[node] = FetchSession()
        session.narrow(request, self.version(node))
        self.asked.add(node)
        self.cluster.send(request, node, callback=lambda ticket: self.answered(ticket, node, asked))

    def version(self, node: int) -> int | None:
        """That in which a request will leave; None when there is no connection yet, or none of use."""
        try:
            return self.cluster.api_version(node, FetchRequest)
        except UnsupportedApiError:
            return None

    def answered(self, ticket: Ticket, node: int, asked: Asked) -> None:
        self.asked.discard(node)
        now_ms = self.cluster.now_ms()
        session = self.sessions[node]
        if ticket.error is None:
            if session.answered(ticket.response):
                self.fetcher.answered(asked, ticket.response, now_ms)
            else:
                self.fetcher.not_read(asked)
            return
        session.broke()
        self.fetcher.unanswered(asked, now_ms)
        if not isinstance(ticket.error, (UnreachableError, TimedOutError)):
            self.fetcher.failures.append(ticket.error)
