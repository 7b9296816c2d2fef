"""Real input that nobody here wrote: Debian's list of packages, and binary files, through `ev produce` and back."""

from __future__ import annotations

import hashlib
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Sequence

import pytest

from support.engine import Engine, environment

BYTES_MIN = 40_000_000


def ev(engine: Engine, *arguments: str, source: pathlib.Path | None = None) -> bytes:
    """What `ev ARGUMENTS` writes to stdout, with this engine as the local one."""
    variables = environment(EV_DATA_DIR=str(engine.directory), EV_LISTEN=engine.address, EV_CONFIG="/dev/null", EV_AUTOSTART="0")
    command = [sys.executable, "-P", "-m", "ev_cli", *arguments]
    with open(source or "/dev/null", "rb") as stdin:
        done = subprocess.run(command, stdin=stdin, capture_output=True, env=variables, timeout=100)
    assert done.returncode == 0, f"{arguments} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}"
    return done.stdout


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Debian's list of available packages, 40 MB and more."""
    if shutil.which("apt-cache") is None:
        pytest.skip("apt-cache is missing: this input is Debian's own (run on Debian or Ubuntu)")
    path = tmp_path_factory.mktemp("packages") / "available"
    with path.open("wb") as out:
        subprocess.run(["apt-cache", "dumpavail"], stdout=out, stderr=subprocess.DEVNULL, check=True)
    if path.stat().st_size < BYTES_MIN:
        pytest.skip(f"apt knows only {path.stat().st_size} bytes of packages (run apt-get update)")
    return path


def test_debians_packages_come_back_unchanged(packages: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """One line, one event, empty lines included: the SHA-256 after `ev produce` and `ev consume -e` is the one before."""
    with Engine(tmp_path / "data") as engine:
        ev(engine, "produce", "packages", source=packages)
        found = ev(engine, "consume", "packages", "-e")
        assert len(found) == packages.stat().st_size
        assert digest(found) == digest(packages.read_bytes())


def real_binaries() -> Sequence[pathlib.Path]:
    """Programs of this machine, each small enough to be one record, with bytes that are no text."""
    found = [path for path in sorted(pathlib.Path("/usr/bin").iterdir()) if path.is_file() and 10_000 < path.stat().st_size < 1_000_000]
    return found[:40]


def test_binary_files_come_back_unchanged(tmp_path: pathlib.Path) -> None:
    """Each file is one record with --whole; what comes back has the same SHA-256."""
    files = real_binaries()
    assert len(files) >= 5, "a machine without programs in /usr/bin"
    with Engine(tmp_path / "data") as engine:
        ev(engine, "produce", "binaries", "--whole", *map(str, files))
        for number, path in enumerate(files):
            found = ev(engine, "consume", "binaries", "-p", "0", "-o", str(number), "-n", "1", "-f", "raw")
            assert digest(found) == digest(path.read_bytes()), path


LINES = (
    b"plain",
    b"",
    b"\xff\xfe not UTF-8 \x00\x80",
    b"a carriage return\r",
    b"",
    b"x" * 900_000,
    "snowman ☃".encode(),
    b" spaces at both ends ",
    b"tab\tand \\n backslash",
)


@pytest.mark.parametrize("ended", [True, False])
def test_awkward_lines_survive(tmp_path: pathlib.Path, ended: bool) -> None:
    """Invalid UTF-8, CR-LF, empty lines and lines of 900 KB; a last line without a newline gets one."""
    source = tmp_path / "lines"
    source.write_bytes(b"\n".join(LINES) + b"\n" * ended)
    with Engine(tmp_path / "data") as engine:
        ev(engine, "produce", "lines", source=source)
        assert ev(engine, "consume", "lines", "-e") == b"\n".join(LINES) + b"\n"
