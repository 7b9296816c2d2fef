"""What the daemon does to its own process before it touches any data: descriptors, limits, umask, working directory."""

from __future__ import annotations

import contextlib
import os
import sys

from ev.errors import DiskError

if sys.platform != "win32":
    import pwd
    import resource

OPEN_FILES_MAX = 1 << 20
STANDARD_DESCRIPTORS = (0, 1, 2)


def occupy_standard_descriptors() -> None:
    """Open the null device wherever 0, 1 or 2 is closed.

    Otherwise the next file that is opened, perhaps a segment, gets that number, and whatever is printed lands in it.
    """
    for number in STANDARD_DESCRIPTORS:
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)


def detach(keep: int | None) -> None:
    """Leave the terminal and everything else that was inherited; `keep` is the one descriptor that stays."""
    with contextlib.suppress(OSError):  # a group leader cannot; whoever started us made the session then
        os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for number in STANDARD_DESCRIPTORS:
        os.dup2(null, number)
    kept = sorted({*STANDARD_DESCRIPTORS, *([] if keep is None else [keep])})
    for below, above in zip(kept, [*kept[1:], open_files_limit()], strict=True):
        os.closerange(below + 1, above)


def settle() -> None:
    """Files for our owner only, and no working directory that keeps a file system busy or has modules of its own."""
    os.umask(0o077)
    os.chdir("/")


def check_owner(directory: str) -> None:
    """A data directory of somebody else is refused, under sudo too: its files would become ours. Raises DiskError."""
    if sys.platform == "win32":
        return
    owner = os.stat(directory).st_uid
    if owner != os.geteuid():
        raise DiskError(
            f"the data directory {directory} belongs to {user_name(owner)}, and this is {user_name(os.geteuid())}: "
            f"run as its owner, or take a directory of your own with --data-dir or EV_DATA_DIR"
        )


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def raise_open_files_limit() -> int:
    """Take as many open files as we may have; returns how many that is."""
    if sys.platform == "win32":
        return 8192
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_MAX if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # macOS refuses more than its own maximum although the hard limit is infinite: what there is must do then.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return open_files_limit()


def open_files_limit() -> int:
    if sys.platform == "win32":
        return 8192
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return OPEN_FILES_MAX if soft == resource.RLIM_INFINITY else min(soft, OPEN_FILES_MAX)
