"""Passwords that come from a person or from the keyring of the system, and how they get into the keyring.

No password ever stands on a command line, where everybody on the machine can read it, nor in a configuration, which is often copied.
"""

from __future__ import annotations

from ev_cli import output
from ev_cli.failures import Failure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BYTES_MAX = 4096
SERVICE = "ev"


class PromptSecret:
    """A password that is asked for at the terminal, once."""

    def __init__(self, question: str) -> None:
        self.question = question
        self._said: str | None = None

    def __repr__(self) -> str:
        return "PromptSecret(…)"

    def __call__(self) -> str:
        if self._said is None:
            self._said = ask(self.question)
        return self._said


class KeyringSecret:
    """A password in the keyring of the system, under ev and CONTEXT/USERNAME."""

    def __init__(self, context: str, username: str) -> None:
        self.name = f"{context}/{username}"
        self._said: str | None = None

    def __repr__(self) -> str:
        return f"KeyringSecret({self.name!r})"

    def __call__(self) -> str:
        if self._said is None:
            self._said = _used(lambda keyring: keyring.get_password(SERVICE, self.name))
            if self._said is None:
                raise UsageFailure(
                    f"the keyring has no password of {self.name}", f"`ev context edit {self.name.partition('/')[0]} --keyring` asks for it"
                )
        return self._said

    def keep(self, password: str) -> None:
        _used(lambda keyring: keyring.set_password(SERVICE, self.name, password))

    def forget(self) -> None:
        """Take it out of the keyring; one that is not there is none."""
        if _used(lambda keyring: keyring.get_password(SERVICE, self.name)) is not None:
            _used(lambda keyring: keyring.delete_password(SERVICE, self.name))


def _used(what: Any) -> Any:
    """What the keyring answers. It is a package of its own, that few need."""
    try:
        import keyring
    except ImportError:
        raise UsageFailure("there is no access to the keyring of the system", "pip install 'ev[keyring]'") from None
    try:
        return what(keyring)
    except Exception as error:  # noqa: BLE001 - each system's keyring has exceptions of its own
        raise Failure(f"the keyring does not answer: {type(error).__name__}: {error}") from None


def can_ask() -> bool:
    return output.is_terminal(0) and output.is_terminal(2)


def ask(question: str) -> str:
    """A password that a person types, unseen."""
    import getpass

    password = getpass.getpass(output.safe(question))
    if not password or len(password.encode()) > BYTES_MAX:
        raise UsageFailure(f"a password has from 1 to {BYTES_MAX} bytes")
    return password


def new_password(question: str, *, from_stdin: bool) -> str:
    """A password that is to be kept: the first line of stdin, or typed twice."""
    if from_stdin:
        import sys

        line = sys.stdin.buffer.readline(BYTES_MAX + 2).rstrip(b"\r\n")
        if not line or len(line) > BYTES_MAX:
            raise UsageFailure(f"a password has from 1 to {BYTES_MAX} bytes", "--password-stdin takes the first line of stdin")
        return line.decode("utf-8", "surrogateescape")
    if not can_ask():
        raise UsageFailure("there is no terminal to ask for the password at", "--password-stdin reads it from stdin")
    first = ask(question)
    if ask("The same again: ") != first:
        raise UsageFailure("the two passwords are not the same")
    return first
