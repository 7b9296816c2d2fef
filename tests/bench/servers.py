"""Starts the servers of other systems on loopback, with the settings that are measured: nats-server and redis-server."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess

from support.ports import free_port
from support.waiting import wait_for


def program(name: str) -> str | None:
    """The path of a server's program, which may be where only root looks."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def version(name: str) -> str:
    """What the program says of itself."""
    path = program(name)
    done = subprocess.run([path or name, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip()


class Server:
    """One server process."""

    def __init__(self, directory: pathlib.Path, command: list[str], port: int) -> None:
        self.directory, self.command, self.port = directory, command, port
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None, "the server was not started"
        return self.process.pid

    def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "server.log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory)
        wait_for(self.answers, f"{self.command[0]} to listen, see {self.directory}/server.log")

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def forget(self) -> None:
        """Stop, and remove everything that it has."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def nats_server(directory: pathlib.Path, synced: bool) -> Server:
    """JetStream in a file, synced before each answer or every two minutes, as is its default. LookupError when this version cannot."""
    path = program("nats-server")
    if path is None:
        raise LookupError("nats-server is missing (Debian: apt-get install nats-server)")
    directory.mkdir(parents=True, exist_ok=True)
    port, config = free_port(), directory / "nats.conf"
    often = "sync_interval: always" if synced else ""
    config.write_text(
        f'host: 127.0.0.1\nport: {port}\nserver_name: bench\nping_interval: "1h"\n'
        f'jetstream {{\n  store_dir: "{directory / "store"}"\n  {often}\n}}\n'
    )
    tried = subprocess.run([path, "-t", "-c", str(config)], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        said = (tried.stderr + tried.stdout).strip().rpartition(": ")[2]
        raise LookupError(f"{version('nats-server')} does not take {often or 'its configuration'} ({said}; it came with 2.10)")
    return Server(directory, [path, "-c", str(config)], port)


def redis_server(directory: pathlib.Path, how: str) -> Server:
    """Redis with an append-only file and nothing else, synced `always` (before the answer) or `everysec`; it is never rewritten."""
    path = program("redis-server")
    if path is None:
        raise LookupError("redis-server is missing (Debian: apt-get install redis-server)")
    port = free_port()
    told = {"port": str(port), "bind": "127.0.0.1", "dir": str(directory), "appendonly": "yes", "save": ""}
    told |= {"appendfsync": how, "auto-aof-rewrite-percentage": "0", "daemonize": "no"}
    return Server(directory, [path, *[word for name, value in told.items() for word in (f"--{name}", value)]], port)
