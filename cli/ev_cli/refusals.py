"""What --on-error says of records that cannot be read: stop at the first, leave them out, or send them to a dead-letter topic."""

from __future__ import annotations

from ev_cli import output
from ev_cli.failures import Failure, UsageFailure
from ev_cli.lines import Malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev_cli.lines import Shaper
    from ev_cli.reading import Place
    from ev_cli.sending import Sending

STOP, SKIP, DEAD = "stop", "skip", "dlq"
SHOWN_MAX = 10
"""So many are told one by one, the rest in a number at the end."""


class Refusals:
    """The policy of one run."""

    def __init__(self, text: str | None, topic: str) -> None:
        kind, _, dead_topic = (text or STOP).partition("=")
        if kind not in (STOP, SKIP, DEAD) or (kind == DEAD) != bool(dead_topic):
            raise UsageFailure(f"--on-error {text!r} is unknown", "stop, skip or dlq=TOPIC")
        self.kind = kind
        self._topic = topic
        self._dead_topic = dead_topic
        self._shown = 0

    def take(self, record: bytes, error: Malformed, place: Place, sending: Sending) -> None:
        """Deal with one record that stands at the place; raises when the run is to stop."""
        where = place.of(place.mark(), [])
        if self.kind == STOP:
            raise Failure(f"{where}: {error.message}", error.hint)
        self._shown += 1
        if self._shown <= SHOWN_MAX:
            fate = "skipped" if self.kind == SKIP else f"sent to {self._dead_topic}"
            output.say(f"ev: {output.safe(where)}: {output.safe(error.message)}; {fate}")
        if self.kind == SKIP:
            sending.skip(record, place)
        else:
            sending.send_dead(self._dead_topic, record, self._headers(error, where), place)

    def _headers(self, error: Malformed, where: str) -> list[tuple[str, bytes | None]]:
        found = {"ev-dlq-topic": self._topic, "ev-dlq-error": error.line(), "ev-dlq-place": where}
        return [(name, text.encode("utf-8", "surrogateescape")) for name, text in found.items()]

    def send_shaped(self, sending: Sending, shaper: Shaper, records: list[bytes], place: Place) -> None:
        """Send what is good among these records, in order and in runs; what is malformed goes where the policy says."""
        start = 0
        for index, record in enumerate(records):
            try:
                shaper.shape([record])
            except Malformed as error:
                if start < index:
                    sending.send(shaper.shape(records[start:index]), records[start:index], place)
                self.take(record, error, place, sending)
                start = index + 1
        if start < len(records):
            sending.send(shaper.shape(records[start:]), records[start:], place)
