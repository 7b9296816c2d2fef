"""A conversation: requests for one API in one version, in an order, under names that belong to no other conversation.

    @about(12, "a member that stays")
    def stays(version: int, own: Own) -> Steps:
        yield Step(JoinGroupRequest(group_id=own("group"), ...), 5, keep={"member": "member_id"})
        yield Step(HeartbeatRequest(group_id=own("group"), member_id=kept("member"), generation_id=1), version)

Names are made from the API, the version and the title: a broker may hold all conversations one after the other, in any order. What an
answer says that nobody can know before (a member's id, a producer's) is kept under a name and used in later requests, so that both
brokers get the same request in all but that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ev.errors import ErrorCode
from ev.wire.catalog import API
from ev.wire.codec import Message, Struct
from ev.wire.records import encode_batch

Steps = Iterator["Step | Heard"]
Own = Callable[[str], str]
Script = Callable[[int, Own], Steps]

LOADING = frozenset(
    {
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.CONCURRENT_TRANSACTIONS,
    }
)
"""Answers that say "come again", and are not compared: how often is a matter of time."""
NEW = LOADING | {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID, ErrorCode.NOT_LEADER_OR_FOLLOWER}
"""The same for the first request to a topic that was just made."""


@dataclass(frozen=True)
class Kept:
    """Stands in a request for what an earlier answer said; a number may be changed by so much."""

    name: str
    plus: int = 0


def kept(name: str, plus: int = 0) -> Any:
    """What was kept under this name, for any field of a request."""
    return Kept(name, plus)


@dataclass(frozen=True)
class Batch:
    """A record batch whose producer may be one that was kept."""

    values: tuple[bytes | None, ...]
    options: dict[str, Any]

    def made(self, captures: dict[str, Any]) -> bytes:
        return encode_batch(self.values, **{name: resolved(value, captures) for name, value in self.options.items()})


def batch(*values: bytes | None, **options: Any) -> Any:
    """The bytes of one batch of these values, when it is sent; options are those of `encode_batch`."""
    return Batch(values, options)


@dataclass(frozen=True)
class Step:
    """One request, and how to get its answer."""

    request: Message | bytes  # bytes: a frame's content as it is
    version: int = -1
    keep: dict[str, str] = field(default_factory=dict)  # name -> where in the answer, for example "topics.0.topic_id"
    until: Callable[[Any], Any] | None = None  # ask again until the answer is like this
    again: frozenset[int] = LOADING
    on: str = ""  # the connection
    answer: str = "now"  # "later": a Heard gets it; "never": there is none; "closed": the connection ends
    client_id: str | None = "differential"
    everything: bool = False  # the answer lists all there is: of the arrays in fields.OWN only what is ours counts


@dataclass(frozen=True)
class Heard:
    """The answer to a request that was sent on this connection before."""

    on: str
    keep: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Conversation:
    """What is asked about one API in one version."""

    key: int
    version: int
    title: str
    script: Script

    @property
    def name(self) -> str:
        return f"{self.title} (v{self.version})"

    @property
    def prefix(self) -> str:
        return f"k{self.key:02}-v{self.version}-{re.sub(r'[^a-z0-9]+', '-', self.title.lower())}-"

    def steps(self) -> list[Step | Heard]:
        return list(self.script(self.version, lambda name: self.prefix + name))


CONVERSATIONS: dict[int, list[Conversation]] = {}
"""By API key; filled by the modules of `table`."""


def about(key: int, title: str, since: int = 0, until: int = 99) -> Callable[[Script], Script]:
    """Holds this conversation in every version of the API, or in those from `since` to `until`."""

    def register(script: Script) -> Script:
        api = API[key]
        for version in range(max(since, api.min_version), min(until, api.max_version) + 1):
            made = Conversation(key, version, title, script)
            known = CONVERSATIONS.setdefault(key, [])
            assert made.prefix not in {each.prefix for each in known}, f"two conversations are called {made.name!r}"
            known.append(made)
        return script

    return register


def resolved(value: Any, captures: dict[str, Any]) -> Any:
    """The value with everything in it that stands for something kept replaced by it."""
    match value:
        case Kept(name, plus):
            return captures[name] + plus if plus else captures[name]
        case Batch():
            return value.made(captures)
        case list():
            return [resolved(each, captures) for each in value]
        case Struct():
            made = object.__new__(type(value))
            for name in type(value).__slots__:
                setattr(made, name, resolved(getattr(value, name), captures))
            return made
    return value


def found_at(answer: Any, path: str) -> Any:
    """What stands in an answer at "topics.0.topic_id"."""
    for part in path.split("."):
        answer = answer[int(part)] if part.isdecimal() else getattr(answer, part)
    return answer
