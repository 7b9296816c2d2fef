"""What the interface costs: the time to the first picture, the processor while nothing happens, memory. `pytest -s` prints the figures."""

from __future__ import annotations

import os
import pathlib
import time

import pytest

from support.command_line import MODULE, CommandLine
from support.terminal_session import TerminalSession

pytestmark = pytest.mark.slow

TOPICS = 100
FIRST_PAINT_CPU_S = 0.6
IDLE_SHARE = 0.03
MEMORY_BYTES = 150 << 20
QUIET_S = 5.0


def cpu_s(pid: int) -> float:
    """Seconds of processor that the process has taken, without its children."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def read_for(terminal: TerminalSession, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        terminal.read(left)


def test_it_is_there_at_once_and_costs_next_to_nothing_while_it_is_open(ev: CommandLine) -> None:
    """The first picture takes 0.6 s of processor at most; then 3 % of a core with a hundred topics, and a fraction of 150 MB."""
    ev("topic", "create", *[f"topic-{number:03}" for number in range(TOPICS)], "-q")
    with TerminalSession([*MODULE, "tui"], variables={**ev.variables, "TERM": "xterm-256color"}) as terminal:
        pid = terminal.process.pid
        terminal.wait_for("ev t")  # the command below the first screen
        first_s = cpu_s(pid)
        terminal.type("2")
        terminal.wait_for("topic-010")
        read_for(terminal, 3)
        begin_s, begin = cpu_s(pid), time.monotonic()
        read_for(terminal, QUIET_S)
        share = (cpu_s(pid) - begin_s) / (time.monotonic() - begin)
        memory = resident_bytes(pid)
        terminal.type("q")
        assert terminal.wait() == 0
    print(f"\nfirst picture {first_s:.2f} s of processor, idle {share:.1%} of a core with {TOPICS} topics, {memory >> 20} MiB")  # noqa: T201
    assert first_s <= FIRST_PAINT_CPU_S
    assert share <= IDLE_SHARE
    assert memory <= MEMORY_BYTES
