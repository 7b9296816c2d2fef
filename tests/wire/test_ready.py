"""The codec functions that are compiled before: they are the compiler's, and short-lived commands need no others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ev.wire import ready
from ev.wire.binding import bind
from ev.wire.codec import decoder, encoder
from ev.wire.compiler import compile_code
from ev.wire.ready.index import MODULES
from support.filled_message import filled, message_classes

ENGINE = Path(__file__).parents[2] / "engine"


@pytest.mark.parametrize("name", MODULES)
def test_ready_code_does_what_freshly_compiled_code_does(name: str) -> None:
    """Same bytes, same values."""
    verb, message, number = name.split("_")
    version = int(number)
    cls = next(cls for cls in message_classes() if cls.__name__ == message)
    assert ready.code(verb, message, version) is not None
    fresh_encode, fresh_decode = (bind(compile_code(cls, version, verb), cls) for verb in ("encode", "decode"))
    for seed in range(20):
        sent = filled(cls, version, seed)
        parts = encoder(cls, version)(sent)
        assert parts == fresh_encode(sent)
        data = b"".join(parts)
        assert decoder(cls, version)(data, 0) == fresh_decode(data, 0) == (sent, len(data))


def test_code_that_is_not_ready_is_not_found() -> None:
    """Then it is compiled."""
    assert ready.code("decode", "ProduceRequest", 3) is None


def test_what_is_ready_needs_no_compiler() -> None:
    """A short-lived command does not even import it."""
    program = (
        "import sys\n"
        "from ev.wire.codec import decode, encode\n"
        "from ev.wire.messages.k22_init_producer_id import InitProducerIdRequest\n"
        "encode(InitProducerIdRequest(), 5)\n"
        "assert 'ev.wire.compiler' not in sys.modules\n"
        "encode(InitProducerIdRequest(), 4)\n"
        "assert 'ev.wire.compiler' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": str(ENGINE)}, capture_output=True, text=True)
    assert done.stderr == ""
