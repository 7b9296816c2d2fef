"""What a screen asks for by itself, because the model does not watch it: settings, ACLs, users, files and figures of the local engine.

Asked in a thread when the screen comes up, then again when it has grown old, and after a failure until it succeeds. What was known stays
on the screen meanwhile, and so does why it is not newer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from ev.client.admin import Admin
    from ev_cli.failures import Failure
    from ev_cli.session import Session
    from ev_tui.app import EvApp

Answer = TypeVar("Answer")

OLD_S = 30.0
RETRY_S = 2.0
RETRY_MAX_S = 30.0


def of_cluster(question: Callable[[Admin], Answer]) -> Callable[[Session], Answer]:
    """A question that the cluster answers."""

    def ask(session: Session) -> Answer:
        with session.admin() as admin:
            return question(admin)

    return ask


class Asked(Generic[Answer]):
    """One question, and the newest answer to it."""

    def __init__(self, question: Callable[[Session], Answer], *, old_s: float = OLD_S) -> None:
        self._question = question
        self._old_s = old_s
        self._due_at = 0.0
        self._failures = 0
        self._is_asking = False
        self.answer: Answer | None = None
        self.answered_at: float | None = None
        self.error: str | None = None
        """Why there is no newer answer."""

    def is_due(self, now: float) -> bool:
        return not self._is_asking and now >= self._due_at

    def age_s(self, now: float) -> float | None:
        return None if self.answered_at is None else now - self.answered_at

    def hasten(self) -> None:
        """Ask as soon as anybody looks."""
        self._due_at = 0.0

    def ask(self, app: EvApp, then: Callable[[], None]) -> None:
        """Ask now; `then` is called when there is an answer, or none. Not from a thread."""
        session = app.session
        self._is_asking = True

        def answered(answer: Answer) -> None:
            self.took(answer, time.monotonic())
            then()

        def failed(failure: Failure) -> None:
            self.missed(failure.line(), time.monotonic())
            then()

        app.run_in_thread(lambda: self._question(session), answered, failed)

    def took(self, answer: Answer, now: float) -> None:
        self._is_asking = False
        self._failures = 0
        self.answer, self.answered_at, self.error = answer, now, None
        self._due_at = now + self._old_s

    def missed(self, error: str, now: float) -> None:
        """No answer: ask again, the later the oftener it has failed."""
        self._is_asking = False
        self.error = error
        self._due_at = now + min(RETRY_MAX_S, RETRY_S * 2**self._failures)
        self._failures += 1
