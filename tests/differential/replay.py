"""Holds a recorded conversation with another broker and compares every answer with the one that was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from differential.compare import Comparison, Difference, Tally
from differential.conversation import Conversation, Heard, Step, found_at
from differential.talk import Exchange, Talk, decoded
from differential.transcripts import Recorded
from ev.wire.catalog import API


@dataclass(frozen=True)
class Found:
    """A difference, and in which exchange of which conversation."""

    conversation: Conversation
    number: int
    exchange: Exchange
    difference: Difference

    def __str__(self) -> str:
        asked = API[self.exchange.key].name if self.exchange.key in API else self.exchange.key
        return f"{self.conversation.name}, {self.number}. {asked} v{self.exchange.version}: {self.difference}"


class Replay:
    """One conversation with the broker at `address`; `tally` counts what was compared."""

    def __init__(self, address: str, conversation: Conversation, recorded: Recorded) -> None:
        self.conversation = conversation
        self.exchanges = recorded.exchanges
        self.captures: dict[str, Any] = {}  # Kafka's
        self.talk = Talk(address, conversation)
        self.tally = Tally()

    def run(self) -> Iterator[Found]:
        steps = self.conversation.steps()
        assert len(steps) == len(self.exchanges), f"{self.conversation.name}: the table has changed, record it anew"
        try:
            for number, (step, kafka) in enumerate(zip(steps, self.exchanges, strict=True), 1):
                self.check_request(number, step, kafka)
                try:
                    ours = self.talk.take(number, step)
                except Exception as problem:  # noqa: BLE001 - an answer that does not come, or cannot be read, is a difference
                    yield Found(
                        self.conversation, number, kafka, Difference("answer", self.told(kafka), f"{type(problem).__name__}: {problem}")
                    )
                    return
                self.keep(step, kafka)
                for difference in self.compared(step, kafka, ours):
                    yield Found(self.conversation, number, kafka, difference)
        finally:
            self.talk.close()

    def check_request(self, number: int, step: Step | Heard, kafka: Exchange) -> None:
        """The table asks what was recorded, byte for byte."""
        if isinstance(step, Step):
            asked = self.talk.content(number, step, self.captures)[1]
            assert asked == kafka.request, f"{self.conversation.name}, request {number}: the table has changed, record it anew"

    def keep(self, step: Step | Heard, kafka: Exchange) -> None:
        if step.keep:
            message = decoded(kafka)
            self.captures |= {name: found_at(message, path) for name, path in step.keep.items()}

    def told(self, exchange: Exchange) -> str:
        if exchange.answer is None:
            return "the connection is closed" if exchange.closed else "nothing"
        return str(decoded(exchange))[:200]

    def compared(self, step: Step | Heard, kafka: Exchange, ours: Exchange) -> list[Difference]:
        if kafka.answer is None or ours.answer is None:
            return []
        same = [(value, self.talk.captures[name]) for name, value in self.captures.items()]
        everything = isinstance(step, Step) and step.everything
        comparison = Comparison(kafka.key, kafka.version, self.conversation.prefix, same, everything)
        found = comparison.differences(decoded(kafka), decoded(ours))
        self.tally += comparison.tally
        if kafka.answer[:4] != ours.answer[:4]:
            found.append(Difference("correlation_id", kafka.answer[:4], ours.answer[:4]))
        return found
