"""The small files beside the log: Kafka's text checkpoints, its identity files, and ev's own checkpoint of a partition.

Kafka's files are text without a checksum, and are read leniently: what does not parse is as good as missing. What recovery
builds upon is in one own file per partition, `ev.checkpoint`, that is replaced as a whole and has a checksum. It says up to
where the partition's files are known to be on disk, and everything that would otherwise have to be read from the log before
that place:

    offset  size
    0       4     magic "evP1"
    4       4     CRC-32C of everything behind it
    8       16    topic id
    24      8     log start offset
    32      8     recovery point: everything before this offset is on disk
    40      8     base offset of the segment that the recovery point is in
    48      8     place of the recovery point in that segment's .log
    56      8     largest timestamp in that segment before it, and
    64      8     the offset of the batch that has it
    72      8     timestamp from which segment.ms is counted (-1: not yet known)
    80      4     leader epoch in which this was written
    84      4     number of epochs, then (epoch: 4, first offset: 8) of each; a first (-1, -1) says that they were taken over
                  from a file without a checksum
    ...     4     number of producers, then of each: producer id (8), epoch (2), last seen (8), number of batches (1),
                  and (first sequence 4, last sequence 4, base offset 8, last offset 8, timestamp 8) of each batch
    ...     4     number of open transactions, then (producer id: 8, first offset: 8) of each, the oldest first
    ...     4     number of .txnindex files, then of each: base offset of its segment (8), bytes that count (4), their CRC-32C (4)
    ...     4     number of producers with a marker, then (producer id: 8, epoch of the coordinator: 4) of each

What stands behind the producers is missing in checkpoints from before there were transactions.

All numbers are big-endian.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from struct import Struct
from struct import error as StructError

from ev.disk import Buffer
from ev.errors import DiskError, MalformedError
from ev.log.epochs import LeaderEpochs
from ev.log.producers import Producers
from ev.log.transactions import Transactions
from ev.wire.checksum import crc32c

RECOVERY_POINTS = "recovery-point-offset-checkpoint"
LOG_STARTS = "log-start-offset-checkpoint"
HIGH_WATERMARKS = "replication-offset-checkpoint"
CLEANER_OFFSETS = "cleaner-offset-checkpoint"
LEADER_EPOCHS = "leader-epoch-checkpoint"
PARTITION_METADATA = "partition.metadata"
META_PROPERTIES = "meta.properties"
CLEAN_SHUTDOWN = ".kafka_cleanshutdown"
CLEAN_SHUTDOWN_TEXT = b'{"version":0,"brokerEpoch":-1}'
OWN_CHECKPOINT = "ev.checkpoint"
STATE = "ev.state"

FORMAT = 2
"""The newest version of the data directory as a whole that this engine reads; a higher one is refused (see `ev.log.upgrade`)."""
FIRST_FORMAT = 1

MAGIC = b"evP1"
HEAD = Struct(">16sqqqqqqqii")
EPOCH = Struct(">iq")
UNTRUSTED = (-1, -1)


# Identities


def uuid_text(value: bytes) -> str:
    """A UUID as Kafka writes it: base64url without padding."""
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def uuid_from_text(text: str) -> bytes | None:
    """The 16 bytes of such a text; None when it is not one."""
    if len(text) != 22 or not text.isascii():
        return None
    try:
        value = urlsafe_b64decode(text + "==")
    except ValueError:
        return None
    return value if len(value) == 16 and uuid_text(value) == text else None


def partition_metadata(topic_id: bytes) -> bytes:
    return f"version: 0\ntopic_id: {uuid_text(topic_id)}".encode()


def parse_partition_metadata(data: Buffer) -> bytes | None:
    """The topic id in a partition.metadata; None when it cannot be read."""
    fields = _fields(data, ":")
    if fields.get("version") != "0":
        return None
    return uuid_from_text(fields.get("topic_id", ""))


def _fields(data: Buffer, separator: str) -> dict[str, str]:
    fields = {}
    for line in bytes(data).decode("utf-8", "replace").splitlines():
        name, found, value = line.partition(separator)
        if found and not line.startswith("#"):
            fields[name.strip()] = value.strip()
    return fields


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this data directory is: meta.properties."""

    cluster_id: str
    node_id: int
    directory_id: str

    def encode(self) -> bytes:
        text = f"cluster.id={self.cluster_id}\ndirectory.id={self.directory_id}\nnode.id={self.node_id}\nversion=1\n"
        # A comment for Kafka; it lets ev tell a flipped bit from a different cluster.
        return f"#\n#crc32c {crc32c(text.encode()):08x}\n{text}".encode()

    @classmethod
    def parse(cls, data: Buffer) -> Identity:
        """Raises DiskError when the file is damaged or was written by something that is not understood."""
        lines = bytes(data).decode("utf-8", "replace").splitlines(keepends=True)
        checksums = [line.split()[1] for line in lines if line.startswith("#crc32c ")]
        text = "".join(line for line in lines if not line.startswith("#"))
        fields = _fields(data, "=")
        node_id = fields.get("node.id", "")
        cluster_id, directory_id = fields.get("cluster.id", ""), fields.get("directory.id", "")
        whole = not checksums or checksums[-1] == f"{crc32c(text.encode()):08x}"
        if not (whole and fields.get("version") == "1" and node_id.isdigit() and cluster_id):
            raise DiskError(
                f"{META_PROPERTIES} is damaged: expected version=1, node.id and cluster.id as they were written; restore it from a backup, "
                "or remove it to give the data directory a new cluster id"
            )
        return cls(cluster_id, int(node_id), directory_id)


@dataclass(frozen=True, slots=True)
class State:
    """ev.state: the version of the directory's format, and in which leader epoch it was last used."""

    format: int
    epoch: int

    def encode(self) -> bytes:
        text = f"ev data directory\nformat {self.format}\nepoch {self.epoch}\n"
        return f"{text}crc32c {crc32c(text.encode()):08x}\n".encode()

    @classmethod
    def parse(cls, data: Buffer) -> State | None:
        """None when it is damaged. Raises DiskError when a newer ev wrote it."""
        text, found, checksum = bytes(data).decode("ascii", "replace").rpartition("crc32c ")
        if not found or checksum.strip() != f"{crc32c(text.encode()):08x}":
            return None
        fields = _fields(data, " ")
        version, epoch = fields.get("format", ""), fields.get("epoch", "")
        if version.isdigit() and int(version) > FORMAT:
            raise DiskError(
                f"the data directory was written by a newer ev (format {version}); this one reads formats up to {FORMAT}: upgrade ev"
            )
        return cls(int(version), int(epoch)) if version.isdigit() and epoch.isdigit() else None


# Kafka's text checkpoints


def encode_offsets(offsets: Mapping[tuple[str, int], int]) -> bytes:
    """A checkpoint of offsets by (topic, partition)."""
    lines = [f"{topic} {partition} {offset}\n" for (topic, partition), offset in sorted(offsets.items())]
    return f"0\n{len(lines)}\n{''.join(lines)}".encode()


def parse_offsets(data: Buffer) -> dict[tuple[str, int], int]:
    """What can be read of such a checkpoint."""
    offsets = {}
    for line in bytes(data).decode("utf-8", "replace").splitlines()[2:]:
        fields = line.split()
        if len(fields) == 3 and fields[1].isdigit() and fields[2].isdigit():
            offsets[fields[0], int(fields[1])] = int(fields[2])
    return offsets


def encode_epochs(entries: Iterable[tuple[int, int]]) -> bytes:
    """A leader-epoch-checkpoint."""
    lines = [f"{epoch} {start_offset}\n" for epoch, start_offset in entries]
    return f"0\n{len(lines)}\n{''.join(lines)}".encode()


def parse_epochs(data: Buffer) -> list[tuple[int, int]]:
    entries = []
    for line in bytes(data).decode("ascii", "replace").splitlines()[2:]:
        fields = line.split()
        if len(fields) == 2 and fields[0].isdigit() and fields[1].isdigit():
            entries.append((int(fields[0]), int(fields[1])))
    return entries


# ev's own checkpoint of a partition


@dataclass(slots=True)
class PartitionCheckpoint:
    """Everything about a partition below its recovery point that is not in the log itself, or would be slow to find there."""

    topic_id: bytes
    log_start_offset: int = 0
    recovery_offset: int = 0
    segment_base: int = 0
    position: int = 0
    max_timestamp: int = -1
    max_timestamp_offset: int = -1
    roll_timestamp: int = -1
    epoch: int = -1
    epochs: list[tuple[int, int]] = field(default_factory=list)
    packed_producers: Buffer = b"\0\0\0\0"  # and what is packed of transactions

    def encode(self) -> bytes:
        head = HEAD.pack(
            self.topic_id,
            self.log_start_offset,
            self.recovery_offset,
            self.segment_base,
            self.position,
            self.max_timestamp,
            self.max_timestamp_offset,
            self.roll_timestamp,
            self.epoch,
            len(self.epochs),
        )
        body = b"".join((head, *(EPOCH.pack(*entry) for entry in self.epochs), self.packed_producers))
        return MAGIC + crc32c(body).to_bytes(4, "big") + body

    @classmethod
    def parse(cls, data: Buffer) -> PartitionCheckpoint:
        """Raises MalformedError when a single bit of it is not as it was written."""
        if len(data) < 8 + HEAD.size or data[:4] != MAGIC or crc32c(memoryview(data)[8:]) != int.from_bytes(data[4:8], "big"):
            raise MalformedError("a partition's checkpoint does not match its checksum")
        topic_id, log_start, recovery, base, place, largest, largest_offset, roll, epoch, epoch_count = HEAD.unpack_from(data, 8)
        position = 8 + HEAD.size
        try:
            epochs = [EPOCH.unpack_from(data, position + number * EPOCH.size) for number in range(epoch_count)]
        except StructError as problem:
            raise MalformedError(f"a partition's checkpoint is cut off: {problem}") from problem
        producers = memoryview(data)[position + epoch_count * EPOCH.size :]
        return cls(topic_id, log_start, recovery, base, place, largest, largest_offset, roll, epoch, epochs, producers)

    def producers(self) -> tuple[Producers, Transactions, list[tuple[int, int, int]]]:
        """What is remembered of producers and of transactions, and (segment base, bytes, checksum) of each .txnindex."""
        producers, transactions = Producers(), Transactions()
        end = producers.unpack(self.packed_producers, 0)
        return producers, transactions, transactions.unpack(self.packed_producers, end)

    def leader_epochs(self) -> LeaderEpochs:
        return LeaderEpochs(self.epochs)
