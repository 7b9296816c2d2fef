"""UpdateFeatures (57): features are set to other levels, all that are asked for or none.

Versions 0-2. What is refused and why is Kafka's: a level that there is not, one below the present one without the type of update that
says so, an older metadata.version. The levels of group.version and transaction.version are kept, and in force at once.

v1 the type of the update, in place of leave to downgrade, which no broker heeds any more; v2 no answer for each feature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode, KafkaError, error_message
from ev.wire.acls import Operation
from ev.wire.messages.k57_update_features import UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 57
VERSIONS = (0, 2)


def handle(broker: Broker, call: Call) -> None:
    request: UpdateFeaturesRequest = call.request
    if not broker.allows_on_cluster(call, Operation.ALTER):
        code = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        call.reply(UpdateFeaturesResponse(error_code=code, error_message=error_message(code)))
        return
    wanted = {update.feature: (update.max_version_level, update.upgrade_type) for update in request.feature_updates}
    try:
        changed = broker.features.changed(wanted, broker.node_id)
        if changed and not request.validate_only:
            broker.set_features(changed, call.now_ms)
    except KafkaError as error:
        message = f"The update failed for all features since the following feature had an error: {error.message}"
        call.reply(UpdateFeaturesResponse(error_code=error.code, error_message=message), broker.metadata_round)
        return
    results = [UpdatableFeatureResult(feature=update.feature, error_message="NONE") for update in request.feature_updates]
    call.reply(UpdateFeaturesResponse(error_message=None, results=results), broker.metadata_round)
