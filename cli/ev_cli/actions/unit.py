"""ev server unit: files with which systemd, launchd and Docker Compose keep the engine running."""

from __future__ import annotations

import json
import os
import shlex
import sys

import ev
from ev_cli import output
from ev_cli.failures import DONE, UsageFailure
from ev_cli.session import DEFAULT_PORT, Session, with_ports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ev_cli.local_engine import LocalEngine

SYSTEMD = """\
[Unit]
Description=ev: event streaming, data in {data_dir}
Documentation=man:ev(1) man:ev-server(1)
After=network.target

[Service]
Type=exec
ExecStart={command}
{environment}Restart=on-failure
RestartSec=1
# 2: the command line or the configuration is wrong; 74: the disk has failed, and a person has to look at it.
RestartPreventExitStatus=2 74
KillMode=mixed
TimeoutStopSec=30
UMask=0077
NoNewPrivileges=yes

[Install]
WantedBy={target}
"""

COMPOSE = """\
services:
  ev:
    image: python:3.13-slim
    command: ["sh", "-c", {command}]
    environment:
      EV_DATA_DIR: /data
    ports:
      - "127.0.0.1:{port}:{port}"
    volumes:
      - ev-data:/data
    healthcheck:
      test: ["CMD", "ev", "server", "status", "-o", "json"]
      interval: 5s
      timeout: 5s
      start_period: 60s
    restart: on-failure
    stop_grace_period: 30s

volumes:
  ev-data: {{}}
"""


def print_unit(options: Any) -> int:
    engine = Session(options, local=True).engine
    if options.advertise:
        with_ports(options.advertise)  # says what is no address
    kinds = {"systemd": systemd, "launchd": launchd, "compose": compose}
    if options.kind not in kinds:
        raise UsageFailure(f"there is no unit for {options.kind!r}", f"one of {', '.join(kinds)}")
    if options.kind != "compose":
        engine.refuse_exposed()
    text, hint = kinds[options.kind](engine, options)
    output.write_text(text)
    if not options.quiet:
        output.say(f"ev: {hint}")
    return DONE


def systemd(engine: LocalEngine, options: Any) -> tuple[str, str]:
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    words = " ".join(map(_systemd_word, run_command(engine, options)))
    environment = "".join(f"Environment={_systemd_word(f'{name}={value}')}\n" for name, value in _variables().items())
    target = "multi-user.target" if is_root else "default.target"
    text = SYSTEMD.format(data_dir=engine.data_dir.replace("%", "%%"), command=words, environment=environment, target=target)
    if is_root:
        return text, "put it in /etc/systemd/system/ev.service, then: systemctl daemon-reload && systemctl enable --now ev"
    place = "~/.config/systemd/user/ev.service"
    return text, f"put it in {place}, then: systemctl --user daemon-reload && systemctl --user enable --now ev"


def _systemd_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return (
        escaped if escaped == word and word and not any(character.isspace() or character in "';" for character in word) else f'"{escaped}"'
    )


def launchd(engine: LocalEngine, options: Any) -> tuple[str, str]:
    import plistlib

    service = {
        "Label": "ev.local",
        "ProgramArguments": run_command(engine, options),
        "EnvironmentVariables": _variables(),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ExitTimeOut": 30,
        "Umask": 0o077,
        "WorkingDirectory": "/",
        "StandardErrorPath": engine.log_file,
    }
    text = plistlib.dumps(service, sort_keys=False).decode()
    return text, "put it in ~/Library/LaunchAgents/ev.local.plist, then: launchctl bootstrap gui/$UID ~/Library/LaunchAgents/ev.local.plist"


def compose(engine: LocalEngine, options: Any) -> tuple[str, str]:
    """A container that installs ev and runs it. Only this machine reaches its port, and so inside everybody may connect."""
    port = int(engine.listen.split(",")[0].rpartition(":")[2] or 0) or DEFAULT_PORT
    advertise = options.advertise or f"localhost:{port}"
    settings = [part for item in options.settings or () for part in ("--set", item)]
    words = ["exec", "ev", "server", "run", "--insecure", "--listen", f"0.0.0.0:{port}", "--advertise", advertise, *settings]
    script = f"pip install --quiet --root-user-action=ignore ev=={ev.__version__} && {shlex.join(words)}"
    return COMPOSE.format(command=json.dumps(script.replace("$", "$$")), port=port), "put it in compose.yaml, then: docker compose up -d"


def run_command(engine: LocalEngine, options: Any) -> list[str]:
    """`ev server run` for this data directory, everything in it absolute."""
    words = [*program(), "server", "run", "--data-dir", engine.data_dir]
    if options.config_file:
        words += ["--config-file", os.path.abspath(options.config_file)]
    if engine.listen:
        words += ["--listen", engine.listen]
    if options.insecure:
        words.append("--insecure")
    if options.advertise:
        words += ["--advertise", options.advertise]
    return [*words, *[part for item in options.settings or () for part in ("--set", item)]]


def program() -> list[str]:
    """How this ev is run again: its script beside the interpreter, else the module."""
    if getattr(sys, "frozen", False):
        return [sys.executable]
    script = os.path.join(os.path.dirname(sys.executable), "ev")
    return [script] if os.access(script, os.X_OK) else [sys.executable, "-P", "-m", "ev_cli"]


def _variables() -> dict[str, str]:
    """What a service needs that has no login: where the packages are, if that is not where Python looks, and the configuration."""
    folders = [os.path.abspath(folder) for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    ours = [folder for folder in folders if any(os.path.exists(os.path.join(folder, name, "__init__.py")) for name in ("ev", "ev_cli"))]
    found = {"PYTHONPATH": os.pathsep.join(ours)} if ours else {}
    named = os.environ.get("EV_CONFIG")
    return {**found, "EV_CONFIG": os.path.abspath(named)} if named else found
