"""The files that one log has been, in the order of time: which of them holds a position, and which come after it.

    app.log                                   what the path names: always the newest
    app.log.1  app.log-20260131  app-2.log    its name with numbers added: what it was before it was rotated, by the time of the last write

A position is a place in the bytes of one file: device, inode, offset, and a digest of the bytes right before it. The digest is what it
is known by: a file whose inode was given away again, or that was truncated and written anew, does not have these bytes there, and the
copy that was taken before it was truncated (logrotate's copytruncate) has. Nothing here opens a file.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

TAIL_BYTES = 256
"""So many bytes before a position tell whether it is the same file."""
_VERSION = "1"
_SEPARATORS = "._-"
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z")

Identity = tuple[int, int]
"""Device and inode."""


class Position:
    """Up to where a log has been taken; always the end of a record."""

    __slots__ = ("identity", "modified_ns", "offset", "tail_digest", "tail_size")

    def __init__(self, identity: Identity, offset: int, tail_size: int, tail_digest: str, modified_ns: int) -> None:
        self.identity = identity
        self.offset = offset
        self.tail_size = tail_size
        self.tail_digest = tail_digest
        self.modified_ns = modified_ns
        """When the file had been written to last: files that were written later hold what comes after it, should it be gone."""

    def note(self) -> str:
        """Everything but the offset, as the metadata of a committed offset."""
        device, inode = self.identity
        return f"ev-follow {_VERSION} {device} {inode} {self.tail_size} {self.tail_digest} {self.modified_ns}"


NOWHERE = Position((0, 0), 0, 0, "-", 0)
"""Before anything was taken."""


def position_of(offset: int, note: str) -> Position | None:
    """The position that was committed so; None when it was not one of these."""
    words = note.split(" ")
    if len(words) != 7 or words[:2] != ["ev-follow", _VERSION] or offset < 0:
        return None
    try:
        return Position((int(words[2]), int(words[3])), offset, int(words[4]), words[5], int(words[6]))
    except ValueError:
        return None


def digest_of(tail: bytes) -> str:
    from hashlib import blake2b

    return blake2b(tail, digest_size=8).hexdigest()


class Generation:
    """One of the files."""

    __slots__ = ("identity", "is_newest", "modified_ns", "name", "size")

    def __init__(self, name: str, identity: Identity, size: int, modified_ns: int, is_newest: bool) -> None:
        self.name = name
        self.identity = identity
        self.size = size
        self.modified_ns = modified_ns
        self.is_newest = is_newest

    def __repr__(self) -> str:
        return f"Generation({self.name!r}, {self.identity}, {self.size} bytes)"


def is_generation(base: str, name: str) -> bool:
    """Whether a file of that name may be what `base` was before: numbers were added behind it, or before its extension."""
    if name == base or name.endswith(_COMPRESSED):
        return name == base
    stem, dot, extension = base.rpartition(".")
    if name.startswith(base) and _is_number(name[len(base) :]):
        return True
    ending = dot + extension
    return bool(stem) and name.startswith(stem) and name.endswith(ending) and _is_number(name[len(stem) : len(name) - len(ending)])


def _is_number(added: str) -> bool:
    """`.1`, `-20260131`, `-2026-01-31T10`, `_3`: a separator, then digits and what stands between them in a date."""
    return len(added) > 1 and added[0] in _SEPARATORS and added[1].isdigit() and all(sign.isdigit() or sign in "._-T:" for sign in added)


def in_order(files: Iterable[Generation]) -> list[Generation]:
    """The oldest first. Of two that were written to in the same moment the one with the higher number is older, as logrotate counts."""
    return sorted(files, key=lambda file: (file.is_newest, file.modified_ns, -_number(file.name), file.name))


def _number(name: str) -> int:
    digits = name.rpartition(".")[2]
    return int(digits) if digits.isdigit() and len(digits) < 7 else 0


class Start:
    """Where to begin: in which file at which offset, None when there is no file. `finished` are those that are not to be read again."""

    __slots__ = ("file", "finished", "is_lost", "offset")

    def __init__(self, file: Generation | None, offset: int, finished: Sequence[Generation], *, is_lost: bool = False) -> None:
        self.file = file
        self.offset = offset
        self.finished = finished
        self.is_lost = is_lost
        """There was a position, and the file that it lies in is gone."""


def start(position: Position | None, files: Iterable[Generation], holds: Callable[[Generation, Position], bool]) -> Start:
    """Where to go on. Without a position: at the beginning of what the path names. `holds` looks for the tail in a file."""
    ordered = in_order(files)
    newest = ordered[-1] if ordered and ordered[-1].is_newest else None
    if position is None:
        return Start(newest, 0, [file for file in ordered if file is not newest])
    holder = holder_of(position, ordered, holds)
    if holder is not None:
        return Start(holder, position.offset, ordered[: ordered.index(holder)])
    later = [file for file in ordered if file.is_newest or file.modified_ns > position.modified_ns]
    first = later[0] if later else None
    return Start(first, 0, [file for file in ordered if file not in later], is_lost=True)


def holder_of(position: Position, ordered: Sequence[Generation], holds: Callable[[Generation, Position], bool]) -> Generation | None:
    """The file that has the bytes before the position where they were: itself, if it still has them, else its copy."""
    for file in ordered:
        if file.identity == position.identity and file.size >= position.offset and holds(file, position):
            return file
    for file in reversed(ordered):
        if file.identity != position.identity and position.tail_size and file.size >= position.offset and holds(file, position):
            return file
    return None


def successors(
    current: Identity, modified_ns: int, files: Iterable[Generation], is_finished: Callable[[Generation], bool]
) -> list[Generation]:
    """What comes after a file that has been read to its end, in order; empty files and finished ones are passed over.

    What the path names comes last, also when it is the current file itself: then it was truncated.
    """
    ordered = in_order(files)
    place = next((index for index, file in enumerate(ordered) if file.identity == current and not file.is_newest), None)
    if place is None:
        later = [file for file in ordered if file.is_newest or (file.modified_ns > modified_ns and file.identity != current)]
    else:
        later = ordered[place + 1 :]
    return [file for file in later if file.size and (file.is_newest or not is_finished(file))]
