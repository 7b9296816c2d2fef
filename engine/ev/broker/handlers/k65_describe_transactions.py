"""DescribeTransactions (65): the state of transactional ids.

Version 0. An id that is not known is answered with TRANSACTIONAL_ID_NOT_FOUND.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.errors import ErrorCode
from ev.wire.acls import Operation, Resource
from ev.wire.messages.k65_describe_transactions import (
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
    TransactionState,
)

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 65
VERSIONS = (0, 0)


def handle(broker: Broker, call: Call) -> None:
    request: DescribeTransactionsRequest = call.request
    coordinator = broker.transactions
    forbidden = [each for each in request.transactional_ids if not may_describe(broker, call, each)]
    if forbidden:
        request.transactional_ids = [each for each in request.transactional_ids if each not in forbidden]

    def amend(response: DescribeTransactionsResponse) -> None:
        for state in response.transaction_states:
            state.topics = broker.allowed_topics(call, Operation.DESCRIBE, state.topics, lambda topic: topic.topic)[0]
        response.transaction_states += [described_as(each, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED) for each in forbidden]

    coordinator.decide(call, coordinator.transactions.describe, lambda code: refused(request, code), amend=amend)


def may_describe(broker: Broker, call: Call, transactional_id: str, *, quiet: bool = False) -> bool:
    return broker.allows(call, Operation.DESCRIBE, Resource.TRANSACTIONAL_ID, transactional_id, quiet=quiet)


def refused(request: DescribeTransactionsRequest, error_code: int) -> DescribeTransactionsResponse:
    return DescribeTransactionsResponse(transaction_states=[described_as(each, error_code) for each in request.transactional_ids])


def described_as(transactional_id: str, error_code: int) -> TransactionState:
    return TransactionState(error_code=error_code, transactional_id=transactional_id, topics=[])
