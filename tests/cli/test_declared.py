"""Topics declared in files: what may be written, and which steps lead from what is there to what is declared."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from ev.client.results import TopicDescription, TopicPartitionDescription
from ev_cli.actions.topic_apply import steps_of
from ev_cli.declared import read_path, topics_of
from ev_cli.failures import Failure


def topic(name: str, partitions: int) -> TopicDescription:
    """A topic that is there, with one replica."""
    return TopicDescription(name, b"", False, [TopicPartitionDescription(index, 1, 0, [1], [1], []) for index in range(partitions)])


def steps(content: Any, there: dict[str, int], settings: dict[str, dict[str, str]], prune: bool = False) -> list[tuple[Any, ...]]:
    found = steps_of(topics_of(content, "f"), {name: topic(name, count) for name, count in there.items()}, settings, prune)
    return [(step.action, step.topic, step.part, step.before, step.after) for step in found]


def test_nothing_is_done_twice() -> None:
    """What is as declared needs no step, and what is not declared is left alone."""
    content = {"topics": {"a": {"partitions": 2, "config": {"retention.ms": 5, "x": True}}}}
    assert steps(content, {"a": 2, "other": 1}, {"a": {"retention.ms": "5", "x": "true", "more": "1"}}) == []


def test_prune_takes_away_what_is_not_declared() -> None:
    """Settings of declared topics, and topics."""
    content = {"topics": {"a": {"config": {"y": 1}}}}
    assert steps(content, {"a": 2, "other": 3}, {"a": {"x": "1"}}, prune=True) == [
        ("set", "a", "y", None, "1"),
        ("unset", "a", "x", "1", None),
        ("delete", "other", "topic", 3, None),
    ]


def test_what_cannot_be_done_in_place_is_told() -> None:
    """Fewer partitions, other replicas."""
    found = steps({"topics": {"a": {"partitions": 1, "replication_factor": 3}}}, {"a": 2}, {})
    assert [(action, part) for action, _, part, _, _ in found] == [("impossible", "partitions"), ("impossible", "replication_factor")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"topics": {"a": {"parts": 1}}}, "'parts'"),
        ({"topics": {"a": {"partitions": 0}}}, "partitions of topic 'a'"),
        ({"topics": {"a": {"partitions": "many"}}}, "'many'"),
        ({"topics": {"a": {"config": {"k": None}}}}, "None"),
        ({"topics": {"a": 1}}, "no table"),
        ({"topics": {"": {}}}, "0 characters"),
        ({"topics": [], "more": 1}, "'more'"),
        ([1], "declares no topics"),
        ({}, "declares no topics"),
    ],
)
def test_a_wrong_declaration_is_named(content: Any, said: str) -> None:
    """With the topic and what is wrong with it."""
    with pytest.raises(Failure, match=said):
        topics_of(content, "f")


def test_a_directory_stands_for_its_files(tmp_path: pathlib.Path) -> None:
    """Those that end with .toml or .json."""
    (tmp_path / "a.toml").write_text("[topics.a]\nconfig.retention.ms = 1")
    (tmp_path / "b.json").write_text('{"topics": {"b": {}}}')
    (tmp_path / "README").write_text("no")
    found = read_path(str(tmp_path))
    assert [*found] == ["a", "b"]
    assert found["a"].config == {"retention.ms": "1"}
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(Failure, match=r"b\.json is no JSON"):
        read_path(str(tmp_path))
