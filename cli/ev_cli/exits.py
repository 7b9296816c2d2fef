"""The exit statuses: what each means, and which of them a command may end with. For the manual and --help-json."""

from __future__ import annotations

MEANINGS = {
    0: "Done. For produce: every record was acknowledged.",
    1: "Failed, or one of several failed; also when a file that was named cannot be read, or does not hold what it should.",
    2: "The command line, the environment or the configuration does not say what to do.",
    3: "No such topic, group or context.",
    4: "Nobody answers, it took too long, or the port is taken.",
    5: "Refused by authentication or authorisation.",
    6: "A condition was not met: -n was not reached before --idle or --for, what was waited or looked for is not there, "
    "two things differ, the engine does not run (server status), damage or a fault was found (server verify, doctor).",
    7: "The handler gave up, or the command of copy --map.",
    8: "Declined at the question.",
    74: "The engine ended because a sync failed (server run).",
    126: "The command behind --, or of --map, may not be run.",
    127: "The command behind --, or of --map, is not there.",
    130: "Ended by Ctrl-C.",
    141: "The reader of stdout has gone.",
    143: "Ended by SIGTERM or SIGHUP.",
}

ALWAYS = (0, 1, 2, 130, 141, 143)
WITH_ENGINE = (3, 4, 5)
"""Those of a command that speaks to an engine."""

CONDITION, HANDLER, FSYNC, PROGRAM, NAMED = (6,), (7, 126, 127), (74,), (126, 127), (3,)
SPECIAL = {
    "consume": CONDITION + HANDLER,
    "tail": CONDITION,
    "trace": CONDITION,
    "copy": CONDITION + HANDLER,
    "redrive": CONDITION,
    "topic diff": CONDITION,
    "topic apply": CONDITION,
    "group lag": CONDITION,
    "group wait": CONDITION,
    "cluster health": CONDITION,
    "log verify": CONDITION,
    "server run": FSYNC,
    "server status": CONDITION,
    "server verify": CONDITION,
    "server exec": PROGRAM + WITH_ENGINE,
    **dict.fromkeys(("context show", "context use", "context edit", "context rename", "context remove", "context current"), NAMED),
    "context check": WITH_ENGINE,
    "doctor": CONDITION,
    "explain": NAMED,
}


def exits_of(command: str, options: set[str]) -> tuple[int, ...]:
    """The statuses that a command may end with; `options` are the names of those that it takes."""
    found = {*ALWAYS, *SPECIAL.get(command, ())}
    if options & {"bootstrap", "data_dir"}:
        found.update(WITH_ENGINE)
    if "yes" in options:
        found.add(8)
    return tuple(sorted(found))
