"""ev as a person installs it: the wheel through pip, pipx and uv, and the standalone program, each without the checkout."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

from support.engine import ROOT
from support.tmux import Tmux
from support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KEPT = ("PATH", "LANG", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "XDG_CACHE_HOME")


def run(home: dict[str, str], *command: str | pathlib.Path, cwd: pathlib.Path | None = None, data: str = "") -> str:
    """What the command writes; it has to succeed. It sees nothing of this checkout and of the user's settings, but a home."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT or name.lower().endswith("_proxy")}
    done = subprocess.run([str(word) for word in command], input=data, capture_output=True, text=True, cwd=cwd, env={**kept, **home})
    assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-4000:])
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Built from what git knows, as `python -m build` does it."""
    place = tmp_path_factory.mktemp("build")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if names.returncode == 0:
        for name in filter(None, names.stdout.split("\0")):
            if (ROOT / name).exists():
                (place / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, place / "tree" / name)
    else:
        shutil.copytree(ROOT, place / "tree", ignore=shutil.ignore_patterns(".venv", ".git", "*cache*"))
    run({"HOME": str(place)}, sys.executable, "-m", "build", "--wheel", "--outdir", place / "dist", place / "tree")
    (found,) = (place / "dist").glob("*.whl")
    return found


def test_the_wheel_has_every_page_and_script(wheel: pathlib.Path) -> None:
    """Where shells and man look for them, and in the package for ev itself."""
    names = zipfile.ZipFile(wheel).namelist()
    for page in (ROOT / "man").iterdir():
        assert any(name.endswith(f".data/data/share/man/man{page.suffix[1:]}/{page.name}") for name in names), page.name
        assert f"ev_cli/share/man/{page.name}" in names
    for place in ("bash-completion/completions/ev", "zsh/site-functions/_ev", "fish/vendor_completions.d/ev.fish"):
        assert any(name.endswith(f".data/data/share/{place}") for name in names), place
    for script in (ROOT / "completions").iterdir():
        assert f"ev_cli/share/completions/{script.name}" in names


@pytest.fixture
def home(tmp_path: pathlib.Path) -> dict[str, str]:
    """The variables of a person with an empty home."""
    places = {"PIPX_HOME": "pipx", "PIPX_BIN_DIR": "bin", "UV_TOOL_BIN_DIR": "bin", "UV_TOOL_DIR": "tools"}
    return {"HOME": str(tmp_path), "EV_LISTEN": "127.0.0.1:0", **{name: f"{tmp_path}/{place}" for name, place in places.items()}}


@pytest.mark.parametrize("installer", ["pip", "pipx", "uv"])
def test_the_wheel_installs(installer: str, wheel: pathlib.Path, tmp_path: pathlib.Path, home: dict[str, str]) -> None:
    """And what is installed sends, reads, shows its pages and writes its completions."""
    match installer:
        case "pip":
            run(home, sys.executable, "-m", "venv", tmp_path / "venv")
            run(home, tmp_path / "venv/bin/pip", "install", "-q", wheel)
            program = tmp_path / "venv/bin/ev"
            assert (tmp_path / "venv/share/man/man1/ev-topic.1").exists()
        case "pipx":
            run(home, sys.executable, "-m", "pipx", "install", "--python", sys.executable, wheel)
            program = tmp_path / "bin/ev"
        case _:
            run(home, sys.executable, "-m", "uv", "tool", "install", "-q", wheel)
            program = tmp_path / "bin/ev"
    works(program, home)


def works(program: pathlib.Path, home: dict[str, str]) -> None:
    """The command line of this program does what it is for, its own engine included."""
    try:
        run(home, program, "produce", "t", data="one\ntwo\n")
        assert run(home, program, "consume", "t", "-e") == "one\ntwo\n"
        assert run(home, program, "topic", "list", "-o", "name") == "t\n"
        assert run(home, program, "man", "topic", "list").startswith("NAME\n")
        assert run(home, program, "completion", "bash").startswith("# Completion of ev for bash")
        assert '"ev produce"' in run(home, program, "--help-json")
        assert "Usage: ev" in run(home, program, "topic", "--help")
        run(home, program, "server", "verify")
    finally:
        run(home, program, "down")


@pytest.fixture(scope="module")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Built with one command, and moved away from where it was built."""
    place = tmp_path_factory.mktemp("standalone")
    places = ["--distpath", str(place / "dist"), "--workpath", str(place / "work")]
    run({"HOME": str(place)}, sys.executable, "-m", "PyInstaller", "--log-level", "ERROR", *places, "standalone.spec", cwd=ROOT)
    shutil.move(place / "dist" / "ev", place / "moved")
    shutil.rmtree(place / "work")
    return place / "moved" / "ev"


def test_the_standalone_program_needs_no_python(standalone: pathlib.Path, home: dict[str, str]) -> None:
    """It finds none on its path."""
    works(standalone, {**home, "PATH": "/nowhere"})
    assert "LD_LIBRARY_PATH" not in run(home, standalone, "consume", "t", "-e", "--help")


def test_the_standalone_program_has_the_interface(standalone: pathlib.Path, home: dict[str, str]) -> None:
    """Where there is no terminal it says what works there, and not that a module is missing."""
    done = subprocess.run([standalone, "tui"], env={**home, "PATH": "/nowhere"}, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "ev top" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.tmux
def test_the_standalone_program_shows_the_interface(standalone: pathlib.Path, home: dict[str, str], tmp_path: pathlib.Path) -> None:
    """In a terminal: its own engine's topics, every screen that has a key, and the terminal as it was."""
    variables = {**home, "LANG": "C.UTF-8", "EV_LISTEN": "127.0.0.1:0"}
    tmux = Tmux(tmp_path, variables, (110, 30))
    try:
        run(home, standalone, "produce", "morning", data="one\ntwo\n")
        tmux.type("PS1='ready> '; clear", "Enter")
        wait_for(lambda: tmux.screen.startswith("ready>"), "the shell")
        before = tmux.modes
        tmux.type(f"{standalone} tui", "Enter")
        tmux.wait_for("morning")
        for key, title in (("2", "TOPICS"), ("3", "GROUPS"), ("4", "which topic"), ("8", "SECURITY"), ("9", "BROKERS"), ("0", "ALERTS")):
            tmux.type(key)
            tmux.wait_for(title)
        tmux.type("2")
        tmux.wait_for("TOPICS")
        tmux.type("t")
        tmux.wait_for("TAIL morning")
        tmux.type("?")
        tmux.wait_for("THIS SCREEN")
        tmux.type("", "C-c")
        tmux.wait_for("ready>")
        tmux.type("echo status=$?", "Enter")
        tmux.wait_for("status=0")
        assert tmux.modes == before
    finally:
        tmux("kill-server")
        run(home, standalone, "down")
