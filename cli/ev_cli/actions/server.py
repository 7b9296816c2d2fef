"""ev server: run, start, stop and look at the local engine."""

from __future__ import annotations

import os
import time

from ev_cli import output
from ev_cli.failures import DONE, UNMET, Failure, Interrupted, UsageFailure
from ev_cli.session import Session
from ev_cli.times import timestamp_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev_cli.local_engine import LocalEngine

FOLLOW_MS = 200
LINES = 100


def _engine(options: Any) -> LocalEngine:
    return Session(options, local=True).engine


def run_server(options: Any) -> int:
    """Become the daemon: nothing of the command line stays in memory, signals and exit status are its own."""
    from ev_cli.seeding import seed_from_beside, seeds_of

    seeds = seeds_of(options.seeds)
    _engine(options).check()
    _engine(options).refuse_exposed()
    if options.ephemeral:
        import tempfile

        if options.data_dir is None:
            options.data_dir = tempfile.mkdtemp(prefix="ev-")
    engine = _engine(options)
    engine.check_owner()
    os.makedirs(engine.data_dir, 0o700, exist_ok=True)
    command = engine.command(log_file=None)
    if options.ephemeral:
        command.append("--ephemeral")
    if seeds:
        seed_from_beside(engine, seeds)
    os.execve(command[0], command, {**os.environ, **engine.environment_of_daemon()})


def start_server(options: Any) -> int:
    from ev_cli.seeding import seed, seeds_of

    seeds = seeds_of(options.seeds)
    engine = _engine(options)
    engine.check()
    address, started = engine.start(by_itself=False)
    seed(address, seeds)
    if not options.quiet:
        verb = "started" if started else "already runs"
        output.say(f"ev: the local engine {verb} at {address}, data in {engine.data_dir}")
        if not started and (options.settings or options.advertise):
            output.say("ev: it goes on as it was started: `ev server restart` with these options changes that")
    return DONE


def stop_server(options: Any) -> int:
    engine = _engine(options)
    stopped = engine.stop()
    if not options.quiet:
        output.say("ev: the local engine has ended" if stopped else f"ev: no engine runs on {engine.data_dir}")
    return DONE


def restart_server(options: Any) -> int:
    """Stop the engine, which answers what it was asked before, and start it where it was, unless it is told another place."""
    _engine(options).check()  # while it still runs
    found = _engine(options).running() or {}
    _keep_place(options, found)
    _engine(options).refuse_exposed()
    stop_server(options)
    return start_server(options)


def _keep_place(options: Any, found: dict[str, Any]) -> None:
    had = [str(listener) for listener in found.get("listeners") or [found[key] for key in ("address",) if key in found]]
    engine = _engine(options)
    if had and (options.listen or engine.is_told_where):
        wanted = engine.listen.split(",") if engine.listen else []
        if not options.listen and len(wanted) == len(had):
            options.listen = ",".join(map(_with_port_of, wanted, had)) or None
    elif had:
        options.listen = ",".join(had)
    options.advertise = options.advertise or ",".join(found.get("advertise") or ()) or None


def _with_port_of(wanted: str, had: str) -> str:
    """An address where any port will do, with the port that there was."""
    place, _, port = wanted.rpartition(":")
    return f"{place}:{had.rpartition(':')[2]}" if port == "0" else wanted


def server_status(options: Any) -> int:
    engine = _engine(options)
    found = engine.running()
    table = output.Table(("running", "address", "pid", "version", "started_ms", "data_dir"), ("cluster_id", "log_file", "bytes"))
    facts = found or {}
    table.add(
        running=found is not None,
        pid=facts.get("pid"),
        address=facts.get("address"),
        data_dir=engine.data_dir,
        cluster_id=facts.get("cluster_id"),
        version=facts.get("version"),
        started_ms=facts.get("started_ms"),
        log_file=facts.get("log_file") if found else engine.log_file,
        bytes=_bytes_below(engine.data_dir),
    )
    form = output.output_format(options)
    if form in ("table", "wide"):
        output.write_text(_status_text(table.rows[0]))
        cause = None if found else engine.fsync_failure()
        if cause:
            output.say(f"ev: it stopped because the disk failed: {output.safe(cause)}")
    else:
        output.show(table, options, one=True)
    return DONE if found else UNMET


def _status_text(row: dict[str, Any]) -> str:
    from ev_cli.times import local_text

    shown = {**row, "started": local_text(row["started_ms"]) if row["started_ms"] else None}
    names = ("running", "address", "pid", "version", "started", "data_dir", "cluster_id", "log_file", "bytes")
    lines = [f"{name:<10}  {'yes' if shown[name] is True else 'no' if shown[name] is False else shown[name]}\n" for name in names]
    return "".join(line for name, line in zip(names, lines, strict=True) if shown[name] is not None)


def _bytes_below(folder: str) -> int:
    """What the data directory holds, in bytes."""
    total = 0
    for above, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(above, name)).st_size
            except OSError:
                continue
    return total


def server_logs(options: Any) -> int:
    from ev_cli.server_log import last_lines, lines_since

    if options.lines is not None and options.lines < 0:
        raise UsageFailure(f"-n {options.lines} is no number of lines", "write 0 or more")
    since = None if options.since is None else timestamp_ms(options.since, int(time.time() * 1000), flag="--since")
    engine = _engine(options)
    path = (engine.running() or {}).get("log_file") or engine.log_file
    output.need_stdout()
    try:
        file = open(path, "rb")  # noqa: SIM115 - it is followed beyond this block, and replaced when the log turns
    except FileNotFoundError:
        raise Failure(f"there is no log {path}", "an engine that `ev server run` runs logs to its stderr") from None
    with file:
        if since is None:
            output.write(last_lines(file, LINES if options.lines is None else options.lines))
        else:
            for piece in lines_since(path, file, since, options.lines):
                output.write(piece)
        if options.follow:
            _follow(path, file.tell())
    return DONE


def _follow(path: str, position: int) -> None:
    """Write what is appended, also when the log turns over into a new file."""
    from ev_cli.interrupts import Interrupts

    interrupts = Interrupts().install()
    opened = os.open(path, os.O_RDONLY)
    os.lseek(opened, position, os.SEEK_SET)
    while True:
        data = os.read(opened, 1 << 20)
        if data:
            output.write(data)
            continue
        try:
            with interrupts.waiting():
                time.sleep(FOLLOW_MS / 1000)
        except Interrupted:
            raise KeyboardInterrupt from None
        if _turned(path, opened):
            rest = os.read(opened, 1 << 20)
            output.write(rest)
            os.close(opened)
            opened = os.open(path, os.O_RDONLY)


def _turned(path: str, opened: int) -> bool:
    try:
        return os.stat(path).st_ino != os.fstat(opened).st_ino
    except OSError:
        return False
