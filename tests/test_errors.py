"""The error codes are Kafka's, and the exceptions say what they mean."""

from __future__ import annotations

import copy
import pickle

import pytest
from kio.schema.errors import ErrorCode as KioErrorCode

from ev import errors
from ev.errors import ErrorCode, EvError, KafkaError, UnknownTopicError, error_message, error_name, error_retriable


def test_codes_names_and_retriability_are_kafkas() -> None:
    """All of them, as kio has them from Kafka's own source."""
    ours = {name: value for name, value in vars(ErrorCode).items() if name.isupper()}
    assert ours == {code.name.upper(): code.value for code in KioErrorCode}
    assert {code for code in ours.values() if error_retriable(code)} == {code.value for code in KioErrorCode if code.retriable}


def test_every_code_has_a_line_for_people() -> None:
    """One line, no full stop, so that it can stand inside a sentence."""
    for code in KioErrorCode:
        message = error_message(code.value)
        assert message
        assert "\n" not in message
        assert not message.endswith(".")


def test_an_unknown_code_is_shown_as_a_number() -> None:
    """A newer broker may say something new."""
    assert error_name(999) == "ERROR_999"
    assert not error_retriable(999)
    assert str(KafkaError(999)) == "ERROR_999: the broker answered with error code 999, which this version does not know"


def test_a_kafka_error_knows_its_code_name_and_message() -> None:
    """With its own message, or with the line of the code."""
    error = KafkaError(ErrorCode.NOT_COORDINATOR)
    assert (error.code, error.name, error.retriable) == (16, "NOT_COORDINATOR", True)
    assert str(error) == "NOT_COORDINATOR: this broker does not coordinate that group or transactional id"
    assert str(KafkaError(36, "topic 'a' exists")) == "TOPIC_ALREADY_EXISTS: topic 'a' exists"


def test_an_unknown_topic_names_the_nearest() -> None:
    """What a person needs after a slip of the finger."""
    assert str(UnknownTopicError("oders", "orders")) == "no topic 'oders'; did you mean 'orders'?"
    assert str(UnknownTopicError("oders")) == "no topic 'oders'"


FAMILY = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, EvError)]


@pytest.mark.parametrize("cls", FAMILY, ids=lambda cls: cls.__name__)
def test_every_exception_is_drawn_in_the_tree(cls: type[EvError]) -> None:
    """The docstring of the module is the map."""
    assert errors.__doc__ is not None
    assert f" {cls.__name__}" in errors.__doc__


@pytest.mark.parametrize("error", [KafkaError(3, "x"), KafkaError(3), UnknownTopicError("a", "b"), EvError("plain")], ids=repr)
def test_an_exception_survives_copying_and_pickling(error: EvError) -> None:
    """They cross threads and processes."""
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
