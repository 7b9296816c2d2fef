"""Incremental fetch sessions (KIP-227): what a consumer reads is remembered, so that it names only what changes.

A client begins with a full fetch of epoch 0 and is given a session. From then on it sends epoch 1, 2, 3 … with the partitions to
add, to change or to forget, and the answer holds only partitions about which there is something new: records, an error, another
high watermark or start of the log. Epoch -1 ends a session, or fetches without one. (FetchManager, FetchSession.CachedPartition)

The number of sessions is bounded (`max.incremental.fetch.session.cache.slots`). When all slots are taken, the session that was
not used for longest gives way if that is EVICTION_MS ago; otherwise the new client goes without, which every client can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ev.errors import ErrorCode
from ev.wire.messages.k01_fetch import FetchTopic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ev.randomness import Randomness
    from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, PartitionData

NO_SESSION = 0
BEGIN_EPOCH = 0
END_EPOCH = -1
EPOCH_MAX = (1 << 31) - 1
EVICTION_MS = 120_000
UNTOLD = -1

Key = tuple[str | bytes, int]


class Watched:
    """A partition of a session: what the client wants of it, and what it was told last."""

    __slots__ = ("high_watermark", "log_start_offset", "topic", "topic_id", "wanted")

    def __init__(self, topic: str, topic_id: bytes, wanted: FetchPartition) -> None:
        self.topic = topic
        self.topic_id = topic_id
        self.wanted = wanted
        self.high_watermark = UNTOLD
        self.log_start_offset = UNTOLD

    def tell(self, answer: PartitionData) -> bool:
        """Take note of an answer about the partition; whether there is something new in it."""
        is_news = (
            bool(answer.records)
            or answer.error_code != 0
            or answer.high_watermark != self.high_watermark
            or answer.log_start_offset != self.log_start_offset
        )
        # Behind an error everything is news, so that the client hears when it is over.
        self.high_watermark = answer.high_watermark if answer.error_code == 0 else UNTOLD
        self.log_start_offset = answer.log_start_offset
        return is_news


class Session:
    """One client's session."""

    __slots__ = ("by_id", "epoch", "id", "partitions", "used_ms")

    def __init__(self, session_id: int, by_id: bool, now_ms: int) -> None:
        self.id = session_id
        self.by_id = by_id
        self.epoch = 1
        self.used_ms = now_ms
        self.partitions: dict[Key, Watched] = {}  # in the order in which they are read

    def _key(self, topic: str, topic_id: bytes, index: int) -> Key:
        return (topic_id if self.by_id else topic, index)

    def watch(self, topics: Sequence[FetchTopic]) -> None:
        """Add these partitions, or change what is wanted of them."""
        for topic in topics:
            for wanted in topic.partitions:
                key = self._key(topic.topic, topic.topic_id, wanted.partition)
                watched = self.partitions.get(key)
                if watched is None:
                    self.partitions[key] = Watched(topic.topic, topic.topic_id, wanted)
                else:
                    watched.wanted = wanted

    def update(self, request: FetchRequest, now_ms: int) -> None:
        """Take over what an incremental request changes."""
        self.watch(request.topics)
        for topic in request.forgotten_topics_data:
            for index in topic.partitions:
                self.partitions.pop(self._key(topic.topic, topic.topic_id, index), None)
        self.epoch = 1 if self.epoch == EPOCH_MAX else self.epoch + 1
        self.used_ms = now_ms

    def topics(self) -> list[FetchTopic]:
        """Everything that is watched, as a full request would ask for it."""
        found: list[FetchTopic] = []
        for watched in self.partitions.values():
            if not found or (found[-1].topic, found[-1].topic_id) != (watched.topic, watched.topic_id):
                found.append(FetchTopic(topic=watched.topic, topic_id=watched.topic_id, partitions=[]))
            found[-1].partitions.append(watched.wanted)
        return found

    def tell(self, topic: str, topic_id: bytes, answers: Sequence[PartitionData]) -> Iterator[PartitionData]:
        """The answers that have something new. Partitions that gave records are read last the next time."""
        for answer in answers:
            key = self._key(topic, topic_id, answer.partition_index)
            watched = self.partitions.get(key)
            if watched is None or watched.tell(answer):
                yield answer
            if watched is not None and answer.records:
                self.partitions[key] = self.partitions.pop(key)


class Opened(NamedTuple):
    """How a fetch request stands to the sessions."""

    error: int = ErrorCode.NONE
    begins: bool = False  # a session is to be made for it when it is answered
    session: Session | None = None


class FetchSessions:
    """All sessions of a broker."""

    def __init__(self, randomness: Randomness, slots: int) -> None:
        self._randomness = randomness
        self._slots = slots
        self._sessions: dict[int, Session] = {}  # the one that was not used for longest comes first

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, request: FetchRequest, by_id: bool, now_ms: int) -> Opened:
        """The session that a request goes on with, after taking over its changes; or why it cannot."""
        if request.session_epoch in (BEGIN_EPOCH, END_EPOCH):
            self._sessions.pop(request.session_id, None)
            return Opened(begins=request.session_epoch == BEGIN_EPOCH)
        session = self._sessions.get(request.session_id)
        if session is None:
            return Opened(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if session.epoch != request.session_epoch:
            return Opened(ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        if session.by_id != by_id:
            return Opened(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
        del self._sessions[session.id]
        session.update(request, now_ms)
        if not session.partitions:
            return Opened()  # nothing is left of it: answered as a fetch of nothing without a session
        self._sessions[session.id] = session
        return Opened(session=session)

    def make(self, topics: Sequence[FetchTopic], by_id: bool, now_ms: int) -> Session | None:
        """A session for a full request, if it asks for something and there is a place."""
        if not any(topic.partitions for topic in topics):
            return None
        if len(self._sessions) >= self._slots:
            oldest = next(iter(self._sessions.values()), None)
            if oldest is None or now_ms - oldest.used_ms < EVICTION_MS:
                return None
            del self._sessions[oldest.id]
        session_id = NO_SESSION
        while session_id == NO_SESSION or session_id in self._sessions:
            session_id = 1 + self._randomness.integer(EPOCH_MAX)
        session = self._sessions[session_id] = Session(session_id, by_id, now_ms)
        session.watch(topics)
        return session
