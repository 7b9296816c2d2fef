"""Starts a daemon with a seeded fault: `python -m torture.faulty FAULT ARGUMENT…`, the arguments being those of `ev.server.daemon`."""

from __future__ import annotations

import runpy
import sys

from torture import faults


def main() -> None:
    name = sys.argv.pop(1)
    faults.fault(name)(faults.Patches())
    runpy.run_module("ev.server.daemon", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
