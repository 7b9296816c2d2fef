"""ev server: how its verbs are spelled."""

from __future__ import annotations

from typing import Annotated

import typer

from ev_cli.options import declare
from ev_cli.protection import LOCAL

app = typer.Typer(help="Run, start, stop and look at the local engine.", no_args_is_help=True, add_completion=False)

NOT_HERE = ("bootstrap", "context", "set", "timeout")

Advertise = Annotated[
    str | None, typer.Option("--advertise", metavar="[NAME://]HOST:PORT", help="The address that clients are told, one for each --listen.")
]
EngineSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-X", metavar="NAME=VALUE", help="A setting of the engine, like log.segment.bytes=1048576; `-X list` shows them."
    ),
]
Seeds = Annotated[
    list[str] | None, typer.Option("--seed", metavar="TOPIC[:PARTITIONS]", help="Create this topic, unless it is there; several times.")
]


@declare(app, "run", "server:run_server", effect=LOCAL, without=NOT_HERE)
def run_server(
    advertise: Advertise = None,
    settings: EngineSettings = None,
    seeds: Seeds = None,
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="In a directory of its own that goes with it.")] = False,
) -> None:
    """Run the engine in the foreground, its log on stderr, until SIGTERM or Ctrl-C.

    ev server run --ephemeral --listen 127.0.0.1:0
    """


@declare(app, "start", "server:start_server", effect=LOCAL, without=NOT_HERE)
def start_server(advertise: Advertise = None, settings: EngineSettings = None, seeds: Seeds = None) -> None:
    """Start the engine unless it runs, and wait until it answers.

    ev server start --data-dir ./data --set log.retention.ms=86400000
    """


@declare(app, "stop", "server:stop_server", effect=LOCAL, without=NOT_HERE)
def stop_server() -> None:
    """Stop the engine if it runs, and wait until it has ended.

    ev server stop
    """


@declare(app, "restart", "server:restart_server", effect=LOCAL, without=NOT_HERE)
def restart_server(advertise: Advertise = None, settings: EngineSettings = None) -> None:
    """Stop the engine if it runs, once it has answered what it was asked, and start it at the address that it had.

    ev server restart
    """


@declare(app, "exec", "exec:exec_server", effect=LOCAL, without=(*NOT_HERE, "data_dir", "listen", "insecure", "config_file"))
def exec_server(
    words: Annotated[list[str], typer.Argument(metavar="-- COMMAND [ARGUMENT…]", help="What is run with the engine.")],
    settings: EngineSettings = None,
    seeds: Seeds = None,
) -> None:
    """Run a command with an engine of its own around it, in a temporary directory and at a free port.

    The command finds it in EV_BOOTSTRAP and KAFKA_BOOTSTRAP_SERVERS; `ev` in it means this engine. Signals are passed on. Engine and
    directory are gone at the end, however it comes, and the exit status is the command's; 127 when there is no such command.

    ev server exec --seed orders:3 -- pytest tests
    """


@declare(app, "unit", "unit:print_unit", effect=LOCAL, without=NOT_HERE)
def print_unit(
    kind: Annotated[str, typer.Argument(metavar="systemd|launchd|compose", help="For what.")],
    advertise: Advertise = None,
    settings: EngineSettings = None,
) -> None:
    """Print a file with which systemd, launchd or Docker Compose keeps the engine running. stderr says where it belongs.

    ev server unit systemd >ev.service
    """


@declare(app, "status", "server:server_status", effect=LOCAL, tabular=True, without=NOT_HERE)
def server_status() -> None:
    """Say whether the engine runs, where, and on what; exit status 6 when it does not.

    JSON: running, pid, address, data_dir, cluster_id, version, started_ms, log_file, bytes.

    ev server status
    """


@declare(app, "verify", "verify:verify_server", effect=LOCAL, tabular=True, without=(*NOT_HERE, "listen", "insecure"))
def verify_server(
    partitions: Annotated[list[str] | None, typer.Argument(metavar="TOPIC[:PARTITION]…", help="Only these; everything if none.")] = None,
) -> None:
    """Look over everything on disk, the engine running or not; changes nothing. Exit status 6 when there is damage.

    JSON: partition, file, position, offset, expected, found.

    ev server verify payments:0
    """


@declare(app, "backup", "backup:backup_server", effect=LOCAL, without=(*NOT_HERE, "listen", "insecure"))
def backup_server(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A new directory, or a new file that ends in .tar.")],
) -> None:
    """Copy the data of the engine, which runs on or is stopped: everything that was acknowledged before is in the copy.

    ev server backup ./copy.tar
    """


@declare(app, "restore", "backup:restore_server", effect=LOCAL, without=(*NOT_HERE, "listen", "insecure"))
def restore_server(
    source: Annotated[str, typer.Argument(metavar="BACKUP", help="What `ev server backup` made.")],
) -> None:
    """Make the data directory, which is not there yet or empty, of a backup.

    ev server restore ./copy.tar --data-dir ./restored
    """


@declare(app, "import", "importing:import_server", effect=LOCAL, tabular=True, without=(*NOT_HERE, "listen", "insecure"))
def import_server(
    sources: Annotated[list[str], typer.Argument(metavar="KAFKA_DIR…", help="What Kafka's log.dirs says; Kafka is stopped.")],
    topics: Annotated[list[str] | None, typer.Option("--topic", metavar="TOPIC", help="Only this one; may be given several times.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be imported, and change nothing.")] = False,
) -> None:
    """Take over topics, groups, transactional ids and ACLs from an Apache Kafka's data. The engine does not run meanwhile.

    JSON: topic, partitions, offsets, bytes.

    ev server import /var/lib/kafka --dry-run
    """


@declare(app, "logs", "server:server_logs", effect=LOCAL, without=NOT_HERE)
def server_logs(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows.")] = False,
    lines: Annotated[
        int | None, typer.Option("--lines", "-n", metavar="N", help="How many of the last lines (100, or all there are with --since).")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="From this time: -1h, today, 2026-01-31T12:00. Older files are read too.")
    ] = None,
) -> None:
    """Show the log of the self-started engine.

    ev server logs -n 20

    ev server logs --since -10m
    """
