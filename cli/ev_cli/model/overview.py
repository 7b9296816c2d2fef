"""A cluster at a glance, once: topics with their rates, groups with their lag, brokers, as `ev top` shows them."""

from __future__ import annotations

import time

from ev_cli.model.asking import Asking
from ev_cli.model.schedule import Question
from ev_cli.model.state import ClusterState, Wish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev.client.admin import Admin
    from ev_cli.model.rates import Rate
    from ev_cli.model.snapshot import Snapshot

    Row = dict[str, Any]

OPTIONAL = (Question.DIRECTORIES, Question.CONTROLLER, Question.GROUPS, Question.MEMBERS)
"""Who may not ask these sees everything else."""


class Glance:
    """Looks twice, as far apart as rates are to be measured."""

    def __init__(self, admin: Admin) -> None:
        self.state = ClusterState()
        self._asking = Asking(admin, self.state)
        self._asking.ask(Question.METADATA, Wish())
        self._look(Question.TOPICS)
        self._first_at = time.monotonic()

    @property
    def cluster_id(self) -> str | None:
        return None if self.state.cluster is None else self.state.cluster.cluster_id

    def again(self, every_s: float) -> Row:
        """Everything, with the rates since the first look."""
        from ev.errors import ClientError, KafkaError, UnreachableError

        time.sleep(max(0.0, self._first_at + every_s - time.monotonic()))
        now = time.monotonic()
        self._look(Question.TOPICS)
        for question in OPTIONAL:
            try:
                self._look(question)
            except UnreachableError:
                raise
            except (KafkaError, ClientError) as error:
                self.state.refuse(question, str(error))
        self._look(Question.COMMITS)
        snapshot = self.state.snapshot(Wish(), time.monotonic(), int(time.time() * 1000))
        return shown(snapshot, round((now - self._first_at) * 1000))

    def _look(self, question: Question) -> None:
        self.state.swept.clear()
        while self._asking.ask(question, Wish()):
            pass


def shown(snapshot: Snapshot, interval_ms: int) -> Row:
    """The overview as an object: the busiest topics first, and the groups that are furthest behind. What is not known is null."""
    topics: list[Row] = [
        {
            "topic": row.name,
            "records_per_s": per_s(row.rate),
            "records": row.records,
            "bytes": row.size_bytes,
            "partitions": row.partitions,
        }
        for row in snapshot.topics.values()
        if not row.internal
    ]
    groups: list[Row] = [
        {"group": row.group, "state": row.state, "members": row.members, "lag": row.lag} for row in snapshot.groups.values()
    ]
    brokers = [
        {
            "broker": row.node_id,
            "address": f"{row.host}:{row.port}",
            "controller": row.is_controller,
            "leads": row.leads,
            "records_per_s": 0.0 if row.rate is None and snapshot.records_in is not None else per_s(row.rate),
            "bytes": row.stored_bytes,
        }
        for row in snapshot.brokers
        if row.is_here
    ]
    topics.sort(key=lambda row: (-(row["records_per_s"] or 0), -(row["records"] or 0), row["topic"]))
    groups.sort(key=lambda row: (-(row["lag"] or 0), row["group"]))
    return {
        "time": snapshot.time_ms,
        "cluster_id": snapshot.cluster_id,
        "interval_ms": interval_ms,
        "records_per_s": round(sum(row["records_per_s"] or 0.0 for row in topics), 1),
        "brokers": brokers,
        "topics": topics,
        "groups": groups,
    }


def per_s(rate: Rate | None) -> float | None:
    return None if rate is None else round(rate.per_s, 1)
