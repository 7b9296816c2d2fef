"""Clients that are not written in Python, built from the sources beside this file on first use: franz-go and Sarama (Go), kafkajs (Node).

They are built once for each state of their sources, in the user's cache, whatever the number of test processes that ask at the same time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

HERE = pathlib.Path(__file__).parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "ev-tests"
BUILD_TIMEOUT_S = 280


def command(client: str) -> list[str]:
    """The command line of the client, without the verb: see `go_clients/main.go`. Builds it when that was not done yet."""
    if client == "kafkajs":
        return ["node", str(_built(HERE / "node_client", _install) / "client.mjs")]
    return [str(_built(HERE / "go_clients", _compile) / "go_clients"), client]


def run(client: str, *arguments: object) -> list[dict[str, Any]]:
    """What the client printed, an object a line; it must succeed."""
    ended = subprocess.run([*command(client), *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, f"{client} {arguments}: {ended.stderr}{ended.stdout[-2000:]}"
    return [json.loads(line) for line in ended.stdout.splitlines()]


def _compile(sources: pathlib.Path, target: pathlib.Path) -> None:
    caches = {"GOMODCACHE": str(CACHE / "go-modules"), "GOCACHE": str(CACHE / "go-build"), "GOFLAGS": "-modcacherw -buildvcs=false"}
    _run(["go", "build", "-o", str(target / "go_clients"), "."], sources, os.environ | caches)


def _install(sources: pathlib.Path, target: pathlib.Path) -> None:
    for name in ("client.mjs", "package.json", "package-lock.json"):
        shutil.copy(sources / name, target)
    _run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], target, os.environ)


def _built(sources: pathlib.Path, build: Callable[[pathlib.Path, pathlib.Path], None]) -> pathlib.Path:
    """The folder with what `build` makes of the sources."""
    digest = hashlib.sha256()
    for path in sorted(each for each in sources.iterdir() if each.is_file()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    target = CACHE / f"{sources.name}-{digest.hexdigest()[:16]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{sources.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            building = target.with_suffix(".building")
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            build(sources, building)
            building.rename(target)
    return target


def _run(words: list[str], folder: pathlib.Path, environment: dict[str, str] | os._Environ[str]) -> None:
    done = subprocess.run(words, cwd=folder, env=dict(environment), capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed in {folder}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
