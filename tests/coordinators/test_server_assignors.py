"""The broker's assignors give out every partition once, evenly, and move no more than they must."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ev.coordinators.server_assignors import ASSIGNORS, Assignment, by_range, uniform

TOPICS = [bytes([number]) * 16 for number in range(4)]
COUNTS = st.dictionaries(st.sampled_from(TOPICS), st.integers(1, 9), min_size=1)
MEMBERS = st.lists(st.sampled_from([f"m{number}" for number in range(7)]), min_size=1, max_size=7, unique=True)


def places(assignment: Assignment) -> set[tuple[bytes, int]]:
    return {(topic, index) for topic, indexes in assignment.items() for index in indexes}


@given(counts=COUNTS, data=st.data(), members=MEMBERS, name=st.sampled_from(sorted(ASSIGNORS)))
def test_every_partition_has_exactly_one_reader_that_wants_it(
    counts: dict[bytes, int], data: st.DataObject, members: list[str], name: str
) -> None:
    """Whatever was assigned before, also to members and of topics that are gone."""
    some = st.frozensets(st.sampled_from(TOPICS), min_size=0)
    subscriptions = {member: data.draw(some) for member in members}
    before = {member: {topic: frozenset(data.draw(st.sets(st.integers(0, 9)))) for topic in TOPICS} for member in [*members, "gone"]}
    given_out = ASSIGNORS[name](subscriptions, counts, before)
    assert set(given_out) == set(members)
    found = [place for assignment in given_out.values() for place in places(assignment)]
    wanted = {topic for topics in subscriptions.values() for topic in topics}
    assert sorted(found) == sorted((topic, index) for topic, count in counts.items() if topic in wanted for index in range(count))
    for member, assignment in given_out.items():
        assert set(assignment) <= subscriptions[member]


@settings(deadline=None)
@given(counts=COUNTS, members=MEMBERS, data=st.data())
def test_uniform_is_even_and_moves_little(counts: dict[bytes, int], members: list[str], data: st.DataObject) -> None:
    """With the same subscriptions nobody has two more than another, and who stays within that keeps all that it had."""
    topics = frozenset(counts)
    before = uniform(dict.fromkeys(members, topics), counts, {})
    others = data.draw(MEMBERS)
    after = uniform(dict.fromkeys(others, topics), counts, before)
    sizes = sorted(len(places(assignment)) for assignment in after.values())
    assert sizes[-1] - sizes[0] <= 1
    kept = sum(len(places(after[member]) & places(before[member])) for member in others if member in before)
    quota, more = divmod(sum(counts.values()), len(others))  # so many may have one more
    had = [len(places(before[member])) for member in others if member in before]
    assert kept == sum(min(size, quota) for size in had) + min(sum(size > quota for size in had), more), "no more moved than that asks for"
    assert uniform(dict.fromkeys(others, topics), counts, after) == after


@settings(deadline=None)
@given(counts=COUNTS, data=st.data(), members=MEMBERS)
def test_uniform_is_fair_where_subscriptions_differ(counts: dict[bytes, int], data: st.DataObject, members: list[str]) -> None:
    """Nobody could hand a partition to a reader of it that has two less."""
    some = st.frozensets(st.sampled_from(sorted(counts)), min_size=1)
    subscriptions = {member: data.draw(some) for member in members}
    given_out = uniform(subscriptions, counts, {})
    sizes = {member: len(places(assignment)) for member, assignment in given_out.items()}
    for member, assignment in given_out.items():
        for topic in assignment:
            for other in members:
                if topic in subscriptions[other]:
                    assert sizes[member] - sizes[other] <= 1


def test_range_gives_neighbours_and_the_same_of_each_topic() -> None:
    """So that records of one key in two topics of one size meet."""
    one, two = TOPICS[:2]
    found = by_range(dict.fromkeys(["a", "b", "c"], frozenset((one, two))), {one: 7, two: 7}, {})
    assert [sorted(found[member][one]) for member in "abc"] == [[0, 1, 2], [3, 4], [5, 6]]
    assert all(found[member][one] == found[member][two] for member in "abc")
