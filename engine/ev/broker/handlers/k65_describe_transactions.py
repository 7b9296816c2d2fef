"""DescribeTransactions (65): the state of transactional ids.

Version 0. An id that is not known is answered with TRANSACTIONAL_ID_NOT_FOUND.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    coordinator.decide(call, coordinator.transactions.describe, lambda code: refused(request, code))


def refused(request: DescribeTransactionsRequest, error_code: int) -> DescribeTransactionsResponse:
    states = [TransactionState(error_code=error_code, transactional_id=each, topics=[]) for each in request.transactional_ids]
    return DescribeTransactionsResponse(transaction_states=states)
