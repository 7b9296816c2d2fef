"""`ev doctor` finds each fault that is put there for it, says what to do, and finds nothing where nothing is wrong."""

from __future__ import annotations

import json
import os
import pathlib
import resource
import socket
import subprocess
import time
from typing import Any

import pytest

from ev_cli import findings
from ev_cli.findings import FAULT, OK
from support.all_listeners import AllListeners
from support.command_line import MODULE, CommandLine
from support.ports import free_ports
from support.secure_brokers import PASSWORD, USER


def faults(ev: CommandLine, *arguments: str) -> dict[str, dict[str, Any]]:
    """What is found, by the name of the check. Each has a remedy, and the exit status is 6."""
    rows = ev(*arguments, "doctor", "--json", "-q", status=6).json
    found = {row["check"]: row for row in rows if row["state"] == FAULT}
    assert all(row["remedy"] for row in found.values()), found
    return found


def test_where_nothing_is_wrong_nothing_is_found(ev: CommandLine) -> None:
    """Exit 0, before the first start and while the engine runs; no engine is started."""
    checks = {row["check"]: row["state"] for row in ev.json("doctor")}
    assert set(checks.values()) <= {"ok", "skipped"}
    assert not ev.data_dir.exists()
    ev("produce", "t", data=b"x\n")
    running = {row["check"]: row["state"] for row in ev.json("doctor")}
    assert set(running.values()) <= {"ok", "skipped"}
    assert {"owner", "permissions", "disk", "file system", "clock", "open files", "port", "version", "advertised address"} <= set(running)
    done = ev("doctor", "-o", "table")
    assert done.out.startswith(b"CHECK")
    assert "0 faults" in done.err


def test_a_port_that_is_taken(ev: CommandLine) -> None:
    """By another program."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        ev.variables["EV_LISTEN"] = address
        found = faults(ev)
    assert set(found) == {"port"}
    assert address in found["port"]["message"]
    assert "EV_LISTEN" in found["port"]["remedy"]


@pytest.mark.root
def test_a_data_directory_of_somebody_else(ev: CommandLine) -> None:
    """Root may write there, and shall not."""
    ev.data_dir.mkdir(mode=0o700)
    os.chown(ev.data_dir, 12345, 12345)
    found = faults(ev)
    os.chown(ev.data_dir, 0, 0)
    assert set(found) == {"owner"}
    assert "12345" in found["owner"]["message"]


@pytest.mark.root
def test_a_full_disk(ev: CommandLine) -> None:
    """A file system of one megabyte."""
    ev.data_dir.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(ev.data_dir)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        found = faults(ev)
    finally:
        subprocess.run(["umount", str(ev.data_dir)], check=True)
    assert set(found) == {"disk"}
    assert "full" in found["disk"]["message"]


def test_wrong_permissions(ev: CommandLine) -> None:
    """Others may read what is kept, or its owner may not write."""
    ev.data_dir.mkdir()
    for mode in (0o755, 0o770, 0o500):
        ev.data_dir.chmod(mode)
        found = faults(ev)
        assert set(found) == {"permissions"}
        assert found["permissions"]["remedy"] == f"chmod 700 {ev.data_dir}"
    ev.data_dir.chmod(0o700)


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:40 / /home rw,relatime shared:20 - nfs4 server:/home rw,vers=4.2
41 40 8:2 / /home/alice/fast rw,relatime - xfs /dev/sdb1 rw
42 22 0:41 / /mnt/with\\040space rw - cifs //server/share rw
43 22 0:42 / /mnt/ssh rw - fuse.sshfs host:/ rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "state"),
    [
        ("/var/lib/ev", "ext4", OK),
        ("/home/alice/ev", "nfs4", FAULT),
        ("/home/alice/fast/ev", "xfs", OK),
        ("/mnt/with space/ev", "cifs", FAULT),
        ("/mnt/ssh/ev", "fuse.sshfs", FAULT),
        ("/homes/ev", "ext4", OK),
    ],
)
def test_a_network_file_system(path: str, kind: str, state: str) -> None:
    """By the mount that holds the directory."""
    finding = findings.file_system(path, MOUNTS)
    assert (finding.state, kind in finding.message) == (state, True)
    assert (finding.remedy is not None) == (state == FAULT)


def test_a_clock_that_is_wrong(ev: CommandLine) -> None:
    """Behind what was written here already; a record that comes from the future."""
    ev("produce", "t", data=b"x\n")
    later = time.time() + 3600
    os.utime(ev.data_dir / "engine.json", (later, later))
    found = faults(ev)
    os.utime(ev.data_dir / "engine.json")
    assert set(found) == {"clock"}
    assert "timedatectl" in found["clock"]["remedy"]
    ev("produce", "t", "--timestamp", str(int(time.time() * 1000) + 30 * 60_000), data=b"y\n")
    assert set(faults(ev)) == {"clock of records"}
    assert findings.clock(0, 0, "").state == FAULT


def test_an_advertised_address_that_nobody_reaches(ev: CommandLine) -> None:
    """Clients are told it, and get no further."""
    port = free_ports(1)[0]
    ev("up", "--advertise", f"127.0.0.1:{port}")
    found = faults(ev)
    assert set(found) == {"advertised address"}
    assert f"127.0.0.1:{port}" in found["advertised address"]["message"]
    assert "--advertise" in found["advertised address"]["remedy"]


def test_a_version_that_is_another(ev: CommandLine) -> None:
    """The engine is older than the command line."""
    ev("up")
    path = ev.data_dir / "engine.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": "0.0.1"}))
    found = faults(ev)
    assert set(found) == {"version"}
    assert found["version"]["remedy"] == "ev server restart"


def test_a_low_limit_of_open_files(ev: CommandLine) -> None:
    """The hard limit, as the engine raises the soft one by itself."""
    command = [*MODULE, "doctor", "--json", "-q"]
    done = subprocess.run(
        command,
        env=ev.variables,
        capture_output=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300)),
    )
    found = [row["check"] for row in json.loads(done.stdout) if row["state"] == FAULT]
    assert (done.returncode, found) == (6, ["open files"])


def test_completions_of_another_version(ev: CommandLine) -> None:
    """The script that is installed is not the one that this version has."""
    ev("completion", "install", "--shell", "bash", "--shell", "fish")
    assert all(row["state"] == OK for row in ev.json("doctor") if row["check"] == "completions")
    script = ev.directory / ".config" / "fish" / "completions" / "ev.fish"
    script.write_text(script.read_text().replace("produce", "send"))
    found = faults(ev)
    assert set(found) == {"completions"}
    assert found["completions"]["remedy"] == "ev completion install --shell fish"


def context(ev: CommandLine, address: str, text: str) -> None:
    (ev.directory / "config.toml").write_text(f'[contexts.prod]\nbootstrap = "{address}"\n{text}')


def test_a_certificate_that_has_expired(ev: CommandLine, listeners: AllListeners) -> None:
    """And one of another host; one that holds is none."""
    tls = f'[contexts.prod.tls]\nca = "{listeners.ca}"\n'
    context(ev, listeners.expired, tls)
    found = faults(ev, "-C", "prod")
    assert set(found) == {"certificate"}
    assert "expired" in found["certificate"]["message"]
    assert "renew" in found["certificate"]["remedy"]
    context(ev, listeners.strange, tls)
    assert set(faults(ev, "-C", "prod")) == {"certificate"}
    context(ev, listeners.tls, tls)
    assert "ends in" in faults(ev, "-C", "prod")["certificate"]["message"]  # those of a test hold for a day
    assert findings.certificate("h:1", 100, None).state == OK


def test_a_wrong_password(ev: CommandLine, listeners: AllListeners) -> None:
    """The right one is none; a password that nobody can tell is a fault of the configuration."""
    context(ev, listeners.sasl, f'[contexts.prod.sasl]\nmechanism = "SCRAM-SHA-256"\nusername = "{USER}"\npassword_env = "PW"\n')
    assert set(faults(ev, "-C", "prod")) == {"configuration"}
    ev.variables["PW"] = "wrong"
    found = faults(ev, "-C", "prod")
    assert set(found) == {"login"}
    assert "password" in found["login"]["remedy"]
    assert "wrong" not in str(found)
    assert all(row["state"] != FAULT for row in ev("-C", "prod", "doctor", "--json", PW=PASSWORD).json)


def test_an_address_that_nobody_answers_at(ev: CommandLine) -> None:
    """And a listener that speaks something else."""
    context(ev, "127.0.0.1:1", "")
    assert set(faults(ev, "-C", "prod")) == {"address"}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        context(ev, f"127.0.0.1:{silent.getsockname()[1]}", "")
        assert set(faults(ev, "-C", "prod", "--timeout", "500ms")) == {"protocol"}


def test_nothing_that_is_there_is_changed(ev: CommandLine, tmp_path: pathlib.Path) -> None:
    """It only looks."""
    ev("produce", "t", data=b"x\n")
    ev("down")
    before = sorted((str(path), path.stat().st_mtime_ns) for path in ev.data_dir.rglob("*"))
    ev("doctor")
    assert sorted((str(path), path.stat().st_mtime_ns) for path in ev.data_dir.rglob("*")) == before
