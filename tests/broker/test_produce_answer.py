"""The answer to a produce request of one batch is made without objects: it has to be the one that the codec would make."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ev.broker.handlers import k00_produce
from ev.log.partition import Appended
from ev.wire.codec import encode

OFFSETS = st.integers(0, 2**63 - 1)


@pytest.mark.parametrize("version", range(k00_produce.VERSIONS[0], k00_produce.VERSIONS[1] + 1))
@given(
    name=st.text(min_size=1, max_size=249),
    topic_id=st.binary(min_size=16, max_size=16),
    index=st.integers(0, 2**31 - 1),
    offset=OFFSETS,
    time_ms=st.integers(-1, 9),
    start=OFFSETS,
)
def test_it_is_the_codecs_answer(version: int, name: str, topic_id: bytes, index: int, offset: int, time_ms: int, start: int) -> None:
    """In every version, byte for byte."""
    appended = Appended(offset, offset + 3, time_ms, start, False, 7)
    expected = encode(k00_produce.response([(name, topic_id, [(index, appended)])]), version)
    assert k00_produce.accepted(version, name, topic_id, index, appended) == expected
