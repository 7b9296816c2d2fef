"""What is measured or tortured, and where: the commit of this checkout and the machine, for results that are kept."""

from __future__ import annotations

import os
import platform
import subprocess

from support.engine import ROOT


def here() -> dict[str, str]:
    """The commit (with `+` when files of the product or its tests differ from it), and the machine."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "engine", "cli", "tui", "tests")
    processors = f"{os.cpu_count()} processors"
    machine = f"{platform.system()} {platform.release()}, Python {platform.python_version()}, {processors}"
    return {"commit": (git("rev-parse", "--short=12", "HEAD") or "unknown") + ("+" if changed else ""), "machine": machine}
