"""Groups whose members can be killed, paused and partitioned from the engine, and the history of what they did.

Each seat in a group has a way to the engine of its own. Who sits there comes and goes; the way stays, with whatever was done to it.
"""

from __future__ import annotations

import pathlib
from dataclasses import dataclass, field

from support.history import History, Place, Turn
from support.processes import Process
from support.proxy import Proxy

SESSION_MS = 1000
WORK_S = 0.06
SETTINGS = {
    "group.min.session.timeout.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "group.consumer.min.session.timeout.ms": "500",
    "group.consumer.session.timeout.ms": str(SESSION_MS),
    "group.consumer.min.heartbeat.interval.ms": "50",
    "group.consumer.heartbeat.interval.ms": "200",
}
"""Of an engine that gives silent members up soon."""


@dataclass(slots=True)
class Seat:
    """A place in a group for members with this client."""

    client: str
    group: str
    protocol: str
    way: Proxy
    members: list[Process] = field(default_factory=list)

    @property
    def member(self) -> Process:
        """Who sits there, or sat there last."""
        return self.members[-1]

    def sit_down(self, directory: pathlib.Path, name: str, topic: str) -> None:
        """A new member comes."""
        options = ("--protocol", self.protocol, "--session", str(SESSION_MS), "--work", str(WORK_S))
        arguments = (self.client, self.way.address, topic, self.group, *options)
        self.members.append(Process(directory, name, "support.group_reader", *arguments))


def record_member(history: History, process: Process, group: str, topic: str) -> None:
    """What one member did, from what it said."""
    turns: dict[int, list[Turn]] = {}
    asked: dict[int, tuple[float, int]] = {}
    for line in process.path.read_text().rpartition("\n")[0].splitlines():
        word, time, *numbers = line.split()
        at = float(time)
        if not numbers:
            continue
        partition, *rest = map(int, numbers)
        place = Place(topic, partition)
        match word:
            case "given":
                turns.setdefault(partition, []).append(history.turn(group, place, process.name, at))
            case "handled":
                turn = turns[partition][rest[0] - 1]
                turn.began = min(turn.began, at)
                turn.offsets += range(rest[1], rest[2] + 1)
            case "commit":
                if partition in asked:  # the one before was never answered, or refused
                    history.commit(group, place, asked[partition][1], member=process.name, asked=asked[partition][0])
                asked[partition] = (at, rest[0])
            case "committed":
                before, offset = asked.pop(partition)
                history.commit(group, place, offset, member=process.name, asked=before, answered=at)
    for partition, (at, offset) in asked.items():
        history.commit(group, Place(topic, partition), offset, member=process.name, asked=at)
