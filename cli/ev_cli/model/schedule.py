"""When which question is asked next: often what is on screen, seldom what costs the cluster or this machine much."""

from __future__ import annotations

from enum import StrEnum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Question(StrEnum):
    """What is asked, what comes first when several are due first."""

    METADATA = "metadata"
    VISIBLE = "visible"
    GROUPS = "groups"
    MEMBERS = "members"
    DIRECTORIES = "directories"
    CONTROLLER = "controller"
    TOPICS = "topics"
    COMMITS = "commits"
    ARRIVALS = "arrivals"


PERIOD_S = {
    Question.METADATA: 30.0,
    Question.VISIBLE: 2.0,
    Question.GROUPS: 10.0,
    Question.MEMBERS: 10.0,
    Question.DIRECTORIES: 15.0,
    Question.CONTROLLER: 15.0,
    Question.TOPICS: 2.0,
    Question.COMMITS: 2.0,
    Question.ARRIVALS: 10.0,
}
"""Of any cluster."""
LOCAL_PERIOD_S = {
    Question.METADATA: 2.0,
    Question.VISIBLE: 0.25,
    Question.GROUPS: 1.0,
    Question.MEMBERS: 1.0,
    Question.DIRECTORIES: 5.0,
    Question.CONTROLLER: 15.0,
    Question.TOPICS: 1.0,
    Question.COMMITS: 1.0,
    Question.ARRIVALS: 5.0,
}
"""Of the engine on this machine."""
SLOW_FACTOR = 4.0
"""A question whose answer took a second is asked again after four: a slow cluster is not made slower."""
CPU_FACTOR = 100.0
"""A question takes no more than a hundredth of a core."""
REFUSED_S = 60.0
QUIET_ROUNDS = 8
QUIET_FACTOR = {Question.VISIBLE: 4.0, Question.TOPICS: 2.0, Question.COMMITS: 2.0, Question.GROUPS: 2.0, Question.MEMBERS: 2.0}
"""Where nothing has moved for some rounds the local engine is asked less often."""
QUIET_SLACK_S = 0.4
"""Then, whoever is awake asks at once what would be due so soon: to wake up again costs more than most questions."""
RETRY_S = 0.5
RETRY_MAX_S = 10.0


class Schedule:
    """Who is due. All questions are due at the beginning."""

    def __init__(self, *, is_local: bool) -> None:
        self.is_local = is_local
        self._period_s = LOCAL_PERIOD_S if is_local else PERIOD_S
        self._due = dict.fromkeys(Question, 0.0)
        self._quiet = 0

    def next(self, now: float) -> Question | None:
        """The question to ask now; None when none is due."""
        until = now + QUIET_SLACK_S if self.is_quiet else now
        return next((question for question, due in self._due.items() if due <= until), None)

    @property
    def is_quiet(self) -> bool:
        """Whether the local engine has had nothing to say for a while."""
        return self.is_local and self._quiet >= QUIET_ROUNDS

    def wait_s(self, now: float) -> float:
        """How long until one is due."""
        return max(0.0, min(self._due.values()) - now)

    def asked(self, question: Question, now: float, took_s: float, cpu_s: float, *, again: bool = False) -> None:
        """The answer has come. `again`: there is more of it to be asked for at once."""
        pause_s = self._period_s[question]
        if self.is_quiet:
            pause_s *= QUIET_FACTOR.get(question, 1.0)
        if again:
            pause_s = 0.0
        self._due[question] = now + max(pause_s, SLOW_FACTOR * (took_s - cpu_s), 0.0 if again else CPU_FACTOR * cpu_s)

    def moved(self, has_moved: bool) -> None:
        """Whether what is on screen was another than at the look before."""
        self._quiet = 0 if has_moved else self._quiet + 1

    def refused(self, question: Question, now: float) -> None:
        """The cluster does not answer that: perhaps later."""
        self._due[question] = now + max(REFUSED_S, self._period_s[question])

    def hasten(self, questions: Iterable[Question], now: float) -> None:
        """These are wanted now."""
        for question in questions:
            self._due[question] = min(self._due[question], now)


def retry_s(attempts: int, *, is_local: bool) -> float:
    """How long to wait after so many attempts at a cluster that does not answer."""
    return min(RETRY_MAX_S if not is_local else 1.0, RETRY_S * 2.0 ** min(attempts, 10))
