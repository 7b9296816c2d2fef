"""Writes down what Apache Kafka answers in every conversation, for every version that it serves and we can read.

From tests/, with Java at hand:    python -m differential.record [API ...]     for example: python -m differential.record heartbeat
"""

from __future__ import annotations

import sys

import differential.table
from differential.conversation import CONVERSATIONS, Conversation, Step
from differential.talk import Talk
from differential.transcripts import Recorded, write
from ev.wire.catalog import API
from ev.wire.messages.k18_api_versions import ApiVersionsRequest
from support.apache_kafka import ORDERLY, Kafka
from support.raw_client import RawClient

assert differential.table.__doc__


def served_by(address: str) -> dict[int, range]:
    """The versions of each API that the broker says it serves."""
    with RawClient(address) as client:
        answer = client.ask(18, 3, ApiVersionsRequest(client_software_name="differential", client_software_version="1"))
    return {each.api_key: range(each.min_version, each.max_version + 1) for each in answer.api_keys}


def held(address: str, conversation: Conversation) -> Recorded:
    talk = Talk(address, conversation)
    return Recorded(talk.hold(), talk.captures)


def lists_everything(conversation: Conversation) -> bool:
    """Such a conversation is held first, while there is little else to list."""
    return any(isinstance(step, Step) and step.everything for step in conversation.steps())


def main(names: list[str]) -> int:
    keys = [key for key in sorted(CONVERSATIONS) if not names or any(API[key].module.endswith(f"_{name}") for name in names)]
    failed: list[str] = []
    recorded: dict[int, dict[str, Recorded]] = {key: {} for key in keys}
    with Kafka(properties=ORDERLY) as kafka:
        served = served_by(kafka.bootstrap)
        wanted = [each for key in keys for each in CONVERSATIONS[key] if each.version in served.get(key, ())]
        for each in sorted(wanted, key=lists_everything, reverse=True):
            try:
                recorded[each.key][each.name] = held(kafka.bootstrap, each)
            except AssertionError as problem:
                failed.append(f"{API[each.key].name}: {each.name}: {problem}")
    for key in keys:
        write(key, recorded[key], ORDERLY)
        print(f"{API[key].name}: {len(recorded[key])} conversations, {sum(len(one.exchanges) for one in recorded[key].values())} requests")
    for line in failed:
        print(line, file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
