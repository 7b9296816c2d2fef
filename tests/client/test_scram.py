"""SCRAM's arithmetic against the examples of its RFC, and what a client must not put up with."""

from __future__ import annotations

from base64 import b64encode

import pytest

from ev.client.scram import ITERATIONS_MAX, Scram
from ev.errors import AuthenticationError

NONCE = "rOprNGfwEbeRWgbNEkqO"
BOTH = NONCE + "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SERVER_FIRST = f"r={BOTH},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".encode()
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def scram() -> Scram:
    return Scram("sha256", "user", "pencil", NONCE)


def test_the_example_of_rfc_7677() -> None:
    """Word by word."""
    exchange = scram()
    assert exchange.first() == f"n,,n=user,r={NONCE}".encode()
    assert exchange.answer(SERVER_FIRST) == f"c=biws,r={BOTH},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".encode()
    assert not exchange.done
    assert exchange.answer(SERVER_FINAL) == b""
    assert exchange.done


def test_names_may_have_commas() -> None:
    """And equals signs; both are written in another way."""
    assert Scram("sha512", "a=b,c", "x", "n").first() == b"n,,n=a=3Db=2Cc,r=n"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b"r=another,s=AAAA,i=4096", "nonce"),
        (f"r={NONCE},s=AAAA,i=4096".encode(), "nonce"),
        (f"r={BOTH},s=AAAA,i=4095".encode(), "iterations"),
        (f"r={BOTH},s=AAAA,i={ITERATIONS_MAX + 1}".encode(), "iterations"),
        (f"r={BOTH},s=AAAA,i=many".encode(), "RFC 5802"),
        (f"r={BOTH},s=!,i=4096".encode(), "RFC 5802"),
        (f"r={BOTH},i=4096".encode(), "RFC 5802"),
        (f"m=x,r={BOTH},s=AAAA,i=4096".encode(), "RFC 5802"),
        (b"e=other-error", "other-error"),
        (b"\xff\xfe", "RFC 5802"),
        (b"", "RFC 5802"),
        (SERVER_FINAL, "RFC 5802"),
    ],
)
def test_a_broker_that_does_not_keep_to_the_rules_is_not_told_anything(message: bytes, said: str) -> None:
    """Neither a proof that was made for others, nor one that is guessed quickly."""
    with pytest.raises(AuthenticationError, match=said):
        scram().answer(message)


@pytest.mark.parametrize("message", [b"", b"v=", b"v=AAAA", b"v=" + b64encode(b"x" * 32), b"n,,"])
def test_a_broker_that_does_not_know_the_password_is_not_trusted(message: bytes) -> None:
    """It has to sign, too."""
    exchange = scram()
    exchange.answer(SERVER_FIRST)
    with pytest.raises(AuthenticationError, match="could not show"):
        exchange.answer(message)
    assert not exchange.done


def test_no_repr_shows_the_password() -> None:
    """Nor what is made of it."""
    exchange = scram()
    exchange.answer(SERVER_FIRST)
    assert repr(exchange) == "Scram(sha256)"
