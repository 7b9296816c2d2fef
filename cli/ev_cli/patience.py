"""What a person is told while brokers are waited for: who does not answer, once it has lasted a while, and when it has passed.

A bootstrap address may answer and name brokers that cannot be reached. Then it is those that are named, not the address that was given.
"""

from __future__ import annotations

import time

from ev_cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from ev.client.cluster import Cluster
    from ev_cli.session import Session

AFTER_S = 3.0
WAITING_FOR = "waiting for "


class Patience:
    """That of one session. `look` is called while one of its clients waits; each thing is said once, however many clients wait for it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._what = ""
        self._since: dict[Cluster, float] = {}
        """By client, since when it is kept waiting."""
        self._told: dict[Cluster, str] = {}

    @property
    def has_told(self) -> bool:
        """Whether a person has been told of something that may still last."""
        return bool(self._told)

    def waits_for(self, what: str) -> Self:
        """`with patience.waits_for("…"):` around a call that comes back with an answer only; told also when all brokers are connected."""
        self._what = what
        return self

    def __enter__(self) -> None:
        self._since.clear()

    def __exit__(self, *_: object) -> None:
        self._what = ""

    def look(self, cluster: Cluster) -> None:
        now = time.monotonic()
        silent = silent_ones(cluster, self._session.where)
        if not silent and not self._what:
            self._since.pop(cluster, None)
            told = self._told.pop(cluster, None)
            if told and not told.startswith(WAITING_FOR) and told not in self._told.values():
                self._session.talk(f"connected to {self._session.where} again")
            return
        if now - self._since.setdefault(cluster, now) < AFTER_S or cluster in self._told:
            return
        what = f"{WAITING_FOR}{self._what}: " if self._what else ""
        text = f"{what}{silent or f'{self._session.where} has not answered yet'}; still trying, Ctrl-C ends"
        if text not in self._told.values():
            self._session.talk(text)
        self._told[cluster] = text


def silent_ones(cluster: Cluster, where: str) -> str:
    """Who of a cluster is wanted and does not answer, as a person reads it; empty when that is nobody."""
    if cluster.tries:
        return f"{where} does not answer"
    missing = cluster.out_of_reach()
    if not missing:
        return ""
    first = missing[0]
    reason = f": {output.safe(str(first.error))}" if first.error is not None else ""
    more = f" (nor do {len(missing) - 1} more of its brokers)" if len(missing) > 1 else ""
    return f"{where} answers, but its broker {first.node_id} at {output.safe(first.address)} does not{more}{reason}"
