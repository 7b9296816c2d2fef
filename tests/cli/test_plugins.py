"""`ev NAME` for a program ev-NAME: what it gets, and that it never takes the place of a command."""

from __future__ import annotations

import os
import pathlib
import sys

import pytest

from support.command_line import CommandLine

SHOW = """\
#!/bin/sh
for name in EV_BOOTSTRAP EV_CONTEXT EV_DATA_DIR KAFKA_BOOTSTRAP_SERVERS EV_CONFIG; do eval "echo $name=\\$$name"; done
echo "$@"
exit 7
"""


@pytest.fixture
def programs(ev: CommandLine) -> pathlib.Path:
    """A directory on the PATH."""
    folder = ev.directory / "programs"
    folder.mkdir()
    ev.variables["PATH"] = f"{folder}:{ev.variables['PATH']}"
    return folder


def install(programs: pathlib.Path, name: str, text: str = SHOW) -> None:
    (programs / name).write_text(text)
    (programs / name).chmod(0o755)


def shown(lines: list[str]) -> dict[str, str]:
    return dict(line.split("=", 1) for line in lines if "=" in line)


def test_it_gets_what_stands_behind_its_name_and_the_engine(ev: CommandLine, programs: pathlib.Path) -> None:
    """The arguments untouched, the status its own; the local engine is started for it, but not when it is asked for help."""
    install(programs, "ev-hello")
    done = ev("hello", "--help", status=7)
    assert shown(done.lines)["EV_DATA_DIR"] == str(ev.data_dir)
    assert not ev.data_dir.exists()
    done = ev("hello", "a b", "--", "-x", "--context", "y", status=7)
    assert done.lines[-1] == "a b -- -x --context y"
    assert shown(done.lines)["EV_BOOTSTRAP"] == shown(done.lines)["KAFKA_BOOTSTRAP_SERVERS"] == ev.address
    assert "started the local engine" in done.err


def test_it_sees_the_engine_that_was_chosen(ev: CommandLine, programs: pathlib.Path) -> None:
    """A context or addresses before its name; and `ev` in it means the same engine."""
    install(programs, "ev-hello")
    install(programs, "ev-topics-there", '#!/bin/sh\nexec "$EV_PYTHON" -P -m ev_cli topic list -o name\n')
    ev.variables["EV_PYTHON"] = sys.executable
    ev("topic", "create", "t")
    (ev.directory / "config.toml").write_text(f'[contexts.prod]\nbootstrap = "{ev.address}"\n')
    found = shown(ev("-C", "prod", "hello", status=7).lines)
    assert (found["EV_CONTEXT"], found["EV_BOOTSTRAP"], found["EV_DATA_DIR"]) == ("prod", ev.address, "")
    found = shown(ev("-b", "h:1,i", "-q", "hello", status=7).lines)
    assert (found["EV_CONTEXT"], found["EV_BOOTSTRAP"]) == ("", "h:1,i:9092")
    assert ev("-C", "prod", "topics-there").lines == ["t"]
    assert ev("-b", ev.address, "topics-there").lines == ["t"]
    assert ev("topics-there").lines == ["t"]


def test_it_never_takes_the_place_of_a_command(ev: CommandLine, programs: pathlib.Path) -> None:
    """Nor of an alias; a name that is none stays a mistake; what cannot run is 126."""
    for name in ("ev-version", "ev-topics", "ev-topic"):
        install(programs, name, "#!/bin/sh\necho shadowed\n")
    assert b"shadowed" not in ev("version").out
    assert b"shadowed" not in ev("topics").out
    assert "nonsense" in ev("nonsense", status=2).err
    install(programs, "ev-broken", "#!/no/such/interpreter\n")
    assert "cannot run" in ev("broken", status=126).err
    (programs / "ev-plain").write_text("x")
    (programs / "ev-plain").chmod(0o644)
    assert "plain" in ev("plain", status=2).err
    assert os.path.exists(programs / "ev-plain")
