"""Settings: every row is complete, what a person writes is checked, and topics fall back to the broker."""

from __future__ import annotations

import pytest

from ev.coarser_settings import COARSER
from ev.errors import SettingError
from ev.setting_types import Number
from ev.settings import BY_ATTRIBUTE, TOPIC_SETTINGS, Settings, row_named, rows, topic_values


def test_every_row_says_what_it_is() -> None:
    """Each setting has a type that DescribeConfigs knows, a sentence of documentation, and a default within its own bounds."""
    for row in rows():
        assert row.KIND in range(1, 10), row.name
        assert row.doc.endswith("."), row.name
        assert row.parse(row.render(row.default)) == row.default, row.name


def test_an_attribute_has_the_name_of_its_setting() -> None:
    """Dots become underscores; a row that is read under another name has that name as its alias."""
    for attribute, row in BY_ATTRIBUTE.items():
        assert attribute in {name.replace(".", "_") for name in (row.name, row.alias) if name}


def test_numbers_with_a_unit_say_so_in_their_name() -> None:
    """A setting that ends in `.ms` counts milliseconds and one that ends in `.bytes` counts bytes."""
    for row in rows():
        if isinstance(row, Number) and row.name.endswith((".ms", ".bytes")):
            assert row.unit == row.name.rpartition(".")[2], row.name


def test_what_is_not_given_has_its_default() -> None:
    """An engine without any settings is Kafka-like, and knows that nothing was given."""
    settings = Settings()
    assert settings.log_segment_bytes == 1 << 30
    assert settings.message_max_bytes == 1_048_588
    assert settings.group_initial_rebalance_delay_ms == 0
    assert settings.given == frozenset()


def test_texts_become_values() -> None:
    """What a person writes is parsed by the row's type."""
    texts = {
        "log.segment.bytes": " 1048576 ",
        "auto.create.topics.enable": "FALSE",
        "log.cleanup.policy": "compact, delete",
        "ev.durability": "os",
    }
    settings = Settings.from_mapping(texts)
    assert settings.log_segment_bytes == 1_048_576
    assert settings.auto_create_topics_enable is False
    assert settings.log_cleanup_policy == ("compact", "delete")
    assert settings.ev_durability == "os"
    assert settings.given == set(texts)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("log.segment.bytes", "1GB"),
        ("log.segment.bytes", ""),
        ("log.segment.bytes", "1023"),
        ("log.segment.bytes", "9" * 5000),
        ("log.retention.ms", "-2"),
        ("auto.create.topics.enable", "yes"),
        ("log.cleaner.min.cleanable.ratio", "1.5"),
        ("log.cleaner.min.cleanable.ratio", "nan"),
        ("ev.flush.method", "hope"),
        ("log.cleanup.policy", "delete,burn"),
    ],
)
def test_a_value_outside_its_bounds_is_refused_with_the_bounds(name: str, text: str) -> None:
    """The message names the setting and what was expected."""
    with pytest.raises(SettingError, match="expected"):
        Settings.from_mapping({name: text})


def test_an_unknown_setting_is_refused_with_the_nearest_name() -> None:
    """A typing error is found at the start, not at three in the morning."""
    with pytest.raises(SettingError, match=r"did you mean log\.segment\.bytes"):
        Settings.from_mapping({"log.segment.byte": "1048576"})


@pytest.mark.parametrize(
    ("given", "expected_ms"),
    [
        ({"log.retention.hours": "1"}, 3_600_000),
        ({"log.retention.minutes": "2"}, 120_000),
        ({"log.retention.hours": "1", "log.retention.minutes": "2"}, 120_000),
        ({"log.retention.ms": "3", "log.retention.hours": "1", "log.retention.minutes": "2"}, 3),
        ({"log.retention.minutes": "2", "log.retention.ms": "3"}, 3),
        ({"log.retention.hours": "-1"}, -1),
    ],
)
def test_times_may_be_said_in_minutes_and_hours_where_kafka_has_that(given: dict[str, str], expected_ms: int) -> None:
    """A server.properties of Kafka means here what it means there: the finest unit counts. Topics have it from there."""
    settings = Settings.from_mapping(given)
    assert settings.log_retention_ms == expected_ms
    assert settings.given == {"log.retention.ms"}
    assert topic_values(settings, {})["retention.ms"] == expected_ms


def test_every_coarser_name_stands_for_a_setting() -> None:
    """Its default says the same, and so does its documentation; what it cannot be is refused under its own name."""
    for name, row in COARSER.items():
        fine = row_named(row.of)
        assert row.milliseconds(str(row.default)) == str(fine.default), name
        assert row.of in row.doc, name
        with pytest.raises(SettingError, match=f"for {name}: expected a whole number"):
            Settings.from_mapping({name: "soon"})
        with pytest.raises(SettingError, match=f"set {row.of}"):
            row_named(name)
    assert Settings.from_mapping({"log.roll.hours": "2", "log.roll.jitter.hours": "1"}).log_roll_ms == 7_200_000
    with pytest.raises(SettingError, match="expected a whole number from 1"):
        Settings.from_mapping({"log.roll.hours": "0"})
    with pytest.raises(SettingError, match=r"did you mean log\.retention\.hours"):
        Settings.from_mapping({"log.retention.hour": "1"})


def test_a_topic_setting_that_is_not_there_is_refused_with_the_nearest_name() -> None:
    """When one is near."""
    with pytest.raises(SettingError, match=r"^Unknown topic config name: retention\.hours; did you mean retention\.ms\?$"):
        topic_values(Settings(), {"retention.hours": "1"})
    with pytest.raises(SettingError, match=r"^Unknown topic config name: nonsense$"):
        topic_values(Settings(), {"nonsense": "1"})


def test_a_setting_given_under_both_its_names_is_refused() -> None:
    """Nobody could say which of the two counts."""
    with pytest.raises(SettingError, match="twice"):
        Settings.from_mapping({"file.delete.delay.ms": "1", "log.segment.delete.delay.ms": "2"})


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("group.min.session.timeout.ms", "group.max.session.timeout.ms"),
        ("group.consumer.min.session.timeout.ms", "group.consumer.max.session.timeout.ms"),
        ("group.consumer.min.heartbeat.interval.ms", "group.consumer.max.heartbeat.interval.ms"),
    ],
)
def test_bounds_must_leave_room(low: str, high: str) -> None:
    """A minimum above the maximum would refuse everybody."""
    Settings.from_mapping({low: "60000", high: "60000"})
    with pytest.raises(SettingError, match="must not be above"):
        Settings.from_mapping({low: "70000", high: "60000"})


def test_what_overrides_settings_leaves_them_as_they_were() -> None:
    """The new ones have the new values, and still know what was given at the start."""
    given = Settings.from_mapping({"log.retention.ms": "5", "num.partitions": "3"})
    new = given.overridden({"log.retention.ms": "6", "message.max.bytes": "7"})
    assert (new.log_retention_ms, new.message_max_bytes, new.num_partitions) == (6, 7, 3)
    assert (given.log_retention_ms, given.message_max_bytes) == (5, 1_048_588)
    assert new.given == given.given == {"log.retention.ms", "num.partitions"}
    with pytest.raises(SettingError, match="expected"):
        given.overridden({"message.max.bytes": "many"})


def test_settings_do_not_change_in_place() -> None:
    """Whoever holds the settings may rely on them."""
    settings = Settings()
    with pytest.raises(AttributeError):
        settings.log_segment_bytes = 1


def test_a_topic_falls_back_to_the_broker_and_then_to_the_default() -> None:
    """An override wins over the broker's setting of the other name, which wins over its default."""
    settings = Settings.from_mapping({"log.retention.ms": "1000", "log.roll.ms": "2000"})
    values = topic_values(settings, {"retention.ms": "5"})
    assert (values["retention.ms"], values["segment.ms"], values["segment.bytes"]) == (5, 2000, 1 << 30)
    assert values.keys() == TOPIC_SETTINGS.keys()


@pytest.mark.parametrize(
    "overrides",
    [
        {"retention.days": "1"},
        {"retention.ms": "a week"},
        {"remote.storage.enable": "true"},
        {"min.compaction.lag.ms": "10", "max.compaction.lag.ms": "5"},
    ],
)
def test_a_topic_setting_that_makes_no_sense_is_refused(overrides: dict[str, str]) -> None:
    """Unknown names, wrong values, and what this engine cannot do."""
    with pytest.raises(SettingError):
        topic_values(Settings(), overrides)
