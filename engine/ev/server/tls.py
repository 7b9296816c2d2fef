"""TLS of a listener: its certificate and key, whose certificates it takes, and the names in them.

What is in the files is checked before it is used, so that an engine with a wrong file says which and why. A listener may be given
new files while it runs: new connections get a new context, those that are there keep theirs.
"""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
import tempfile
from typing import TYPE_CHECKING, Any, Final

from ev.broker.runtime import ANONYMOUS
from ev.errors import SettingError
from ev.security.certificates import PrincipalRules, subject_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from ev.settings import Settings

log = logging.getLogger("ev.tls")

FILE_BYTES_MAX: Final = 4 << 20
VERSIONS: Final = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
CLIENT_AUTH: Final = {"none": ssl.CERT_NONE, "requested": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----"
INLINE: Final = "-----BEGIN"


class Tls:
    """The TLS of one listener. Raises SettingError."""

    def __init__(self, settings: Settings, client_auth: str) -> None:
        self._settings = settings
        self._client_auth = client_auth
        self._rules = PrincipalRules(settings.ssl_principal_mapping_rules)
        self.files = _files(settings, client_auth)
        self.context = self.load()

    def load(self) -> ssl.SSLContext:
        """A context of what the files hold now. Raises SettingError."""
        settings = self._settings
        chosen = [VERSIONS[name] for name in settings.ssl_enabled_protocols]
        if not chosen:
            raise SettingError("ssl.enabled.protocols names no version of TLS")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version, context.maximum_version = min(chosen), max(chosen)
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        _load_own(context, settings)
        context.verify_mode = CLIENT_AUTH[self._client_auth]
        if context.verify_mode != ssl.CERT_NONE:
            _load_trusted(context, settings.ssl_truststore_location)
        return context

    def principal_of(self, transport: asyncio.BaseTransport) -> str:
        """Who the client is by its certificate. Raises MalformedError."""
        found: Any = transport.get_extra_info("ssl_object")
        certificate: bytes | None = None if found is None else found.getpeercert(binary_form=True)
        return ANONYMOUS if certificate is None else f"User:{self._rules.name_of(subject_of(certificate))}"


def _files(settings: Settings, client_auth: str) -> list[str]:
    own = [settings.ssl_keystore_location, settings.ssl_keystore_certificate_chain, settings.ssl_keystore_key]
    trusted = [settings.ssl_truststore_location] if client_auth != "none" else []
    return [path for path in (*own, *trusted) if path and INLINE not in path]


def _load_own(context: ssl.SSLContext, settings: Settings) -> None:
    """The certificate chain and the key."""
    location, chain, key = settings.ssl_keystore_location, settings.ssl_keystore_certificate_chain, settings.ssl_keystore_key
    if location and (chain or key):
        raise SettingError("ssl.keystore.location has the certificate and the key: give it, or ssl.keystore.certificate.chain and .key")
    if not location and not (chain and key):
        raise SettingError("it has no certificate: give ssl.keystore.location, a PEM file with its key and its certificate chain")
    chain_name, key_name = ("ssl.keystore.location",) * 2 if location else ("ssl.keystore.certificate.chain", "ssl.keystore.key")
    with _as_file(chain_name, location or chain) as chain_path, _as_file(key_name, location or key) as key_path:
        _expect(chain_name, chain_path, CERTIFICATE, "certificate")
        text = _expect(key_name, key_path, "PRIVATE KEY-----", "private key")
        if "ENCRYPTED" in text and not settings.ssl_key_password:
            raise SettingError(f"{key_name}: the key in {key_path} is encrypted; give ssl.key.password, or decrypt it with `openssl pkey`")
        if os.stat(key_path).st_mode & 0o077:
            log.warning("%s: others than its owner may read the key in %s (chmod 600)", key_name, key_path)
        try:
            context.load_cert_chain(chain_path, key_path, password=lambda: settings.ssl_key_password)
        except ssl.SSLError as error:
            what = "the key is not that of the certificate" if error.reason == "KEY_VALUES_MISMATCH" else _reason(error)
            if "ENCRYPTED" in text and error.reason != "KEY_VALUES_MISMATCH":
                what = "ssl.key.password does not open the key"
            raise SettingError(f"{key_name}: {key_path}: {what}") from None


def _load_trusted(context: ssl.SSLContext, path: str) -> None:
    """The certificates that those of clients are checked with."""
    if not path:
        raise SettingError("it asks clients for certificates and has none to check them with: give ssl.truststore.location, a PEM file")
    with _as_file("ssl.truststore.location", path) as found:
        _expect("ssl.truststore.location", found, CERTIFICATE, "certificate")
        try:
            context.load_verify_locations(found)
        except ssl.SSLError as error:
            raise SettingError(f"ssl.truststore.location: {found}: {_reason(error)}") from None


def _reason(error: ssl.SSLError) -> str:
    return f"it does not parse as PEM ({error.reason or error})"


@contextlib.contextmanager
def _as_file(name: str, value: str) -> Iterator[str]:
    """The path of a file with this PEM text, if it is one; else the value is the path."""
    if INLINE not in value:
        if not os.path.isabs(value):
            raise SettingError(f"{name}: expected the full path of a file, not {value!r}")
        yield value
        return
    with tempfile.NamedTemporaryFile("w", encoding="ascii", errors="replace") as file:  # for its owner only
        file.write(value.replace("\\n", "\n"))
        file.flush()
        yield file.name


def _expect(name: str, path: str, mark: str, what: str) -> str:
    """The text of the file, if it has what it should."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(FILE_BYTES_MAX)
    except OSError as error:
        raise SettingError(f"{name}: {path}: {error.strerror}") from None
    if mark not in text:
        raise SettingError(f"{name}: {path} holds no {what}; expected PEM, which has a line with {mark}")
    return text
