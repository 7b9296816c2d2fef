"""SCRAM from the server's side: RFC 7677's own example, and everything that a client may not say."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ev.security.credentials import (
    BY_NAME,
    SCRAM_SHA_256,
    Credential,
    Mechanism,
    Shape,
    credential_from,
    fits,
    made_up_credential,
    salted_password,
)
from ev.security.exchange import Authenticated, Challenge, RefusedError
from ev.security.scram import Scram
from support.sasl import ScramClient

SECRET = bytes(32)


class OneUser:
    """Knows one user."""

    def __init__(
        self, name: str, password: str, mechanism: Mechanism = SCRAM_SHA_256, salt: bytes = b"salt", iterations: int = 4096
    ) -> None:
        self.name = name
        self.known = credential_from(mechanism, salted_password(mechanism, password.encode(), salt, iterations), salt, iterations)

    def credential(self, mechanism: Mechanism, name: str) -> Credential:
        return self.known if name == self.name else self.made_up(mechanism, name)

    def made_up(self, mechanism: Mechanism, name: str) -> Credential:
        return made_up_credential(mechanism, name, SECRET, Shape.of(self.known))


def challenge(server: Scram, message: bytes) -> bytes:
    step = server.step(message, 0)
    assert isinstance(step, Challenge)
    return step.data


def test_the_example_of_rfc_7677() -> None:
    """Byte for byte: the server's first message, and its signature."""
    user = OneUser("user", "pencil", salt=b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    server = Scram(SCRAM_SHA_256, user, b"")
    server._nonce = nonce  # the example's is no base64
    first = challenge(server, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
    assert first == b"r=rOprNGfwEbeRWgbNEkqO" + nonce.encode() + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    final = b"c=biws,r=rOprNGfwEbeRWgbNEkqO" + nonce.encode() + b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    assert server.step(final, 0) == Authenticated("user", b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


@pytest.mark.parametrize("mechanism", list(BY_NAME))
@given(
    name=st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1),
    password=st.text(st.characters(codec="utf-8"), min_size=1),
)
def test_whoever_knows_the_password_is_the_user(mechanism: str, name: str, password: str) -> None:
    """Whatever the name and the password are made of; an authorization id that is the name changes nothing."""
    user = OneUser(name, password, BY_NAME[mechanism], iterations=1)
    server = Scram(BY_NAME[mechanism], user, b"nonce")
    client = ScramClient(mechanism, name, password, authzid=name.replace("=", "=3D").replace(",", "=2C"), extensions=",x=y")
    step = server.step(client.final(challenge(server, client.first())), 0)
    assert step == Authenticated(name, client.server_signature)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"n,,",
        b"n,,n=user",
        b"n,,r=nonce,n=user",
        b"n,,n=,r=nonce",
        b"n,,n=user,r=",
        b"n,,n=us=er,r=nonce",
        b"n,,n=us=2cer,r=nonce",
        b"n,,n=user,r=non ce",
        b"n,,m=must,n=user,r=nonce",
        b"y,,n=user,r=nonce",
        b"p=tls-unique,,n=user,r=nonce",
        b"n,user,n=user,r=nonce",
        b"n,,n=\xff,r=nonce",
        b"n,,n=a\0b,r=nonce",
        b"\x01" * 100,
    ],
)
def test_a_first_message_of_another_form_is_refused(message: bytes) -> None:
    """Channel binding, extensions that have to be understood, names that are not escaped, and nonsense."""
    with pytest.raises(RefusedError):
        Scram(SCRAM_SHA_256, OneUser("user", "pencil"), b"nonce").step(message, 0)


def test_nobody_acts_for_somebody_else() -> None:
    """An authorization id that is another name is refused before anything else (CVE-2017-12610)."""
    with pytest.raises(RefusedError, match="different from username"):
        Scram(SCRAM_SHA_256, OneUser("user", "pencil"), b"nonce").step(
            ScramClient("SCRAM-SHA-256", "user", "pencil", authzid="admin").first(), 0
        )


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": "x"},
        {"nonce": "prefix-fyko+d2lbbFgONRv9qkxdawLbm9uY2U="},
        {"nonce": "fyko+d2lbbFgONRv9qkxdawL"},
        {"binding": b"y,,"},
        {"binding": b"p=tls-unique,,"},
        {"broken_proof": True},
    ],
)
def test_the_final_message_repeats_exactly_what_was_said(change: dict[str, object]) -> None:
    """The whole nonce, not just its end (CVE-2024-56128); the header of the first message; and a proof, of which each bit counts."""
    server = Scram(SCRAM_SHA_256, OneUser("user", "pencil"), b"nonce")
    client = ScramClient("SCRAM-SHA-256", "user", "pencil")
    first = challenge(server, client.first())
    with pytest.raises(RefusedError) as refused:
        server.step(client.final(first, **change), 0)  # type: ignore[arg-type]
    assert refused.value.told == ""


def test_an_old_librdkafka_repeats_its_nonce_twice() -> None:
    """And is let in, as Kafka does."""
    server = Scram(SCRAM_SHA_256, OneUser("user", "pencil"), b"nonce")
    client = ScramClient("SCRAM-SHA-256", "user", "pencil")
    first = challenge(server, client.first())
    both = first.decode().split(",")[0].removeprefix("r=")
    assert isinstance(server.step(client.final(first, nonce=client.nonce + both), 0), Authenticated)


@pytest.mark.parametrize("proof", [b"", b"!", b"AAAA", b64encode(bytes(32)), b64encode(bytes(33)), b64encode(bytes(32)) + b",x=y"])
def test_a_proof_that_is_none_is_refused(proof: bytes) -> None:
    """Too short, too long, all zeros, no base64, or followed by something."""
    server = Scram(SCRAM_SHA_256, OneUser("user", "pencil"), b"nonce")
    client = ScramClient("SCRAM-SHA-256", "user", "pencil")
    final = client.final(challenge(server, client.first()))
    with pytest.raises(RefusedError):
        server.step(final.partition(b",p=")[0] + b",p=" + proof, 0)


def test_a_user_that_is_not_there_is_asked_like_one_that_is() -> None:
    """The same salt each time, in the form and with the iterations of the others, and no password fits."""
    users = OneUser("user", "pencil", salt=b"1a2b3c4d5e6f7g8h9i0j1k2l3m", iterations=8192)
    seen = []
    for _ in range(2):
        server = Scram(SCRAM_SHA_256, users, b"nonce")
        client = ScramClient("SCRAM-SHA-256", "nobody", "pencil")
        seen.append(challenge(server, client.first()))
        with pytest.raises(RefusedError) as refused:
            server.step(client.final(seen[-1]), 0)
        assert refused.value.told == ""
    assert seen[0] == seen[1]
    fields = dict(part.split("=", 1) for part in seen[0].decode().split(","))
    assert fields["i"] == "8192"
    assert Shape.of(Credential(b64decode(fields["s"]), b"", b"", 8192)) == Shape.of(users.known)
    others = users.made_up(SCRAM_SHA_256, "somebody else")
    assert others.salt != b64decode(fields["s"])


def test_a_delegation_token_is_no_password_of_a_user() -> None:
    """A client that says that its name is a token does not come in with the password of the user of that name."""
    server = Scram(SCRAM_SHA_256, OneUser("user", "pencil"), b"nonce")
    client = ScramClient("SCRAM-SHA-256", "user", "pencil", extensions=",tokenauth=true")
    first = challenge(server, client.first())
    with pytest.raises(RefusedError):
        server.step(client.final(first), 0)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_whatever_is_said_is_answered_or_refused(first: bytes, final: bytes) -> None:
    """No bytes make anything else happen, and none of these gets in."""
    server = Scram(SCRAM_SHA_256, OneUser("user", "pencil", iterations=1), b"nonce")
    for message in (first, b"n,,n=user,r=nonce", final):
        try:
            assert isinstance(server.step(message, 0), Challenge)
        except RefusedError:
            continue


@pytest.mark.parametrize("mechanism", list(BY_NAME.values()))
def test_a_password_fits_the_credential_that_was_made_from_it(mechanism: Mechanism) -> None:
    """And no other does."""
    credential = credential_from(mechanism, salted_password(mechanism, b"pencil", b"salt", 4096), b"salt", 4096)
    assert fits(mechanism, credential, b"pencil")
    assert not fits(mechanism, credential, b"Pencil")
