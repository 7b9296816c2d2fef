"""What one broker remembers of our fetches (KIP-227), so that a request names only what has changed since the one before. No I/O.

A session begins with a request of epoch 0 that names everything; the answer gives its id. From then on each request counts the epoch up,
names the partitions that are new or are to be read from another offset, and those that are to be forgotten; an answer names those that
have something new. A request that came to nothing, or an answer that denies the session, ends it: the next request begins another one.

The broker keeps a limited number of sessions. For a few partitions one is not worth it: they are named each time, without a session.
"""

from __future__ import annotations

from ev.errors import ErrorCode
from ev.wire.messages.k01_fetch import ForgottenTopic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev.wire.messages.k01_fetch import FetchRequest, FetchResponse

    Place = tuple[bytes, str, int]
    """Id and name of the topic, and the partition."""
    Wish = tuple[int, int, int]
    """Where to read from, in which leader epoch, and how many bytes at the most."""

VERSION_MIN = 7
PARTITIONS_MIN = 8
NO_SESSION, FIRST_EPOCH, NO_EPOCH = 0, 0, -1
EPOCH_MAX = 0x7FFFFFFF
DENIED = frozenset((
    ErrorCode.FETCH_SESSION_ID_NOT_FOUND, ErrorCode.INVALID_FETCH_SESSION_EPOCH, ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR,
))  # fmt: skip
"""The codes with which a broker denies a session; what was asked for is asked again, in a new one."""


class FetchSession:
    """One broker's. `narrow` before a request leaves, then either `answered` or `broke`."""

    __slots__ = ("_asked", "_known", "epoch", "id")

    def __init__(self) -> None:
        self.id = NO_SESSION
        self.epoch = NO_EPOCH
        self._known: dict[Place, Wish] = {}
        self._asked: dict[Place, Wish] = {}

    def narrow(self, request: FetchRequest, version: int | None) -> None:
        """Turn a request for everything into one of the session. `version` is that in which it will leave, None when nobody knows."""
        wanted: dict[Place, Wish] = {
            (topic.topic_id, topic.topic, row.partition): (row.fetch_offset, row.current_leader_epoch, row.partition_max_bytes)
            for topic in request.topics
            for row in topic.partitions
        }
        if version is None or version < VERSION_MIN or (self.id == NO_SESSION and len(wanted) < PARTITIONS_MIN):
            self.broke()
            return
        self._asked = wanted
        request.session_id = self.id
        if self.id == NO_SESSION:
            self.epoch = FIRST_EPOCH
        else:
            for topic in request.topics:
                topic.partitions = [
                    row
                    for row in topic.partitions
                    if self._known.get((topic.topic_id, topic.topic, row.partition))
                    != (row.fetch_offset, row.current_leader_epoch, row.partition_max_bytes)
                ]
            request.topics = [topic for topic in request.topics if topic.partitions]
            forgotten: dict[tuple[bytes, str], list[int]] = {}
            for topic_id, name, index in self._known.keys() - wanted.keys():
                forgotten.setdefault((topic_id, name), []).append(index)
            request.forgotten_topics_data = [
                ForgottenTopic(topic=name, topic_id=topic_id, partitions=sorted(indexes)) for (topic_id, name), indexes in forgotten.items()
            ]
        request.session_epoch = self.epoch

    def answered(self, response: FetchResponse) -> bool:
        """Take the answer in; False when it denies the session, and nothing was read."""
        if response.error_code in DENIED:
            self.broke()
            return False
        if self.epoch == NO_EPOCH:
            return True
        if response.error_code or response.session_id == NO_SESSION:
            self.broke()
            return True
        self.id = response.session_id
        self.epoch = 1 if self.epoch == EPOCH_MAX else self.epoch + 1
        self._known = self._asked
        return True

    def broke(self) -> None:
        """The request came to nothing, as far as we know: begin again."""
        self.id = NO_SESSION
        self.epoch = NO_EPOCH
        self._known = {}
        self._asked = {}
