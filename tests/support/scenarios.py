"""Runs the same shell scripts on clusters of different kinds, and says where what they show differs.

    with apache_cluster(3) as cluster:
        shown = run(script, cluster, directory)
        differences(reference, shown)            ['-out| a line that only the reference has', '+err| one that only this one has']

A script is what a person would type: `ev` is on its PATH, and the configuration's current context is the cluster. These contexts are there:

    cluster     where everybody may do everything
    alice       the same cluster; she authenticates with a password, and may do what ACLs allow
    stranger    the same, with a password that is wrong
    nowhere     an address where nobody listens
    protected   the cluster, where writing asks for its name; `readonly`: where nothing may be written

What is shown are the lines of stdout, those of stderr, and there a line for every exit status but 0. RULES take out of them what is another
on every cluster and in every run. Where a cluster rightly shows something else the script says so, with the reason and the lines:

    # differs: Kafka has no such thing
    #   one three -out| what ev alone shows
    #   three +out| what is shown on three brokers alone
"""

from __future__ import annotations

import contextlib
import difflib
import os
import pathlib
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from support.apache_kafka import ORDERLY, Kafka
from support.command_line import MODULE
from support.engine import Engine, environment
from support.guarded import ANONYMOUS, SETTINGS
from support.ports import free_port, free_ports
from support.sasl import add_user
from support.secure_brokers import LOGIN, PASSWORD, USER

MECHANISM: Final = "SCRAM-SHA-256"
GUARDED: Final = {
    **SETTINGS,
    "allow.everyone.if.no.acl.found": "false",
    "super.users": ANONYMOUS,
    "sasl.enabled.mechanisms": MECHANISM,
}
RULES: Final = {
    "addresses": (r"127\.0\.0\.1:\d+(,127\.0\.0\.1:\d+)*", "ADDRESS"),
    "how Kafka names a request": (r"Request\(processor=.*envelope=None\)", "REQUEST"),
    "times in ms": (r"\b1[6-9]\d{11}\b", "MS"),
    "times": (r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?", "TIME"),
    "members' ids": (r"[\w-]*[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "MEMBER"),
    "ids of clusters, topics, producers": (r'("(?:cluster_id|topic_id|producer_id)": |producer )("[\w-]{22}"|\d+)', r"\1ID"),
    "how quick it was": (r"(?m) \([\d,]+/s\)$", ""),
    "what is said while a machine takes its time": (r"(?m)^ev: (.*; still trying, Ctrl-C ends|connected to \w+ again)\n", ""),
    "which broker coordinates, which controls": (r'("(?:coordinator|controller)": )\d+|(controller\tyes\t)\d+', r"\1\2N"),
}
EXPECTED: Final = re.compile(r"^#   (?P<clusters>(?:one|three| )+) (?P<line>[-+](?:out|err)\|.*)$", re.MULTILINE)
EV: Final = """\
#!/bin/sh
{command} "$@"
status=$?
test $status -eq 0 || echo "exit $status: ev $*" >&2
exit $status
"""
CONTEXTS: Final = """\
current = "cluster"
[contexts.cluster]
bootstrap = "{cluster}"
[contexts.alice]
bootstrap = "{guarded}"
security = "sasl_plaintext"
sasl = {{ mechanism = "{mechanism}", username = "{user}", password_env = "PASSWORD" }}
[contexts.stranger]
bootstrap = "{guarded}"
security = "sasl_plaintext"
sasl = {{ mechanism = "{mechanism}", username = "{user}", password_env = "WRONG" }}
[contexts.nowhere]
bootstrap = "127.0.0.1:{nobody}"
[contexts.protected]
bootstrap = "{cluster}"
protected = true
[contexts.readonly]
bootstrap = "{cluster}"
readonly = true
"""


@dataclass(frozen=True)
class Cluster:
    """One of those that scripts run on: where everybody may do everything, and where one has to say who one is."""

    name: str
    open: str
    guarded: str


@contextlib.contextmanager
def ev_cluster(directory: pathlib.Path) -> Iterator[Cluster]:
    guarded = f"127.0.0.1:{free_port()}"
    settings = {**GUARDED, "num.partitions": "1"}
    with Engine(directory, settings=settings, arguments=("--listen", f"SASL_PLAINTEXT://{guarded}")) as engine:
        add_user(engine.address, USER, PASSWORD, MECHANISM)
        yield Cluster("ev", engine.address, guarded)


class GuardedKafka(Kafka):
    """Apache Kafka whose nodes have one more listener each, where clients authenticate."""

    def __init__(self, nodes: int) -> None:
        super().__init__(nodes, properties=PROPERTIES, heap="256m")
        self.guarded = dict(zip(self.nodes, free_ports(nodes), strict=True))

    def server_properties(self, node: int) -> str:
        addresses = f"PLAINTEXT://127.0.0.1:{self.ports[node]},SASL://127.0.0.1:{self.guarded[node]}"
        listeners = f"listeners={addresses},CONTROLLER://127.0.0.1:{self.controllers[node]}\nadvertised.listeners={addresses}\n"
        return super().server_properties(node) + listeners


PROPERTIES: Final[Mapping[str, str]] = {
    **ORDERLY,
    **GUARDED,
    f"listener.name.sasl.{MECHANISM.lower()}.sasl.jaas.config": LOGIN.format("scram.Scram") + ";",
}


@contextlib.contextmanager
def apache_cluster(nodes: int) -> Iterator[Cluster]:
    kafka = GuardedKafka(nodes)
    with kafka:
        add_user(kafka.bootstrap.partition(",")[0], USER, PASSWORD, MECHANISM)
        guarded = ",".join(f"127.0.0.1:{port}" for port in kafka.guarded.values())
        yield Cluster({1: "one", 3: "three"}[nodes], kafka.bootstrap, guarded)


def run(script: pathlib.Path, cluster: Cluster, directory: pathlib.Path, timeout_s: float = 60) -> list[str]:
    """What the script shows there, after RULES; it works in an empty directory of its own."""
    home = directory / f"{script.stem}-{cluster.name}"
    program = home / "bin" / "ev"
    program.parent.mkdir(parents=True)
    program.write_text(EV.format(command=shlex.join(MODULE)))
    program.chmod(0o755)
    configuration = home / "config.toml"
    configuration.write_text(
        CONTEXTS.format(cluster=cluster.open, guarded=cluster.guarded, mechanism=MECHANISM, user=USER, nobody=free_port())
    )
    (home / "work").mkdir()
    variables = environment(
        HOME=str(home), EV_CONFIG=str(configuration), EV_AUTOSTART="0", LANG="C.UTF-8", TZ="UTC", PASSWORD=PASSWORD, WRONG="wrong"
    )
    variables["PATH"] = f"{program.parent}:{variables['PATH']}"
    running = subprocess.Popen(
        ["sh", str(script)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=variables,
        cwd=home / "work",
        start_new_session=True,
    )
    try:
        out, err = running.communicate(timeout=timeout_s)
        ended: tuple[str, ...] = ()
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        out, err = running.communicate()
        ended = (f"err| it did not end within {timeout_s} s",)
    return [*lines_of("out", out, home), *lines_of("err", err, home), *ended]


def lines_of(tag: str, data: bytes, home: pathlib.Path) -> list[str]:
    text = normalised(data.decode("utf-8", "backslashreplace"), home)
    return [f"{tag}| {line}".rstrip() for line in text.split("\n")[: text.count("\n") + (not text.endswith("\n"))]]


def normalised(text: str, home: pathlib.Path) -> str:
    """By RULES; and the directory, which each run has for itself, is HOME."""
    text = text.replace(str(home), "HOME")
    for pattern, replacement in RULES.values():
        text = re.sub(pattern, replacement, text)
    return text


def differences(reference: Sequence[str], found: Sequence[str]) -> list[str]:
    """The lines that only one of them has: with - those of the reference, with + those that were found."""
    lines = difflib.unified_diff(reference, found, n=0, lineterm="")
    return [line for line in lines if line[1:4] in ("out", "err")]


def expected_differences(script: str, cluster: str) -> list[str]:
    """Those that a script announces for a cluster."""
    return [match["line"] for match in EXPECTED.finditer(script) if cluster in match["clusters"].split()]
