"""Exchanges of SCRAM in which something is not right: each has to be refused, and the right one taken, however often it is tried."""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from typing import Any

from ev.errors import ErrorCode
from ev.wire.messages.k03_metadata import MetadataRequest
from support.raw_client import RawClient
from support.sasl import ScramClient, add_user, authenticate, handshake
from torture.run import Run

MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")
WRONG = (
    "nothing",
    "password",
    "other nonce",
    "shorter nonce",
    "longer nonce",
    "own nonce",
    "binding",
    "proof",
    "shorter proof",
    "no proof",
    "flag",
    "authorization id",
    "extension",
    "replay",
)
TALK_S = 4.0


def exchanges(run: Run, opened: str, sasl: str, wanted: int) -> None:
    """Random ones until so many were had, those that are right among them."""
    random, done = run.random, 0
    name, password = f"user-{run.seed}", f"{random.getrandbits(64):x},=%"
    add_user(opened, name, password)
    recorded: dict[str, bytes] = {}
    deadline = time.monotonic() + TALK_S if run.quick else run.deadline
    looks_the_same(run, sasl, name)
    while done < wanted and not run.outcome.problems and time.monotonic() < deadline:
        mechanism, wrong = random.choice(MECHANISMS), WRONG[done % len(WRONG)]
        done += 1
        with RawClient(sasl) as client:
            try:
                code = exchange(run, client, mechanism, name, password, wrong, recorded)
            except ConnectionResetError:
                code = ErrorCode.SASL_AUTHENTICATION_FAILED
            if (code == 0) != (wrong == "nothing"):
                run.outcome.problem(f"{mechanism} with wrong {wrong}: code {code}")
            elif code == 0:
                if not client.ask(3, 9, MetadataRequest(topics=[])).brokers:
                    run.outcome.problem(f"{mechanism}: authenticated, and not served")
            elif not ended(client):
                run.outcome.problem(f"{mechanism} with wrong {wrong} was refused, and goes on to be served")
    run.outcome.figures["scram_exchanges"] = done


def exchange(run: Run, client: RawClient, mechanism: str, name: str, password: str, wrong: str, recorded: dict[str, bytes]) -> int:
    """One of them; the error code in which it ends."""
    random = run.random
    scram = ScramClient(mechanism, name, password + "x" if wrong == "password" else password, nonce=f"{random.getrandbits(128):x}")
    handshake(client, mechanism)
    if wrong in ("flag", "authorization id", "extension"):
        begins = {"flag": random.choice(("y,,", "p=tls-unique,,")), "authorization id": "n,a=mallory,", "extension": "n,,m=x,"}[wrong]
        return int(authenticate(client, begins.encode() + scram.bare.encode()).error_code)
    first = authenticate(client, scram.first())
    if first.error_code:
        return int(first.error_code)
    said = bytes(first.auth_bytes)
    nonce = said.decode().split(",")[0][2:]
    other = {
        "other nonce": scram.nonce + b64encode(random.randbytes(24)).decode(),
        "shorter nonce": nonce[:-1],
        "longer nonce": nonce + random.choice("aZ0/"),
        "own nonce": scram.nonce,
    }.get(wrong)
    binding = random.choice((b"y,,", b"n,a=mallory,", b"n,,n=", random.randbytes(3))) if wrong == "binding" else None
    last = scram.final(said, nonce=other, binding=binding)
    if wrong in ("proof", "shorter proof", "no proof"):
        unproved, _, proof = last.decode().rpartition(",p=")
        data = bytearray(b64decode(proof))
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        data = data[: random.randrange(len(data))] if wrong == "shorter proof" else data
        last = unproved.encode() + (b"" if wrong == "no proof" else b",p=" + b64encode(data))
    elif wrong == "replay":
        last = recorded.get(mechanism, last[:-8] + b"AAAAAAA=")
    answer = authenticate(client, last)
    if wrong == "nothing":
        recorded[mechanism] = last
        if bytes(answer.auth_bytes) != scram.server_signature:
            run.outcome.problem(f"{mechanism}: the server's signature is not the one that the password makes")
    return int(answer.error_code)


def ended(client: RawClient) -> bool:
    """Whether a client that was refused is served nothing."""
    try:
        client.send(client.frame(3, 9, MetadataRequest(topics=None)))
        return client.closed()
    except OSError:
        return True


def looks_the_same(run: Run, sasl: str, known: str) -> None:
    """Whoever asks for a name that nobody has sees what it sees of a user whose password it does not know, twice the same."""
    for mechanism in MECHANISMS:
        seen = []
        for name in (known, known, "nobody-has-this", "nobody-has-this"):
            with RawClient(sasl) as client:
                handshake(client, mechanism)
                scram = ScramClient(mechanism, name, "not the password")
                first = authenticate(client, scram.first())
                last = authenticate(client, scram.final(bytes(first.auth_bytes)))
                fields = dict(part.split("=", 1) for part in bytes(first.auth_bytes).decode().split(","))
                seen.append((fields, describe(last)))
        (user, told), (again, _), (nobody, told_nobody), (nobody_again, _) = seen
        if told != told_nobody or user["i"] != nobody["i"] or len(b64decode(user["s"])) != len(b64decode(nobody["s"])):
            run.outcome.problem(f"{mechanism}: a name that nobody has looks different: {user} {told}, {nobody} {told_nobody}")
        if user["s"] != again["s"] or nobody["s"] != nobody_again["s"]:
            run.outcome.problem(f"{mechanism}: asked twice, a name that nobody has shows two salts: {nobody['s']}, {nobody_again['s']}")


def describe(answer: Any) -> tuple[int, str, bytes]:
    return int(answer.error_code), str(answer.error_message), bytes(answer.auth_bytes)
