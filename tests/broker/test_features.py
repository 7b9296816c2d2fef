"""Features are described, changed and refused, and what is in force is what clients are told, on the engine and on Kafka alike."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from ev.errors import ErrorCode
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from ev.wire.messages.k57_update_features import FeatureUpdateKey, UpdateFeaturesRequest
from ev.wire.messages.k64_unregister_broker import UnregisterBrokerRequest
from ev.wire.messages.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from ev.wire.messages.k69_consumer_group_describe import ConsumerGroupDescribeRequest
from support.engine import Engine
from support.raw_client import RawClient
from support.raw_transactions import Ask, asked_over, until_coordinators_are_there
from support.waiting import wait_for

UPGRADE, SAFE, UNSAFE = 1, 2, 3
GROUP, METADATA, TRANSACTION = "group.version", "metadata.version", "transaction.version"
FAILED = "The update failed for all features since the following feature had an error: "


def told(ask: Ask, version: int = 4) -> Any:
    return ask(ApiVersionsRequest(client_software_name="x", client_software_version="1"), version)


def in_force(ask: Ask) -> dict[str, int]:
    return {each.name: each.max_version_level for each in told(ask).finalized_features}


def updated(ask: Ask, *updates: tuple[str, int, int], validate_only: bool = False) -> tuple[int, str]:
    """(error code, message)."""
    asked = [FeatureUpdateKey(feature=name, max_version_level=level, upgrade_type=kind) for name, level, kind in updates]
    answer = ask(UpdateFeaturesRequest(feature_updates=asked, validate_only=validate_only), 2)
    return answer.error_code, answer.error_message or ""


@pytest.fixture
def features(ask: Ask) -> Iterator[Ask]:
    """Afterwards they are what they were."""
    yield ask
    for name, level in ((GROUP, 1), (TRANSACTION, 2)):
        assert updated(ask, (name, level, UPGRADE)) == (0, "")
        wait_for(lambda: in_force(ask).get(name) == level, f"{name} to be {level}")  # noqa: B023


def test_clients_are_told_which_levels_there_are_and_which_is_in_force(ask: Ask) -> None:
    """Old clients are not told of features that begin at 0."""
    supported = {each.name: (each.min_version, each.max_version) for each in told(ask).supported_features}
    assert (supported[GROUP], supported[METADATA], supported[TRANSACTION]) == ((0, 1), (7, 30), (0, 2))
    now = in_force(ask)
    assert (now[GROUP], now[METADATA], now[TRANSACTION]) == (1, 30, 2)
    assert METADATA in {each.name for each in told(ask, 3).supported_features}
    assert GROUP not in {each.name for each in told(ask, 3).supported_features}


@pytest.mark.parametrize("kind", [SAFE, UNSAFE])
def test_a_feature_is_downgraded_and_upgraded(features: Ask, kind: int) -> None:
    """The epoch rises, so that clients see which news is newer; a feature at level 0 is not in force."""
    epoch = told(features).finalized_features_epoch
    assert updated(features, (TRANSACTION, 1, kind), (GROUP, 0, kind)) == (0, "")
    wait_for(lambda: in_force(features).get(TRANSACTION) == 1, "the transaction feature")
    assert GROUP not in in_force(features)
    assert told(features).finalized_features_epoch > epoch
    assert updated(features, (GROUP, 0, kind)) == (0, "")


def test_only_checked_means_that_nothing_changes(features: Ask) -> None:
    before = in_force(features)
    assert updated(features, (GROUP, 0, SAFE), validate_only=True) == (0, "")
    assert in_force(features) == before


def test_older_versions_are_told_of_each_feature(features: Ask) -> None:
    asked = [FeatureUpdateKey(feature=GROUP, max_version_level=1), FeatureUpdateKey(feature=TRANSACTION, max_version_level=2)]
    for version in (0, 1):
        answer = features(UpdateFeaturesRequest(feature_updates=asked), version)
        assert answer.error_code == 0
        assert sorted((each.feature, each.error_code) for each in answer.results) == [(GROUP, 0), (TRANSACTION, 0)]
    down = FeatureUpdateKey(feature=GROUP, max_version_level=0, allow_downgrade=True)
    assert features(UpdateFeaturesRequest(feature_updates=[down]), 0).error_code == ErrorCode.INVALID_UPDATE_VERSION


DOWNGRADE = "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade."
LOSES = "Refusing to perform the requested downgrade because it might delete metadata information."


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ((GROUP, 0, UPGRADE), f"Invalid update version 0 for feature {GROUP}. {DOWNGRADE}"),
        ((GROUP, 2, UPGRADE), f"Invalid update version 2 for feature {GROUP}. Local controller 1 only supports versions 0-1"),
        ((GROUP, -1, SAFE), f"Invalid update version -1 for feature {GROUP}. A feature version cannot be less than 0."),
        ((GROUP, 1, 0), f"Invalid update version 1 for feature {GROUP}. The controller does not support the given upgrade type."),
        ((TRANSACTION, 3, UPGRADE), f"Invalid update version 3 for feature {TRANSACTION}. Local controller 1 only supports versions 0-2"),
        ((METADATA, 31, UPGRADE), f"Invalid update version 31 for feature {METADATA}. Local controller 1 only supports versions 7-30"),
        ((METADATA, 29, UPGRADE), f"Invalid update version 29 for feature {METADATA}. {DOWNGRADE}"),
        ((METADATA, 29, SAFE), f"Unsupported {METADATA} downgrade from 30 to 29. {LOSES}"),
        ((METADATA, 25, UNSAFE), f"Unsupported {METADATA} downgrade from 30 to 25. Unsafe metadata downgrade is not supported"),
        (("no.version", 1, UPGRADE), "Invalid update version 1 for feature no.version. Local controller 1 does not support this feature."),
    ],
)
def test_what_cannot_be_is_refused_with_all_that_was_asked_for(features: Ask, update: tuple[str, int, int], message: str) -> None:
    before = in_force(features)
    code, text = updated(features, (TRANSACTION, 1, SAFE), update) if update[0] != TRANSACTION else updated(features, update)
    assert code == ErrorCode.INVALID_UPDATE_VERSION
    assert text.startswith(FAILED + message)
    assert in_force(features) == before


def test_without_its_feature_the_new_protocol_of_groups_is_not_served(features: Ask) -> None:
    """With it, it is again."""
    until_coordinators_are_there(features)
    group = f"g-{uuid.uuid4().hex}"

    def beaten() -> int:
        beat = ConsumerGroupHeartbeatRequest(
            group_id=group,
            member_id=str(uuid.uuid4()),
            member_epoch=0,
            rebalance_timeout_ms=60_000,
            subscribed_topic_names=["t"],
            topic_partitions=[],
        )
        return int(features(beat, 1).error_code)

    wait_for(lambda: beaten() == 0, "the group to be served")
    assert updated(features, (GROUP, 0, SAFE)) == (0, "")
    wait_for(lambda: beaten() == ErrorCode.UNSUPPORTED_VERSION, "the group not to be served")
    (described,) = features(ConsumerGroupDescribeRequest([group]), 1).groups
    assert described.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert updated(features, (GROUP, 1, UPGRADE)) == (0, "")
    wait_for(lambda: beaten() == 0, "the group to be served again")


def test_levels_survive_a_kill(start_engine: Any) -> None:
    """And the epoch does not fall."""
    engine: Engine = start_engine()
    with RawClient(engine.address) as client:
        ask = asked_over(client)
        assert updated(ask, (TRANSACTION, 1, SAFE)) == (0, "")
        epoch = told(ask).finalized_features_epoch
    engine.kill()
    engine.start()
    with RawClient(engine.address) as client:
        ask = asked_over(client)
        assert in_force(ask)[TRANSACTION] == 1
        assert told(ask).finalized_features_epoch == epoch


def test_a_broker_that_is_not_there_is_not_unregistered(ask: Ask) -> None:
    answer = ask(UnregisterBrokerRequest(77), 0)
    told_so = (answer.error_code, answer.error_message)
    assert told_so == (ErrorCode.BROKER_ID_NOT_REGISTERED, "Broker ID 77 is not currently registered")


def test_the_only_broker_is_not_unregistered(engine: Engine) -> None:
    """Kafka takes leave of it, and then has nobody who leads."""
    with RawClient(engine.address) as client:
        answer = asked_over(client)(UnregisterBrokerRequest(1), 0)
    assert answer.error_code == ErrorCode.INVALID_REQUEST
