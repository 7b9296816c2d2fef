"""Faults of transactions: what is open or aborted is shown, what has lost its right to commit commits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ev.broker.transaction_runtime import TransactionRuntime
from ev.coordinators import groups
from ev.coordinators.consumer_groups import ConsumerGroups
from ev.coordinators.deadlines import Deadlines
from ev.coordinators.offsets import Offsets
from ev.coordinators.transaction_records import transaction_value
from ev.errors import ErrorCode
from ev.log.recovery import Recovery
from torture.faults import Patches


def aborted_are_forgotten(patches: Patches) -> None:
    """After a start nothing is known of the transactions that were aborted before the last checkpoint."""
    patches.put(Recovery, "_load_aborted", lambda self, segments, recovery_offset, checks: None)


def lost_members_commit(patches: Patches) -> None:
    """A transaction takes the offsets of a member that has lost its place in the group."""
    patches.put(groups, "transactional_commit_error", lambda group, request: ErrorCode.NONE)
    honest: Callable[..., int] = ConsumerGroups.commit_error

    def commit_error(self: ConsumerGroups, *arguments: Any, in_transaction: bool = False) -> int:
        return ErrorCode.NONE if in_transaction else honest(self, *arguments)

    patches.put(ConsumerGroups, "commit_error", commit_error)


def pending_offsets_are_told(patches: Patches) -> None:
    """Whoever asks where the group is gets what was committed before, also while a transaction is about to change it."""
    patches.put(Offsets, "is_pending", lambda self, group_id, topic, partition: False)


def begun_in_memory_only(patches: Patches) -> None:
    """That a transaction has begun, and where it writes, is not in the log: a start does not know of it."""

    def add_partitions(
        self: TransactionRuntime, transactional_id: str, producer_id: int, epoch: int, partitions: Any, *, client_version: int = 0
    ) -> int:
        now = self._now()
        added = self.transactions.add_partitions(transactional_id, producer_id, epoch, partitions, now, client_version=client_version)
        if added is not None:
            self.transactions.replay(transactional_id, transaction_value(added), now)
            self._alarm.arm()
        return self.topic.round_of((transactional_id,))

    patches.put(TransactionRuntime, "add_partitions", add_partitions)


def time_outs_end_with_a_start(patches: Patches) -> None:
    """A transaction that is open when the engine starts is open for ever, unless its producer ends it."""
    honest = TransactionRuntime.start

    def start(self: TransactionRuntime) -> None:
        honest(self)
        self.transactions._deadlines = Deadlines()

    patches.put(TransactionRuntime, "start", start)
