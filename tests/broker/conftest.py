"""What the tests that hold on the engine and on Apache Kafka alike talk to: each of them runs once on either."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import apache_kafka
from support.engine import Engine
from support.guarded import SETTINGS, Guarded
from support.raw_client import RawClient
from support.raw_transactions import Ask, asked_over
from support.secure_brokers import SecureBroker, secure_engine, secure_kafka


@pytest.fixture(params=["ev", pytest.param("kafka", marks=pytest.mark.java)])
def address(request: pytest.FixtureRequest) -> str:
    """HOST:PORT of the broker."""
    if request.param == "kafka":
        return str(request.getfixturevalue("apache").bootstrap)
    engine: Engine = request.getfixturevalue("engine")
    return engine.address


@pytest.fixture(scope="session")
def secure_apache() -> Iterator[SecureBroker]:
    """One Apache Kafka for the session whose clients may have to say who they are."""
    with secure_kafka() as kafka:
        yield kafka


@pytest.fixture(scope="module", params=["ev", pytest.param("kafka", marks=pytest.mark.java)])
def secure_broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    """A broker whose clients may have to say who they are."""
    if request.param == "kafka":
        yield request.getfixturevalue("secure_apache")
        return
    with secure_engine(tmp_path_factory.mktemp("engine") / "data") as broker:
        yield broker


@pytest.fixture
def ask(address: str) -> Iterator[Ask]:
    """Sends it a request, and returns the answer."""
    with RawClient(address) as client:
        yield asked_over(client)


@pytest.fixture(scope="session")
def guarded_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an engine with an authorizer."""
    with Engine(tmp_path_factory.mktemp("guarded") / "engine", settings=SETTINGS) as engine:
        founded(engine.address)
        yield engine.address


@pytest.fixture(scope="session")
def guarded_apache() -> Iterator[str]:
    """The same for Apache Kafka."""
    with apache_kafka.Kafka(properties={**SETTINGS, "group.consumer.min.assignment.interval.ms": "0"}) as kafka:
        founded(kafka.bootstrap)
        yield kafka.bootstrap


def founded(address: str) -> None:
    guarded = Guarded(address)
    guarded.found()
    guarded.close()


@pytest.fixture(params=["engine", pytest.param("apache", marks=pytest.mark.java)])
def guarded(request: pytest.FixtureRequest) -> Iterator[Guarded]:
    """A broker with an authorizer, where the user may do nothing."""
    guarded = Guarded(request.getfixturevalue(f"guarded_{request.param}"))
    yield guarded
    guarded.close()
    cleaner = Guarded(guarded.address)  # the test may have left something unanswered
    for host in {acl.host for acl in cleaner.described(host_filter=None)} - {cleaner.administrator}:
        cleaner.forbid(host_filter=host)
    cleaner.close()
