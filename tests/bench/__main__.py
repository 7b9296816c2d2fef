"""The benchmark book, one command for each group of figures: `python -m tests.bench NAME [--quick]`.

    python -m tests.bench list                   the groups, and what each of them measures
    python -m tests.bench systems --keep         one group, its result kept and put on the page
    python -m tests.bench lines brokers --quick  two groups with less data and shorter runs
    python -m tests.bench all                    everything, less than an hour on two cores; 21 GiB of disk
    python -m tests.bench page                   the page and its plots, made anew from what `--keep` has kept

Whoever is compared is measured in turn within one run, and beside it what the machine itself can do. Machines are noisy: read ratios, not
values. What needs a program that is missing (kcat, java and mvn, a C compiler, nats-server, redis-server) is left out, and said to be.

The last line on stdout is one JSON object; rows are told on stderr as they come. Nothing fails on a slow machine: `must_met` and
`reach_met` say what the run showed. Exit status: 0 when something was measured, 2 for wrong
arguments, 77 when this machine lacks what it takes.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import shutil
import signal
import sys
import tempfile
from typing import Any

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / name) for name in ("tests", "engine", "cli") if str(TOP / name) not in sys.path]

from bench import kept, page
from bench.names import GROUPS


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", metavar="NAME", nargs="+", help="list, all, page, or some of the groups that `list` prints")
    parser.add_argument("--quick", action="store_true", help="less data, shorter runs, fewer rounds")
    parser.add_argument("--keep", action="store_true", help="keep the results, with date, commit and machine, in docs/results/bench")
    parser.add_argument("--note", default="", metavar="TEXT", help="what a reader of kept results must know")
    parser.add_argument("--dir", type=pathlib.Path, help="work below this directory (default: a temporary one); must not be a tmpfs")
    options = parser.parse_args(arguments)
    match options.names:
        case ["list"]:
            for name, group in GROUPS.items():
                print(f"{name:14} {group.title}")
            return 0
        case ["page"]:
            print(page.write())
            return 0
        case ["all"]:
            chosen = list(GROUPS)
        case names:
            chosen = names
    if unknown := [name for name in chosen if name not in GROUPS]:
        parser.error(f"there is no group {unknown[0]!r}; `python -m tests.bench list` prints their names")
    results = measured(chosen, options.quick, options.dir, options.keep, options.note)
    if len(results) > 1:
        rows = [{"group": result["name"], **row} for result in results for row in result["rows"]]
        left_out = sorted({reason for result in results for reason in result["left_out"]})
        took_s = sum(result["took_s"] for result in results)
        print(json.dumps({"name": " ".join(options.names), "quick": options.quick, "took_s": took_s, "rows": rows, "left_out": left_out}))
    return 0 if any(result["rows"] for result in results) else 77


def measured(chosen: list[str], quick: bool, below: pathlib.Path | None, keeps: bool, note: str) -> list[dict[str, Any]]:
    """Each group in its turn, printed as a line and kept if that is wanted."""
    from bench.run import Run, one  # every client library: too slow for `list`

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    directory = pathlib.Path(tempfile.mkdtemp(prefix="ev-bench-", dir=below))
    run, results = Run(directory, quick), []
    try:
        for name in chosen:
            result = one(name, run) | ({"note": note} if note else {})
            results.append(result)
            print(json.dumps(result), flush=True)
            if keeps and result["rows"]:
                kept.keep(result)
                page.write()
    finally:
        run.close()
        shutil.rmtree(directory, ignore_errors=True)
    return results


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
