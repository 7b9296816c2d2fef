"""Passwords that are used in every way, right and wrong, and then looked for wherever others could read them."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import stat
import urllib.request
from base64 import b64encode
from random import Random
from urllib.parse import quote

from ev.wire.messages.k32_describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from support.command_line import CommandLine
from support.engine import Engine
from support.raw_client import RawClient
from support.sasl import ScramClient, add_user, authenticate, handshake, plain
from torture.run import Run

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
BROKER = 4


def secret(random: Random) -> str:
    """One that nothing else looks like, with characters that are written otherwise in a URL."""
    return "".join(random.choices(LETTERS, k=10)) + "%+/ " + "".join(random.choices(LETTERS, k=10))


def forms(secret: str) -> list[bytes]:
    """How it may stand somewhere: as it is, in base64 wherever it begins there, in percent form, in hex."""
    data = secret.encode()
    found = [data, quote(secret, safe="").encode(), quote(secret).encode(), data.hex().encode()]
    for before in range(3):
        encoded = b64encode(bytes(before) + data)
        found.append(encoded[4 if before else 0 : -4])  # but for the characters that its neighbours have a part in
    return found


def search(run: Run, engine: Engine, sasl: str) -> None:
    """Use them, and look for them."""
    used = {what: secret(run.random) for what in ("right", "wrong", "mistyped", "of the command line", "of a key", "of a file")}
    outputs = use_on_the_wire(engine, sasl, used)
    command_line = CommandLine(run.directory / "command-line")
    command_line.directory.mkdir()
    try:
        outputs |= use_on_the_command_line(command_line, sasl, used, engine.address)
        outputs |= command_lines()
        outputs["the engine's log"] = engine.log_path.read_bytes()
        for place in (engine.directory, command_line.data_dir):
            outputs |= read_below(place)
            modes(run, place)
    finally:
        command_line.close()
    run.outcome.figures["places_searched"] = len(outputs)
    for what, hidden in used.items():
        for form in forms(hidden):
            for where, data in outputs.items():
                if form in data:
                    run.outcome.problem(f"the secret {what} stands in {where}: {form!r}")


def use_on_the_wire(engine: Engine, sasl: str, used: dict[str, str]) -> dict[str, bytes]:
    """Users are made, let in and refused; tokens are cut off and garbled; settings and figures are asked for."""
    outputs: dict[str, bytes] = {}
    add_user(engine.address, "keeper", used["right"])
    for password in (used["right"], used["wrong"]):
        with RawClient(sasl) as client:
            handshake(client, "PLAIN")
            outputs[f"the answer to PLAIN {password == used['right']}"] = repr(authenticate(client, plain("keeper", password))).encode()
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            with RawClient(sasl) as client:
                handshake(client, mechanism)
                scram = ScramClient(mechanism, "keeper", password)
                first = authenticate(client, scram.first())
                outputs[f"the answer to {mechanism} {password}"] = repr(authenticate(client, scram.final(bytes(first.auth_bytes)))).encode()
    for token in (
        plain("keeper", used["mistyped"], "other"),
        plain("keeper", used["mistyped"]) + b"\0x",
        b"\xff" + used["mistyped"].encode(),
    ):
        with RawClient(sasl) as client:
            handshake(client, "PLAIN")
            outputs[f"the answer to {token!r:.12}"] = repr(authenticate(client, token)).encode()
    with RawClient(engine.address) as client:
        resource = DescribeConfigsResource(resource_type=BROKER, resource_name="1")
        outputs["DescribeConfigs"] = repr(client.ask(32, 4, DescribeConfigsRequest(resources=[resource], include_synonyms=True))).encode()
    place = json.loads((engine.directory / "engine.json").read_text())["metrics"]
    with urllib.request.urlopen(f"http://{place}/metrics", timeout=10) as answer:
        outputs["metrics"] = answer.read()
    return outputs


def use_on_the_command_line(ev: CommandLine, sasl: str, used: dict[str, str], opened: str) -> dict[str, bytes]:
    """An engine that has the password of a key, a user that is added, and a context whose password is wrong."""
    outputs: dict[str, bytes] = {}
    password_file = ev.directory / "password"
    password_file.write_text(used["of a file"] + "\n")
    password_file.chmod(0o600)
    config = ev.directory / "config.toml"
    config.write_text(
        f'[contexts.secure]\nbootstrap = "{sasl}"\n[contexts.secure.sasl]\nmechanism = "SCRAM-SHA-256"\nusername = "keeper"\n'
        f'password_file = "{password_file}"\n'
    )
    config.chmod(0o600)
    commands: list[tuple[tuple[str, ...], bytes]] = [
        (("server", "start"), b""),
        (("user", "add", "bob", "--mechanism", "SCRAM-SHA-256", "--password-stdin"), used["of the command line"].encode() + b"\n"),
        (("user", "list"), b""),
        (("-v", "topic", "list", "--context", "secure"), b""),
        (("server", "status", "-o", "json"), b""),
    ]
    for words, data in commands:
        done = ev(*words, data=data, status=None, EV_SSL_KEY_PASSWORD=used["of a key"])
        outputs[f"`ev {' '.join(words)}`"] = done.out + done.err.encode()
    return outputs


def command_lines() -> dict[str, bytes]:
    """What `ps` shows of every process of this user's."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.stat().st_uid == os.geteuid():
                found[str(path)] = path.read_bytes().replace(b"\0", b" ")
        except OSError:
            continue
    return found


def read_below(place: pathlib.Path) -> dict[str, bytes]:
    """What the files of a directory hold; what goes meanwhile is gone."""
    found = {}
    for folder, _, names in os.walk(place):
        for path in (pathlib.Path(folder, name) for name in names):
            with contextlib.suppress(FileNotFoundError):
                found[str(path)] = path.read_bytes()
    return found


def modes(run: Run, place: pathlib.Path) -> None:
    """Directories are 0700, files 0600."""
    for folder, _, names in os.walk(place):
        for path, wanted in ((pathlib.Path(folder), 0o700), *((pathlib.Path(folder, name), 0o600) for name in names)):
            with contextlib.suppress(FileNotFoundError):
                mode = stat.S_IMODE(path.lstat().st_mode)
                run.outcome.add("modes_looked_at")
                if mode != wanted:
                    run.outcome.problem(f"{path.relative_to(place.parent)} has the mode {mode:04o}, {wanted:04o} was promised")
