"""The journal of changes that can be taken back: what `ev undo` reads.

Before a change of a group's offsets, a configuration, an ACL or a quota is made, its inverse is written here and synced: one JSON object a
line in undo.jsonl of the state directory.

    {"number": 7, "time": 1700000000000, "cluster": "<cluster id>", "where": "prod", "what": "seek group billing", "kind": "group-offsets",
     "subject": ["billing"], "before": {"orders/0": [120, ""]}, "after": {"orders/0": [0, ""]}, "undoes": null}
    {"dropped": 7}                                                        the cluster refused change 7: nothing of it was made

`before` and `after` name the items that the change touches; null is an item that is not there. How an item is read and put back is a matter
of its kind (`ev_cli.inverses`). A change that came only half way, or not at all because ev died, needs no further line: every item says
by its present value whether it was changed. The journal keeps the newest changes; without a state directory nothing is kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import time

from ev_cli import places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from ev.client.admin import Admin
    from ev.client.results import Outcome
    from ev_cli.session import Session

    Items = dict[str, Any]

FILE = "undo.jsonl"
BYTES_MAX = 4 << 20
"""When the file has grown to this, all but the newest changes are let go."""
CHANGES_KEPT = 200


class Change:
    """One change: what it was about, the items as they were and as they were to become. `undoes` is the number of the one it took back."""

    __slots__ = ("after", "before", "cluster", "kind", "number", "subject", "time_ms", "undoes", "what", "where")

    def __init__(self, kind: str, subject: list[str], what: str, before: Items, after: Items, undoes: int | None = None) -> None:
        self.kind = kind
        self.subject = subject
        self.what = what
        self.before = before
        self.after = after
        self.undoes = undoes
        self.number = 0
        self.time_ms = 0
        self.cluster: str | None = None
        self.where = ""

    def line(self) -> bytes:
        fields = {
            "number": self.number,
            "time": self.time_ms,
            "cluster": self.cluster,
            "where": self.where,
            "what": self.what,
            "kind": self.kind,
            "subject": self.subject,
            "before": self.before,
            "after": self.after,
            "undoes": self.undoes,
        }
        return json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n"


def change_of(fields: dict[str, Any]) -> Change:
    """A change as its line has it."""
    change = Change(fields["kind"], fields["subject"], fields["what"], fields["before"], fields["after"], fields.get("undoes"))
    change.number, change.time_ms = int(fields["number"]), int(fields["time"])
    change.cluster, change.where = fields.get("cluster"), fields.get("where", "")
    return change


def undoable(session: Session, admin: Admin, changes: Iterable[Change], make: Callable[[], list[Outcome]]) -> list[Outcome]:
    """Write the inverses of changes that differ from what is there, then make them. The outcomes are those of `make`."""
    real = [change for change in changes if change.before != change.after]
    noted = note(session, admin, real) if real else False
    outcomes = make()
    if not noted:
        return outcomes
    if all(outcome.error is not None for outcome in outcomes):
        drop(real)
    elif all(change.undoes is None for change in real):
        commands = " and ".join([f"`ev undo {change.number}`" for change in real[:3]]) + (", …" if len(real) > 3 else "")
        session.talk(f"{commands} take{'s' if len(real) == 1 else ''} it back")
    return outcomes


def note(session: Session, admin: Admin, changes: list[Change]) -> bool:
    """Write the changes and sync; they get their numbers. False, and a remark, when there is nowhere to write to."""
    cluster = admin.cluster().cluster_id
    now_ms = int(time.time() * 1000)
    try:
        with _opened() as descriptor:
            number = max((fields.get("number", 0) for fields in _lines(descriptor)), default=0)
            for change in changes:
                number += 1
                change.number, change.time_ms, change.cluster, change.where = number, now_ms, cluster, session.where
            _append(descriptor, b"".join([change.line() for change in changes]))
    except OSError as error:
        session.talk(f"ev undo will not know of this change, its journal cannot be written: {error.strerror or error}")
        return False
    return True


def drop(changes: list[Change]) -> None:
    """Say that nothing came of these."""
    with contextlib.suppress(OSError), _opened() as descriptor:
        _append(descriptor, b"".join([json.dumps({"dropped": change.number}).encode() + b"\n" for change in changes]))


def changes() -> list[Change]:
    """Those in the journal of which something may have come, the oldest first."""
    path = _path()
    if path is None or not os.path.exists(path):
        return []
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _changes(_lines(descriptor))
    finally:
        os.close(descriptor)


def undone(known: list[Change]) -> set[int]:
    """The numbers of changes that have been taken back. Taking back an undo makes the first change stand again."""
    gone: set[int] = set()
    for change in reversed(known):
        if change.undoes is not None and change.number not in gone:
            gone.add(change.undoes)
    return gone


def _path() -> str | None:
    base = places.directory("state")
    return None if base is None else os.path.join(base, FILE)


@contextlib.contextmanager
def _opened() -> Iterator[int]:
    """The journal, open for reading and appending, and nobody else's at the moment."""
    import fcntl

    path = _path()
    if path is None:
        raise OSError("there is no home directory")
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_size > BYTES_MAX:
            _shorten(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


def _lines(descriptor: int) -> list[dict[str, Any]]:
    """The objects in the file. A line that a crash cut off is none."""
    found = []
    for line in os.pread(descriptor, os.fstat(descriptor).st_size, 0).split(b"\n"):
        try:
            fields = json.loads(line.decode("utf-8", "surrogateescape")) if line else None
        except ValueError:
            continue
        if isinstance(fields, dict):
            found.append(fields)
    return found


def _changes(lines: list[dict[str, Any]]) -> list[Change]:
    dropped = {fields["dropped"] for fields in lines if "dropped" in fields}
    return [change_of(fields) for fields in lines if "dropped" not in fields and fields["number"] not in dropped]


def _append(descriptor: int, data: bytes) -> None:
    """Write at the end and sync, behind a line that a crash may have cut off."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        data = b"\n" + data
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)


def _shorten(descriptor: int) -> None:
    """Keep the newest changes. In place, as others may wait for the lock of this very file; a crash in between costs inverses only."""
    kept = b"".join([change.line() for change in _changes(_lines(descriptor))[-CHANGES_KEPT:]])
    os.ftruncate(descriptor, 0)
    _append(descriptor, kept)
