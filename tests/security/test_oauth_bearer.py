"""OAUTHBEARER: a token that one of our keys has signed and that claims what it has to, and no other."""

from __future__ import annotations

import hashlib
import hmac
import json
import pathlib
import time
from base64 import urlsafe_b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ev.errors import MalformedError, SettingError
from ev.security.exchange import Authenticated, Challenge, RefusedError
from ev.security.oauth_bearer import REFUSAL, OAuthBearer
from ev.security.tokens import HASHES, Key, TokenRules, parse_keys, read_token
from support.certificates import openssl
from support.tokens import Issuer, encoded, response

RULES = TokenRules((), "", "sub", 30_000)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="module")
def keys(issuer: Issuer) -> list[Key]:
    return parse_keys(json.dumps({"keys": [issuer.key]}))


def now_ms() -> int:
    return round(time.time() * 1000)


def refusal(token: str, keys: list[Key], rules: TokenRules = RULES) -> str:
    with pytest.raises(MalformedError) as refused:
        read_token(token, keys, rules, now_ms())
    return str(refused.value)


@pytest.mark.parametrize("algorithm", list(HASHES))
def test_a_signed_token_is_believed(issuer: Issuer, keys: list[Key], algorithm: str) -> None:
    """With each algorithm; the session ends when the token expires."""
    token = issuer.token("alice", algorithm=algorithm, exp=2_000_000_000)
    assert OAuthBearer(lambda: keys, RULES).step(response(token), now_ms()) == Authenticated("alice", expires_ms=2_000_000_000_000)
    unnamed = issuer.token("alice", algorithm=algorithm, head={"kid": None})
    assert read_token(unnamed, keys, RULES, now_ms()).subject == "alice"


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "RS1", "PS256", "ES256", "", None, ["RS256"], {}])
def test_other_algorithms_are_not_taken(issuer: Issuer, keys: list[Key], algorithm: Any) -> None:
    """Whatever the signature is."""
    for signature in ("", issuer.token("alice").rpartition(".")[2]):
        message = f"{encoded({'alg': algorithm, 'kid': 'k1'})}.{encoded({'sub': 'alice', 'iat': 1, 'exp': 2_000_000_000})}"
        assert "algorithm" in refusal(f"{message}.{signature}", keys)


def test_the_public_key_is_no_secret(issuer: Issuer, keys: list[Key]) -> None:
    """A token that is signed with it as if it were one is refused."""
    message = f"{encoded({'alg': 'HS256', 'kid': 'k1'})}.{encoded({'sub': 'admin', 'iat': 1, 'exp': 2_000_000_000})}"
    forged = hmac.digest(issuer.public.encode(), message.encode(), "sha256")
    assert "algorithm" in refusal(f"{message}.{encoded(forged)}", keys)


def test_a_changed_token_is_not_signed(issuer: Issuer, keys: list[Key]) -> None:
    """Another subject, another signature, a signature of another algorithm, of another key, or none."""
    head, claims, signature = issuer.token("alice").split(".")
    other = json.loads(urlsafe_b64decode(claims + "==")) | {"sub": "admin"}
    wrong = bytearray(urlsafe_b64decode(signature + "=="))
    wrong[-1] ^= 1
    for token in (
        f"{head}.{encoded(other)}.{signature}",
        f"{head}.{claims}.{encoded(bytes(wrong))}",
        f"{head}.{claims}.",
        f"{head}.{claims}.{encoded(bytes(256))}",
        f"{head}.{claims}.{encoded(bytes([*bytes(255), 1]))}",
        f"{head}.{claims}.{encoded(bytes([255] * 256))}",
        f"{encoded({'alg': 'RS512', 'kid': 'k1'})}.{claims}.{signature}",
    ):
        assert refusal(token, keys) == "none of the keys has signed it"


def test_a_key_that_is_not_ours_has_not_signed(issuer: Issuer, keys: list[Key], tmp_path: pathlib.Path) -> None:
    """Under its own name, and under that of ours."""
    stranger = Issuer(tmp_path, "k2")
    assert refusal(stranger.token("alice"), keys) == "there is no key 'k2' for RS256"
    assert refusal(stranger.token("alice", head={"kid": "k1"}), keys) == "none of the keys has signed it"
    both = parse_keys(json.dumps({"keys": [issuer.key, stranger.key]}))
    assert read_token(stranger.token("alice"), both, RULES, now_ms()).subject == "alice"
    assert refusal(stranger.token("alice", head={"kid": "k1"}), both) == "none of the keys has signed it"


def test_a_signature_with_other_padding_is_none(issuer: Issuer, keys: list[Key]) -> None:
    """Only one message is right for a hash: none with shorter padding and something behind it (as Bleichenbacher forged), none without."""
    exponent = private_exponent(issuer)
    message = b"message"
    prefix = HASHES["RS256"][1] + hashlib.sha256(message).digest()
    size = 256
    right = b"\0\1" + b"\xff" * (size - len(prefix) - 3) + b"\0" + prefix
    assert keys[0].signed("RS256", message, signed(right, exponent, issuer.modulus))
    for padded in (
        b"\0\1" + b"\xff" * 8 + b"\0" + prefix + bytes(size - len(prefix) - 11),
        b"\0\2" + right[2:],
        b"\0\1" + b"\xff" * (size - len(prefix) - 4) + b"\xfe\0" + prefix,
        right[:-1] + bytes([right[-1] ^ 1]),
        b"\0\1" + b"\xff" * (size - 32 - 3) + b"\0" + hashlib.sha256(message).digest(),
    ):
        assert len(padded) == size
        assert not keys[0].signed("RS256", message, signed(padded, exponent, issuer.modulus))
    number = int.from_bytes(signed(right, exponent, issuer.modulus), "big") + issuer.modulus
    assert not keys[0].signed("RS256", message, number.to_bytes(257, "big"))


def private_exponent(issuer: Issuer) -> int:
    text = openssl("rsa", "-in", str(issuer.path), "-noout", "-text")
    digits = text.partition("privateExponent:")[2].partition("prime1:")[0]
    return int("".join(digits.split()).replace(":", ""), 16)


def signed(message: bytes, exponent: int, modulus: int) -> bytes:
    return pow(int.from_bytes(message, "big"), exponent, modulus).to_bytes(256, "big")


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": None}, "does not say when"),
        ({"iat": None}, "does not say when"),
        ({"exp": 1}, "has expired"),
        ({"exp": "tomorrow"}, "is no time"),
        ({"exp": True}, "is no time"),
        ({"exp": 1e300}, "is no time"),
        ({"exp": -1}, "is no time"),
        ({"nbf": 2_000_000_000}, "not valid yet"),
        ({"aud": None}, "meant for somebody else"),
        ({"aud": "other"}, "meant for somebody else"),
        ({"aud": ["other", {"events": 1}]}, "meant for somebody else"),
        ({"iss": None}, "somebody else has issued it"),
        ({"iss": "https://issuer.example/"}, "somebody else has issued it"),
        ({"name": None}, "is no name"),
        ({"name": " "}, "is no name"),
        ({"name": 7}, "is no name"),
    ],
)
def test_what_a_token_claims_has_to_be_right(issuer: Issuer, keys: list[Key], claims: dict[str, Any], reason: str) -> None:
    """Its times, whom it is meant for, who issued it, and the name."""
    rules = TokenRules(("events", "kafka"), "https://issuer.example", "name", 30_000)
    good: dict[str, Any] = {"aud": ["other", "events"], "iss": "https://issuer.example", "name": "alice"}
    assert read_token(issuer.token(**good), keys, rules, now_ms()).subject == "alice"
    assert reason in refusal(issuer.token(**{**good, **claims}), keys, rules)


def test_clocks_may_differ_a_little(issuer: Issuer, keys: list[Key]) -> None:
    """By as much as is set."""
    now = int(time.time())
    assert read_token(issuer.token("alice", exp=now - 20, nbf=now + 20), keys, RULES, now * 1000).subject == "alice"
    assert refusal(issuer.token("alice", exp=now - 40), keys) == "it has expired"


@pytest.mark.parametrize(
    "token", ["", "a", "a.b", "a.b.c", "a.b.c.d", "..", "e30.e30.e30", "W10.e30.AA", "e30=.e30.AA", "[" * 1000, "eyJ.eyJ.eyJ"]
)
def test_what_is_no_token_is_malformed(keys: list[Key], token: str) -> None:
    """Parts that are missing, no base64url, no JSON, no object."""
    assert refusal(token, keys)


def test_deep_json_is_malformed(keys: list[Key]) -> None:
    """However deep."""
    assert "no JSON" in refusal(f"{encoded(b'[' * 40_000)}.e30.AA", keys)


@given(text=st.text(st.characters(codec="utf-8"), max_size=200))
def test_whatever_is_shown_is_malformed_or_refused(keys: list[Key], text: str) -> None:
    """Nothing else is raised."""
    with pytest.raises(MalformedError):
        read_token(text, keys, RULES, 0)
    with pytest.raises(RefusedError):
        OAuthBearer(lambda: keys, RULES).step(text.encode(), 0)


def test_a_token_that_is_not_believed_is_answered_and_then_refused(issuer: Issuer, keys: list[Key]) -> None:
    """The challenge says only that it is not valid; the client has nothing to say to it, and a second token does not help."""
    for said, told in ((b"\x01", REFUSAL), (response(issuer.token("alice")), "")):
        exchange = OAuthBearer(lambda: keys, RULES)
        assert exchange.step(response(issuer.token("alice", exp=1)), now_ms()) == Challenge(REFUSAL.encode())
        with pytest.raises(RefusedError) as refused:
            exchange.step(said, now_ms())
        assert refused.value.told == told


def test_nobody_acts_for_somebody_else(issuer: Issuer, keys: list[Key]) -> None:
    """An authorization id is the name in the token; extensions are let pass."""
    token = issuer.token("a,b")
    assert OAuthBearer(lambda: keys, RULES).step(response(token, "a=2Cb", "ext=1\x01"), now_ms()) == Authenticated(
        "a,b", expires_ms=read_token(token, keys, RULES, now_ms()).expires_ms
    )
    with pytest.raises(RefusedError, match="different from the token's principal name"):
        OAuthBearer(lambda: keys, RULES).step(response(token, "admin"), now_ms())


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x01",
        b"n,,\x01\x01",
        b"n,,\x01auth=Basic x\x01\x01",
        b"y,,\x01auth=Bearer x\x01\x01",
        b"n,,\x01auth=Bearer x\x01",
        b"n,,\x01auth=Bearer \xff\x01\x01",
    ],
)
def test_a_message_of_another_form_is_refused(keys: list[Key], message: bytes) -> None:
    """Without saying why."""
    with pytest.raises(RefusedError) as refused:
        OAuthBearer(lambda: keys, RULES).step(message, 0)
    assert refused.value.told == ""


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"keys":[]}', '{"keys":[{"kty":"EC"}]}', '{"keys":[{"kty":"RSA"}]}', '{"keys":[{"kty":"RSA","n":"AQ","e":"AQAB"}]}'],
)
def test_a_set_without_a_usable_key_is_refused(text: str) -> None:
    """No set, no RSA key, or one that is too small."""
    with pytest.raises(SettingError):
        parse_keys(text)


def test_keys_for_something_else_do_not_sign(issuer: Issuer) -> None:
    """Keys of other kinds and for encryption are passed over; one that is for an algorithm is for no other."""
    others = [{"kty": "oct", "k": "AQ"}, {"kty": "EC", "crv": "P-256"}, {**issuer.key, "use": "enc"}]
    (key,) = parse_keys(json.dumps({"keys": [*others, {**issuer.key, "alg": "RS512"}]}))
    assert refusal(issuer.token("alice"), [key]) == "there is no key 'k1' for RS256"
    assert read_token(issuer.token("alice", algorithm="RS512"), [key], RULES, now_ms()).subject == "alice"
