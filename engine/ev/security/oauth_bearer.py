"""OAUTHBEARER (RFC 7628): the client shows a signed token, in which its name is.

    n,[a=NAME],^A auth=Bearer TOKEN ^A [key=value ^A]... ^A

A token that is not believed is answered with a challenge that says so, to which the client has nothing to say, and then refused.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from typing import Final

from ev.errors import MalformedError
from ev.security.exchange import Authenticated, Challenge, RefusedError, Step
from ev.security.tokens import Key, TokenRules, read_token

log = logging.getLogger("ev.security")

REFUSAL: Final = '{"status":"invalid_token"}'
NOTHING_TO_SAY: Final = b"\x01"
RESPONSE: Final = re.compile(r"n,(?:a=(?P<name>[^,\0]+))?,\x01(?P<pairs>(?:[A-Za-z]+=[\x21-\x7e \t\r\n]+\x01)*)\x01")
BEARER: Final = re.compile(r"bearer +([-_~+/.a-zA-Z0-9]+=*)", re.IGNORECASE)


class OAuthBearer:
    """One exchange."""

    def __init__(self, keys: Callable[[], Sequence[Key]], rules: TokenRules) -> None:
        self._keys = keys
        self._rules = rules
        self._refused = False

    def step(self, message: bytes, now_ms: int) -> Step:
        if self._refused:
            raise RefusedError(REFUSAL if message == NOTHING_TO_SAY else "")
        name, text = _parsed(message)
        try:
            token = read_token(text, self._keys(), self._rules, now_ms)
        except MalformedError as error:
            log.info("a token is not believed: %.200s", error)
            self._refused = True
            return Challenge(REFUSAL.encode())
        if name not in ("", token.subject):
            raise RefusedError(
                "Authentication failed: Client requested an authorization id that is different from the token's principal name"
            )
        return Authenticated(token.subject, expires_ms=token.expires_ms)


def _parsed(message: bytes) -> tuple[str, str]:
    """The authorization id and the token."""
    try:
        found = RESPONSE.fullmatch(message.decode())
    except UnicodeDecodeError:
        found = None
    if found is None:
        raise RefusedError
    pairs = dict(pair.split("=", 1) for pair in found["pairs"].split("\x01") if pair)
    bearer = BEARER.fullmatch(pairs.get("auth", ""))
    if bearer is None:
        raise RefusedError
    return (found["name"] or "").replace("=2C", ",").replace("=3D", "="), bearer[1]
