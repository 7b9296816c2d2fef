"""ev topic dump and load: topics into a file and back, with nothing lost: keys, values, nulls, headers, timestamps, settings."""

from __future__ import annotations

import os
import time

from ev_cli import output
from ev_cli.actions.topic_changes import own_settings
from ev_cli.actions.topic_offsets import places_of
from ev_cli.dump_file import COMPRESSIONS, DumpReader, DumpWriter
from ev_cli.failures import DONE, NOT_FOUND, Failure, UsageFailure, as_failure
from ev_cli.inverses import place_text
from ev_cli.progress import Progress
from ev_cli.ranges import ranges_of, read, size_of
from ev_cli.session import Session
from ev_cli.times import moments_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO, Any

    from ev.client.admin import Admin
    from ev.client.fetched import FetchedBatch
    from ev.client.producer import Producer
    from ev_cli.ranges import Ranges

PART = ".part"
"""A dump has this behind its name until it is whole."""


def dump(options: Any) -> int:
    session = Session(options)
    path: str | None = options.into
    compression = options.compression or "zstd"
    if path is None:
        raise UsageFailure("it is not said where to dump to", "-O FILE, or -O - for stdout")
    if compression not in COMPRESSIONS:
        raise UsageFailure(f"-z {compression} is no compression of dumps", " or ".join(COMPRESSIONS))
    if path == "-" and output.is_terminal(1):
        raise UsageFailure("a dump is nothing for a terminal", "-O FILE, or a pipe")
    since, until = moments_of(options, int(time.time() * 1000))
    with session.admin() as admin:
        places = places_of(admin, options.topics, session)
        ranges = ranges_of(admin, places, since, until)
        header = _header(admin, options.topics, ranges)
    if path != "-" and os.path.exists(path):
        raise Failure(f"{path} is there already", "give another name, or remove it")
    with _Target(path) as file:
        records = _write(DumpWriter(file, header, compression), ranges, options, session)
    session.talk(f"dumped {sum(records.values())} records of {', '.join(map(output.safe, options.topics))} from {session.where}")
    return DONE


def _header(admin: Admin, names: list[str], ranges: Ranges) -> dict[str, Any]:
    settings = own_settings(admin, names)
    return {
        "cluster": admin.cluster().cluster_id,
        "time": int(time.time() * 1000),
        "topics": [
            {
                "name": topic.name,
                "partitions": len(topic.partitions),
                "replication_factor": topic.replication_factor,
                "config": settings[topic.name],
                "ranges": {str(index): list(ends) for (name, index), ends in ranges.items() if name == topic.name},
            }
            for topic in admin.describe_topics(names)
        ],
    }


def _write(writer: DumpWriter, ranges: Ranges, options: Any, session: Session) -> dict[str, int]:
    """Every batch of the ranges; how many records each partition has."""
    records = {place_text(place): 0 for place in ranges}
    with Progress(options, "dumping", total=size_of(ranges), unit="records", beside_data=options.into == "-") as progress:
        for batch, wanted in read(session, ranges):
            if wanted:
                writer.add(batch.topic, batch.partition, batch.data)
                records[place_text((batch.topic, batch.partition))] += wanted
            progress.advance(batch.next_offset - batch.first_offset)
    writer.end(records)
    return records


class _Target:
    """The file that is written: stdout, or one that gets its name when it is whole and on the disk."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> IO[bytes]:
        if self._path == "-":
            output.need_stdout()
            self._file: IO[bytes] = Stdout()  # type: ignore[assignment]
            return self._file
        try:
            self._file = open(self._path + PART, "wb", buffering=1 << 20)
        except OSError as error:
            raise Failure(f"cannot write {self._path}: {error.strerror}") from None
        return self._file

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if self._path == "-":
            return
        try:
            with self._file:
                if kind is None:
                    self._file.flush()
                    os.fsync(self._file.fileno())
            if kind is None:
                os.replace(self._path + PART, self._path)
                return
        except OSError as problem:
            os.unlink(self._path + PART)
            raise Failure(f"cannot write {self._path}: {problem.strerror}") from None
        os.unlink(self._path + PART)


class Stdout:
    """Where a dump goes that goes to a pipe."""

    def write(self, data: bytes) -> None:
        output.write(data)


# -- load ------------------------------------------------------------------------------------------------------------------------


def load(options: Any) -> int:
    session = Session(options)
    size = _checked(options)
    file = _opened(options.file)
    try:
        reader = DumpReader(file, options.file)
        names = _targets(reader, options)
        with session.admin() as admin:
            made = _made(admin, reader, names, options, session)
        loading = _Loading(reader, names, made, options, session)
        count = loading.run(size)
    finally:
        file.close()
    session.talk(f"loaded {count} records into {', '.join(map(output.safe, names.values()))} on {session.where}")
    return DONE


def _opened(path: str) -> IO[bytes]:
    try:
        return open(0 if path == "-" else path, "rb", buffering=1 << 20)
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}") from None


def _checked(options: Any) -> int | None:
    """Look over the whole file before anything is loaded, where it can be read twice: half a dump is loaded by nobody. Its size."""
    if options.file == "-" or not os.path.isfile(options.file):
        return None
    size = os.path.getsize(options.file)
    with _opened(options.file) as file, Progress(options, "checking", total=size) as progress:
        for _, payload in DumpReader(file, options.file).blocks():
            progress.advance(len(payload))
    return size


def _targets(reader: DumpReader, options: Any) -> dict[str, str]:
    """The dumped topics that are wanted, and the topic into which each goes."""
    there = [topic["name"] for topic in reader.topics]
    if options.topic is None:
        return {name: name for name in there}
    if options.topic in there:
        return {options.topic: options.topic}
    if len(there) == 1:
        return {there[0]: options.topic}
    raise Failure(f"{options.file} holds no topic {options.topic!r}", f"it holds {', '.join(map(output.safe, there))}", code=NOT_FOUND)


def _made(admin: Admin, reader: DumpReader, names: dict[str, str], options: Any, session: Session) -> set[str]:
    """Make the topics that are not there: on the local engine, or with --create. The names of those that have the partitions they had."""
    from ev.client.results import NewTopic

    known = {topic.name for topic in admin.topics(internal=True)}
    missing = [topic for topic in reader.topics if topic["name"] in names and names[topic["name"]] not in known]
    if not missing:
        return set()
    if options.create is None and not session.target.is_local:
        raise Failure(f"no topic {names[missing[0]['name']]!r} on {session.where}", "--create makes it as it was", code=NOT_FOUND)
    replicas = -1 if session.target.is_local else None
    new = [
        NewTopic(names[topic["name"]], options.create or topic["partitions"], replicas or topic["replication_factor"], topic["config"])
        for topic in missing
    ]
    for outcome in admin.create_topics(new):
        if outcome.error is not None:
            raise Failure(f"topic {outcome.name!r} cannot be made: {as_failure(outcome.error, session.where).line()}")
        session.talk(f"created topic {output.safe(outcome.name)} on {session.where}")
    return {one.name for one, topic in zip(new, missing, strict=True) if one.partitions == topic["partitions"]}


class _Loading:
    """The records of a dump on their way into topics."""

    def __init__(self, reader: DumpReader, names: dict[str, str], made: set[str], options: Any, session: Session) -> None:
        self._reader = reader
        self._names = names
        self._made = made
        self._options = options
        self._session = session
        self._ranges = {
            (topic["name"], int(index)): (ends[0], ends[1]) for topic in reader.topics for index, ends in topic["ranges"].items()
        }
        self._acked = self._sent = 0

    def run(self, size: int | None) -> int:
        """How many records were loaded: all, or a Failure that says how many."""
        from ev.client.fetched import kept_batch

        producer: Producer | None = None
        with Progress(self._options, "loading", total=size) as progress:
            try:
                for name, partition, data in self._reader.batches():
                    if name not in self._names:
                        continue
                    first, end = self._ranges.get((name, partition), (0, 1 << 63))
                    batch = kept_batch(name, partition, data, first)
                    producer = producer or self._producer(batch)
                    self._send(producer, batch, end)
                    progress.advance(len(data))
                if producer is not None:
                    producer.flush()
                    self._take(producer)
            finally:
                if producer is not None:
                    producer.close(0)
        return self._acked

    def _producer(self, batch: FetchedBatch) -> Producer:
        from ev.client.fetched import COMPRESSIONS as CODECS

        return self._session.producer(compression=CODECS[batch.codec])

    def _send(self, producer: Producer, batch: FetchedBatch, end: int) -> None:
        from ev_cli.ranges import wanted_of

        wanted = wanted_of(batch, end)
        columns = batch.columns
        target = self._names[batch.topic]
        keeps = self._options.keep_partition or target in self._made
        if not wanted:
            return
        producer.produce_many(
            target,
            columns.values[:wanted],
            keys=_given(columns.keys[:wanted]),
            headers=columns.headers[:wanted],
            timestamps=columns.timestamps[:wanted],
            partition=batch.partition if keeps else None,
        )
        self._sent += wanted
        self._take(producer)

    def _take(self, producer: Producer) -> None:
        """What has become of records; the first that is refused ends the run."""
        for delivery in producer.poll(0):
            if delivery.error is not None:
                failure = as_failure(delivery.error, self._session.where)
                raise Failure(f"loaded {self._acked} of at least {self._sent} records: {failure.message}", failure.hint, code=failure.code)
            self._acked += delivery.count


def _given(keys: Sequence[bytes | None]) -> Sequence[bytes | None] | None:
    """The keys, or None when no record has one."""
    return keys if any(key is not None for key in keys) else None
