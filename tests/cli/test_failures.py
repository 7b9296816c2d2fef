"""Exit statuses: what each kind of error ends with."""

from __future__ import annotations

from ev.errors import ErrorCode, KafkaError, TransactionFatalError
from ev_cli.failures import FAILED, NOT_FOUND, REFUSED, exit_code


def test_a_transaction_ends_with_the_status_of_what_ended_it() -> None:
    """Who may not use a transactional id is refused, as with everything else; a transaction that has no cause has failed."""
    for code, status in (
        (ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, REFUSED),
        (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, NOT_FOUND),
        (ErrorCode.INVALID_PRODUCER_EPOCH, FAILED),
    ):
        assert exit_code(TransactionFatalError("it is at its end", KafkaError(code))) == status
    assert exit_code(TransactionFatalError("it is at its end")) == FAILED
