"""Makes a data directory of a backup: `python -P -m ev.server.restore --data-dir D SOURCE`. `ev server restore` starts it.

The data directory must not be there, or be empty. It gets its name when everything is in it and on disk, so an engine never starts on
a part of it. The backup stays as it is. Says the same as `ev.server.backup`, at the end {"restored": [FILES, BYTES]}.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Final

from ev.errors import EvError
from ev.log.checkpoint import STATE, State
from ev.server.archive import BACKUP, Backup, BackupError, opened_for_reading
from ev.server.copying import sync_all_below, sync_directory
from ev.server.lines import Progress, say

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXT_MAX: Final = 400


def run(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="ev.server.restore", description="Make a data directory of a backup.", allow_abbrev=False)
    parser.add_argument("--data-dir", required=True, metavar="DIR")
    parser.add_argument("source", metavar="BACKUP")
    parsed = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    directory, source = os.path.abspath(parsed.data_dir), os.path.abspath(parsed.source)
    part = f"{directory}.{secrets.token_hex(4)}.part"
    try:
        if os.path.lexists(directory) and not (os.path.isdir(directory) and not os.listdir(directory)):
            raise BackupError(f"{directory} is not empty: a backup is restored into a new data directory (--data-dir)")
        with opened_for_reading(source) as backup:
            restore(backup, part)
        os.rename(part, directory)
        sync_directory(os.path.dirname(directory))
    except (EvError, OSError) as problem:
        say(refused=str(problem)[:TEXT_MAX])
        return 1
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return 0


def restore(backup: Backup, part: str) -> None:
    """Bring everything into the new directory `part`."""
    files = {name: size for name, size in backup.files().items() if name != BACKUP}
    if STATE in files:
        State.parse(backup.read(STATE))  # raises DiskError when only a newer ev can read what is here
    say(total=sum(files.values()))
    progress = Progress("copied")
    os.makedirs(part, 0o700)
    folders: set[str] = set()
    for name in files:
        folder = os.path.dirname(name)
        if folder and folder not in folders:
            os.mkdir(f"{part}/{folder}", 0o700)
            folders.add(folder)
        backup.copy(name, f"{part}/{name}", progress)
    sync_all_below(part)
    progress.end()
    say(restored=[len(files), sum(files.values())])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
