"""A topic that is deleted while it is read: noticed while nothing comes of it, and told when it does not come back."""

from __future__ import annotations

from ev_cli import output
from ev_cli.failures import NOT_FOUND, Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ev.client.consumer import Consumer

GONE_AFTER_S = 2.0
"""A topic that is made anew, or whose brokers change, may be unknown for a moment."""
LOOK_S = 0.5


class Presence:
    """Whether the topics of a run are still there."""

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics = list(topics)
        self._missing_since: dict[str, float] = {}
        self._looked = 0.0

    def look(self, consumer: Consumer, now: float) -> None:
        """Called while nothing comes. Costs nothing while the topics are there; raises a Failure when one stays away."""
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        for topic in self._topics:
            if _is_there(consumer, topic):
                self._missing_since.pop(topic, None)
            elif now - self._missing_since.setdefault(topic, now) >= GONE_AFTER_S:
                # One that is made anew is another topic: its offsets begin again, so this run cannot go on with it.
                what = f"topic {output.safe(topic)!r} was deleted while it was read"
                raise Failure(what, f"`ev consume {output.safe(topic)} --wait` waits for another one of that name", code=NOT_FOUND)


def _is_there(consumer: Consumer, topic: str) -> bool:
    from ev.errors import EvError, UnknownTopicError

    try:
        consumer.partitions_for(topic, timeout_ms=0)
    except UnknownTopicError:
        return False
    except EvError:  # nobody knows just now
        return True
    return True
