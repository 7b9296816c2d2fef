"""ListTransactions (66): all transactional ids, or those in some state, of some producer, or open for some time.

Versions 0-1. Version 2 adds a pattern of ids, a regular expression in RE2's syntax and with its promise to take linear time; there
is nothing like it in Python's library, so it is not served.

v1 how long a transaction has been open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ev.broker.handlers.k65_describe_transactions import may_describe
from ev.wire.messages.k66_list_transactions import ListTransactionsResponse

if TYPE_CHECKING:
    from ev.broker.broker import Broker
    from ev.broker.runtime import Call

KEY = 66
VERSIONS = (0, 1)


def handle(broker: Broker, call: Call) -> None:
    coordinator = broker.transactions

    def amend(response: ListTransactionsResponse) -> None:
        states = response.transaction_states
        response.transaction_states = [each for each in states if may_describe(broker, call, each.transactional_id, quiet=True)]

    coordinator.decide(
        call, coordinator.transactions.list_transactions, lambda code: ListTransactionsResponse(error_code=code), amend=amend
    )
