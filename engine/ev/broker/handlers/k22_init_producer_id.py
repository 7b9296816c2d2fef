"""InitProducerId (22): an id for an idempotent producer, never given before and never again.

Versions 0-5. The answer leaves when the block that the id comes from is claimed on disk. Transactions come with a later
version of ev: a transactional id is refused, never half accepted; version 6 belongs to them and is not served.

v2 flexible, v3 the producer says which id and epoch it had (only transactional ones are bumped), v4 PRODUCER_FENCED.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode, KafkaError
from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest, InitProducerIdResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 22
VERSIONS = (0, 5)


def handle(broker: Broker, call: Call) -> None:
    request: InitProducerIdRequest = call.request
    if request.transactional_id is not None:
        call.reply(_refusal(ErrorCode.INVALID_REQUEST))
        return
    try:
        producer_id = broker.producer_id(call.now_ms)
    except KafkaError as error:
        call.reply(_refusal(error.code))
        return
    call.reply(InitProducerIdResponse(producer_id=producer_id, producer_epoch=0), broker.metadata_round)


def _refusal(code: int) -> InitProducerIdResponse:
    return InitProducerIdResponse(error_code=code, producer_id=-1, producer_epoch=-1)
