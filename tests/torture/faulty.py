"""Starts a daemon of the test build: `python -m torture.faulty FAULT[+FAULT…] ARGUMENT…`, the arguments being those of `ev.server.daemon`.

Beside the faults there are switches (`torture.faults.switches`), which break nothing: they let a torture do to an engine what it could
otherwise only do to the whole machine, or see what is inside it.
"""

from __future__ import annotations

import runpy
import sys

from torture import faults


def main() -> None:
    for name in sys.argv.pop(1).split("+"):
        faults.fault(name)(faults.Patches())
    runpy.run_module("ev.server.daemon", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
