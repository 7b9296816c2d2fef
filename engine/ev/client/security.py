"""How a client speaks to brokers that want to know who it is, or that nobody shall listen: the settings, as plain values.

    Security()                                                       PLAINTEXT, the same as none at all
    Security(tls=Tls(ca="ca.pem"))                                   SSL
    Security(tls=Tls(ca="ca.pem", cert="me.pem", key="me.key"))      SSL, and the client shows a certificate, too
    Security(tls=Tls(), sasl=Sasl("SCRAM-SHA-512", "alice", SecretFile("password")))      SASL_SSL
    Security(tls=Tls(), sasl=Sasl("OAUTHBEARER", token=SecretCommand(["get-token"])))     SASL_SSL

A password or token is a text, or anything that gives one when it is called: then it is asked for every time that a connection
authenticates. No repr and no error shows it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ev.errors import AuthenticationError, SettingError

PLAIN = "PLAIN"
OAUTHBEARER = "OAUTHBEARER"
SCRAM_HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
MECHANISMS = (PLAIN, *SCRAM_HASHES, OAUTHBEARER)

COMMAND_TIMEOUT_S = 60
SECRET_SIZE_MAX = 1 << 20

Secret = str | Callable[[], str]


@dataclass(frozen=True, slots=True)
class Tls:
    """Files are in PEM form. Without `ca` the authorities of the system are trusted; `server_name` is expected in the certificate in
    place of the host's name. `insecure` accepts any certificate: whoever is on the way can read and change everything."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    server_name: str | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        if self.key is not None and self.cert is None:
            raise SettingError("tls has a key without a certificate: give cert, too")
        if self.server_name is not None and (not self.server_name or self.server_name.startswith(".")):
            raise SettingError(f"tls.server_name is {self.server_name!r}, which is the name of no host")
        if self.insecure and self.ca is not None:
            raise SettingError("tls.insecure accepts any certificate, so that ca means nothing: leave one of them out")


@dataclass(frozen=True, slots=True)
class Sasl:
    """Who the client is. `unencrypted` is the explicit wish to say so without TLS where others may listen."""

    mechanism: str
    username: str | None = None
    password: Secret | None = field(default=None, repr=False)
    token: Secret | None = field(default=None, repr=False)
    extensions: Mapping[str, str] = field(default_factory=dict)
    unencrypted: bool = False

    def __post_init__(self) -> None:
        if self.mechanism not in MECHANISMS:
            raise SettingError(f"no SASL mechanism is called {self.mechanism!r}; there are {', '.join(MECHANISMS)}")
        if self.mechanism == OAUTHBEARER:
            if self.token is None or self.username is not None or self.password is not None:
                raise SettingError("OAUTHBEARER takes a token, and neither username nor password")
        elif not self.username or self.password is None or self.token is not None:
            raise SettingError(f"{self.mechanism} takes a username and a password, and no token")
        elif self.extensions:
            raise SettingError(f"{self.mechanism} has no extensions: they are OAUTHBEARER's")


@dataclass(frozen=True, slots=True)
class Security:
    """Without `tls` nothing is encrypted, without `sasl` the client does not say who it is, but for the certificate it may show."""

    tls: Tls | None = None
    sasl: Sasl | None = None

    @property
    def protocol(self) -> str:
        """By Kafka's name."""
        transport = "PLAINTEXT" if self.tls is None else "SSL"
        return transport if self.sasl is None else f"SASL_{transport}"


class SecretFile:
    """The first line of a file, read anew each time."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)

    def __repr__(self) -> str:
        return f"SecretFile({self.path!r})"

    def __call__(self) -> str:
        try:
            with open(self.path, "rb") as file:
                return first_line(file.read(SECRET_SIZE_MAX), f"the file {self.path}")
        except OSError as error:
            raise SettingError(f"cannot read {self.path}, where the password or token should be: {error.strerror}") from None


class SecretVariable:
    """The value of a variable of the environment."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"SecretVariable({self.name!r})"

    def __call__(self) -> str:
        text = os.environ.get(self.name)
        if not text:
            raise SettingError(f"the variable {self.name}, where the password or token should be, is not set")
        return text


class SecretCommand:
    """The first line that a program writes; no shell is involved. With `once` what it said first counts for good."""

    def __init__(self, command: Sequence[str], *, once: bool = False) -> None:
        self.command = list(command)
        if not self.command:
            raise SettingError("a command that should tell the password or token has to name a program")
        self.once = once
        self._said: str | None = None

    def __repr__(self) -> str:
        return f"SecretCommand([{self.command[0]!r}, …])"

    def __call__(self) -> str:
        if self._said is not None:
            return self._said
        import subprocess  # noqa: PLC0415 - few secrets come from programs

        name = self.command[0]
        try:
            done = subprocess.run(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=COMMAND_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            raise AuthenticationError(f"{name} did not tell the password or token within {COMMAND_TIMEOUT_S} s") from None
        except (OSError, ValueError) as error:
            raise SettingError(f"cannot run {name!r}, which should tell the password or token: {error}") from None
        if done.returncode:
            raise AuthenticationError(f"{name}, which should tell the password or token, ended with status {done.returncode}")
        text = first_line(done.stdout, name)
        if self.once:
            self._said = text
        return text


def first_line(data: bytes, where: str) -> str:
    """Without its end. SettingError when there is nothing in it."""
    line = data.partition(b"\n")[0].removesuffix(b"\r")
    if not line:
        raise SettingError(f"{where} should hold the password or token, but its first line is empty")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise SettingError(f"{where} should hold the password or token, but its first line is no text in UTF-8") from None


def told(secret: Secret) -> str:
    """The password or token itself."""
    return secret if isinstance(secret, str) else secret()
