"""A context of the configuration, [contexts.NAME]: where a cluster is, and how to speak to it securely.

    bootstrap = ["HOST:PORT"]       security = "plaintext" | "ssl" | "sasl_plaintext" | "sasl_ssl"
    protected = true                what is lost for good is asked for by the context's name; see protection.py
    readonly = true                 nothing is written
    [contexts.NAME.sasl]            mechanism, username, password_command | password_env | password_file | keyring,
                                    token_command | token_env | token_file, extensions, unencrypted
    [contexts.NAME.tls]             ca, cert, key, server_name, insecure
    [contexts.NAME.defaults]        options of commands; see defaults.py

Files of a configuration hold no secrets, only where to get them. A password that nothing tells is asked for at the terminal. What is
needed to speak securely is loaded by those who do.
"""

from __future__ import annotations

import os

from ev_cli.failures import UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev.client.security import Sasl, Secret, Security, Tls

    Table = dict[str, Any]

PROTOCOLS = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
KNOWN = ("bootstrap", "security", "protected", "readonly", "sasl", "tls", "defaults")
SOURCES = ("command", "env", "file")
SECRETS = tuple(f"{what}_{source}" for what in ("password", "token") for source in SOURCES)
KNOWN_SASL = ("mechanism", "username", *SECRETS, "keyring", "extensions", "unencrypted")
KNOWN_TLS = ("ca", "cert", "key", "server_name", "insecure")


class Context:
    """One table, with its name and the file that it is in, for what has to be said about it.

    With `looked_at` it is not used now: a password that would have to be asked for is none of its faults.
    """

    def __init__(self, name: str, table: Table, path: str, *, looked_at: bool = False) -> None:
        self.name = name
        self.table = table
        self.path = path
        self.looked_at = looked_at
        for key in table:
            if key not in KNOWN:
                raise self._unknown(key, KNOWN)

    def flag(self, key: str) -> bool:
        value = self.table.get(key, False)
        if not isinstance(value, bool):
            raise self._wrong(key, f"is {value!r}", "write true or false")
        return value

    def defaults(self) -> Table:
        found = self.table.get("defaults", {})
        if not isinstance(found, dict):
            raise self._wrong("defaults", "is no table", f"write [contexts.{self.name}.defaults]")
        return found

    def bootstrap(self) -> str:
        """Its addresses, with commas between them."""
        addresses = self.table.get("bootstrap")
        if isinstance(addresses, list):
            addresses = ",".join(str(address) for address in addresses)
        if not addresses or not isinstance(addresses, str):
            raise UsageFailure(f"context {self.name!r} has no bootstrap addresses", f'add bootstrap = ["HOST:PORT"] in {self.path}')
        return addresses

    def security(self) -> Security | None:
        """What the client is given; None for plaintext. UsageFailure says what does not fit."""
        sasl, tls = self._part("sasl", KNOWN_SASL), self._part("tls", KNOWN_TLS)
        usual = ("sasl_" if sasl is not None else "") + ("ssl" if tls is not None else "plaintext")
        protocol = str(self.table.get("security", usual)).lower()
        if protocol not in PROTOCOLS:
            raise self._wrong("security", f"is {protocol!r}", f"write one of {', '.join(PROTOCOLS)}")
        has_sasl, has_tls = protocol.startswith("sasl_"), protocol.endswith("ssl")
        if has_sasl and sasl is None:
            raise self._wrong("security", f"is {protocol!r}, and nothing says who you are", f"add [contexts.{self.name}.sasl]")
        for part, wanted, name in ((sasl, has_sasl, "sasl"), (tls, has_tls, "tls")):
            if part is not None and not wanted:
                raise self._wrong("security", f"is {protocol!r}, so that [contexts.{self.name}.{name}] means nothing", "drop one of them")
        if protocol == "plaintext":
            return None
        from ev.client.security import Security
        from ev.errors import SettingError

        try:
            return Security(self._tls(tls or {}) if has_tls else None, self._sasl(sasl) if has_sasl and sasl is not None else None)
        except SettingError as error:
            raise UsageFailure(f"context {self.name!r} in {self.path}: {error}") from None

    # -- parts -------------------------------------------------------------------------------------------------------------------

    def _part(self, name: str, known: tuple[str, ...]) -> Table | None:
        part = self.table.get(name)
        if part is None:
            return None
        if not isinstance(part, dict):
            raise self._wrong(name, "is no table", f"write [contexts.{self.name}.{name}]")
        for key in part:
            if key in ("password", "token"):
                raise self._wrong(f"{name}.{key}", "would be a secret in a file that is often copied", f"say where it is: {_three(key)}")
            if key not in known:
                raise self._unknown(f"{name}.{key}", known)
        return part

    def _tls(self, part: Table) -> Tls:
        from ev.client.security import Tls

        files = {key: self._file(self._text(part, "tls", key)) for key in ("ca", "cert", "key")}
        return Tls(**files, server_name=self._text(part, "tls", "server_name"), insecure=self._flag(part, "tls", "insecure"))

    def _sasl(self, part: Table) -> Sasl:
        from ev.client.security import OAUTHBEARER, Sasl

        extensions = part.get("extensions", {})
        if not isinstance(extensions, dict):
            raise self._wrong("sasl.extensions", "is no table", f"write [contexts.{self.name}.sasl.extensions]")
        mechanism = (self._text(part, "sasl", "mechanism") or "").upper()
        what = "token" if mechanism == OAUTHBEARER else "password"
        return Sasl(
            mechanism,
            self._text(part, "sasl", "username"),
            self._secret(part, "password", what),
            self._secret(part, "token", what),
            {str(key): str(value) for key, value in extensions.items()},
            self._flag(part, "sasl", "unencrypted"),
        )

    def _secret(self, part: Table, what: str, wanted: str) -> Secret | None:
        """Where the password or token is got from."""
        from ev.client.security import SecretCommand, SecretFile, SecretVariable

        given = [f"{what}_{source}" for source in SOURCES if f"{what}_{source}" in part]
        if what == "password" and self._flag(part, "sasl", "keyring"):
            given.append("keyring")
        if len(given) > 1:
            raise self._wrong(f"sasl.{given[0]}", f"and {given[1]} contradict each other", "give one of them")
        if not given:
            return self._asked(part, what) if what == wanted else None
        key = given[0]
        if key == "keyring":
            from ev_cli.passwords import KeyringSecret

            return KeyringSecret(self.name, self._text(part, "sasl", "username") or "")
        if key.endswith("_command"):
            return SecretCommand(self._words(part[key], key), once=what == "password")
        text = self._text(part, "sasl", key)
        assert text is not None
        return SecretVariable(text) if key.endswith("_env") else SecretFile(self._file(text) or "")

    def _asked(self, part: Table, what: str) -> Secret:
        """A password that is asked for, where there is somebody to ask."""
        from ev_cli.passwords import PromptSecret, can_ask

        if what == "password" and (self.looked_at or can_ask()):
            return PromptSecret(f"Password of {self._text(part, 'sasl', 'username')} in the context {self.name}: ")
        raise self._wrong("sasl", f"has no {what}, and there is no terminal to ask at", f"say where it is: {_three(what)}")

    def _words(self, command: object, key: str) -> list[str]:
        import shlex

        if isinstance(command, list) and all(isinstance(word, str) for word in command):
            return command
        if isinstance(command, str):
            try:
                return shlex.split(command)
            except ValueError as error:
                raise self._wrong(f"sasl.{key}", f"cannot be split into words: {error}", "write a list of words") from None
        raise self._wrong(f"sasl.{key}", "is no command", "write a text or a list of words")

    def _file(self, text: str | None) -> str | None:
        """A path as it is meant in the file: from the file's own directory on."""
        return None if text is None else os.path.join(os.path.dirname(self.path), os.path.expanduser(text))

    def _text(self, part: Table, where: str, key: str) -> str | None:
        value = part.get(key)
        if value is not None and (not isinstance(value, str) or not value):
            raise self._wrong(f"{where}.{key}", "is no text", f'write {key} = "…"')
        return value

    def _flag(self, part: Table, where: str, key: str) -> bool:
        value = part.get(key, False)
        if not isinstance(value, bool):
            raise self._wrong(f"{where}.{key}", f"is {value!r}", "write true or false")
        return value

    def _unknown(self, key: str, known: tuple[str, ...]) -> UsageFailure:
        from ev_cli.naming import nearest

        near = nearest(key.rpartition(".")[2], known)
        return self._wrong(key, "is nothing that ev knows", f"did you mean {near!r}?" if near else f"there are {', '.join(known)}")

    def _wrong(self, key: str, what: str, hint: str) -> UsageFailure:
        return UsageFailure(f"contexts.{self.name}.{key} in {self.path} {what}", hint)


def _three(what: str) -> str:
    return ", ".join(f"{what}_{source}" for source in SOURCES[:-1]) + f" or {what}_{SOURCES[-1]}"


def is_asked_once(secret: Secret) -> bool:
    """Whether what tells the secret may ask a person for it, and is not to be asked again."""
    from ev.client.security import SecretCommand
    from ev_cli.passwords import KeyringSecret, PromptSecret

    return isinstance(secret, SecretCommand | KeyringSecret | PromptSecret)


def exposed_file(security: Security) -> str | None:
    """The file with the password, when it is ours and others may read it."""
    from ev.client.security import SecretFile

    source = None if security.sasl is None else security.sasl.password or security.sasl.token
    if not isinstance(source, SecretFile):
        return None
    try:
        found = os.stat(source.path)
    except OSError:
        return None
    is_ours = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
    return source.path if is_ours and found.st_mode & 0o077 else None
