"""Quotas of clients, features of the cluster, brokers that are to be forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from differential.conversation import Own, Step, Steps, about
from ev.wire.messages.k48_describe_client_quotas import ComponentData, DescribeClientQuotasRequest
from ev.wire.messages.k49_alter_client_quotas import AlterClientQuotasRequest, EntityData, OpData, RequestEntryData
from ev.wire.messages.k57_update_features import FeatureUpdateKey, UpdateFeaturesRequest
from ev.wire.messages.k64_unregister_broker import UnregisterBrokerRequest

EXACT, DEFAULT, ANY = 0, 1, 2
UPGRADE, SAFE, UNSAFE = 1, 2, 3
RATE, CONNECTIONS = "producer_byte_rate", "connection_creation_rate"


def altered(
    entity: Mapping[str, str | None], *operations: tuple[str, float | None], validate_only: bool = False
) -> AlterClientQuotasRequest:
    parts = [EntityData(kind, name) for kind, name in entity.items()]
    changes = [OpData(key, value or 0.0, value is None) for key, value in operations]
    return AlterClientQuotasRequest([RequestEntryData(parts, changes)], validate_only)


def described(*components: tuple[str, int, str | None], strict: bool = False) -> DescribeClientQuotasRequest:
    return DescribeClientQuotasRequest([ComponentData(*each) for each in components], strict)


def entries(count: int) -> Any:
    """Whether so many entities are described: Kafka shows a change a moment after it took it."""
    return lambda answer: len(answer.entries or ()) == count


@about(48, "of one user")
def quotas_of_one(version: int, own: Own) -> Steps:
    user, both = {"user": own("u")}, {"user": own("u"), "client-id": own("c")}
    yield Step(described(("user", EXACT, own("u"))), version)
    yield Step(altered(user, (RATE, 1024.0), ("request_percentage", 12.5)), 1)
    yield Step(described(("user", EXACT, own("u"))), version, until=entries(1))
    yield Step(altered(both, ("consumer_byte_rate", 5.0)), 1)
    yield Step(described(("user", EXACT, own("u")), ("client-id", ANY, None)), version, until=entries(1))
    yield Step(described(("user", EXACT, own("u")), strict=True), version)
    yield Step(described(("client-id", EXACT, own("c")), strict=True), version)
    yield Step(described(("user", EXACT, own("u")), ("client-id", DEFAULT, None)), version)
    for entity, key in ((user, RATE), (user, "request_percentage"), (both, "consumer_byte_rate")):
        yield Step(altered(entity, (key, None)), 1)
    yield Step(described(("user", EXACT, own("u"))), version, until=entries(0))


@about(48, "filters that are none")
def bad_filters(version: int, own: Own) -> Steps:
    for component in (
        ("", EXACT, "a"),
        ("host", EXACT, "a"),
        ("user", EXACT, None),
        ("user", DEFAULT, "a"),
        ("user", ANY, "a"),
        ("user", 9, None),
    ):
        yield Step(described(component), version)
    yield Step(described(("user", EXACT, "a"), ("user", ANY, None)), version)
    yield Step(described(("user", EXACT, "a"), ("ip", ANY, None)), version)


@about(49, "set, changed and taken away")
def quotas_set(version: int, own: Own) -> Steps:
    for entity in ({"user": own("u")}, {"client-id": own("c / ö")}, {"user": own("u"), "client-id": None}):
        yield Step(altered(entity, (RATE, 1024.0)), version)
        yield Step(altered(entity, (RATE, 2048.0), ("controller_mutation_rate", 0.5)), version)
        yield Step(altered(entity, (RATE, 4096.0), validate_only=True), version)
        yield Step(altered(entity, (RATE, None), ("controller_mutation_rate", None), ("request_percentage", None)), version)
    yield Step(altered({"ip": "203.0.113.9"}, (CONNECTIONS, 5.0)), version)
    yield Step(altered({"ip": "203.0.113.9"}, (CONNECTIONS, None)), version)


@about(49, "what makes no sense")
def bad_quotas(version: int, own: Own) -> Steps:
    user: dict[str, str | None] = {"user": own("u")}
    for entity, operation in (
        ({}, (RATE, 5.0)),
        ({"user": ""}, (RATE, 5.0)),
        ({"host": "a"}, (RATE, 5.0)),
        ({"user": "a", "ip": "1.2.3.4"}, (CONNECTIONS, 5.0)),
        ({"ip": "not an address"}, (CONNECTIONS, 5.0)),
        ({"ip": "1.2.3.4"}, (RATE, 5.0)),
        ({"ip": "1.2.3.4"}, (CONNECTIONS, 3e9)),
        (user, (CONNECTIONS, 5.0)),
        (user, ("no.such.quota", 5.0)),
        (user, ("no.such.quota", None)),
        (user, (RATE, 0.0)),
        (user, (RATE, -1.0)),
        (user, (RATE, 1.5)),
        (user, (RATE, 1e30)),
    ):
        yield Step(altered(entity, operation), version)
    yield Step(altered(user, (RATE, 5.0), (RATE, 6.0)), version)
    yield Step(altered(user, (RATE, 5.0), (CONNECTIONS, 5.0)), version)


def updated(name: str, level: int, kind: int = UPGRADE) -> UpdateFeaturesRequest:
    update = FeatureUpdateKey(feature=name, max_version_level=level, upgrade_type=kind)
    return UpdateFeaturesRequest(feature_updates=[update], validate_only=True)


@about(57, "levels")
def levels(version: int, own: Own) -> Steps:
    """Older versions cannot ask what would be: they ask for what is, and for what cannot be."""
    yield Step(updated("group.version", 1), version)
    yield Step(updated("transaction.version", 2), version)
    yield Step(updated("metadata.version", 30), version)
    yield Step(UpdateFeaturesRequest(feature_updates=[], validate_only=True), version)
    for name, level in (
        ("group.version", 2),
        ("group.version", -1),
        ("transaction.version", 3),
        ("metadata.version", 31),
        ("no.version", 1),
    ):
        yield Step(updated(name, level), version)
    yield Step(updated("group.version", 0), version)


@about(57, "levels that are lower", since=1)
def lower_levels(version: int, own: Own) -> Steps:
    for kind in (UPGRADE, SAFE, UNSAFE, 0, 9):
        for name, level in (("group.version", 0), ("transaction.version", 1), ("metadata.version", 29), ("metadata.version", 7)):
            yield Step(updated(name, level, kind), version)


@about(64, "brokers that are not there")
def no_such_broker(version: int, own: Own) -> Steps:
    for broker_id in (77, -1):
        yield Step(UnregisterBrokerRequest(broker_id), version)
