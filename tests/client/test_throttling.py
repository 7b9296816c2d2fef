"""The client under quotas: it waits for as long as it is told, and nothing is lost or given up for that."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

from ev.client.consumer import Consumer
from ev.client.producer import Producer
from support.quotas import given
from support.raw_client import RawClient
from support.raw_transactions import asked_over

RATE = 200_000
FREE = 10 * RATE
"""What Kafka lets through at once: a window of ten seconds."""


def test_who_is_above_the_rate_waits_and_loses_nothing(bootstrap: str, make_topic: Callable[..., str], fresh: Callable[[str], str]) -> None:
    """A producer that is told to wait for longer than one of its requests may take."""
    topic, name = make_topic(1), fresh("client")
    values = [bytes(100_000)] * (FREE // 100_000 + 4)
    with closing(RawClient(bootstrap)) as admin:
        given(asked_over(admin), {"client-id": name}, producer_byte_rate=RATE)
    began = time.monotonic()
    with Producer(bootstrap, client_id=name, linger_ms=0, batch_bytes=150_000, request_timeout_ms=1_000, in_flight=1) as producer:
        producer.produce_many(topic, values)
        assert producer.flush(60_000) == 0
        assert {delivery.error for delivery in producer.poll()} == {None}
    assert time.monotonic() - began > 1
    found: list[bytes | None] = []
    with Consumer(bootstrap) as consumer:
        consumer.assign([(topic, 0)])
        while len(found) < len(values):
            found += [record.value for record in consumer.poll(1_000)]
            assert time.monotonic() - began < 60
    assert found == values
