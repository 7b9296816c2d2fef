"""What client processes with transactions have in common: they say what they were told, and a broker that is away is waited for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException

PATIENCE_S = 60
QUICK: dict[str, Any] = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200, "retry.backoff.ms": 20, "log_level": 0}
NO_REBOOTSTRAP = {"metadata.recovery.strategy": "none"}
"""librdkafka 2.16 begins at its bootstrap servers again when every broker is gone, and with a transaction open it never gets back: the
broker that it has dismissed stays "terminating in state TRY_CONNECT". Without that strategy it just connects again."""

PASSING = (KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._WAIT_COORD)
"""Not done, and nothing is broken by that: it can be asked again."""


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def patiently(call: Callable[[float], Any]) -> Any:
    """Until it is done; a broker that is away is no reason to give up."""
    for _ in range(PATIENCE_S):
        try:
            return call(1.0)
        except KafkaException as problem:
            error = problem.args[0]
            if not (error.retriable() or (error.code() in PASSING and not error.txn_requires_abort() and not error.fatal())):
                raise
    say(f"fatal {call} was not done in {PATIENCE_S} s")
    return None
