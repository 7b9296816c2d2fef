"""Records that could not be handled, on their way to a topic of dead letters: the same record with headers that say why.

    ev-dlq-topic, ev-dlq-partition, ev-dlq-offset, ev-dlq-timestamp, ev-dlq-group    where it came from
    ev-dlq-error, ev-dlq-exit, ev-dlq-attempts                                       what went wrong

The offset of the record is committed only after its dead letter was acknowledged by acks=all. `ev redrive` reads them again.
"""

from __future__ import annotations

from ev_cli import output
from ev_cli.failures import as_failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev.client.producer import Producer
    from ev_cli.handler_items import Item
    from ev_cli.session import Session

    Headers = Sequence[tuple[str, bytes | None]]

PREFIX = "ev-dlq-"
TOPIC, PARTITION, OFFSET, TIMESTAMP, GROUP = (PREFIX + name for name in ("topic", "partition", "offset", "timestamp", "group"))
ERROR, EXIT, ATTEMPTS = (PREFIX + name for name in ("error", "exit", "attempts"))
ERROR_CHARACTERS_MAX = 1000


def headers_of(item: Item, group: str, error: str, status: int | None, attempts: int) -> list[tuple[str, bytes | None]]:
    """The record's own headers, then those of a dead letter; those of an earlier death are replaced."""
    own = without_ours(item.headers)
    ours = {
        TOPIC: item.topic,
        PARTITION: item.partition,
        OFFSET: item.offset,
        TIMESTAMP: item.timestamp,
        GROUP: group,
        ERROR: error[:ERROR_CHARACTERS_MAX],
        EXIT: "" if status is None else status,
        ATTEMPTS: attempts,
    }
    return [*own, *[(name, str(value).encode("utf-8", "backslashreplace")) for name, value in ours.items()]]


def without_ours(headers: Headers) -> list[tuple[str, bytes | None]]:
    return [(name, value) for name, value in headers if not name.startswith(PREFIX)]


class DeadLetters:
    """The producer, and the records whose dead letters are not acknowledged yet."""

    def __init__(self, session: Session, topic: str, group: str) -> None:
        self.topic = topic
        self.count = 0
        """How many have been acknowledged."""
        self._group = group
        self._session = session
        self._open: dict[int, Item] = {}
        self._next_tag = 0
        self._producer: Producer = session.producer(
            acks="all", linger_ms=0, request_timeout_ms=session.timeout_ms, metadata_timeout_ms=session.timeout_ms
        )
        try:
            self._find()
        except BaseException:
            self._producer.cluster.close()
            raise

    def send(self, item: Item, error: str, status: int | None, attempts: int) -> None:
        headers = headers_of(item, self._group, error, status, attempts)
        self._open[self._next_tag] = item
        self._producer.produce(self.topic, item.value, item.key, headers=headers, tag=self._next_tag)
        self._next_tag += 1

    def acknowledged(self) -> list[Item]:
        """The records whose dead letters have been acknowledged since the last call. Raises when one was refused."""
        if not self._open:
            return []
        found = []
        for delivery in self._producer.poll(0):
            if delivery.error is not None:
                failure = as_failure(delivery.error, self._session.where)
                failure.message = f"cannot put a record into {output.safe(self.topic)!r}: {failure.message}"
                raise failure
            assert isinstance(delivery.tag, int)
            found.append(self._open.pop(delivery.tag))
            self.count += 1
        return found

    @property
    def waiting(self) -> bool:
        return bool(self._open)

    def close(self) -> None:
        self._producer.close(timeout_ms=0)

    def _find(self) -> None:
        """The topic is there, or is made on the local engine: before anything is handled."""
        from ev.errors import KafkaError, UnknownTopicError

        try:
            self._producer.partitions(self.topic, timeout_ms=0)
        except KafkaError as error:
            if not error.retriable:
                raise
            self._producer.partitions(self.topic)  # it has no leader yet
        except UnknownTopicError as error:
            if not self._session.target.is_local:
                from ev_cli.naming import with_nearest

                failure = with_nearest(error, self._session)
                failure.hint = failure.hint if error.nearest else f"ev topic create {self.topic} makes it"
                raise failure from None
            self._create()

    def _create(self) -> None:
        from ev.client.results import NewTopic
        from ev.errors import ErrorCode

        with self._session.admin() as admin:
            created = admin.create_topics([NewTopic(self.topic, -1)])[0]
        if created.error is None:
            self._session.talk(f"created topic {output.safe(self.topic)} on {self._session.where}")
        elif created.error.code != ErrorCode.TOPIC_ALREADY_EXISTS:
            raise created.error
        self._producer.partitions(self.topic)
