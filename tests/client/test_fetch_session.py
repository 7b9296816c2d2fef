"""Fetch sessions (KIP-227) without a network: what a request leaves out, and what makes a session begin again."""

from __future__ import annotations

import pytest

from ev.client.fetch_session import EPOCH_MAX, PARTITIONS_MIN, FetchSession
from ev.errors import ErrorCode
from ev.wire.messages.k01_fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic

COUNT = PARTITIONS_MIN
ID, OTHER_ID = b"i" * 16, b"j" * 16


def request(offsets: dict[int, int], topic_id: bytes = ID) -> FetchRequest:
    """For everything that is wanted of topic `t`: the offset of each partition."""
    rows = [FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=100) for index, offset in offsets.items()]
    return FetchRequest(topics=[FetchTopic(topic="t", topic_id=topic_id, partitions=rows)])


def narrowed(session: FetchSession, offsets: dict[int, int], topic_id: bytes = ID, version: int | None = 18) -> FetchRequest:
    asked = request(offsets, topic_id)
    session.narrow(asked, version)
    return asked


def said(asked: FetchRequest) -> dict[int, int]:
    return {row.partition: row.fetch_offset for topic in asked.topics for row in topic.partitions}


def forgotten(asked: FetchRequest) -> dict[bytes, list[int]]:
    return {topic.topic_id: topic.partitions for topic in asked.forgotten_topics_data}


def begun(offsets: dict[int, int]) -> FetchSession:
    """A session with the id 7, in which so much was asked for."""
    session = FetchSession()
    first = narrowed(session, offsets)
    assert (first.session_id, first.session_epoch, said(first)) == (0, 0, offsets)
    assert session.answered(FetchResponse(session_id=7))
    return session


def test_a_session_names_only_what_has_changed() -> None:
    """New offsets, new partitions, and those that are not wanted any more; epochs count up."""
    session = begun(dict.fromkeys(range(COUNT), 0))
    second = narrowed(session, {**dict.fromkeys(range(COUNT), 0), 3: 10, COUNT: 0})
    assert (second.session_id, second.session_epoch, said(second), forgotten(second)) == (7, 1, {3: 10, COUNT: 0}, {})
    session.answered(FetchResponse(session_id=7))
    third = narrowed(session, {3: 10})
    assert (third.session_epoch, said(third), forgotten(third)) == (2, {}, {ID: [0, 1, 2, *range(4, COUNT + 1)]})
    assert third.topics == []


def test_a_topic_that_was_made_anew_is_another_one() -> None:
    """The old one is forgotten by its id."""
    session = begun(dict.fromkeys(range(COUNT), 5))
    again = narrowed(session, dict.fromkeys(range(COUNT), 5), OTHER_ID)
    assert len(said(again)) == COUNT
    assert forgotten(again) == {ID: list(range(COUNT))}


@pytest.mark.parametrize(
    "code", [ErrorCode.FETCH_SESSION_ID_NOT_FOUND, ErrorCode.INVALID_FETCH_SESSION_EPOCH, ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR]
)
def test_a_session_that_is_denied_begins_again_with_everything(code: int) -> None:
    """The broker was restarted, or needed the place: nothing was read, nothing is an error."""
    offsets = dict.fromkeys(range(COUNT), 0)
    session = begun(offsets)
    narrowed(session, offsets)
    assert not session.answered(FetchResponse(error_code=code))
    again = narrowed(session, offsets)
    assert (again.session_id, again.session_epoch, said(again)) == (0, 0, offsets)


def test_a_request_that_came_to_nothing_ends_the_session() -> None:
    """The broker may have taken it or not: what it knows is not known."""
    offsets = dict.fromkeys(range(COUNT), 0)
    session = begun(offsets)
    narrowed(session, offsets)
    session.broke()
    assert narrowed(session, offsets).session_epoch == 0
    assert session.answered(FetchResponse(session_id=8, error_code=ErrorCode.UNKNOWN_SERVER_ERROR))
    assert narrowed(session, offsets).session_id == 0


def test_a_broker_that_gives_no_session_is_told_everything_each_time() -> None:
    """Its places are taken."""
    offsets = dict.fromkeys(range(COUNT), 0)
    session = FetchSession()
    for _ in range(2):
        assert said(narrowed(session, offsets)) == offsets
        assert session.answered(FetchResponse(session_id=0))


@pytest.mark.parametrize(("count", "version"), [(COUNT - 1, 18), (COUNT, 6), (COUNT, None)])
def test_few_partitions_and_old_brokers_do_without(count: int, version: int | None) -> None:
    """As requests were before there were sessions: no id, no epoch."""
    offsets = dict.fromkeys(range(count), 0)
    session = FetchSession()
    for _ in range(2):
        asked = narrowed(session, offsets, version=version)
        assert (asked.session_id, asked.session_epoch, said(asked)) == (0, -1, offsets)
        assert session.answered(FetchResponse(session_id=0))


def test_epochs_begin_again_at_1() -> None:
    """0 would begin a session."""
    offsets = dict.fromkeys(range(COUNT), 0)
    session = begun(offsets)
    session.epoch = EPOCH_MAX
    assert narrowed(session, offsets).session_epoch == EPOCH_MAX
    session.answered(FetchResponse(session_id=7))
    assert narrowed(session, offsets).session_epoch == 1
