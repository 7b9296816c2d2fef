"""Clients that write to a topic and read it while its engine is tortured, and the history of what they were told.

with Traffic(directory, engine.address, rate=100, transactions=True) as traffic:
    traffic.gets_on(process)      waits until one of `traffic.writers` was answered since the last `traffic.note()`
    traffic.in_flight             operations that were asked for and not answered, at this moment
    traffic.end()                 everybody comes to an end by itself
    traffic.history()             and the topic is read from beginning to end
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from ev.wire.messages.k09_offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup
from support.final_read import final_read
from support.history import History, Outcome, Place, Transaction
from support.processes import Process
from support.raw_client import RawClient
from support.raw_transactions import asked_over, until_settled
from support.verifying_transactions import partition_of
from support.waiting import wait_for

TOPIC, PARTITIONS = "payments", 3
CLIENTS = ("librdkafka", "aiokafka", "kafka-python", "ev")
GROUPS = {"billing": "read_committed", "watching": "read_uncommitted"}
WRITER = "transactional"


class Traffic:
    """Idempotent producers of four clients, a transactional one if wanted, and groups that read, each in a process of its own."""

    def __init__(
        self,
        directory: pathlib.Path,
        address: str,
        *,
        rate: int,
        transactions: bool,
        groups: dict[str, str] | None = None,
        clients: Sequence[str] = CLIENTS,
    ) -> None:
        self.directory, self.address = directory, address
        self.transactions = transactions
        self.groups = GROUPS if groups is None else groups
        admin = AdminClient({"bootstrap.servers": address})
        admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(30)
        names = (address, TOPIC, str(PARTITIONS))
        self.producers = [Process(directory, name, "support.verifying_producer", name, *names, name, str(rate)) for name in clients]
        self.writers = list(self.producers)
        if transactions:
            self.writers.append(Process(directory, WRITER, "support.verifying_transactions", *names, WRITER, str(rate)))
        self.readers = [
            Process(directory, group, "support.verifying_consumer", address, TOPIC, group, isolation)
            for group, isolation in self.groups.items()
        ]
        self.committed: dict[tuple[str, int], int] = {}  # what readers were told until now
        self._heard: dict[str, int] = {}
        self._noted: dict[str, int] = {}

    def __enter__(self) -> Traffic:
        return self

    def __exit__(self, *exc: object) -> None:
        for process in (*self.writers, *self.readers):
            process.kill()

    @property
    def in_flight(self) -> int:
        return sum(process.tally.open for process in self.writers)

    def note(self) -> None:
        """Remember how many answers everybody has got until now."""
        self._noted = {process.name: process.tally.answered for process in self.writers}

    def gets_on(self, process: Process, when: str, timeout_s: float = 60) -> None:
        """Wait until this writer was answered since the last note."""
        noted = self._noted.get(process.name, 0)
        wait_for(lambda: process.tally.answered > noted or process.ended, f"{process.name} to get on {when}", timeout_s)
        if process.ended:
            process.wait()
            raise AssertionError(f"{process.name} ended by itself {when}: {self.fatal()[:1]}")

    def end(self) -> None:
        """The writers first, which flush what they have, then the readers."""
        for processes in (self.writers, self.readers):
            for process in processes:
                process.end()
            for process in processes:
                process.wait()

    def fatal(self) -> list[str]:
        """What a client must survive and did not."""
        said = [(process, line) for process in (*self.writers, *self.readers) for line in process.lines()]
        return [f"{process.name}: {' '.join(line)}" for process, line in said if line[0] == "fatal"]

    # ---- what was committed, while it goes on

    def learn_commits(self) -> None:
        """Hear what the readers were told about their commits until now."""
        for process in self.readers:
            with process.path.open("rb") as file:
                file.seek(self._heard.get(process.name, 0))
                data = file.read().rpartition(b"\n")[0]
            if data:
                self._heard[process.name] = self._heard.get(process.name, 0) + len(data) + 1
            for line in data.splitlines():
                match line.split():
                    case [b"committed", partition, offset]:
                        self.committed[process.name, int(partition)] = int(offset)

    def lost_commits(self) -> list[str]:
        """Commits that were acknowledged before the engine went down, and are not there any more."""
        found: dict[tuple[str, int], int] = {}
        with RawClient(self.address) as client:
            ask = asked_over(client)
            for group in self.groups:
                request = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=group, topics=None)])
                answer = until_settled(lambda: ask(request, 8), lambda answer: answer.groups[0].error_code)  # noqa: B023
                for topic in answer.groups[0].topics:
                    found |= {(group, each.partition_index): each.committed_offset for each in topic.partitions}
        return [
            f"{group} had committed {offset} of partition {partition}, found {found.get((group, partition))}"
            for (group, partition), offset in self.committed.items()
            if found.get((group, partition), -1) < offset
        ]

    # ---- what came of it

    def history(self) -> History:
        """Everything that the clients have said, and the final read. The engine has to run."""
        history = History()
        for process in self.producers:
            record_sends(history, process)
        for process in self.writers[len(self.producers) :]:
            record_transactions(history, process)
        for process in self.readers:
            record_reads(history, process, committed=self.groups[process.name] == "read_committed")
        final_read(history, self.address, TOPIC, PARTITIONS, groups=self.groups, transactions=self.transactions)
        return history


def record_sends(history: History, process: Process) -> None:
    """A verifying producer's."""
    lines = process.lines()
    sent = next((int(line[1]) for line in lines if line[0] == "sent"), 0)
    places = [Place(TOPIC, partition) for partition in range(PARTITIONS)]
    for number in range(sent):
        history.send(process.name, places[number % PARTITIONS], f"{process.name}:{number}:".encode())
    for line in lines:
        if line[0] == "acked":
            partition, offset, number = map(int, line[1:])
            history.acknowledge(places[partition], f"{process.name}:{number}:".encode(), offset)


def record_transactions(history: History, process: Process) -> None:
    """A transactional writer's: of what has no end in its report nobody knows the outcome."""
    lines = process.lines()
    outcomes = {int(line[1]): Outcome(line[0]) for line in lines if line[0] in ("committed", "aborted")}
    for line in lines:
        if line[0] == "began":
            number, count = int(line[1]), int(line[2])
            sends = [
                (Place(TOPIC, partition_of(number, index, PARTITIONS)), f"{process.name}:{number}:{index}:".encode())
                for index in range(count)
            ]
            history.transaction(Transaction(process.name, outcomes.get(number, Outcome.UNKNOWN), sends))


def record_reads(history: History, process: Process, *, committed: bool) -> None:
    """A verifying consumer's; each assignment may begin at another place."""
    assignment = 0
    places = [Place(TOPIC, partition) for partition in range(PARTITIONS)]
    for line in process.lines():
        match line:
            case ["assigned", *_]:
                assignment += 1
            case ["read", partition, offset, value]:
                name = f"{process.name}-{assignment}"
                history.read(name, places[int(partition)], [(int(offset), value.encode())], committed=committed)
            case ["committed", partition, offset]:
                history.commit(process.name, places[int(partition)], int(offset))
