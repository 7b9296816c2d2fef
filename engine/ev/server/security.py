"""What the settings of a listener say about security, made ready: TLS, and the rules of SASL.

Files that the settings name are looked at again at SIGHUP, and when a client connects and they have changed.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from ev.broker.runtime import ANONYMOUS
from ev.broker.sasl import SaslRules
from ev.errors import SettingError
from ev.security.credentials import BY_NAME
from ev.security.oauth_bearer import OAuthBearer
from ev.security.plain import Passwords, Plain
from ev.security.scram import NONCE_BYTES, Scram
from ev.security.tokens import TokenRules, parse_keys
from ev.server.authentication import Authentication

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from ev.broker.broker import Broker
    from ev.endpoints import Endpoint
    from ev.security.credentials import Mechanism
    from ev.security.exchange import Exchange
    from ev.security.tokens import Key
    from ev.server.connection import Connection
    from ev.server.tls import Tls
    from ev.settings import Settings

log = logging.getLogger("ev.security")

SECRET_BYTES: Final = 32
KEYS_BYTES_MAX: Final = 1 << 20
OAUTHBEARER: Final = "OAUTHBEARER"
LOOK_AFTER_MS: Final = 1_000


class Security:
    """The security of one listener. Raises SettingError where a setting does not say what is needed."""

    def __init__(self, broker: Broker, endpoint: Endpoint, settings: Settings) -> None:
        self._keys = None
        if endpoint.has_sasl and OAUTHBEARER in settings.sasl_enabled_mechanisms:
            self._keys = TokenKeys(settings.sasl_oauthbearer_jwks_endpoint_url)
        self.sasl = _sasl_rules(broker, settings, self._keys) if endpoint.has_sasl else None
        self.tls = _tls(endpoint, settings) if endpoint.has_tls else None
        self._files = [*(self.tls.files if self.tls is not None else []), *([self._keys.path] if self._keys is not None else [])]
        self._seen = self._versions()
        self._name = endpoint.name
        self._clock = broker.clock
        self._looked_ms = 0

    def protocol(self, connection: Connection) -> asyncio.Protocol:
        """What a new client talks to: the connection, or what stands before it."""
        return connection if self.sasl is None else Authentication(connection, self.sasl)

    def principal_of(self, transport: asyncio.BaseTransport) -> str:
        """Who a client is that has not said so with SASL. Raises MalformedError."""
        return ANONYMOUS if self.tls is None else self.tls.principal_of(transport)

    def has_changed(self) -> bool:
        """Whether a file is another one than at the last look, which is a second ago at least."""
        now_ms = self._clock.monotonic_ms()
        if not self._files or now_ms - self._looked_ms < LOOK_AFTER_MS:
            return False
        self._looked_ms = now_ms
        return self._versions() != self._seen

    def load_again(self) -> bool:
        """Take what the files hold now; False, and nothing has changed, when it cannot be used."""
        self._seen = self._versions()
        try:
            if self.tls is not None:
                self.tls.context = self.tls.load()
            if self._keys is not None:
                self._keys.load()
        except SettingError as error:
            log.error("the listener %s keeps the certificates and keys that it has: %s", self._name, error)
            return False
        log.info("the listener %s has read its files again", self._name)
        return True

    def _versions(self) -> list[tuple[int, int, int]]:
        found = []
        for path in self._files:
            try:
                stat = os.stat(path)
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
        return found


def _tls(endpoint: Endpoint, settings: Settings) -> Tls:
    """For clients that say who they are with SASL a certificate counts only where it is asked for on this very listener, as in Kafka."""
    from ev.server.tls import Tls  # noqa: PLC0415 - most engines do without

    own = settings.of_listeners.get(endpoint.name, {}).get("ssl.client.auth", "none")
    return Tls(settings, own if endpoint.has_sasl else settings.ssl_client_auth)


class TokenKeys:
    """The keys that tokens are signed with, from the file that the settings name. Raises SettingError."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise SettingError(f"sasl.oauthbearer.jwks.endpoint.url: expected file:///PATH, the file with the keys of tokens, not {url!r}")
        self.path = unquote(parts.path)
        self.keys: Sequence[Key] = ()
        self.load()

    def load(self) -> None:
        try:
            with open(self.path, encoding="utf-8") as file:
                self.keys = parse_keys(file.read(KEYS_BYTES_MAX))
        except (OSError, UnicodeDecodeError, SettingError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise SettingError(f"sasl.oauthbearer.jwks.endpoint.url: {self.path}: {reason}") from None


def _sasl_rules(broker: Broker, settings: Settings, keys: TokenKeys | None) -> SaslRules:
    broker.keep_secret(broker.clock.wall_ms())
    passwords = Passwords(broker.scram_users, broker.randomness.bytes(SECRET_BYTES))
    mechanisms: dict[str, Callable[[], Exchange]] = {}
    for name in settings.sasl_enabled_mechanisms:
        if name == "PLAIN":
            mechanisms[name] = lambda: Plain(passwords)
        elif name == OAUTHBEARER:
            assert keys is not None
            mechanisms[name] = _bearer(keys, settings)
        else:
            mechanisms[name] = _scram(broker, BY_NAME[name])
    if not mechanisms:
        raise SettingError("sasl.enabled.mechanisms names no mechanism")
    return SaslRules(
        broker.runtime,
        broker.clock,
        mechanisms,
        failure_delay_ms=settings.connection_failed_authentication_delay_ms,
        reauthentication_max_ms=settings.connections_max_reauth_ms,
        token_size_max=settings.sasl_server_max_receive_size,
    )


def _scram(broker: Broker, mechanism: Mechanism) -> Callable[[], Exchange]:
    return lambda: Scram(mechanism, broker.scram_users, broker.randomness.bytes(NONCE_BYTES))


def _bearer(keys: TokenKeys, settings: Settings) -> Callable[[], Exchange]:
    rules = TokenRules(
        settings.sasl_oauthbearer_expected_audience,
        settings.sasl_oauthbearer_expected_issuer,
        settings.sasl_oauthbearer_sub_claim_name,
        1000 * settings.sasl_oauthbearer_clock_skew_seconds,
    )
    return lambda: OAuthBearer(lambda: keys.keys, rules)
