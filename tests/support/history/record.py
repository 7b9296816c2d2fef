"""Everything that happened in a run, as its clients report it, and the judgement about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf

from support.history.facts import Commit, Outcome, Place, Records, Transaction, Turn
from support.history.groups import of_groups
from support.history.reads import of_readers
from support.history.transactions import of_transactions
from support.history.writes import of_senders, of_the_log


@dataclass(slots=True)
class History:
    """Filled while and after clients work; `anomalies` judges it."""

    sent: dict[str, list[tuple[Place, bytes]]] = field(default_factory=lambda: defaultdict(list))
    acked: dict[Place, dict[bytes, int | None]] = field(default_factory=lambda: defaultdict(dict))
    refused: dict[Place, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    aborted: dict[Place, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    transactions: list[Transaction] = field(default_factory=list)
    reads: dict[tuple[str, Place], Records] = field(default_factory=lambda: defaultdict(list))
    uncommitted_readers: set[str] = field(default_factory=set)
    final: dict[Place, Records] = field(default_factory=dict)
    final_uncommitted: dict[Place, Records] = field(default_factory=dict)
    starts: dict[Place, int] = field(default_factory=dict)
    markers: dict[Place, set[int]] = field(default_factory=dict)
    commits: dict[tuple[str, Place], list[Commit]] = field(default_factory=lambda: defaultdict(list))
    final_commits: dict[tuple[str, Place], int] = field(default_factory=dict)
    turns: dict[tuple[str, Place], list[Turn]] = field(default_factory=lambda: defaultdict(list))

    def send(self, sender: str, place: Place, value: bytes) -> None:
        """A sender handed this to its client; senders report in the order in which they sent."""
        self.sent[sender].append((place, value))

    def acknowledge(self, place: Place, value: bytes, offset: int | None = None) -> None:
        self.acked[place][value] = offset

    def refuse(self, place: Place, value: bytes) -> None:
        self.refused[place].add(value)

    def transaction(self, transaction: Transaction) -> None:
        """A transaction came to its end. What it sent counts as sent by its process, and as acknowledged if it was committed."""
        self.transactions.append(transaction)
        self.sent[transaction.process] += transaction.sends
        for place, value in transaction.sends:
            if transaction.outcome is Outcome.COMMITTED:
                self.acked[place].setdefault(value, None)
            elif transaction.outcome is Outcome.ABORTED:
                self.aborted[place].add(value)

    def read(self, reader: str, place: Place, records: Iterable[tuple[int, bytes]], *, committed: bool = True) -> None:
        """What a reader got next, without a seek since its last read (another name for it after one)."""
        self.reads[reader, place].extend(records)
        if not committed:
            self.uncommitted_readers.add(reader)

    def read_all(self, place: Place, records: Iterable[tuple[int, bytes]], start: int = 0) -> None:
        """The final read of committed records, from the log's start offset to its end."""
        self.final[place] = list(records)
        self.starts[place] = start

    def read_uncommitted(self, place: Place, records: Iterable[tuple[int, bytes]], markers: Iterable[int]) -> None:
        """The final read of all records, aborted ones too, and the offsets of the markers between them. Where there are transactions."""
        self.final_uncommitted[place] = list(records)
        self.markers[place] = set(markers)

    def commit(
        self, group: str, place: Place, offset: int, *, member: str = "", asked: float | None = None, answered: float | None = None
    ) -> None:
        """A commit was acknowledged; with times, also one that was asked for only. Members report in the order in which they asked."""
        number = float(len(self.commits[group, place]))
        at = number if asked is None else asked
        told = (at if asked is None else inf) if answered is None else answered
        self.commits[group, place].append(Commit(member, offset, at, told))

    def commit_found(self, group: str, place: Place, offset: int) -> None:
        """What OffsetFetch says at the end."""
        self.final_commits[group, place] = offset

    def turn(self, group: str, place: Place, member: str, given: float) -> Turn:
        """A member was given a partition; what it handles goes into the turn's offsets."""
        turn = Turn(member, given)
        self.turns[group, place].append(turn)
        return turn

    def all_records(self, place: Place) -> Records:
        """What the final read found for readers of uncommitted records."""
        return self.final_uncommitted.get(place, self.final.get(place, []))

    def end(self, place: Place) -> int:
        """The offset behind the last record or marker of the final read."""
        last = max((offset for offset, _ in self.all_records(place)[-1:]), default=self.starts.get(place, 0) - 1)
        return max(last, *self.markers.get(place, ()), -1) + 1

    def anomalies(self) -> dict[str, list[str]]:
        """What is wrong, by kind, a line each; empty when nothing is."""
        found: dict[str, list[str]] = defaultdict(list)
        for judge in (of_the_log, of_transactions, of_senders, of_readers, of_groups):
            for kind, line in judge(self):
                found[kind].append(line)
        return dict(found)
