"""Assignors: who reads what, held against results that Apache Kafka 4.3.1's own classes gave (golden/assignments.jsonl)."""

from __future__ import annotations

import json
import pathlib
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ev.client.assignors import (
    ASSIGNORS,
    Subscription,
    assign_sticky,
    decode_assignment,
    decode_subscription,
    encode_assignment,
    encode_subscription,
)
from ev.errors import MalformedError

GOLDEN = pathlib.Path(__file__).parent / "golden" / "assignments.jsonl"
Members = dict[str, Subscription]
TopicPartition = tuple[str, int]


def partition(text: str) -> TopicPartition:
    topic, _, index = text.rpartition("-")
    return topic, int(index)


def subscription(fields: dict[str, Any]) -> Subscription:
    owned = [partition(text) for text in fields["owned"]]
    return Subscription(fields["topics"], owned=owned, generation=fields["generation"], instance_id=fields["instance_id"])


@pytest.mark.parametrize("assignor", ["range", "roundrobin", "cooperative-sticky"])
def test_results_are_those_of_kafkas_java_client(assignor: str) -> None:
    """A group of ev and Java members gets the same assignment whoever is elected leader."""
    rows = [row for row in map(json.loads, GOLDEN.read_text().splitlines()) if row["assignor"] == assignor]
    assert len(rows) > 40
    for row in rows:
        members = {member: subscription(fields) for member, fields in row["members"].items()}
        result = ASSIGNORS[assignor].assign(row["partitions"], members)
        expected = {member: [partition(text) for text in given] for member, given in row["assignment"].items()}
        assert {m: sorted(given) for m, given in result.items()} == {m: sorted(given) for m, given in expected.items()}, row


@st.composite
def groups(draw: st.DrawFn) -> tuple[dict[str, int], Members]:
    counts = draw(st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.integers(1, 7), min_size=1))
    partitions = [(topic, index) for topic, count in counts.items() for index in range(count)]
    members: Members = {}
    for number in range(draw(st.integers(1, 5))):
        topics = draw(st.sets(st.sampled_from([*counts, "missing"]), min_size=1))
        owned = draw(st.lists(st.sampled_from(partitions), unique=True, max_size=6))
        members[f"m{number}"] = Subscription(topics, owned=owned, generation=draw(st.integers(3, 5)))
    return counts, members


def wanted(counts: dict[str, int], members: Members) -> set[TopicPartition]:
    topics = {topic for member in members.values() for topic in member.topics}
    return {(topic, index) for topic, count in counts.items() if topic in topics for index in range(count)}


@given(groups())
def test_every_wanted_partition_has_exactly_one_reader_who_asked_for_it(group: tuple[dict[str, int], Members]) -> None:
    """Range, roundrobin and the sticky first pass leave nothing out, give nothing twice, and nothing to who did not subscribe."""
    counts, members = group
    for assign in (ASSIGNORS["range"].assign, ASSIGNORS["roundrobin"].assign, assign_sticky):
        result = assign(counts, members)
        given_out = [item for items in result.values() for item in items]
        assert Counter(given_out) == Counter(wanted(counts, members))
        assert all(item[0] in members[member].topics for member, items in result.items() for item in items)


@given(groups())
def test_a_cooperative_round_never_gives_away_what_another_member_holds(group: tuple[dict[str, int], Members]) -> None:
    """A partition changes hands only after its holder let go of it."""
    counts, members = group
    result = ASSIGNORS["cooperative-sticky"].assign(counts, members)
    for member, items in result.items():
        for item in items:
            others = [m for m in members if m != member and item in members[m].owned]
            assert item in members[member].owned or all(item in result[m] for m in others)


@given(groups())
def test_cooperative_rounds_come_to_rest_with_everything_assigned(group: tuple[dict[str, int], Members]) -> None:
    """After each round the members own what they got; two more rounds assign everything, and then nothing moves any more."""
    counts, members = group
    for generation in range(6, 10):
        result = ASSIGNORS["cooperative-sticky"].assign(counts, members)
        before = {member: sorted(subscription.owned) for member, subscription in members.items()}
        members = {m: Subscription(members[m].topics, owned=result[m], generation=generation) for m in members}
    assert {item for items in result.values() for item in items} == wanted(counts, members)
    assert before == {member: sorted(items) for member, items in result.items()}


def test_a_member_that_joins_takes_its_share_and_the_others_keep_the_rest() -> None:
    """Six partitions, two members, a third arrives: each old member loses one, the newcomer gets both in the next round."""
    counts = {"t": 6}
    members = {
        "a": Subscription(["t"], owned=[("t", 0), ("t", 1), ("t", 2)], generation=1),
        "b": Subscription(["t"], owned=[("t", 3), ("t", 4), ("t", 5)], generation=1),
        "c": Subscription(["t"]),
    }
    first = ASSIGNORS["cooperative-sticky"].assign(counts, members)
    assert first == {"a": [("t", 0), ("t", 1)], "b": [("t", 3), ("t", 4)], "c": []}
    members = {m: Subscription(["t"], owned=items, generation=2) for m, items in first.items()}
    second = ASSIGNORS["cooperative-sticky"].assign(counts, members)
    assert sorted(second["c"]) == [("t", 2), ("t", 5)]


def test_the_bytes_are_those_of_kafkas_java_client() -> None:
    """Kafka's ConsumerProtocol.serializeSubscription and serializeAssignment wrote the expected bytes (4.3.1)."""
    plain = Subscription(["t1", "t0"])
    assert encode_subscription(plain).hex() == "0003000000020002743000027431ffffffff00000000ffffffffffff"
    owning = Subscription(["t0", "t1"], owned=[("t0", 1)], generation=3)
    assert encode_subscription(owning).hex() == "0003000000020002743000027431ffffffff0000000100027430000000010000000100000003ffff"
    assert encode_assignment([("t0", 1), ("t0", 2), ("t1", 1)]).hex() == (
        "00030000000200027430000000020000000100000002000274310000000100000001ffffffff"
    )


def test_notes_of_what_a_sticky_member_had_are_those_of_kafkas_java_client() -> None:
    """StickyAssignor's user data, by its schema; the oldest have no generation, and what does not parse is as good as nothing."""
    notes = bytes.fromhex("000000010002743000000002000000010000000200000003")
    assert ASSIGNORS["sticky"].notes([("t0", 1), ("t0", 2)], 3) == notes
    assert ASSIGNORS["sticky"].notes([], -1) is None
    assert ASSIGNORS["range"].notes([("t0", 1)], 3) is None
    for data, owned, generation in (
        (notes, [("t0", 1), ("t0", 2)], 3),
        (notes[:-4], [("t0", 1), ("t0", 2)], -1),
        (notes[:-5], [], -1),
        (None, [], -1),
        (b"\xff" * 30, [], -1),
    ):
        member = Subscription(["t0"], user_data=data)
        ASSIGNORS["sticky"].read_notes([member])
        assert (member.owned, member.generation) == (owned, generation)


def test_what_was_encoded_is_read_back() -> None:
    """Owned partitions, generation and rack survive the round trip."""
    sent = Subscription(["b", "a"], owned=[("a", 4), ("a", 2)], generation=7, rack="r1", user_data=b"\x00u")
    got = decode_subscription(encode_subscription(sent), "instance")
    assert (got.topics, got.owned, got.generation, got.rack, got.user_data, got.instance_id) == (
        ["a", "b"], [("a", 4), ("a", 2)], 7, "r1", b"\x00u", "instance",
    )  # fmt: skip
    assert decode_assignment(encode_assignment([("a", 4), ("b", 0)])) == [("a", 4), ("b", 0)]
    assert decode_assignment(b"") == []


def test_older_and_newer_versions_are_read() -> None:
    """A member that speaks version 0 owns nothing; a version from the future is read as the newest that is known."""
    old = decode_subscription(bytes.fromhex("000000000001000174ffffffff"))
    assert (old.topics, old.owned, old.generation) == (["t"], [], -1)
    future = decode_subscription(bytes.fromhex("000900000001000174ffffffff0000000000000005ffff") + b"more")
    assert (future.topics, future.generation) == (["t"], 5)


@pytest.mark.parametrize("data", [b"\x00", b"\xff\xff\x00\x00\x00\x00", b"\x00\x03\x7f\xff\xff\xff", b"\x00\x00\x00\x00\x00\x02\x00\x01t"])
def test_bytes_that_do_not_parse_are_refused(data: bytes) -> None:
    """A foreign member's metadata can be anything; it never becomes an IndexError."""
    with pytest.raises(MalformedError):
        decode_subscription(data)
