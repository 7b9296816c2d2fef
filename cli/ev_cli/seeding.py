"""Topics that an engine shall have from its start on: --seed TOPIC[:PARTITIONS]."""

from __future__ import annotations

import os
import time

from ev_cli.failures import UsageFailure, as_failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ev_cli.local_engine import LocalEngine

WAIT_S = 60
LOOK_EVERY_S = 0.02


def seeds_of(texts: list[str] | None) -> dict[str, int]:
    """Topics with their partitions; -1 is as many as a topic usually gets."""
    found: dict[str, int] = {}
    for text in ",".join(texts or ()).split(","):
        name, colon, partitions = text.strip().partition(":")
        if not name and not colon:
            continue
        if not name or (colon and (not partitions.isdecimal() or int(partitions) < 1)):
            raise UsageFailure(f"--seed {text!r} is no topic", "write TOPIC or TOPIC:PARTITIONS")
        found[name] = int(partitions) if colon else -1
    return found


def seed(address: str, topics: dict[str, int]) -> None:
    """Create the topics that are not there."""
    if not topics:
        return
    from ev.client.admin import Admin
    from ev.client.results import NewTopic
    from ev.errors import ErrorCode

    with Admin(address) as admin:
        for outcome in admin.create_topics([NewTopic(name, partitions, -1, {}) for name, partitions in topics.items()]):
            if outcome.error is not None and outcome.error.code != ErrorCode.TOPIC_ALREADY_EXISTS:
                raise as_failure(outcome.error)


def seed_from_beside(engine: LocalEngine, topics: dict[str, int]) -> None:
    """For a process that is about to become the engine: another one waits until it listens, and creates the topics."""
    parent = os.getpid()
    middle = os.fork()
    if middle != 0:
        os.waitpid(middle, 0)
        return
    if os.fork() != 0:
        os._exit(0)  # so that the engine has no child that it would have to wait for
    status = 1
    try:
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            address = engine.listening_address()
            if address is not None:
                seed(address, topics)
                status = 0
                break
            os.kill(parent, 0)
            time.sleep(LOOK_EVERY_S)
    except ProcessLookupError:
        pass
    except Exception as error:  # noqa: BLE001 - nobody waits for this process: what it says is on the same stderr as the log
        from ev_cli.ending import end_of

        status = end_of(error, {})
    finally:
        os._exit(status)
