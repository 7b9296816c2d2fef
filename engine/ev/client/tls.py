"""A transport that speaks TLS: the same pipe as a plain one, encrypted, and as little inclined to wait.

OpenSSL works on two buffers in memory and never sees the socket, so that no call of it can block in the direction that the caller did not
ask for: what it wants to say goes to `_outgoing` and from there to the socket, what the socket has goes to `_incoming`.

    send        bytes -> OpenSSL -> _outgoing -> socket         counts as sent when the last byte of its ciphertext has left
    receive     socket -> _incoming -> OpenSSL -> bytes         `pending` while more is in there than was asked for

Only who asks for TLS imports this module, and with it `ssl`: 15 ms of start-up.
"""

from __future__ import annotations

import os
import ssl

from ev.client.transport import Transport
from ev.errors import AuthenticationError, SettingError, UnreachableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ev.client.security import Tls
    from ev.client.transport import Address, OpenTransport
    from ev.wire.primitives import Buffer

_RECEIVE_SIZE = 256 * 1024
_ENCRYPT_SIZE = 256 * 1024
"""Bytes that are encrypted at a time, at least if one buffer has more: what the socket does not take waits in memory twice."""

_REMEDIES = (
    ("expired", "it has to be renewed, unless the clock of this machine is wrong"),
    ("not yet valid", "the clock of this machine or that of whoever issued it is wrong"),
    ("mismatch", "connect by a name that it was issued for, or say which one to expect with server_name"),
    ("self-signed", "if the authority that issued it is to be trusted, give its certificate as ca"),
    ("self signed", "if the authority that issued it is to be trusted, give its certificate as ca"),
    ("local issuer", "if the authority that issued it is to be trusted, give its certificate as ca"),
)
_NO_TLS = frozenset(("WRONG_VERSION_NUMBER", "UNEXPECTED_MESSAGE", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"))


def tls_context(tls: Tls) -> ssl.SSLContext:
    """The settings in OpenSSL's form. Raises SettingError, naming the file, when one of them cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    if tls.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif tls.ca is None:
        context.load_default_certs()
    else:
        _load_authorities(context, tls.ca)
    if tls.cert is not None:
        _load_own(context, tls.cert, tls.key)
    return context


def _load_authorities(context: ssl.SSLContext, path: str) -> None:
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise SettingError(f"ca {path} has no certificate in PEM form (-----BEGIN CERTIFICATE-----)") from None
    except OSError as error:
        raise SettingError(f"cannot read ca {path}: {error.strerror}") from None


def _load_own(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    def no_password() -> str:
        raise SettingError(
            f"the key in {key or cert} is encrypted: give one that is not (openssl pkey -in KEY -out FILE), in a file of yours"
        )

    for path in (cert, key or cert):
        if not os.access(path, os.R_OK):
            raise SettingError(f"cannot read the client's certificate or key {path}: is it there, and readable?")
    try:
        context.load_cert_chain(cert, key, password=no_password)
    except ssl.SSLError as error:
        if "MISMATCH" in (error.reason or ""):
            raise SettingError(f"the key in {key or cert} does not belong to the certificate {cert}") from None
        raise SettingError(f"{cert} and {key or cert} have to hold a certificate and its key in PEM form") from None


def tls_opener(tls: Tls) -> OpenTransport:
    """What makes transports with these settings; the files are read now."""
    context = tls_context(tls)

    def open_tls_transport(address: Address, host: str) -> Transport:
        return TlsTransport(address, tls.server_name or host, context)

    return open_tls_transport


class TlsTransport(Transport):
    """`host` is the name that the certificate has to be for."""

    __slots__ = (
        "_encrypted_size",
        "_host",
        "_incoming",
        "_is_connected",
        "_outgoing",
        "_scratch",
        "_tls",
        "_unsent",
        "is_shaking_hands",
        "pending",
    )

    encrypted = True

    def __init__(self, address: Address, host: str, context: ssl.SSLContext) -> None:
        self._host = host
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host.rstrip("."))
        self._scratch = memoryview(bytearray(_RECEIVE_SIZE))
        self._unsent = memoryview(b"")  # ciphertext that the socket has not taken
        self._encrypted_size = 0  # bytes of the caller that are in there, or in _outgoing
        self.is_shaking_hands = False
        self._is_connected = False
        self.pending = False
        super().__init__(address)

    def finish_connect(self) -> bool:
        """Connects, then shakes hands, over several calls. Raises AuthenticationError when one side does not accept the other."""
        if not self.is_shaking_hands:
            super().finish_connect()
            self.is_shaking_hands = True
        elif not self._drain() or not self._fill():
            return False
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._drain()
            return False
        except ssl.SSLError as error:
            self._drain_quietly()
            raise self._refusal(error) from None
        self.is_shaking_hands = False
        self._is_connected = True
        self._drain()
        return True

    def receive_into(self, view: memoryview) -> int | None:
        received = 0
        try:
            while received < len(view):
                try:
                    count = self._tls.read(len(view) - received, view[received:])
                except ssl.SSLWantReadError:
                    if received or not self._fill():
                        break
                    continue
                if not count:
                    return received
                received += int(count)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return received
        except ssl.SSLError as error:
            if received:
                return received
            raise self._refusal(error) from None
        finally:
            self.pending = self._incoming.pending > 0 or self._tls.pending() > 0
            if self._outgoing.pending:
                self._drain()
        return received or None

    def send(self, buffers: Sequence[Buffer]) -> int:
        if not self._encrypted_size:
            self._encrypted_size = self._encrypt(buffers)
        try:
            if not self._drain():
                return 0
        except OSError:
            self._raise_what_was_said()
            raise
        sent, self._encrypted_size = self._encrypted_size, 0
        return sent

    def close(self) -> None:
        """Tells the other side that nothing more will come, as far as that can be done without waiting."""
        if self._is_connected and self.fileno() >= 0:
            try:
                self._tls.unwrap()
            except ssl.SSLError:
                self._drain_quietly()
        super().close()

    def _encrypt(self, buffers: Sequence[Buffer]) -> int:
        """The beginning of what there is to send, put together so that small parts share a record; returns how many bytes that are."""
        parts: list[Buffer] = []
        room = _ENCRYPT_SIZE
        for buffer in buffers:
            parts.append(buffer if len(buffer) <= room else memoryview(buffer)[:room])
            room -= len(parts[-1])
            if not room:
                break
        data = memoryview(b"".join(parts))
        size = len(data)
        while data:
            data = data[self._tls.write(data) :]
        return size

    def _fill(self) -> bool:
        """Take what the socket has; False when that is nothing at the moment."""
        try:
            count = super().receive_into(self._scratch)
        except OSError as error:
            if self.is_shaking_hands:
                raise self._cut_off(error.strerror or str(error)) from None
            raise
        if count is None:
            return False
        if count:
            self._incoming.write(self._scratch[:count])
        else:
            self._incoming.write_eof()
        return True

    def _drain(self) -> bool:
        """Send ciphertext until the socket takes no more; True when there is none left."""
        while True:
            if not self._unsent:
                self._unsent = memoryview(self._outgoing.read())
            if not self._unsent:
                break
            sent = super().send((self._unsent,))
            if not sent:
                break
            self._unsent = self._unsent[sent:]
        self.wants_write = bool(self._unsent)
        return not self.wants_write

    def _raise_what_was_said(self) -> None:
        """The other side closed the connection; its last word may lie unread in the socket."""
        try:
            while self._fill() and self._tls.read(_RECEIVE_SIZE):
                pass
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return
        except ssl.SSLError as error:
            raise self._refusal(error) from None

    def _drain_quietly(self) -> None:
        """The other side should learn why; it is over in any case."""
        try:
            self._drain()
        except OSError:
            return

    def _refusal(self, error: ssl.SSLError) -> Exception:
        """What OpenSSL says, in words of what to do."""
        if isinstance(error, ssl.SSLCertVerificationError):
            said = error.verify_message.rstrip(".")
            remedy = next((remedy for part, remedy in _REMEDIES if part in said), "the broker has to be given another one")
            return AuthenticationError(f"the certificate that {self._host} shows is not accepted ({said}): {remedy}")
        reason = error.reason or str(error)
        if reason in _NO_TLS:
            return UnreachableError(f"{self._host} does not speak TLS on this port: take the port of a TLS listener, or leave TLS out")
        if isinstance(error, ssl.SSLEOFError):
            return self._cut_off("connection closed")
        words = reason.replace("_", " ").lower()
        if "certificate" in words or "unknown ca" in words:
            return AuthenticationError(
                f"{self._host} wants a certificate of the client that it trusts ({words}): give one as cert, with its key as key"
            )
        return UnreachableError(f"TLS with {self._host} failed: {words}")

    def _cut_off(self, reason: str) -> UnreachableError:
        return UnreachableError(f"{self._host} ended the TLS handshake ({reason}): it may not speak TLS on this port")
