"""ListTransactions (66): all transactional ids, or those in some state, of some producer, or open for some time.

Versions 0-2. The pattern of version 2 is a regular expression that matches an id as a whole (see `ev.coordinators.patterns`); one
that does not parse is answered INVALID_REGULAR_EXPRESSION, an empty one takes all ids.

v1 how long a transaction has been open, v2 a pattern of ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.broker.handlers.k65_describe_transactions import may_describe
from ev.wire.messages.k66_list_transactions import ListTransactionsResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 66
VERSIONS = (0, 2)


def handle(broker: Broker, call: Call) -> None:
    coordinator = broker.transactions

    def amend(response: ListTransactionsResponse) -> None:
        states = response.transaction_states
        response.transaction_states = [each for each in states if may_describe(broker, call, each.transactional_id, quiet=True)]

    coordinator.decide(
        call, coordinator.transactions.list_transactions, lambda code: ListTransactionsResponse(error_code=code), amend=amend
    )
