"""The one list of what differs on purpose: differences.toml."""

from __future__ import annotations

import pathlib
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from differential.replay import Found
from ev.wire.catalog import API

FILE = pathlib.Path(__file__).with_name("differences.toml")


@dataclass(frozen=True)
class Entry:
    """Fields of an API that differ for one reason."""

    api: str
    fields: tuple[str, ...]
    reason: str
    conversation: str = "*"
    kafka: object = None  # what Kafka says; anything when it is not given
    ev: object = None

    def covers(self, found: Found) -> str:
        """The pattern that the difference falls under; empty when none does."""
        if self.api != API[found.exchange.key].name or not fnmatchcase(found.conversation.name, self.conversation):
            return ""
        said = found.difference
        if self.kafka not in (None, said.kafka) or self.ev not in (None, said.ours):
            return ""
        return next((pattern for pattern in self.fields if fnmatchcase(found.difference.field, pattern)), "")

    def __str__(self) -> str:
        return f"{self.api}: {self.conversation}: {' '.join(self.fields)[:60]}"


def document() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text())


def entries() -> list[Entry]:
    return [Entry(**{**each, "fields": tuple(each["fields"])}) for each in document()["difference"]]
