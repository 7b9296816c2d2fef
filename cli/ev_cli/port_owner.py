"""Who answers on the port that the local engine wants, and what to do about it."""

from __future__ import annotations

import os

from ev_cli import output
from ev_cli.failures import UNREACHABLE, Failure
from ev_cli.local_engine import split_address

# ApiVersions version 0, correlation id 7, no client id: any Kafka answers it.
_QUESTION = b"\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x07\xff\xff"


def port_taken(listen: str, said: str) -> Failure:
    """The failure for a taken port, with the command for each case."""
    elsewhere = "give the local engine another port: EV_LISTEN=127.0.0.1:0"
    owner = _owner(listen)
    if not _speaks_kafka(listen):
        return Failure(f"{listen} is taken by something that does not speak Kafka's protocol{owner}", elsewhere, code=UNREACHABLE)
    if owner and owner_uid(listen) != os.geteuid():
        return Failure(f"{listen} is taken by a Kafka or an ev of another user{owner}", f"use it with `-b {listen}`, or {elsewhere}", code=UNREACHABLE)
    return Failure(
        f"{listen} is taken by a Kafka or another ev{owner} ({output.safe(said)})", f"use it with `-b {listen}`, or {elsewhere}", code=UNREACHABLE
    )


def _speaks_kafka(listen: str) -> bool:
    import socket

    host, port = split_address(listen)
    try:
        with socket.create_connection(("127.0.0.1" if host in ("0.0.0.0", "") else host, port), 2) as connection:
            connection.sendall(_QUESTION)
            answer = b""
            while len(answer) < 8:
                more = connection.recv(64)
                if not more:
                    return False
                answer += more
    except OSError:
        return False
    return answer[4:8] == b"\x00\x00\x00\x07"


def _owner(listen: str) -> str:
    uid = owner_uid(listen)
    if uid is None:
        return ""
    try:
        import pwd

        return f" (user {pwd.getpwuid(uid).pw_name})"
    except (ImportError, KeyError):
        return f" (uid {uid})"


def owner_uid(listen: str) -> int | None:
    """The uid of the process that listens on the port, where Linux says so."""
    port = split_address(listen)[1]
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as file:
                for line in list(file)[1:]:
                    words = line.split()
                    if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port:
                        return int(words[7])
        except OSError:
            continue
    return None
