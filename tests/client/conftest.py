"""Brokers to hold the client against: ev's own engine, and a real Apache Kafka where Java is there."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Callable, Iterator

import pytest

from ev.client.admin import Admin
from ev.client.results import NewTopic
from support.engine import Engine

MakeTopic = Callable[..., str]
_numbers = itertools.count()


@pytest.fixture(scope="session")
def shared_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One engine for all tests that do not stop it."""
    directory: pathlib.Path = tmp_path_factory.mktemp("shared") / "engine"
    with Engine(directory) as engine:
        yield engine


@pytest.fixture(params=["ev", pytest.param("apache", marks=pytest.mark.java)])
def bootstrap(request: pytest.FixtureRequest) -> str:
    """The address of a broker; each test runs against each kind."""
    if request.param == "apache":
        apache_address: str = request.getfixturevalue("apache").bootstrap
        return apache_address
    engine: Engine = request.getfixturevalue("shared_engine")
    return engine.address


@pytest.fixture
def admin(bootstrap: str) -> Iterator[Admin]:
    with Admin(bootstrap) as client:
        yield client


@pytest.fixture
def fresh(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Names that no other test uses."""
    return lambda kind: f"{kind}-{next(_numbers)}-{abs(hash(request.node.name)) % 10**8}"


@pytest.fixture
def make_topic(admin: Admin, fresh: Callable[[str], str]) -> MakeTopic:
    """Creates a topic with a name of its own."""

    def make(partitions: int = 1, **configs: str) -> str:
        name = fresh("topic")
        (created,) = admin.create_topics([NewTopic(name, partitions, 1, {key.replace("_", "."): value for key, value in configs.items()})])
        created.or_raise()
        return name

    return make
