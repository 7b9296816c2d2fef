"""The engine answers every request of the table as Apache Kafka did: field by field, in every version that both serve."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache

import pytest

import differential.table
from differential import transcripts
from differential.compare import Tally, scalar_paths
from differential.conversation import CONVERSATIONS, Conversation
from differential.differences import Entry, entries
from differential.fields import KEYED, MASKED, OWN, UNORDERED, WORDING
from differential.replay import Found, Replay
from differential.talk import decoded, error_codes
from differential.transcripts import Recorded
from ev.broker.apis import load
from ev.wire.catalog import API
from support.apache_kafka import Kafka
from support.engine import Engine
from support.rules import rule

assert differential.table.__doc__

SERVED = load()
ENTRIES = entries()
SETTINGS = {"offsets.topic.num.partitions": "8", "transaction.state.log.num.partitions": "8"}
SETTINGS |= {"default.replication.factor": "1", "group.initial.rebalance.delay.ms": "0"}
SETTINGS |= {"group.consumer.min.assignment.interval.ms": "0", "group.consumer.assignment.interval.ms": "0"}
"""What Apache Kafka is given, too (support.apache_kafka)."""
KEYS = [key for key in CONVERSATIONS if transcripts.path(key).exists()]
NO_ERRORS = {  # up to this version there is nothing to refuse to whoever may do everything
    9: (6, "what was not committed is no error, and it cannot ask for stable offsets"),
    10: (0, "it can ask for groups only, and of every group"),
    15: (5, "a group that is not there is dead, which is no error"),
    16: (5, "it has states and types that are not known list nothing"),
    18: (2, "it says nothing that could be wrong; versions that are too new are answered as version 0"),
    35: (5, "what is not there is left out"),
    46: (0, "what is not there is not under way"),
    60: (0, "it cannot ask for anything else"),
    66: (1, "states that are not known are listed apart"),
    74: (0, "it asks nothing"),
}
NO_SUCCESS = {
    17: "who is let in anyway cannot say who they are; see tests/broker/test_sasl.py",
    29: "without an authorizer there are no ACLs, which Kafka says of the whole",
    36: "see 17",
    64: "the only broker stays: Kafka would have nobody left who leads",
}
recorded_of = cache(transcripts.read)


def served(conversation: Conversation) -> bool:
    api = SERVED.get(conversation.key)
    return api is not None and api.min_version <= conversation.version <= api.max_version


def recorded(key: int) -> list[tuple[Conversation, Recorded]]:
    """What Kafka serves of the table."""
    return [(each, recorded_of(key)[each.name]) for each in CONVERSATIONS[key] if each.name in recorded_of(key)]


SHARED = sorted({(key, each.version) for key in KEYS for each, _ in recorded(key) if served(each)})


def rules(key: int, version: int | None = None) -> list[pytest.MarkDecorator]:
    """The rules that an API's conversations show."""
    numbers = {
        number
        for conversation, _ in recorded(key)
        if version in (None, conversation.version)
        for mark in getattr(conversation.script, "pytestmark", ())
        for number in mark.args
    }
    return [rule(*sorted(numbers))] if numbers else []


ASKED = [pytest.param(key, version, id=f"{API[key].name}-{version}", marks=rules(key, version)) for key, version in SHARED]
ASKED_KAFKA = [pytest.param(key, id=API[key].name, marks=rules(key)) for key in KEYS]


class Replays:
    """What is found in each conversation; each is held once, because a second time its names would not be new."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.held: dict[str, tuple[list[Found], Tally]] = {}

    def of(self, conversation: Conversation, kafka: Recorded) -> tuple[list[Found], Tally]:
        if conversation.prefix not in self.held:
            replay = Replay(self.address, conversation, kafka)
            self.held[conversation.prefix] = list(replay.run()), replay.tally
        return self.held[conversation.prefix]


@pytest.fixture(scope="session")
def replays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replays]:
    """One daemon for all conversations: none has a name in common with another."""
    with Engine(tmp_path_factory.mktemp("differential") / "engine", settings=SETTINGS) as engine:
        yield Replays(engine.address)


@pytest.fixture(scope="session")
def replays_on_kafka(apache: Kafka) -> Replays:
    return Replays(apache.bootstrap)


@pytest.mark.parametrize(("key", "version"), ASKED)
def test_the_engine_answers_as_kafka_did(replays: Replays, key: int, version: int, record_property: Callable[[str, object], None]) -> None:
    """But for the differences that are listed with their reasons."""
    unexpected, total = [], Tally()
    for conversation, kafka in recorded(key):
        if conversation.version == version:
            found, tally = replays.of(conversation, kafka)
            total += tally
            unexpected += [str(each) for each in found if not any(entry.covers(each) for entry in ENTRIES)]
    record_property("fields compared with Kafka's answers", total.compared)
    record_property("of these by their shape only", total.masked)
    assert not unexpected


@pytest.mark.parametrize("entry", ENTRIES, ids=str)
def test_a_listed_difference_is_one(replays: Replays, entry: Entry) -> None:
    """It has a reason, and every field of it differs somewhere: what does not differ any more is not listed."""
    assert len(entry.reason) > 20
    unseen = set(entry.fields)
    for key in KEYS:
        for conversation, kafka in recorded(key):
            if unseen and served(conversation) and asks(kafka, entry.api):
                unseen -= {entry.covers(each) for each in replays.of(conversation, kafka)[0]}
    assert not unseen


def asks(kafka: Recorded, api: str) -> bool:
    return any(each.key in API and API[each.key].name == api for each in kafka.exchanges)


@pytest.mark.java
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("key", ASKED_KAFKA)
def test_kafka_answers_as_it_did(replays_on_kafka: Replays, key: int) -> None:
    """A transcript that Kafka itself does not repeat shows chance, not Kafka."""
    assert not [str(each) for conversation, kafka in recorded(key) for each in replays_on_kafka.of(conversation, kafka)[0]]


def versions_of_kafka() -> dict[int, range]:
    """The versions that Kafka said it serves when it was recorded."""
    answer = decoded(recorded_of(18)["what is served (v4)"].exchanges[0])
    return {each.api_key: range(each.min_version, each.max_version + 1) for each in answer.api_keys}


def test_every_version_that_both_serve_is_asked_for_success_and_failure() -> None:
    """Of every API. What is missing says which conversation to write; then `python -m differential.record`."""
    seen: set[tuple[int, int, bool]] = set()
    for key in KEYS:
        for _, kafka in recorded(key):
            for each in kafka.exchanges:
                if each.answer is not None:
                    seen.add((each.key, each.version, not any(error_codes(decoded(each)))))
    kafkas = versions_of_kafka()
    missing = [
        f"{API[key].name} v{version}: {'a success' if is_success else 'an error'}"
        for key, api in SERVED.items()
        for version in range(api.min_version, api.max_version + 1)
        if version in kafkas.get(key, ()) and version >= API[key].min_version
        for is_success in (True, False)
        if (key, version, is_success) not in seen and not (key in NO_SUCCESS if is_success else version <= NO_ERRORS.get(key, (-1, ""))[0])
    ]
    assert not missing


@pytest.mark.parametrize("key", MASKED, ids=[API[key].name for key in MASKED])
def test_only_single_fields_are_masked(key: int) -> None:
    """No error code, no array and no whole struct."""
    known = scalar_paths(API[key].response)
    assert {re.sub(r"{[^}]*}", "", path) for path in MASKED[key]} <= known.keys(), "a mask is a field of the answer, and no array or struct"
    assert not [path for path in (*MASKED[key], *WORDING) if path.endswith("error_code")]


def test_arrays_are_named_as_they_are() -> None:
    """A path in the lists of arrays that is none would have no effect."""
    for key, path in (*UNORDERED, *KEYED, *OWN):
        assert path not in scalar_paths(API[key].response)
