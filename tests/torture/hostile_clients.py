"""Clients that send a byte now and then, that fell silent, that never read, that come and go, that stop in a handshake (R10).

All at once, beside one that behaves: 1,000 slow ones, 1,000 half-open ones, 100 that ask for megabytes again and again and read nothing,
200 whose TLS handshake stops, and others that come, say half of something and are gone, with a reset or without.

Memory stays within 200 MB of what it was; the client that behaves is served as before; the engine ends every one of them by itself, in
the time that its settings say; descriptors and the memory of requests come back to what they were, and large requests are taken again.
"""

from __future__ import annotations

import time

from ev.wire.records import encode_batch
from support.certificates import Authority
from support.crowd import BIG, PIPELINED, Crowd
from support.engine import Engine
from support.engine_figures import REQUEST_MEMORY, SETTING, figures
from support.ports import free_ports
from support.process_figures import descriptors, forget_peak, peak_bytes, resident_bytes
from support.quiet_client import QuietClient, create_topic, percentile, produce_request
from support.raw_client import RawClient
from support.secure_brokers import tls_settings
from support.waiting import wait_for
from torture.run import Run

NEEDS = ("openssl",)
FAULTS = (
    "network.stall_is_never_noticed",
    "network.no_limit_on_unsent_answers",
    "network.places_are_never_given_back",
    "network.who_takes_nothing_stays",
    "network.handshakes_never_end",
)
SLOW, SLOW_QUICK = 1000, 200
HALF_OPEN, HALF_OPEN_QUICK = 1000, 200
UNREAD, UNREAD_QUICK = 100, 20
HANDSHAKES, HANDSHAKES_QUICK = 200, 40
STALL_MS = 2000
IDLE_MS = 2500
HANDSHAKE_S = 10
GROWTH_MAX_BYTES = 200 << 20
SLOWER_MAX = 2.0
ALLOWANCE_S = 6.0
"""The engine looks from time to time, and the machine may be busy."""
LARGE_BYTES = 900_000
LARGE_MAX_S = 10.0
"""Behind those who have begun a request, take its place, and do not go on."""


def torture(run: Run) -> None:
    """Rounds, until the time is over."""
    secure, with_sasl = (f"127.0.0.1:{port}" for port in free_ports(2))
    settings = {
        **SETTING,
        "connections.max.idle.ms": str(IDLE_MS),
        "ev.request.stall.ms": str(STALL_MS),
        "queued.max.request.bytes": str(64 << 20),
        **tls_settings(Authority(run.directory)),
    }
    arguments = ("--listen", f"SSL://{secure}", "--listen", f"SASL_PLAINTEXT://{with_sasl}")
    engine = run.engine(settings=settings, arguments=arguments).start()
    create_topic(engine.address, "quiet")
    create_topic(engine.address, BIG)
    for _ in range(12):
        write_large(engine)
    with QuietClient(run.directory, engine.address, "quiet") as quiet:
        rounds = 0
        while not rounds or (not run.over and rounds < run.amount(20, 2)):
            rounds += 1
            siege(run, engine, quiet, secure, with_sasl)
        run.outcome.figures["rounds"] = rounds
        quiet.end()
        for problem in quiet.problems():
            run.outcome.problem(problem)


def siege(run: Run, engine: Engine, quiet: QuietClient, secure: str, with_sasl: str) -> None:
    """All of them come; who is left when their time is over, and what of them?"""
    outcome = run.outcome
    base, mark = descriptors(engine.pid), quiet.mark()
    time.sleep(run.amount(4, 1))
    alone_ms = percentile(quiet.took_ms("produce", since=mark), 0.99)
    forget_peak(engine.pid)
    memory = resident_bytes(engine.pid)
    wanted = (
        ("stopped handshake", secure, run.amount(HANDSHAKES, HANDSHAKES_QUICK), HANDSHAKE_S),
        ("idle", with_sasl, run.amount(HANDSHAKES, HANDSHAKES_QUICK), HANDSHAKE_S),
        ("slow", engine.address, run.amount(SLOW, SLOW_QUICK), 2 * STALL_MS / 1000),
        ("half-open", engine.address, run.amount(HALF_OPEN, HALF_OPEN_QUICK), 2 * IDLE_MS / 1000),
        ("unread", engine.address, run.amount(UNREAD, UNREAD_QUICK), 3 * IDLE_MS / 1000),
    )
    crowds: list[tuple[Crowd, float]] = []
    restless = Crowd("coming and going", engine.address, 10, run.random.random())
    try:
        for kind, address, count, within_s in wanted:
            crowd = Crowd(kind, address, count, run.random.random()).wait_until_open()
            crowds.append((crowd, time.monotonic() + within_s + ALLOWANCE_S))
            outcome.injected += count
            outcome.in_flight += quiet.waits + (PIPELINED * count if kind == "unread" else 0)
        began = time.monotonic()
        write_large(engine)
        outcome.bound("large_request_besieged_s", round(time.monotonic() - began, 2), LARGE_MAX_S)
        mark = quiet.mark()
        time.sleep(run.amount(4, 1))
        besieged_ms = percentile(quiet.took_ms("produce", since=mark), 0.99)
        restless.kill()
        judge_memory(run, peak_bytes(engine.pid) - memory)
        for crowd, deadline in crowds:
            wait_for_end(run, crowd, deadline)
        judge_memory(run, peak_bytes(engine.pid) - memory)
    finally:
        for crowd, _ in crowds:
            crowd.kill()
        if restless.process.poll() is None:
            restless.kill()
    outcome.figures |= {"quiet_p99_ms_alone": round(alone_ms, 2), "quiet_p99_ms_besieged": round(besieged_ms, 2)}
    outcome.bound("slower", round(besieged_ms / alone_ms, 2) if alone_ms else 0, SLOWER_MAX)
    afterwards(run, engine, base)


def judge_memory(run: Run, grown: int) -> None:
    """What the engine took beyond what it had."""
    outcome = run.outcome
    outcome.figures["growth_mb"] = max(outcome.figures.get("growth_mb", 0), round(grown / 1e6, 1))
    if grown > GROWTH_MAX_BYTES:
        outcome.problem(f"the engine took {grown >> 20} MiB more at its most")


def wait_for_end(run: Run, crowd: Crowd, deadline: float) -> None:
    """The engine ends them all."""
    while (ended := crowd.ended()) < crowd.count:
        if time.monotonic() > deadline:
            run.outcome.problem(f"of {crowd.count} clients ({crowd.kind}) the engine has ended {ended} in their time")
            return
        time.sleep(0.05)
    run.outcome.add("ended", ended)


def afterwards(run: Run, engine: Engine, base: int) -> None:
    """What they have left behind: nothing."""
    outcome = run.outcome
    try:
        wait_for(lambda: descriptors(engine.pid) <= base + 8, "descriptors to be given back", 15, pause_s=0.05)
    except AssertionError:
        outcome.problem(f"{descriptors(engine.pid)} descriptors are open when all have gone, before it were {base}")
    try:
        wait_for(lambda: figures(engine)[REQUEST_MEMORY] < LARGE_BYTES, "the memory of requests to be given back", 10, pause_s=0.05)
    except AssertionError:
        outcome.problem(f"{figures(engine)[REQUEST_MEMORY]:.0f} bytes are held for requests of clients that have gone")
    try:
        write_large(engine)
    except (OSError, AssertionError) as problem:
        outcome.problem(f"a large request is not taken any more: {problem!r}")


def write_large(engine: Engine) -> None:
    """A request that comes in two parts, and so takes a place before it is whole."""
    with RawClient(engine.address, timeout_s=30) as client:
        data = client.frame(0, 9, produce_request(BIG, encode_batch([bytes(LARGE_BYTES)])))
        client.send(data[:1000])
        time.sleep(0.02)
        client.send(data[1000:])
        (answer,) = client.answer(0, 9).responses[0].partition_responses
        assert answer.error_code == 0, f"error {answer.error_code}"
