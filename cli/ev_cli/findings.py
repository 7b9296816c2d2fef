"""What `ev doctor` makes of what it sees: plain functions from facts to findings, each with what to do."""

from __future__ import annotations

from typing import NamedTuple

OK, FAULT, SKIPPED = "ok", "fault", "skipped"

FREE_BYTES_MIN = 64 << 20
FREE_BYTES_LOW = 1 << 30
FREE_SHARE_LOW = 0.05
OPEN_FILES_MIN = 1024
CLOCK_MS_MAX = 60_000
RECORD_CLOCK_MS_MAX = 5 * 60_000
CERTIFICATE_DAYS_MIN = 14
NEWEST_CHECK = 1_767_225_600_000
"""The beginning of 2026: a clock that shows less was never set."""

NETWORK_FILE_SYSTEMS = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "beegfs", "gpfs", "ocfs2", "gfs2", "virtiofs")
)
NETWORK_FUSE = ("fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.glusterfs", "fuse.ceph", "fuse.davfs", "fuse.goofys")


class Finding(NamedTuple):
    """One check: how it went, what was seen, and what to do when that is a fault."""

    check: str
    state: str
    message: str
    remedy: str | None = None


def owner(path: str, uid: int, ours: int, name: str) -> Finding:
    if uid == ours:
        return Finding("owner", OK, f"{path} is yours")
    return Finding(
        "owner", FAULT, f"{path} belongs to {name}", "run ev as its owner (not with sudo), or name another directory with EV_DATA_DIR"
    )


def permissions(path: str, mode: int, *, writable: bool) -> Finding:
    if mode & 0o700 != 0o700 or not writable:
        return Finding("permissions", FAULT, f"you may not write to {path} (mode {mode & 0o777:o})", f"chmod 700 {path}")
    if mode & 0o077:
        return Finding("permissions", FAULT, f"others may look into {path} or change it (mode {mode & 0o777:o})", f"chmod 700 {path}")
    return Finding("permissions", OK, f"only you may look into {path}")


def disk(path: str, free: int, total: int, free_files: int, *, read_only: bool) -> Finding:
    if read_only:
        return Finding(
            "disk", FAULT, f"the file system of {path} is mounted read-only", "remount it, or name another directory: EV_DATA_DIR"
        )
    if free < FREE_BYTES_MIN or (free < FREE_BYTES_LOW and free < total * FREE_SHARE_LOW):
        advice = "free space, shorten retention.ms of large topics, or move the data directory (EV_DATA_DIR)"
        return Finding("disk", FAULT, f"the file system of {path} is full: {free / 1e6:.0f} MB are free", advice)
    if 0 <= free_files < 1000:
        return Finding("disk", FAULT, f"the file system of {path} has room for {free_files} more files", "remove files, or move the data")
    return Finding("disk", OK, f"{free / 1e9:.1f} GB are free")


def file_system(path: str, mounts: str) -> Finding:
    """By what /proc/self/mountinfo says of the file system that holds a path."""
    kind = kind_of(path, mounts)
    if kind in NETWORK_FILE_SYSTEMS or kind.startswith(NETWORK_FUSE):
        return Finding(
            "file system",
            FAULT,
            f"{path} is on a network file system ({kind}), whose locks and syncs do not keep what is acknowledged",
            "name a directory on a local disk: EV_DATA_DIR",
        )
    return Finding("file system", OK, f"{path} is on {kind}") if kind else Finding("file system", SKIPPED, "this system does not tell")


def kind_of(path: str, mounts: str) -> str:
    """The type of the file system that a path is on; empty when the mounts do not say."""
    best, kind = "", ""
    for line in mounts.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = fields[4].encode().decode("unicode_escape", "replace")
        if (path == point or path.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, after.split(" ")[0]
    return kind


def clock(now_ms: int, newest_ms: int, newest: str) -> Finding:
    """Against the newest thing that was written here: time does not go back."""
    if now_ms < NEWEST_CHECK:
        return Finding("clock", FAULT, "the clock of this machine was never set", "set it: timedatectl set-ntp true")
    if newest_ms - now_ms > CLOCK_MS_MAX:
        behind = (newest_ms - now_ms) // 1000
        return Finding(
            "clock", FAULT, f"the clock is {behind} s behind {newest}, which is written already", "set the clock: timedatectl set-ntp true"
        )
    return Finding("clock", OK, "nothing here is newer than now")


def record_clock(now_ms: int, newest_ms: int, topic: str) -> Finding:
    if newest_ms - now_ms > RECORD_CLOCK_MS_MAX:
        ahead = (newest_ms - now_ms) // 1000
        return Finding(
            "clock of records",
            FAULT,
            f"the newest record of {topic} is {ahead} s in the future",
            "set the clocks of this machine, the brokers and the producers: timedatectl set-ntp true",
        )
    return Finding("clock of records", OK, "no record is in the future")


def open_files(limit: int, whose: str) -> Finding:
    if 0 <= limit < OPEN_FILES_MIN:
        return Finding(
            "open files",
            FAULT,
            f"{whose} may have only {limit} open files",
            f"ulimit -Hn {max(65536, OPEN_FILES_MIN)}, or LimitNOFILE= of its unit",
        )
    return Finding("open files", OK, f"{whose} may have {'any number of' if limit < 0 else limit} open files")


def version(engine: str, ours: str) -> Finding:
    if engine != ours:
        return Finding("version", FAULT, f"the engine is of version {engine}, this is {ours}", "ev server restart")
    return Finding("version", OK, f"engine and command line are of version {ours}")


def certificate(address: str, days: float | None, problem: str | None) -> Finding:
    if problem is not None:
        advice = "renew it, unless the clock of this machine is wrong" if "expired" in problem else "see tls in ev-config(5)"
        return Finding("certificate", FAULT, f"the certificate of {address} is not accepted: {problem}", advice)
    if days is None:
        return Finding("certificate", SKIPPED, f"the certificate of {address} is not looked at (tls.insecure)")
    if days < CERTIFICATE_DAYS_MIN:
        when = "has expired" if days < 0 else f"ends in {days:.1f} days"
        return Finding("certificate", FAULT, f"the certificate of {address} {when}", "renew it")
    return Finding("certificate", OK, f"the certificate of {address} holds for {days:.0f} days")


def completions(shell: str, path: str, *, is_stale: bool) -> Finding:
    if is_stale:
        return Finding("completions", FAULT, f"{path} is of another version of ev", f"ev completion install --shell {shell}")
    return Finding("completions", OK, f"{path} is up to date")
