"""Signed tokens (JWS, RFC 7515 and 7519): whether one of our keys signed it, and what it claims.

    base64url(header) . base64url(claims) . base64url(signature)

Taken are RS256, RS384 and RS512: RSA with PKCS #1 v1.5 (RFC 8017, 8.2.2). The signature to the power of e modulo n has to be, byte for
byte, the one message that the standard has for this hash; nothing is parsed out of it, so that no padding can be forged. The algorithm
comes from the token but the keys are RSA keys alone: `none` and the HS family have nothing to be checked with. Nothing that a token
claims is looked at before its signature is right.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ev.errors import MalformedError, SettingError

KEY_BITS_MIN: Final = 2048
KEY_BITS_MAX: Final = 16384
BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*")
HASHES: Final = {
    "RS256": ("sha256", bytes.fromhex("3031300d060960864801650304020105000420")),
    "RS384": ("sha384", bytes.fromhex("3041300d060960864801650304020205000430")),
    "RS512": ("sha512", bytes.fromhex("3051300d060960864801650304020305000440")),
}
"""The hash of each algorithm, and what stands before it in the message that is signed: its name in DER."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public RSA key of a JSON Web Key Set (RFC 7517)."""

    key_id: str | None
    algorithm: str | None  # the only one that it is for, if it says so
    modulus: int
    exponent: int

    def signed(self, algorithm: str, message: bytes, signature: bytes) -> bool:
        """Whether this is the signature of the message by this key."""
        size = (self.modulus.bit_length() + 7) // 8
        number = int.from_bytes(signature, "big")
        if len(signature) != size or number >= self.modulus:
            return False
        hash_name, prefix = HASHES[algorithm]
        ending = prefix + hashlib.new(hash_name, message).digest()
        expected = b"\0\1" + b"\xff" * (size - len(ending) - 3) + b"\0" + ending
        return hmac.compare_digest(pow(number, self.exponent, self.modulus).to_bytes(size, "big"), expected)


@dataclass(frozen=True, slots=True)
class Token:
    """What of a token counts."""

    subject: str
    expires_ms: int


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token has to claim."""

    audiences: Sequence[str]
    issuer: str
    subject_claim: str
    clock_skew_ms: int


def parse_keys(text: str) -> list[Key]:
    """The keys of a set that tokens may be signed with. Raises SettingError when there is none."""
    try:
        found = [_key(fields) for fields in json.loads(text)["keys"] if fields["kty"] == "RSA" and fields.get("use", "sig") == "sig"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, MalformedError) as error:
        raise SettingError(f'it is no JSON Web Key Set, {{"keys":[…]}} ({error})') from None
    if not found:
        raise SettingError("it has no RSA key for signatures")
    return found


def _key(fields: dict[str, Any]) -> Key:
    modulus, exponent = (int.from_bytes(_decoded(fields[name]), "big") for name in ("n", "e"))
    key_id, algorithm = fields.get("kid"), fields.get("alg")
    if not (KEY_BITS_MIN <= modulus.bit_length() <= KEY_BITS_MAX and exponent >= 3 and exponent % 2):
        bounds = f"from {KEY_BITS_MIN} to {KEY_BITS_MAX}"
        raise MalformedError(f"the key {key_id!r} has {modulus.bit_length()} bits and the exponent {exponent}; taken are {bounds} bits")
    return Key(key_id, algorithm, modulus, exponent)


def read_token(text: str, keys: Sequence[Key], rules: TokenRules, now_ms: int) -> Token:
    """What the token says, if it may be believed at this time. Raises MalformedError, which says why not."""
    head, claims, signature = (*text.split("."), "", "")[:3]
    if text.count(".") != 2:
        raise MalformedError("a token has three parts")
    _check_signature(_object(head), keys, f"{head}.{claims}".encode(), _decoded(signature))
    return _checked(_object(claims), rules, now_ms)


def _check_signature(head: dict[str, Any], keys: Sequence[Key], message: bytes, signature: bytes) -> None:
    algorithm, key_id = head.get("alg"), head.get("kid")
    if not isinstance(algorithm, str) or algorithm not in HASHES:
        raise MalformedError(f"the algorithm {algorithm!r} is not one of {', '.join(HASHES)}")
    if "crit" in head:
        raise MalformedError("it has extensions that have to be understood")
    suitable = [key for key in keys if key.algorithm in (None, algorithm) and key_id in (None, key.key_id)]
    if not any(key.signed(algorithm, message, signature) for key in suitable):
        raise MalformedError("none of the keys has signed it" if suitable else f"there is no key {key_id!r} for {algorithm}")


def _checked(claims: dict[str, Any], rules: TokenRules, now_ms: int) -> Token:
    expires_ms, issued_ms, not_before_ms = (_time(claims, name) for name in ("exp", "iat", "nbf"))
    if expires_ms is None or issued_ms is None:
        raise MalformedError("it does not say when it was issued and when it expires")
    if now_ms - rules.clock_skew_ms >= expires_ms:
        raise MalformedError("it has expired")
    if not_before_ms is not None and now_ms + rules.clock_skew_ms < not_before_ms:
        raise MalformedError("it is not valid yet")
    audience = claims.get("aud")
    meant_for = audience if isinstance(audience, list) else [audience]
    if rules.audiences and not any(isinstance(each, str) and each in rules.audiences for each in meant_for):
        raise MalformedError("it is meant for somebody else")
    if rules.issuer and claims.get("iss") != rules.issuer:
        raise MalformedError("somebody else has issued it")
    subject = claims.get(rules.subject_claim)
    if not isinstance(subject, str) or not subject.strip():
        raise MalformedError(f"its claim {rules.subject_claim!r} is no name")
    return Token(subject.strip(), expires_ms)


def _time(claims: dict[str, Any], name: str) -> int | None:
    seconds = claims.get(name)
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1 << 50:
        raise MalformedError(f"its claim {name!r} is no time")
    return int(seconds * 1000)


def _object(part: str) -> dict[str, Any]:
    try:
        found = json.loads(_decoded(part))
    except (ValueError, RecursionError):
        raise MalformedError("a part of it is no JSON") from None
    if not isinstance(found, dict):
        raise MalformedError("a part of it is no JSON object")
    return found


def _decoded(text: Any) -> bytes:
    """Base64url without padding, and without anything else."""
    if not isinstance(text, str) or BASE64URL.fullmatch(text) is None or len(text) % 4 == 1:
        raise MalformedError("a part of it is no base64url")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
