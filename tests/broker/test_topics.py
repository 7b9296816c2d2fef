"""Topics: the state that the metadata log describes, and the rules for names."""

from __future__ import annotations

import pytest

from ev.broker.producer_ids import BLOCK_SIZE, ProducerIds
from ev.broker.topics import Topic, Topics, check_topic_name, deletion_record, id_from_text, id_to_text, read_record, topic_record
from ev.errors import DiskError, ErrorCode, KafkaError

ID = bytes(range(16))
OTHER_ID = bytes(range(1, 17))


def replay(topics: Topics, *records: tuple[bytes, bytes | None]) -> None:
    for key, value in records:
        kind, name, state = read_record(key, value)
        assert kind == "topic"
        topics.replay(name, state)


def test_a_topic_is_what_its_newest_record_says() -> None:
    """Each record holds the whole state, so that all older ones of the same key may be dropped."""
    topics = Topics()
    topic = Topic("orders", ID, 1, {})
    replay(topics, topic_record(topic), topic_record(topic.with_partitions(3).with_config({"retention.ms": "5"})))
    found = topics.get("orders")
    assert found is not None
    assert (found.id, found.partition_count, found.config) == (ID, 3, {"retention.ms": "5"})
    assert topics.by_id(ID) is found
    assert (topics.name_of(ID), topics.partitions_of("orders"), topics.partition_count) == ("orders", 3, 3)


def test_a_deleted_topic_is_gone_by_name_and_by_id() -> None:
    """Its name may be used again, and stands for another id then."""
    topics = Topics()
    replay(topics, topic_record(Topic("orders", ID, 2, {})), deletion_record("orders"), topic_record(Topic("orders", OTHER_ID, 1, {})))
    assert topics.by_id(ID) is None
    assert topics.name_of(OTHER_ID) == "orders"
    assert topics.partition_count == 1
    replay(topics, deletion_record("orders"))
    assert "orders" not in topics
    assert len(topics) == 0
    assert topics.partition_count == 0


def test_deleting_what_is_not_there_changes_nothing() -> None:
    """A log that was compacted may begin with the end of a topic."""
    topics = Topics()
    replay(topics, deletion_record("orders"))
    assert list(topics) == []


def test_names_that_metrics_cannot_tell_apart_collide() -> None:
    """Kafka's metric names turn dots into underscores; a topic does not collide with itself."""
    topics = Topics()
    replay(topics, topic_record(Topic("a.b", ID, 1, {})))
    assert topics.collision("a_b") == "a.b"
    assert topics.collision("a.b") is None
    assert topics.collision("a-b") is None
    replay(topics, deletion_record("a.b"))
    assert topics.collision("a_b") is None


def test_ids_are_written_as_kafka_prints_them() -> None:
    """22 characters of base64url, without padding."""
    assert id_to_text(ID) == "AAECAwQFBgcICQoLDA0ODw"
    assert id_from_text(id_to_text(ID)) == ID


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "x" * 249, "...", "__consumer_offsets"])
def test_ordinary_names_are_accepted(name: str) -> None:
    """Letters, digits, dots, underscores and dashes, up to 249 of them."""
    check_topic_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "x" * 250, "a/b", "a b", "ä", "a\n", "../etc", "__ev_metadata"])
def test_other_names_are_refused(name: str) -> None:
    """A name becomes part of a path; and the engine's own log is no topic."""
    with pytest.raises(KafkaError) as caught:
        check_topic_name(name)
    assert caught.value.code == ErrorCode.INVALID_TOPIC_EXCEPTION


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b'{"kind":"topic","name":"t"}', b'{"v":2}'),
        (b'{"kind":"of_tomorrow"}', b'{"v":1}'),
        (b"", b"{}"),
        (b'{"kind":"topic","name":"t"}', b"{"),
        (b'{"kind":"topic","name":"t"}', b"[]"),
    ],
)
def test_a_record_of_a_newer_version_stops_the_start(key: bytes, value: bytes) -> None:
    """What is not understood is not passed over: it might say that a topic is gone, or that ids are used up."""
    with pytest.raises(DiskError, match="metadata log"):
        read_record(key, value)


def test_producer_ids_go_up_without_a_gap_inside_a_block() -> None:
    """A block is claimed by a record; when it is used up the next one is claimed."""
    ids = ProducerIds()
    given = []
    for _ in range(BLOCK_SIZE + 1):
        if ids.exhausted:
            _, _, state = read_record(*ids.claim())
            assert state is not None
            ids.replay(state)
            ids.open_block()
        given.append(ids.take())
    assert given == list(range(BLOCK_SIZE + 1))


def test_a_restart_begins_a_new_block() -> None:
    """What was left of the old one is never used: who knows whether it was."""
    before = ProducerIds()
    _, _, state = read_record(*before.claim())
    assert state is not None
    after = ProducerIds()
    after.replay(state)
    assert after.exhausted
    _, _, claimed = read_record(*after.claim())
    assert claimed is not None
    after.replay(claimed)
    after.open_block()
    assert after.take() == BLOCK_SIZE
