"""ev's promises under fire, one command each: `python -m tests.torture NAME --seed N [--quick]`.

    python -m tests.torture list                       the names, and what each of them does
    python -m tests.torture kill --seed 7              one torture, whole: less than ten minutes on two cores
    python -m tests.torture kill --seed 7 --quick      less than 45 s
    python -m tests.torture all --seed 7 --quick       one after the other
    python -m tests.torture prove kill --seed 7        runs it against an engine with seeded faults, each of which it must catch
    python -m tests.torture page                       the page of results, made anew from what `--keep` has kept

The last line on stdout is one JSON object; what is told on the way goes to stderr. Exit status: 0 when ok, 1 when a promise was broken
(or a seeded fault was not caught), 2 for wrong arguments, 77 when this machine cannot do it; the object says why.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / name) for name in ("tests", "engine", "cli", "tui") if str(TOP / name) not in sys.path]

from torture import names, results
from torture.run import Limits, one, prove


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.torture", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", metavar="NAME", help="list, all, page, prove, or one of the names that `list` prints")
    parser.add_argument("what", nargs="?", metavar="OF", help="after `prove`: the torture whose faults are seeded (default: each)")
    parser.add_argument("--seed", type=int, default=1, help="everything that is drawn comes from it (default 1)")
    parser.add_argument("--quick", action="store_true", help="a short version, less than 45 s; bounds of time are told, not judged")
    parser.add_argument("--seconds", type=float, metavar="S", help="stop drawing new faults after so long (default: 30 quick, 540 whole)")
    parser.add_argument("--fault", metavar="FAULT", help="against an engine with this seeded fault: the run must not be ok")
    parser.add_argument("--keep", action="store_true", help="keep the result, with date, commit and machine, in docs/results/torture")
    parser.add_argument("--dir", type=pathlib.Path, help="work below this directory (default: a temporary one)")
    options = parser.parse_args(arguments)
    limits = Limits(options.quick, options.seconds, options.dir)
    match options.name:
        case "list":
            for name in names.NAMES:
                print(f"{name:20} {names.title(name)}")
            return 0
        case "page":
            print(results.write_page())
            return 0
        case "all" | "prove":
            chosen = [options.what] if options.what else list(names.NAMES)
        case name:
            chosen = [name]
    if unknown := [name for name in chosen if name not in names.NAMES]:
        parser.error(f"there is no torture {unknown[0]!r}; `python -m tests.torture list` prints the names")
    statuses = []
    for name in chosen:
        result = prove(name, options.seed, limits) if options.name == "prove" else one(name, options.seed, limits, options.fault)
        print(json.dumps(result), flush=True)
        if options.keep:
            results.keep(result)
        statuses.append(77 if "skipped" in result else int(not result["ok"]))
    if len(chosen) > 1:
        whole = {"name": options.name, "seed": options.seed, "ok": 1 not in statuses, "ran": len(chosen), "skipped": statuses.count(77)}
        print(json.dumps(whole), flush=True)
    return 1 if 1 in statuses else max(statuses) if len(statuses) == 1 else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
