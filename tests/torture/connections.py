"""10,000 connections that say nothing, and 2,000 with TLS: what they cost, and that nothing of them stays (R9).

Processes with half of the connections each connect as fast as they can, beside a client that writes and asks. Some come that are one too
many. Then half of them die at once with their process, and the others leave; others come and go all the time. Then the same with TLS.

Memory above what was held before stays below 10 KB a connection, 50 KB with TLS; every connection that is there is served; those that
are one too many are closed; descriptors and counts come back to what they were; the client that behaves is as quick as before.
"""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Iterator

from support.certificates import Authority
from support.crowd import Crowd
from support.engine import Engine
from support.engine_figures import SETTING, figures
from support.ports import free_port
from support.process_figures import descriptors, resident_bytes
from support.quiet_client import QuietClient, create_topic, percentile
from support.secure_brokers import tls_settings
from support.waiting import wait_for
from torture.run import Run

NEEDS = ("openssl",)
FAULTS = ("network.refused_descriptor_kept", "network.gone_and_still_counted", "network.buffer_for_each_connection")
PLAIN, PLAIN_QUICK = 10_000, 1_000
TLS, TLS_QUICK = 2_000, 100
TOO_MANY = 200
PLAIN_BYTES, TLS_BYTES = 10_000, 50_000
SLACK_BYTES = 8_000_000
"""What the engine may take for other reasons; it counts only where there are few connections."""
DESCRIPTORS_KEPT = 1500
"""Of the limit, for files and for the rest."""
SLOWER_MAX = 1.2
PROCESSES = 2
COUNT = "kafka_server_socket_server_metrics_connection_count"


def torture(run: Run) -> None:
    """Rounds, each of plain connections and then of TLS."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    plain = min(run.amount(PLAIN, PLAIN_QUICK), hard - DESCRIPTORS_KEPT)
    tls = min(run.amount(TLS, TLS_QUICK), hard - DESCRIPTORS_KEPT)
    run.outcome.figures |= {"plain_connections": plain, "tls_connections": tls, "descriptors_limit": hard}
    secure = f"127.0.0.1:{free_port()}"
    # The quiet client, and those who look at figures.
    settings = {**SETTING, "max.connections": str(max(plain, tls) + 20), **tls_settings(Authority(run.directory))}
    engine = run.engine(settings=settings, arguments=("--listen", f"SSL://{secure}")).start()
    create_topic(engine.address, "quiet")
    with QuietClient(run.directory, engine.address, "quiet") as quiet:
        rounds = 0
        while not rounds or (not run.over and rounds < run.amount(20, 3)):
            rounds += 1
            crowds_come(run, engine, quiet, "idle", engine.address, plain, PLAIN_BYTES)
            if not run.outcome.problems:
                they_come_and_go(run, engine)
            if not run.outcome.problems:
                crowds_come(run, engine, quiet, "tls", secure, tls, TLS_BYTES)
        run.outcome.figures["rounds"] = rounds
        quiet.end()
        for problem in quiet.problems():
            run.outcome.problem(problem)


def crowds_come(run: Run, engine: Engine, quiet: QuietClient, kind: str, address: str, count: int, bytes_max: int) -> None:
    """They come, one too many come, half of them die, the rest leaves."""
    outcome, share = run.outcome, count // PROCESSES
    with alone(run, quiet) as before_ms:
        base, memory = descriptors(engine.pid), resident_bytes(engine.pid)
    began = time.monotonic()
    crowds = [Crowd(kind, address, share, f"{run.seed} {number}") for number in range(PROCESSES)]
    try:
        for crowd in crowds:
            crowd.wait_until_open()
        wait_for(lambda: descriptors(engine.pid) >= base + PROCESSES * share, "all connections", 60)
        took_s = time.monotonic() - began
        outcome.figures[f"{kind}_connected_in_s"] = round(took_s, 2)
        if kind == "idle":
            outcome.bound("ms_for_1000_connections", round(1000 * max(crowd.took_s for crowd in crowds) / count * 1000), 500)
        mark = quiet.mark()
        time.sleep(run.amount(5, 1))
        grown = resident_bytes(engine.pid) - memory
        outcome.figures[f"{kind}_mb"] = max(outcome.figures.get(f"{kind}_mb", 0), round(grown / 1e6, 1))
        outcome.figures[f"{kind}_bytes_each"] = grown // count
        if grown > max(count * bytes_max, count * bytes_max // 2 + SLACK_BYTES):
            outcome.problem(f"{count} connections ({kind}) take {grown / 1e6:.1f} MB, {grown // count} bytes each")
        now_ms = percentile(quiet.took_ms("produce", since=mark), 0.99)
        outcome.figures |= {f"quiet_p99_ms_before_{kind}": round(before_ms, 2), f"quiet_p99_ms_with_{kind}": round(now_ms, 2)}
        outcome.bound(f"slower_with_{kind}", round(now_ms / before_ms, 2) if before_ms else 0, SLOWER_MAX)
        for crowd in crowds:
            answers, asked = crowd.ask()
            if answers != asked or not asked:
                outcome.problem(f"of {asked} connections ({kind}) among {count} only {answers} were answered")
        one_too_many(run, engine, kind, address)
        wait_for_descriptors(run, engine, base + PROCESSES * share, f"after {TOO_MANY} connections that are too many")
        outcome.in_flight += quiet.waits + wait_until_it_waits(quiet)
        crowds[0].kill()
        outcome.injected += share
        wait_for_descriptors(run, engine, base + (PROCESSES - 1) * share, f"after {share} connections died ({kind})")
    finally:
        for crowd in crowds:
            if crowd.process.poll() is None:
                crowd.leave()
    wait_for_descriptors(run, engine, base, f"after all {count} connections left ({kind})")
    wait_for_count(run, engine, f"after all {count} connections left ({kind})")


def one_too_many(run: Run, engine: Engine, kind: str, address: str) -> None:
    """More than there may be: those are closed, and nobody else is."""
    if kind != "idle":
        return
    crowd = Crowd("idle", address, TOO_MANY, run.seed).wait_until_open()
    try:
        ended = wait_for(lambda: crowd.ended() >= TOO_MANY - 20 and crowd.ended(), "those who are too many to be closed", 20)
        run.outcome.add("refused", ended)
        run.outcome.injected += ended
    except AssertionError as problem:
        run.outcome.problem(f"{problem}; {crowd.ended()} of {TOO_MANY} were")
    finally:
        crowd.leave()


def they_come_and_go(run: Run, engine: Engine) -> None:
    """For a moment connections come, say something or half of it, and are gone."""
    base = descriptors(engine.pid)
    crowd = Crowd("coming and going", engine.address, 10, run.random.random()).wait_until_open()
    time.sleep(run.amount(3, 1))
    crowd.kill()
    run.outcome.injected += 1
    wait_for_descriptors(run, engine, base, "after many came and went")
    wait_for_count(run, engine, "after many came and went")


@contextlib.contextmanager
def alone(run: Run, quiet: QuietClient) -> Iterator[float]:
    """What the client's writes take while nobody else is there."""
    mark = quiet.mark()
    time.sleep(run.amount(5, 1))
    yield percentile(quiet.took_ms("produce", since=mark), 0.99)


def wait_until_it_waits(quiet: QuietClient) -> bool:
    """A moment in which a request of the quiet client is on its way."""
    deadline = time.monotonic() + 1
    while not quiet.waits and time.monotonic() < deadline:
        pass
    return quiet.waits


def wait_for_descriptors(run: Run, engine: Engine, expected: int, when: str) -> None:
    """A few more may be open: files of the log, somebody who looks at figures."""
    try:
        wait_for(lambda: abs(descriptors(engine.pid) - expected) <= 8, f"{expected} descriptors", 15, pause_s=0.05)
    except AssertionError:
        run.outcome.problem(f"{when} {descriptors(engine.pid)} descriptors are open, {expected} were expected")


def wait_for_count(run: Run, engine: Engine, when: str) -> None:
    """The engine's own count, on which its limit stands: the quiet client is left."""
    try:
        wait_for(lambda: figures(engine)[COUNT] <= 2, "the count of connections", 10, pause_s=0.05)
    except AssertionError:
        run.outcome.problem(f"{when} the engine counts {figures(engine)[COUNT]:.0f} connections")
