"""What a torture needs of the machine, and why it cannot run without it."""

from __future__ import annotations

import os
import pathlib
import shutil


def missing(need: str) -> str:
    """Why this need is not met here, with the remedy; empty when it is."""
    match need:
        case "root":
            return "" if hasattr(os, "geteuid") and os.geteuid() == 0 else "root is needed (loop devices, network namespaces)"
        case "ext4" | "xfs":
            if missing("root"):
                return missing("root")
            if not any(need in line.split() for line in pathlib.Path("/proc/filesystems").read_text().splitlines()):
                return f"this kernel has no {need}"
            package = {"ext4": "e2fsprogs", "xfs": "xfsprogs"}[need]
            return "" if program(f"mkfs.{need}") else f"mkfs.{need} is missing (Debian: apt-get install {package})"
        case "loop":
            return missing("root") or ("" if pathlib.Path("/dev/loop-control").exists() else "this kernel has no loop devices")
        case _:
            return "" if program(need) else f"{need} is missing (Debian: apt-get install {need})"


def program(name: str) -> str | None:
    """The path of a program, also of those that only root has in its PATH."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
