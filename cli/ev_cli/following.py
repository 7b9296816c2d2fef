"""ev produce --follow: files that grow, each of their records in the topic exactly once, whatever is killed.

Per file there is a transactional id and a group of the same name. The records and the position behind them are committed in one
transaction, the position as the group's offset in partition 0 of the topic: the bytes, and in its metadata in which file. So there is
never one without the other:

    find the position    what the group has committed, after who had the id before has been fenced and what it left open is aborted
    claim it             commit it again with the name of this run
    read                 records behind it, from the file that it lies in and those that came after
    commit               the records and the new position
    anything went wrong  close everything; if the position has the name of another run, that one goes on; else find the position again

Nothing that is kept here between two transactions is trusted after an error.
"""

from __future__ import annotations

import os
import time

from ev.errors import ErrorCode, EvError, KafkaError, TimedOutError, TransactionError, UnreachableError
from ev_cli import output
from ev_cli.failures import FAILED, UNREACHABLE, Failure, Interrupted, UsageFailure, as_failure
from ev_cli.followed_file import FollowedFile
from ev_cli.interrupts import Interrupts
from ev_cli.lines import LineSplitter, Malformed
from ev_cli.reading import Place, Source
from ev_cli.refusals import STOP, Refusals
from ev_cli.rotation import NOWHERE, position_of
from ev_cli.sending import Sending

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev_cli.followed_file import Taken
    from ev_cli.reading import Reading
    from ev_cli.rotation import Position
    from ev_cli.session import Session

POLL_S = 0.1
BACKOFF_S = (0.2, 5.0)
LOCAL_TIMEOUT_MS = 3_000
"""After so long a local engine is looked for anew: it may have been killed, and is started again then."""
KEEP_S = 6 * 3600
"""A broker forgets offsets that were not committed for a week: a position is committed again when it is this old."""
_PASSING = frozenset((
    ErrorCode.UNKNOWN_SERVER_ERROR, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.INVALID_TXN_STATE,
    ErrorCode.INVALID_PRODUCER_ID_MAPPING, ErrorCode.UNKNOWN_PRODUCER_ID, ErrorCode.PRODUCER_FENCED,
))  # fmt: skip
"""Starting over helps, although the same request would not: the broker failed, has forgotten the producer, or has ended its transaction,
as it does when a machine has slept."""


def follow(session: Session, options: Any, topic: str, paths: list[str], reading: Reading) -> int:
    """Until a signal comes, or so many records are sent; returns the exit status."""
    splitter, _ = reading.parts(Source("-", whole=False))
    if type(splitter) is not LineSplitter:
        raise UsageFailure("--follow reads records that end with a delimiter", "leave out -f, or end the format with a text such as \\n")
    if len({os.path.abspath(path) for path in paths}) < len(paths):
        raise UsageFailure("--follow has one file twice")
    refusals = Refusals(options.on_error, topic)
    followers = [Follower(session, options, topic, path, reading, refusals) for path in paths]
    interrupts = Interrupts().install()
    try:
        while not interrupts and not reading.full:
            moved = [follower.step() for follower in followers]
            if not any(moved):
                with interrupts.waiting():
                    time.sleep(POLL_S)
    except Interrupted:
        pass
    finally:
        for follower in followers:
            follower.close()
    for follower in followers:
        session.talk(f"{output.safe(follower.path)}: {follower.committed} records committed{follower.left_out()}")
    return interrupts.status


class BytePlace(Place):
    """A place by its byte: which line that is nobody has counted."""

    def of(self, mark: tuple[int, int], records: Any) -> str:
        return f"byte {self._behind(mark, records)[1]} of {self.source.name}"


class Follower:
    """One file on its way into the topic."""

    def __init__(self, session: Session, options: Any, topic: str, path: str, reading: Reading, refusals: Refusals) -> None:
        self.path = path
        self.name = follower_name(options.transaction or None, topic, path)
        """The transactional id and the group."""
        self.committed = 0
        self._session = session
        self._options = options
        self._topic = topic
        self._reading = reading
        self._refusals = refusals
        self._splitter, self._shaper = reading.parts(Source(path, whole=False))
        self._sending: Sending | None = None
        self._file: FollowedFile | None = None
        self._position: Position | None = None
        self._run = os.urandom(6).hex()
        """The name of this run, which stands behind each position that it commits."""
        self._committed_at = 0.0
        self._failures = 0
        self._again_at = 0.0
        self._was_there = False
        self._skipped = 0
        self._dead = 0

    def step(self) -> bool:
        """Commit what has come; whether there was anything. What passes by itself is tried again, with a pause."""
        if self._reading.full or time.monotonic() < self._again_at:
            return False
        try:
            return self._step()
        except EvError as error:
            self._start_over(error)
        except Failure as failure:
            if isinstance(failure.__cause__, EvError):
                self._start_over(failure.__cause__)
            elif failure.code == UNREACHABLE and self._was_there:
                self._come_back(failure)
            else:
                raise
        return False

    def close(self) -> None:
        """Leave the connections and the file; what is open is aborted by the broker, or by who follows the file next."""
        if self._sending is not None:
            self._sending.drop()
            self._sending = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def left_out(self) -> str:
        parts = [f"{count} {verb}" for count, verb in ((self._skipped, "skipped"), (self._dead, "sent to the dead-letter topic")) if count]
        return "".join(f", {part}" for part in parts)

    # -- one transaction ---------------------------------------------------------------------------------------------------------

    def _step(self) -> bool:
        sending = self._sending or self._open()
        file = self._opened()
        taken = file.read(self._reading.left)
        for remark in file.remarks:
            self._session.talk(output.safe(remark))
        file.remarks.clear()
        if taken is None:
            self._keep(sending)
            self._recovered()
            return False
        place = BytePlace(Source(taken.name, whole=False), len(self._splitter.delimiter))
        place.byte = taken.offset
        sending.begin()
        try:
            columns = self._shaper.shape(taken.records)
        except Malformed:
            if self._refusals.kind == STOP:
                return self._stop_before(taken, place)
            before = sending.skipped, sending.dead
            self._refusals.send_shaped(sending, self._shaper, taken.records, place)
            self._skipped += sending.skipped - before[0]
            self._dead += sending.dead - before[1]
        else:
            sending.send(columns, taken.records, place)
        self._commit(sending, taken)
        return True

    def _commit(self, sending: Sending, taken: Taken) -> None:
        self._position = taken.position
        self._commit_position(sending)
        self._reading.count(len(taken.records))
        self.committed += len(taken.records)
        self._recovered()
        if self._options.tee:
            output.write(self._splitter.delimiter.join([*taken.records, b""]))

    def _recovered(self) -> None:
        if self._failures:
            self._session.talk(f"goes on with {output.safe(self.path)}")
            self._failures = 0

    def _commit_position(self, sending: Sending) -> None:
        """And what was sent since the transaction began."""
        position = self._position or NOWHERE
        timeout_ms = LOCAL_TIMEOUT_MS if self._session.target.is_local else max(self._session.timeout_ms, 10_000)
        sending.commit({(self._topic, 0): (position.offset, f"{position.note()} {self._run}")}, self.name, timeout_ms)
        self._committed_at = time.monotonic()

    def _stop_before(self, taken: Taken, place: BytePlace) -> bool:
        """Commit the records before the one that is malformed, and fail with the place of that one."""
        good = 0
        for record in taken.records:
            try:
                self._shaper.shape([record])
            except Malformed as error:
                failure = Failure(f"{place.of(place.mark(), taken.records[:good])}: {error.message}", error.hint)
                break
            good += 1
        self.close()
        if good:
            sending = self._open()
            before = self._opened().read(good)
            if before is not None:
                sending.begin()
                sending.send(self._shaper.shape(before.records), before.records, place)
                self._commit(sending, before)
        raise failure

    def _keep(self, sending: Sending) -> None:
        """Commit an old position again, so that the broker does not forget it."""
        if time.monotonic() - self._committed_at > KEEP_S:
            sending.begin()
            self._commit_position(sending)

    # -- beginning, and beginning again ------------------------------------------------------------------------------------------

    def _open(self) -> Sending:
        """Fence who had the name before, find the position, and claim it."""
        if self._was_there and self._committed()[1] not in ("", self._run):
            raise Failure(f"another ev follows {self.path} into {self._topic} and has taken over", "one is enough", code=FAILED)
        sending = self._sending = Sending(self._session, self._options, self._topic, self.name)
        self._position, _ = self._committed()
        sending.begin()
        self._commit_position(sending)
        self._was_there = True
        self._file = FollowedFile(self.path, self._splitter.delimiter, self._reading.size_max, self._position)
        return sending

    def _opened(self) -> FollowedFile:
        assert self._file is not None
        return self._file

    def _committed(self) -> tuple[Position | None, str]:
        """The position, and the name of the run that has committed it."""
        timeout_ms = self._session.timeout_ms
        with self._session.consumer(
            group=self.name, isolation="read_committed", timeout_ms=timeout_ms, request_timeout_ms=timeout_ms
        ) as consumer:
            found = consumer.committed([(self._topic, 0)])[self._topic, 0]
        if found.offset < 0:
            return None, ""
        note, _, run = (found.metadata or "").rpartition(" ")
        position = position_of(found.offset, note)
        if position is None:
            raise Failure(
                f"the group {self.name!r} has committed offset {found.offset}, which is no position in a file",
                f"`ev group delete {self.name!r}` forgets it, and the file is sent from its beginning",
            )
        return (position if position.offset else None), run

    def _start_over(self, error: EvError) -> None:
        """Close everything and try again soon; raises what would not pass."""
        self.close()
        reason = error.reason if isinstance(error, TransactionError) and error.reason is not None else error
        if not self._was_there or not passes(reason):
            raise as_failure(reason, self._session.where) from None
        self._come_back(as_failure(reason, self._session.where))

    def _come_back(self, failure: Failure) -> None:
        """Later, and more slowly each time; a local engine that is gone is started again by then."""
        self.close()
        if not self._failures:
            self._session.talk(f"{output.safe(failure.message)}; nothing is lost, tries again until it can go on")
        first, most = BACKOFF_S
        self._again_at = time.monotonic() + min(first * 2**self._failures, most)
        self._failures = min(self._failures + 1, 10)
        self._session.look_again()


def passes(reason: EvError) -> bool:
    """Whether starting over may help."""
    if isinstance(reason, KafkaError):
        return reason.retriable or reason.code in _PASSING
    return isinstance(reason, UnreachableError | TimedOutError | TransactionError)


def follower_name(given: str | None, topic: str, path: str) -> str:
    """One name per machine, topic and file: whoever follows the same file fences who did before."""
    import socket

    full = os.fsencode(os.path.abspath(path)).decode("utf-8", "backslashreplace")
    return f"{given or 'ev-follow:' + socket.gethostname()}:{topic}:{full}"
